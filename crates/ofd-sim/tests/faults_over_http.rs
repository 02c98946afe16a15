//! Each fault as a client meets it on a real socket.

mod support;

use ofd_sim::plan::{Fault, GarbageForm};
use ofd_sim::{Options, Plan, Rule, Simulator};
use serde_json::Value;
use std::time::Duration;
use support::{Heard, client, send, send_raw, until, write_raw};
use tokio::io::AsyncReadExt;

fn start() -> Simulator {
    Simulator::start(Options::default()).unwrap()
}

fn counted(ofd: &Simulator, key: &str) -> u32 {
    ofd.document(key).unwrap().counted
}

#[tokio::test]
async fn a_healthy_operator_accepts_and_answers_pings() {
    let (ofd, client) = (start(), client());
    let answer = send(&client, &ofd.base_url(), "k1", 1).await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["status"], "accepted");
    assert!(answer["ofd_id"].is_string() && answer["timestamp"].is_string(), "{answer}");
    let ping = client.get(format!("{}/ofd/v1/health", ofd.base_url())).send().await.unwrap();
    assert_eq!(ping.status(), 200);
    let stats = ofd.stats();
    assert_eq!((stats.calls, stats.pings, stats.in_flight, stats.most_in_flight), (1, 1, 0, 1));
    assert_eq!((stats.answered("accepted"), stats.answered("pong")), (1, 1));
    ofd.shutdown().await;
}

