//! The simulator as a service: ledger, control, who gets in, limits, stopping.

mod support;

use ofd_sim::{Error, Options, Plan, Rule, Simulator, ViolationKind};
use serde_json::{Value, json};
use support::{client, document, send, until, write_raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn start() -> Simulator {
    Simulator::start(Options::default()).unwrap()
}

async fn get(client: &reqwest::Client, ofd: &Simulator, path: &str) -> Value {
    client.get(ofd.base_url() + path).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn the_ledger_has_the_fields_of_the_contract() {
    let (ofd, client) = (start(), client());
    send(&client, &ofd.base_url(), "k1", 1).await.unwrap();
    send(&client, &ofd.base_url(), "k1", 1).await.unwrap();
    let ledger = get(&client, &ofd, "/sim/ledger").await;
    let expected = json!({"key": "k1", "pos_id": "POS-001", "fn": "9999078900000001", "fd": 1, "received": 2,
        "counted": 1, "first_seq": 1});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&ledger["documents"][0][field], value, "{field}: {ledger}");
    }
}

#[tokio::test]
async fn the_ledger_is_streamed_whole_in_pages_and_by_key() {
    let (ofd, client) = (start(), client());
    for fd in 1..=2500 {
        assert_eq!(send(&client, &ofd.base_url(), &format!("k{fd}"), fd).await.unwrap().status(), 200);
    }
    let all = get(&client, &ofd, "/sim/ledger").await;
    let fds = |page: &Value| -> Vec<u64> {
        page["documents"].as_array().unwrap().iter().map(|d| d["fd"].as_u64().unwrap()).collect()
    };
    assert_eq!(fds(&all), (1..=2500).collect::<Vec<_>>());
    assert_eq!((&all["next"], &all["total"]), (&Value::Null, &json!(2500)));
    let (mut after, mut got) = (0, vec![]);
    loop {
        let page = get(&client, &ofd, &format!("/sim/ledger?after={after}&limit=1100")).await;
        got.extend(fds(&page));
        match page["next"].as_u64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(got, (1..=2500).collect::<Vec<_>>());
    assert_eq!(fds(&get(&client, &ofd, "/sim/ledger?key=k7").await), [7]);
    assert_eq!(fds(&get(&client, &ofd, "/sim/ledger?key=nobody").await), [0; 0]);
    assert_eq!(fds(&get(&client, &ofd, "/sim/ledger?after=99999").await), [0; 0]);
    let bad = client.get(ofd.base_url() + "/sim/ledger?limit=all").send().await.unwrap();
    assert_eq!(bad.status(), 422);
}

#[tokio::test]
async fn sixty_four_posts_of_one_key_at_once_count_once() {
    // P3
    let (ofd, client) = (start(), client());
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (client, base) = (client.clone(), ofd.base_url());
        posts.spawn(async move { send(&client, &base, "k1", 1).await.unwrap().text().await.unwrap() });
    }
    let answers = posts.join_all().await;
    assert!(answers.iter().all(|a| *a == answers[0]), "all get the same confirmation");
    let entry = &ofd.ledger()[0];
    assert_eq!((entry.received, entry.counted), (64, 1));
}

#[tokio::test]
async fn breaking_the_protocol_is_answered_and_told_on() {
    let (ofd, client) = (start(), client());
    let base = ofd.base_url();
    send(&client, &base, "k1", 1).await.unwrap();
    let post = |key: &'static str, body: Value| {
        client.post(format!("{base}/ofd/v1/receipt")).header("Idempotency-Key", key).json(&body).send()
    };
    let conflict = post("k1", document("k1", 2)).await.unwrap();
    assert_eq!(conflict.status(), 409);
    assert_eq!(conflict.json::<Value>().await.unwrap()["status"], "conflict");
    assert_eq!(post("k2", document("k2", 1)).await.unwrap().status(), 200);
    assert_eq!(post("k3", document("other", 3)).await.unwrap().status(), 200);
    assert_eq!(post("k4", json!({"pos_id": "POS-001"})).await.unwrap().status(), 422);
    let no_key = client.post(format!("{base}/ofd/v1/receipt")).json(&document("k5", 5)).send().await.unwrap();
    assert_eq!(no_key.status(), 422);
    let stats = ofd.stats();
    for (kind, n) in [
        (ViolationKind::KeyConflict, 1),
        (ViolationKind::DocumentUnderTwoKeys, 1),
        (ViolationKind::KeyMismatch, 1),
        (ViolationKind::InvalidDocument, 2),
    ] {
        assert_eq!(stats.violations_of(kind), n, "{kind:?}");
    }
    assert_eq!(stats.violations, 5);
    let told = get(&client, &ofd, "/sim/stats").await;
    assert_eq!(serde_json::from_value::<ofd_sim::Stats>(told).unwrap(), stats);
}

