//! The heartbeat, against a real HTTP server that takes it or does not.

use super::{
    ca::Ca,
    harness::{Adapter, Setup, simulator, until},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use serde_json::Value;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};
use tokio::net::TcpListener;

/// An ERP.
#[derive(Default)]
struct Erp {
    beats: Mutex<Vec<(Option<String>, Value)>>,
    broken: AtomicBool,
    hangs: AtomicBool,
}

async fn beat(State(erp): State<Arc<Erp>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let token = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    erp.beats.lock().unwrap().push((token, serde_json::from_slice(&body).unwrap()));
    if erp.hangs.load(SeqCst) {
        std::future::pending::<()>().await;
    }
    if erp.broken.load(SeqCst) { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
}

impl Erp {
    fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/api/v1/kkt/heartbeat", post(beat)).with_state(Arc::clone(self))
    }

    async fn start(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/api/v1/kkt/heartbeat")
    }

    fn count(&self) -> usize {
        self.beats.lock().unwrap().len()
    }
}

async fn until_state(adapter: &Adapter, state: &str) -> Value {
    until(&format!("heartbeat {state}"), async || {
        let status = adapter.get("/v1/kkt/heartbeat/status").await;
        (status["state"] == state).then_some(status)
    })
    .await
}

#[tokio::test]
async fn the_erp_gets_figures_and_states_and_its_trouble_shows_and_ends() {
    let (sim, erp) = (simulator().await, Arc::new(Erp::default()));
    let setup = Setup::new(&sim.base_url());
    std::fs::write(setup.path().join("erp.token"), "a-secret-for-the-erp\n").unwrap();
    // The name that the earlier adapter had for it.
    let setup = setup
        .with("HEARTBEAT_URL", &erp.start().await)
        .with("KKT_HEARTBEAT__INTERVAL", "100ms")
        .with("KKT_HEARTBEAT__TOKEN_FILE", "erp.token")
        .with("KKT_HEARTBEAT__NAME", "shop-7");
    let adapter = setup.start();
    let status = until_state(&adapter, "online").await;
    assert_eq!(status["running"], true);
    assert!(status["consecutive_successes"].as_u64() >= Some(2), "{status}");
    assert_eq!((&status["consecutive_failures"], &status["last_error"]), (&0.into(), &Value::Null));

    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    let seen = erp.count();
    until("a beat after the sale", async || (erp.count() > seen + 1).then_some(())).await;
    let (token, body) = erp.beats.lock().unwrap().last().unwrap().clone();
    assert_eq!(token.as_deref(), Some("Bearer a-secret-for-the-erp"));
    assert_eq!((&body["name"], &body["fiscal"]), (&"shop-7".into(), &false.into()));
    assert_eq!(
        (&body["buffer"]["network_status"], &body["circuit_breaker"]["state"]),
        (&"online".into(), &"CLOSED".into())
    );
    assert_eq!(
        (&body["buffer"]["pending"], &body["buffer"]["per_pos"][0]["pos_id"]),
        (&0.into(), &"POS-001".into())
    );
    assert!(body["buffer"]["synced"].as_u64() >= Some(1), "{body}");
    assert_eq!(body["refuses"], Value::Null, "the shop can sell");
    assert!(!body.to_string().contains("Оправа"), "nothing of what was sold");

    erp.broken.store(true, SeqCst);
    let status = until_state(&adapter, "offline").await;
    assert!(status["consecutive_failures"].as_u64() >= Some(3), "{status}");
    assert_eq!(status["last_error"], "the ERP answered HTTP 500");
    erp.broken.store(false, SeqCst);
    until_state(&adapter, "online").await;
    until("both transitions in the log", async || {
        let log = adapter.log();
        (log.contains("does not take the heartbeat") && log.matches("takes the heartbeat").count() >= 2)
            .then_some(())
    })
    .await;
    assert!(!adapter.log().contains("a-secret-for-the-erp"));
}

