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

/// `auth.tokens` of an operator and a reader, in files of these names.
fn two_tokens(setup: Setup, operator: &str, reader: &str) -> Setup {
    std::fs::write(setup.path().join("ops"), operator).unwrap();
    std::fs::write(setup.path().join("eye"), reader).unwrap();
    let tokens = "[{name=\"ops\", role=\"operator\", token_file=\"ops\"}, \
                  {name=\"eye\", role=\"reader\", token_file=\"eye\"}]";
    setup.with("KKT_AUTH__TOKENS", tokens)
}

// P10
#[tokio::test]
async fn the_stream_of_a_token_that_was_replaced_ends_and_tells_nothing_that_happened_since() {
    let sim = simulator().await;
    let (ops, old, new) =
        ("operators-token-0123456789", "old-token-0123456789abcdef", "new-token-0123456789abcdef");
    let setup = two_tokens(Setup::new(&sim.base_url()), ops, old);
    let adapter = setup.start();
    let get = |token: &str, path: &str| {
        adapter.http.get(format!("{}{path}", adapter.url)).bearer_auth(token).send()
    };
    let (mut ended, mut goes_on) =
        (get(old, "/v1/kkt/events").await.unwrap(), get(ops, "/v1/kkt/events").await.unwrap());
    for stream in [&mut ended, &mut goes_on] {
        let hello = stream.chunk().await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&hello).contains("event: hello"));
    }

    std::fs::write(setup.path().join("eye"), new).unwrap();
    adapter.signal("HUP");
    until("the new token is in force", async || {
        (get(new, "/v1/health").await.unwrap().status() == 200).then_some(())
    })
    .await;
    let sale = adapter.http.post(format!("{}/v1/kkt/receipt", adapter.url)).bearer_auth(ops);
    let sale = sale.header("Idempotency-Key", "k").json(&super::harness::sale("POS-001", "10.00"));
    assert_eq!(sale.send().await.unwrap().status(), 200);
    let mut told = String::new();
    while !told.contains("event: receipt") {
        told += &String::from_utf8_lossy(&goes_on.chunk().await.unwrap().expect("it goes on"));
    }
    assert_eq!(ended.text().await.unwrap(), "", "the end, and nothing before it");
    assert_eq!(get(old, "/v1/kkt/events").await.unwrap().status(), 401);
    assert_eq!(get(new, "/v1/kkt/events").await.unwrap().status(), 200);
}

// P7
#[tokio::test]
async fn new_tokens_for_the_ofd_are_taken_over_by_sighup_and_what_waited_is_delivered() {
    let tokens = ["new-token-of-all", "new-token-of-kkt-1"];
    let options = ofd_sim::Options::default().token(tokens[0]).token(tokens[1]);
    let sim = ofd_sim::Simulator::start(options).unwrap();
    let device = "[{id=\"kkt-1\", pos_ids=[\"POS-001\"], token_file=\"kkt-1\"}]";
    let setup =
        Setup::new(&sim.base_url()).with("KKT_OFD__TOKEN_FILE", "ofd").with("KKT_KKT__DEVICE", device);
    let write = |all: &str, one: &str| {
        std::fs::write(setup.path().join("ofd"), all).unwrap();
        std::fs::write(setup.path().join("kkt-1"), one).unwrap();
    };
    write("a-token-of-before", "another-token-of-before");
    let adapter = setup.start();
    adapter.sell("POS-001").await;
    adapter.sell("POS-002").await;
    for key in ["device:kkt-1", "device:POS-002"] {
        until("the OFD refuses the device", async || {
            let breaker = adapter.get(&format!("/v1/kkt/circuit-breakers/{key}")).await;
            (breaker["state"] == "OPEN").then_some(())
        })
        .await;
    }
    assert_eq!(adapter.pending().await, 4, "each sale and its shift's report");

    write(tokens[0], tokens[1]);
    adapter.signal("HUP");
    adapter.until_delivered().await;
    super::harness::assert_ledger_is_right(&sim, 4);
    let log = adapter.log();
    assert!(log.contains("SIGHUP: tokens"), "{log}");
    assert!(!log.contains("by a restart only") && !log.contains("-token-of-"), "{log}");
}

// P10: whoever rotates tokens has an old client that goes on with the old one.
#[tokio::test]
async fn a_till_with_the_right_token_is_served_whatever_wrong_ones_come_from_its_address() {
    let sim = simulator().await;
    let (till, old, new) =
        ("a-tills-token-0123456789", "old-token-0123456789abcdef", "new-token-0123456789abcdef");
    let setup = two_tokens(Setup::new(&sim.base_url()), till, old);
    let adapter = setup.start();
    let ask = async |token: &str| {
        let request = adapter.http.get(format!("{}/v1/health", adapter.url)).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    // A script with a replaced token is no guesser: who was never seen here is let in beside it.
    for _ in 0..40 {
        assert_eq!(ask("a-token-of-last-year-0123").await, 401);
    }
    assert_eq!(ask(till).await, 200);
    let lines = adapter.log().matches("a wrong token").count();
    assert_eq!(lines, 1, "one line a minute");
    // A guesser is, and the till goes on, also once the tokens beside its own are replaced.
    for guess in 0..40 {
        ask(&format!("a-guess-{guess}")).await;
    }
    assert_eq!((ask("another-guess").await, ask(till).await), (429, 200));
    std::fs::write(setup.path().join("eye"), new).unwrap();
    adapter.signal("HUP");
    until("the reload", async || adapter.log().contains("SIGHUP: tokens").then_some(())).await;
    assert_eq!((ask("one-more-guess").await, ask(till).await), (429, 200));
}