#[tokio::test]
async fn faults_are_set_shown_healed_and_reset_over_http() {
    let (ofd, client) = (start(), client());
    let faults = ofd.base_url() + "/sim/faults";
    let put = |body: &'static str| client.put(&faults).body(body).send();
    assert_eq!(put(r#"{"fault":"fail","status":500,"times":2}"#).await.unwrap().status(), 200);
    for status in [500, 500, 200] {
        assert_eq!(send(&client, &ofd.base_url(), "k1", 1).await.unwrap().status(), status);
    }
    let shown = get(&client, &ofd, "/sim/faults").await;
    assert_eq!((&shown["plan"]["rules"][0]["status"], &shown["applied"]), (&json!(500), &json!([2])));

    let refused = put(r#"{"rules":[{"fault":"fail","stauts":500}]}"#).await.unwrap();
    assert_eq!(refused.status(), 422);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["detail"][0]["loc"], json!(["body", "rules", 0, "stauts"]), "{refused}");
    assert!(refused["detail"][0]["msg"].as_str().unwrap().contains("status"), "{refused}");
    assert_eq!(put("{").await.unwrap().status(), 422);
    assert_eq!(get(&client, &ofd, "/sim/faults").await, shown, "a refused plan changes nothing");

    ofd.set_faults(Plan::fail_always(503));
    assert_eq!(client.delete(&faults).send().await.unwrap().status(), 200);
    assert_eq!(send(&client, &ofd.base_url(), "k1", 1).await.unwrap().status(), 200);
    ofd.set_faults(Plan::fail_always(503));
    assert_eq!(client.post(ofd.base_url() + "/sim/reset").send().await.unwrap().status(), 200);
    assert!(ofd.ledger().is_empty());
    assert_eq!(ofd.stats().calls, 0);
    assert_eq!(send(&client, &ofd.base_url(), "k1", 1).await.unwrap().status(), 200);
}

#[tokio::test]
async fn with_a_token_only_its_bearer_is_heard() {
    // P10
    let ofd = Simulator::start(Options::default().token("right").token("also")).unwrap();
    let client = client();
    let post = |token: Option<&'static str>| {
        let mut request = client
            .post(ofd.base_url() + "/ofd/v1/receipt")
            .header("Idempotency-Key", "k1")
            .json(&document("k1", 1));
        if let Some(token) = token {
            request = request.header("Authorization", token);
        }
        request.send()
    };
    for (token, status) in [
        (None, 401),
        (Some("Bearer wrong"), 401),
        (Some("right"), 401),
        (Some("Bearer right"), 200),
        (Some("Bearer also"), 200),
    ] {
        assert_eq!(post(token).await.unwrap().status(), status, "{token:?}");
    }
    let ping = client.get(ofd.base_url() + "/ofd/v1/health").send().await.unwrap();
    assert_eq!(ping.status(), 401);
    assert_eq!(ofd.ledger()[0].received, 2);
    assert!(!format!("{:?}", Options::default().token("right")).contains("right"));
}

#[tokio::test]
async fn no_web_page_can_use_the_controls() {
    // P10
    let (ofd, client) = (start(), client());
    let reset = || client.post(ofd.base_url() + "/sim/reset");
    for (name, value) in
        [("Origin", "http://evil.example"), ("Origin", "null"), ("Host", "evil.example:9000")]
    {
        assert_eq!(reset().header(name, value).send().await.unwrap().status(), 403, "{name}: {value}");
    }
    for host in ["localhost:9000", "127.0.0.1", "[::1]:9000"] {
        assert_eq!(reset().header("Host", host).send().await.unwrap().status(), 200, "{host}");
    }
}

#[tokio::test]
async fn a_body_over_two_mebibytes_is_refused_and_one_just_below_is_not() {
    let (ofd, client) = (start(), client());
    for (size, status) in [(Options::BODY_MAX - 1000, 200), (Options::BODY_MAX + 1, 413)] {
        let mut body = document("k1", 1);
        body["filler"] = json!("x".repeat(size));
        let key = format!("k{size}");
        body["receipt_id"] = json!(key);
        let post = client.post(ofd.base_url() + "/ofd/v1/receipt").header("Idempotency-Key", key);
        assert_eq!(post.json(&body).send().await.unwrap().status(), status, "{size}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let mut options = Options::default();
    options.max_connections = 1;
    let ofd = Simulator::start(options).unwrap();
    ofd.set_faults(Plan::ok().rule(Rule::hang().key("first")));
    let first = write_raw(&ofd.base_url(), "first", 1).await;
    until("the first is in flight", || ofd.stats().in_flight == 1).await;
    let mut second = write_raw(&ofd.base_url(), "second", 2).await;
    assert_eq!(ofd.stats().calls, 1, "the second is not even read");
    drop(first);
    let mut answer = Vec::new();
    tokio::time::timeout(support::DEADLINE, second.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn other_machines_are_let_in_only_when_told() {
    let open = Options::default().listen("0.0.0.0:0".parse().unwrap());
    assert!(matches!(Simulator::start(open.clone()), Err(Error::NotLoopback { .. })));
    let mut allowed = open;
    allowed.allow_remote = true;
    Simulator::start(allowed).unwrap().shutdown().await;
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error() {
    let ofd = start();
    let error = Simulator::start(Options::default().listen(ofd.addr())).unwrap_err();
    assert!(error.to_string().contains(&ofd.addr().to_string()), "{error}");
}

#[test]
fn without_a_runtime_the_start_is_refused() {
    assert!(matches!(Simulator::start(Options::default()), Err(Error::NoRuntime)));
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_flight_lets_go_of_what_hangs_and_frees_the_port() {
    // P11
    let ofd = start();
    ofd.set_faults(
        Plan::ok().rule(Rule::hang().key("hangs")).rule(Rule::slow(std::time::Duration::from_secs(60))),
    );
    let mut hangs = write_raw(&ofd.base_url(), "hangs", 1).await;
    let mut slow = write_raw(&ofd.base_url(), "slow", 2).await;
    let mut idle = tokio::net::TcpStream::connect(ofd.addr()).await.unwrap();
    idle.write_all(b"GET /ofd").await.unwrap();
    until("both are in flight", || ofd.stats().in_flight == 2).await;
    let addr = ofd.addr();
    tokio::time::timeout(support::DEADLINE, ofd.shutdown()).await.expect("it stops");
    let mut text = Vec::new();
    slow.read_to_end(&mut text).await.unwrap();
    assert!(text.ends_with(b"}"), "the slow answer is finished: {}", String::from_utf8_lossy(&text));
    let mut nothing = Vec::new();
    hangs.read_to_end(&mut nothing).await.unwrap();
    assert!(nothing.is_empty());
    drop((hangs, slow, idle));
    Simulator::start(Options::default().listen(addr)).expect("the port is free again");
}

#[tokio::test]
async fn a_dropped_simulator_no_longer_listens() {
    let ofd = start();
    let addr = ofd.addr();
    drop(ofd);
    let refused = async {
        while tokio::net::TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(support::DEADLINE, refused).await.expect("connections are refused");
}