// P7
#[tokio::test]
async fn the_erp_is_told_why_a_shop_can_take_no_receipts() {
    let (sim, erp) = (simulator().await, Arc::new(Erp::default()));
    let setup = Setup::new(&sim.base_url())
        .with("KKT_HEARTBEAT__URL", &erp.start().await)
        .with("KKT_HEARTBEAT__INTERVAL", "100ms")
        .with("KKT_BUFFER__MIN_FREE_DISK", "1024TiB");
    let adapter = setup.start();
    let refuses = until("a beat that says so", async || {
        let beats = erp.beats.lock().unwrap();
        beats.last().and_then(|(_, body)| body["refuses"].as_str().map(str::to_owned))
    })
    .await;
    assert!(refuses.contains("too little free disk space"), "{refuses}");
    assert_eq!(adapter.get("/v1/health").await["components"]["buffer"]["refuses"], refuses.as_str());
}

#[tokio::test]
async fn a_new_token_for_the_erp_is_taken_over_by_sighup() {
    let (sim, erp) = (simulator().await, Arc::new(Erp::default()));
    let setup = Setup::new(&sim.base_url())
        .with("KKT_HEARTBEAT__URL", &erp.start().await)
        .with("KKT_HEARTBEAT__INTERVAL", "100ms")
        .with("KKT_HEARTBEAT__TOKEN_FILE", "erp.token");
    let write = |token: &str| std::fs::write(setup.path().join("erp.token"), token).unwrap();
    let until_sent = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let sent =
            || erp.beats.lock().unwrap().last().is_some_and(|(sent, _)| sent.as_ref() == Some(&bearer));
        until(token, async || sent().then_some(())).await;
    };
    write("the-old-secret");
    let adapter = setup.start();
    until_sent("the-old-secret").await;
    write("the-new-secret");
    adapter.signal("HUP");
    until_sent("the-new-secret").await;
    let log = adapter.log();
    assert!(!log.contains("-secret") && !log.contains("by a restart only"), "{log}");
}

// P7
#[tokio::test]
async fn an_erp_that_never_answers_delays_no_sale_and_no_stop() {
    let (sim, erp) = (simulator().await, Arc::new(Erp::default()));
    erp.hangs.store(true, SeqCst);
    let setup = Setup::new(&sim.base_url())
        .with("KKT_HEARTBEAT__URL", &erp.start().await)
        .with("KKT_HEARTBEAT__INTERVAL", "100ms")
        .with("KKT_HEARTBEAT__TIMEOUT", "300s");
    let adapter = setup.start();
    until("a beat that hangs", async || (erp.count() == 1).then_some(())).await;
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    assert_eq!(erp.count(), 1, "one at a time");
    let status = adapter.get("/v1/kkt/heartbeat/status").await;
    assert_eq!((&status["state"], &status["running"]), (&"unknown".into(), &true.into()));
    assert!(adapter.terminate().success());
}

#[tokio::test]
async fn an_erp_is_trusted_by_its_private_ca_and_without_a_url_nothing_runs() {
    let (sim, erp, ca) = (simulator().await, Arc::new(Erp::default()), Ca::new("the ERP's"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/api/v1/kkt/heartbeat", listener.local_addr().unwrap());
    let (tls, router) = (ca.issue().tls(), erp.router());
    let limits = kkt_adapter::http::ServerLimits::default();
    tokio::spawn(kkt_adapter::http::serve(listener, Some(tls), router, limits, std::future::pending()));
    let setup = Setup::new(&sim.base_url())
        .with("KKT_HEARTBEAT__URL", &url)
        .with("KKT_HEARTBEAT__INTERVAL", "100ms")
        .with("KKT_HEARTBEAT__CA_FILE", "erp-ca.pem");
    std::fs::write(setup.path().join("erp-ca.pem"), &ca.pem).unwrap();
    let adapter = setup.start();
    until_state(&adapter, "online").await;
    drop(adapter);
    std::fs::write(setup.path().join("erp-ca.pem"), Ca::new("another").pem).unwrap();
    until_state(&setup.start(), "offline").await;

    let without = Setup::new(&sim.base_url()).start().get("/v1/kkt/heartbeat/status").await;
    assert_eq!(without["running"], false);
    assert_eq!((&without["state"], &without["consecutive_failures"]), (&"unknown".into(), &0.into()));
}
