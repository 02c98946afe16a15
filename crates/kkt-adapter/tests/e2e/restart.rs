//! Crashes and stops.

use super::harness::{Setup, assert_ledger_is_right, simulator, until};
use ofd_sim::{Plan, Rule};
use std::{
    io::Write as _,
    time::{Duration, Instant},
};

// P1, P5: SIGKILL in the middle of an outage.
#[tokio::test]
async fn a_kill_in_the_middle_of_an_outage_loses_nothing_and_keeps_the_order() {
    let sim = simulator().await;
    sim.set_faults(Plan::fail_always(503));
    let setup = Setup::new(&sim.base_url());
    let adapter = setup.start();
    let mut last = 0;
    for _ in 0..10 {
        last = adapter.sell("POS-001").await["fiscal_doc"]["fiscal_doc_number"].as_u64().unwrap();
    }
    adapter.until_breaker("OPEN").await;
    adapter.kill();

    let adapter = setup.start();
    assert_eq!(adapter.pending().await, 11);
    let next = adapter.sell("POS-001").await["fiscal_doc"]["fiscal_doc_number"].as_u64().unwrap();
    assert_eq!(next, last + 1, "document numbers go on where they were");
    sim.set_faults(Plan::ok());
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 12);
}

// P4: the crash between print and answer.
#[tokio::test]
async fn after_a_crash_between_print_and_answer_the_retry_gets_the_same_document() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let mut adapter = setup.start();
    adapter.sell("POS-001").await;
    setup.set_kkt_faults("POS-001", "crash_after_print = 1\n");
    let lost = adapter.sell_as("POS-001", "the-key", "50.00").await;
    assert!(lost.is_err(), "the adapter died before it could answer");
    adapter.wait();

    setup.set_kkt_faults("POS-001", "");
    let adapter = setup.start();
    let (status, replayed, body) = adapter.sell_as("POS-001", "the-key", "50.00").await.unwrap();
    assert_eq!((status, replayed), (200, true), "{body}");
    assert_eq!(body["fiscal_doc"]["fiscal_doc_number"], 3, "shift, sale, and this one: printed once");
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 4);
}

// P4: stored by the OFD, the adapter killed before it could note the confirmation.
#[tokio::test]
async fn a_kill_between_send_and_confirmation_sends_again_and_is_counted_once() {
    let sim = simulator().await;
    sim.set_faults(Plan::ok().rule(Rule::new(ofd_sim::Fault::Hang { store: true }).receipts().times(1)));
    let setup = Setup::new(&sim.base_url());
    let adapter = setup.start();
    adapter.sell("POS-001").await;
    until("stored, not confirmed", async || (sim.ledger().len() == 1).then_some(())).await;
    adapter.kill();
    let adapter = setup.start();
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 2);
    assert_eq!(sim.ledger().iter().map(|document| document.received).max(), Some(2));
}

// P11
#[tokio::test]
async fn sigterm_ends_it_cleanly_and_nothing_is_lost() {
    let sim = simulator().await;
    sim.set_faults(Plan::ok().rule(Rule::hang()));
    let setup = Setup::new(&sim.base_url());
    let adapter = setup.start();
    adapter.sell("POS-001").await;
    until("a send in flight", async || (sim.stats().in_flight > 0).then_some(())).await;
    assert_eq!(adapter.terminate().code(), Some(0));
    sim.set_faults(Plan::ok());
    let adapter = setup.start();
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 2);
}

// P11: everything hangs that can, and the deadline holds.
#[tokio::test]
async fn sigterm_ends_it_within_ten_seconds_whatever_hangs_and_nothing_is_lost() {
    let sim = simulator().await;
    sim.set_faults(Plan::ok().rule(Rule::hang()));
    let setup =
        Setup::new(&sim.base_url()).with("KKT_OFD__TIMEOUT", "60s").with("KKT_KKT__PRINT_TIMEOUT", "60s");
    let adapter = setup.start();
    adapter.sell("POS-001").await;
    until("a send in flight", async || (sim.stats().in_flight > 0).then_some(())).await;
    adapter.sell("POS-002").await;
    setup.set_kkt_faults("POS-002", "hang = true\n");
    let hangs = tokio::spawn(adapter.posted("POS-002", "the-hanging-key", "50.00"));
    let mut halfway = std::net::TcpStream::connect(adapter.url.trim_start_matches("http://")).unwrap();
    halfway
        .write_all(b"POST /v1/kkt/receipt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        .unwrap();
    until("the KKT is at it", async || {
        let printing = adapter.get("/v1/kkt/receipts?status=printing").await;
        printing["receipts"].as_array().is_some_and(|rows| !rows.is_empty()).then_some(())
    })
    .await;
    let told = Instant::now();
    assert_eq!(adapter.terminate().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(10), "SIGTERM to exit took {:?}", told.elapsed());
    assert!(hangs.await.unwrap().is_err(), "it was not answered");

    setup.set_kkt_faults("POS-002", "");
    sim.set_faults(Plan::ok());
    let adapter = setup.start();
    let (status, _, body) = adapter.sell_as("POS-002", "the-hanging-key", "50.00").await.unwrap();
    assert_eq!((status, body["status"].as_str()), (200, Some("printed")), "{body}");
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 5);
}

// P2: with a part of it dead, a process that goes on looks well and delivers nothing.
#[tokio::test]
async fn when_one_of_its_tasks_dies_it_says_so_and_ends_in_good_order_to_be_started_anew() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url()).with("FAIL_POINT", "task.housekeeping:1");
    let mut adapter = setup.start();
    assert_eq!(adapter.wait().code(), Some(1));
    until("the whole log", async || adapter.log().contains("start it anew").then_some(())).await;
    let log = adapter.log();
    assert!(log.contains("alarm=\"task_died\"") && log.contains("housekeeping"), "{log}");
    assert!(log.contains("stopped"), "in good order: {log}");
}
