//! What must not get out: secrets and buyers in the output, files that others may read; and what must: the way of a
//! request from the till to the OFD.

use super::harness::{Adapter, Setup, sale, simulator, until};
use ofd_sim::{Plan, Simulator};
use serde_json::{Value, json};
use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

const OPERATOR: &str = "operators-secret-0123456789";
const TILL: &str = "tills-secret-0123456789";
const OFD: &str = "ofds-secret-0123456789";
const EMAIL: &str = "buyer.of.glasses@example.org";
const CASHIER: &str = "Иванова Мария";
const GOODS: &str = "Оправа титановая";

fn guarded(sim: &Simulator, format: &str) -> Setup {
    let setup = Setup::new(&sim.base_url());
    for (name, secret) in [("ops", OPERATOR), ("till", TILL), ("ofd", OFD)] {
        let path = setup.path().join(name);
        std::fs::write(&path, secret).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let tokens = "[{name=\"ops\", role=\"operator\", token_file=\"ops\"}, \
                  {name=\"till-1\", role=\"pos\", pos_ids=[\"POS-001\"], token_file=\"till\"}]";
    setup
        .with("KKT_AUTH__TOKENS", tokens)
        .with("KKT_OFD__TOKEN_FILE", "ofd")
        .with("KKT_TELEMETRY__LOG_FORMAT", format)
}

async fn ask(adapter: &Adapter, token: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let url = format!("{}{path}", adapter.url);
    let request = match body {
        Some(body) => adapter.http.post(url).json(body).header("Idempotency-Key", "k-1"),
        None => adapter.http.get(url),
    };
    let request = request.bearer_auth(token).header("X-Request-Id", "till-1.request-77");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "till-1.request-77");
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn private_sale() -> Value {
    let mut receipt = sale("POS-001", "200.00");
    receipt["buyer"] = json!({ "email": EMAIL });
    receipt["items"][0]["name"] = json!(GOODS);
    receipt["cashier"] = json!({ "name": CASHIER });
    receipt
}

async fn a_day(adapter: &Adapter, sim: &Simulator) -> String {
    let (status, body) = ask(adapter, TILL, "/v1/kkt/receipt", Some(&private_sale())).await;
    assert_eq!(status, 200, "{body}");
    let id = body["receipt_id"].as_str().unwrap().to_owned();
    let delivered = async || {
        let (_, one) = ask(adapter, OPERATOR, &format!("/v1/kkt/receipt/{id}"), None).await;
        assert_eq!(one["request_id"], "till-1.request-77");
        (one["state"] == "synced").then_some(())
    };
    until("the receipt delivered", delivered).await;
    // A wrong receipt, a wrong token, a refusal, an outage, a command: each has a way to say too much.
    let mut wrong = private_sale();
    wrong["buyer"] = json!({ "email": EMAIL, "phone": "+70000000000" });
    wrong["items"][0]["price"] = json!("-1");
    ask(adapter, TILL, "/v1/kkt/receipt", Some(&wrong)).await;
    ask(adapter, "a-wrong-secret-0123456789", "/v1/health", None).await;
    ask(adapter, TILL, "/v1/kkt/dlq", None).await;
    sim.set_faults(Plan::fail_always(503));
    let mut more = private_sale();
    more["items"][0]["name"] = json!("Линзы");
    let request = adapter.http.post(format!("{}/v1/kkt/receipt", adapter.url)).bearer_auth(TILL);
    request.header("Idempotency-Key", "k-2").json(&more).send().await.unwrap();
    until("an OPEN breaker", async || {
        let (_, health) = ask(adapter, OPERATOR, "/v1/health", None).await;
        (health["components"]["circuit_breaker"]["state"] == "OPEN").then_some(())
    })
    .await;
    ask(adapter, OPERATOR, "/v1/session", Some(&json!({ "token": OPERATOR }))).await;
    let path = "/v1/kkt/circuit-breakers/ofd/reset";
    ask(adapter, OPERATOR, path, Some(&json!({ "reason": "it is mended" }))).await;
    let (_, audit) = ask(adapter, OPERATOR, "/v1/kkt/audit", None).await;
    let lines = audit["audit"].as_array().unwrap();
    let reset = lines.iter().find(|line| line["action"] == "reset").expect("who did what");
    assert_eq!((&reset["by"], &reset["subject"]), (&"ops".into(), &"breaker:ofd".into()), "{reset}");
    id
}

// P10
#[tokio::test]
async fn no_secret_and_no_buyer_is_in_any_output_and_each_transition_is_a_line() {
    for format in ["text", "json"] {
        let sim = simulator().await;
        let setup = guarded(&sim, format);
        let mut adapter = setup.start();
        let id = a_day(&adapter, &sim).await;
        adapter.signal("HUP");
        until("the reload", async || adapter.log().contains("taken over").then_some(())).await;
        adapter.signal("TERM");
        assert!(adapter.wait().success());
        let output = adapter.log() + &adapter.said();
        for secret in [OPERATOR, TILL, OFD, "a-wrong-secret", EMAIL, "+70000000000", CASHIER, GOODS, "Линзы"]
        {
            assert!(!output.contains(secret), "«{secret}» is in:\n{output}");
        }
        assert!(output.contains("circuit breaker") && output.contains("OPEN"), "{output}");
        if format == "json" {
            each_transition_is_a_line(&adapter.log(), &id);
        }
    }
}

fn each_transition_is_a_line(log: &str, id: &str) {
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of_receipt = |to: &str| {
        let found: Vec<_> =
            lines.iter().filter(|line| line["receipt_id"] == id && line["to"] == to).collect();
        assert_eq!(found.len(), 1, "{to}: {log}");
        found[0].clone()
    };
    let (taken, printed, synced) = (of_receipt("printing"), of_receipt("printed"), of_receipt("synced"));
    assert_eq!((&printed["from"], &synced["from"]), (&"printing".into(), &"printed".into()));
    for line in [&taken, &printed] {
        assert_eq!(line["span"]["id"], "till-1.request-77", "{line}");
    }
    assert_eq!(synced["request_id"], "till-1.request-77");
    let opened = lines.iter().find(|line| line["to"] == "OPEN").expect("the breaker opened");
    assert_eq!(opened["from"], "CLOSED");
    assert!(opened["why"].as_str().is_some_and(|why| !why.is_empty()));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_path_buf()];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn everything_it_writes_is_for_its_owner_alone_whatever_the_umask() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let inner = setup.command(&["serve"]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.current_dir(setup.path());
    let adapter = Adapter::spawn(command);
    adapter.sell("POS-001").await;
    let found = files(&setup.path().join("data"));
    for name in ["buffer.db", "buffer.db-wal", "virtual-kkt"] {
        assert!(found.iter().any(|path| path.ends_with(name)), "{name} is not among {found:?}");
    }
    for path in found {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(format!("{mode:o}"), format!("{wanted:o}"), "{}", path.display());
    }
}

// P10
#[tokio::test]
async fn a_token_that_was_rotated_lets_in_nobody_any_more_nor_do_its_sessions() {
    let sim = simulator().await;
    let setup = guarded(&sim, "text");
    let adapter = setup.start();
    let begin = adapter.http.post(format!("{}/v1/session", adapter.url)).json(&json!({ "token": OPERATOR }));
    let cookie = begin.send().await.unwrap().headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let with_cookie = async || {
        let request = adapter.http.get(format!("{}/v1/health", adapter.url)).header("Cookie", &cookie);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(with_cookie().await, 200);
    const NEXT: &str = "the-next-operators-secret";
    std::fs::write(setup.path().join("ops"), NEXT).unwrap();
    adapter.signal("HUP");
    until("the new token", async || (ask(&adapter, NEXT, "/v1/health", None).await.0 == 200).then_some(()))
        .await;
    assert_eq!(ask(&adapter, OPERATOR, "/v1/health", None).await.0, 401);
    assert_eq!(with_cookie().await, 401);
    assert_eq!(ask(&adapter, TILL, "/v1/health", None).await.0, 200, "others are untouched");
}
