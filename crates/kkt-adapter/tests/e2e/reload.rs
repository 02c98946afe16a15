//! SIGHUP: what changes without a restart (breaker numbers: see breakers.rs).

use super::harness::{Setup, simulator, until};

// P10: a token that leaked is replaced while the tills sell.
#[tokio::test]
async fn sighup_takes_over_a_new_token_and_the_old_one_is_refused_and_the_log_level_changes() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let file = setup.path().join("ops.token");
    let (old, new) = ("old-token-0123456789abcdef", "new-token-0123456789abcdef");
    std::fs::write(&file, old).unwrap();
    let table = format!("[{{name=\"ops\", role=\"operator\", token_file=\"{}\"}}]", file.display());
    let setup = setup.with("KKT_AUTH__TOKENS", &table);
    let adapter = setup.start();
    let ask = async |token: &str| {
        let request = adapter.http.get(format!("{}/v1/health", adapter.url)).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((ask(old).await, ask(new).await), (200, 401));
    let sell = async |key: &str| {
        let request = adapter.http.post(format!("{}/v1/kkt/receipt", adapter.url)).bearer_auth(new);
        let body = super::harness::sale("POS-001", "10.00");
        request.header("Idempotency-Key", key).json(&body).send().await.unwrap().status().as_u16()
    };

    std::fs::write(&file, new).unwrap();
    setup.rewrite("[kkt]", "[telemetry]\nlog = \"debug\"\n[kkt]");
    adapter.signal("HUP");
    until("the new token is in force", async || (ask(new).await == 200).then_some(())).await;
    assert_eq!(ask(old).await, 401, "the old one is nobody's");
    assert_eq!(sell("k").await, 200);
    until("a line of the new level", async || adapter.log().contains("DEBUG").then_some(())).await;

    // A file that was emptied by mistake locks nobody out.
    std::fs::write(&file, "").unwrap();
    adapter.signal("HUP");
    until("the fault is told", async || adapter.log().contains("stays as it was").then_some(())).await;
    assert_eq!((ask(new).await, sell("k").await), (200, 200));
}