#[tokio::test]
async fn error_answers_come_with_status_retry_after_and_code() {
    let (ofd, client) = (start(), client());
    for (rule, status, retry_after, says) in [
        (Rule::fail(503), 503, None, "fails this call"),
        (Rule::too_many_requests(30), 429, Some("30"), "fails this call"),
        (Rule::unauthorised().pos_id("POS-001"), 401, None, "fails this call"),
        (Rule::fail(403), 403, None, "fails this call"),
        (Rule::reject(14).key("k1"), 422, None, "\"code\":14"),
        (Rule::poison_key("k1"), 500, None, "fails this call"),
        (Rule::poison_document("9999078900000001", 1), 500, None, "fails this call"),
    ] {
        ofd.set_faults(Plan::ok().rule(rule.clone()));
        let answer = send(&client, &ofd.base_url(), "k1", 1).await.unwrap();
        assert_eq!(answer.status(), status, "{rule:?}");
        let header = answer.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(header.as_deref(), retry_after, "{rule:?}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(says), "{rule:?}: {text}");
    }
    assert_eq!(counted(&ofd, "k1"), 0);
    let other = send(&client, &ofd.base_url(), "k2", 2).await.unwrap();
    assert_eq!(other.status(), 200, "poison is for its own document only");
}

#[tokio::test]
async fn a_reset_is_a_real_rst_and_a_cut_a_real_fin() {
    let ofd = start();
    ofd.set_faults(Plan::ok().rule(Rule::reset()));
    assert_eq!(send_raw(&ofd.base_url(), "k1", 1).await, Heard::Reset);
    assert_eq!(counted(&ofd, "k1"), 0);
    ofd.set_faults(Plan::ok().rule(Rule::new(Fault::Reset { store: true })));
    assert_eq!(send_raw(&ofd.base_url(), "k2", 2).await, Heard::Reset);
    assert_eq!(counted(&ofd, "k2"), 1);
    ofd.set_faults(Plan::ok().rule(Rule::store_then_cut()));
    assert_eq!(send_raw(&ofd.base_url(), "k3", 3).await, Heard::Bytes(vec![]));
    assert_eq!(counted(&ofd, "k3"), 1);
    until("nothing is in flight", || ofd.stats().in_flight == 0).await;
}

#[tokio::test]
async fn a_lost_acknowledgement_is_made_good_by_the_same_key_and_doubles_without_dedup() {
    // P3, and the control run that shows that the check would catch it.
    for (dedup, expected) in [(true, 1), (false, 2)] {
        let (ofd, client) = (start(), client());
        let plan = Plan { dedup, ..Plan::lost_acknowledgements() };
        ofd.set_faults(plan);
        assert!(send(&client, &ofd.base_url(), "k1", 1).await.is_err());
        assert_eq!(send(&client, &ofd.base_url(), "k1", 1).await.unwrap().status(), 200);
        let entry = ofd.document("k1").unwrap();
        assert_eq!((entry.received, entry.counted, entry.first_seq), (2, expected, 1), "dedup {dedup}");
    }
}

#[tokio::test]
async fn garbage_on_the_wire_is_no_http_and_other_garbage_is_no_confirmation() {
    let (ofd, client) = (start(), client());
    ofd.set_faults(Plan::ok().rule(Rule::garbage(GarbageForm::Wire)));
    let Heard::Bytes(bytes) = send_raw(&ofd.base_url(), "k1", 1).await else { panic!("bytes expected") };
    assert!(!bytes.is_empty() && !bytes.starts_with(b"HTTP"), "{bytes:?}");
    assert!(send(&client, &ofd.base_url(), "k1", 1).await.is_err());
    for form in [GarbageForm::Html, GarbageForm::Json, GarbageForm::OtherJson] {
        ofd.set_faults(Plan::ok().rule(Rule::garbage(form)));
        let answer = send(&client, &ofd.base_url(), "k1", 1).await.unwrap();
        assert_eq!(answer.status(), 200);
        let json = serde_json::from_str::<Value>(&answer.text().await.unwrap());
        assert!(json.is_err() || json.unwrap().get("status").is_none(), "{form:?}");
    }
    assert_eq!(counted(&ofd, "k1"), 0);
}

#[tokio::test]
async fn a_hanging_call_is_in_flight_until_its_caller_leaves() {
    let ofd = start();
    ofd.set_faults(Plan::ok().rule(Rule::hang()));
    let first = write_raw(&ofd.base_url(), "k1", 1).await;
    let second = write_raw(&ofd.base_url(), "k2", 2).await;
    until("two are in flight", || ofd.stats().in_flight == 2).await;
    drop(first);
    until("one has left", || ofd.stats().in_flight == 1).await;
    drop(second);
    until("both have left", || ofd.stats().in_flight == 0).await;
    assert_eq!(ofd.stats().most_in_flight, 2);
    assert_eq!(counted(&ofd, "k1"), 0);
}

#[tokio::test]
async fn a_slow_answer_comes_byte_by_byte_and_is_right_in_the_end() {
    let ofd = start();
    ofd.set_faults(Plan::ok().rule(Rule::slow(Duration::from_millis(2))));
    let mut stream = write_raw(&ofd.base_url(), "k1", 1).await;
    let (mut all, mut buffer, mut reads) = (Vec::new(), [0; 4096], 0);
    loop {
        let n = tokio::time::timeout(support::DEADLINE, stream.read(&mut buffer)).await.unwrap().unwrap();
        if n == 0 {
            break;
        }
        all.extend_from_slice(&buffer[..n]);
        reads += 1;
    }
    let text = String::from_utf8(all).unwrap();
    assert!(text.contains("\"status\":\"accepted\"") && text.ends_with('}'), "{text}");
    assert!(reads > 5, "{reads} reads");
    assert_eq!(counted(&ofd, "k1"), 1);
}

#[tokio::test]
async fn an_endless_body_goes_on_past_any_sensible_cap() {
    let (ofd, client) = (start(), client());
    ofd.set_faults(Plan::ok().rule(Rule::endless()));
    let mut answer = send(&client, &ofd.base_url(), "k1", 1).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut got = 0;
    while got < 20_000_000 {
        got += answer.chunk().await.unwrap().expect("more to come").len();
    }
    drop(answer);
    until("the flood has stopped", || ofd.stats().in_flight == 0).await;
}

#[tokio::test]
async fn a_delayed_answer_waits_at_least_its_delay_and_others_pass_it() {
    let (ofd, client) = (start(), client());
    ofd.set_faults(Plan::ok().rule(Rule::latency(Duration::from_millis(300)).key("slow")));
    let base = ofd.base_url();
    let started = std::time::Instant::now();
    let slow = tokio::spawn({
        let (client, base) = (client.clone(), base.clone());
        async move { send(&client, &base, "slow", 1).await.unwrap().status() }
    });
    until("the slow one is in flight", || ofd.stats().in_flight == 1).await;
    assert_eq!(send(&client, &base, "fast", 2).await.unwrap().status(), 200);
    assert_eq!(ofd.stats().in_flight, 1, "the slow one is still waiting");
    assert_eq!(slow.await.unwrap(), 200);
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_flapping_operator_is_down_in_its_down_phase() {
    let (ofd, client) = (start(), client());
    ofd.set_faults(Plan::ok().rule(Rule::flap(Duration::from_millis(60), Duration::from_millis(60))));
    let mut changes = (0, None);
    let watch = async {
        let mut fd = 0;
        while changes.0 < 4 {
            fd += 1;
            let status = send(&client, &ofd.base_url(), &format!("k{fd}"), fd).await.unwrap().status();
            assert!(status == 200 || status == 503, "{status}");
            if changes.1 != Some(status) {
                changes = (changes.0 + 1, Some(status));
            }
        }
    };
    tokio::time::timeout(support::DEADLINE, watch).await.expect("it goes up and down");
}
