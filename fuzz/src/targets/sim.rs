//! The OFD simulator: its fault plans, its calls and its journal.

use ofd_sim::{
    Options, Plan, Simulator,
    core::{Core, Now, call::Call},
};
use serde_json::Value;
use std::{cell::RefCell, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{Builder, Runtime},
};

/// A plan, and after a line end documents to submit under it, one a line. A plan reads back as it shows; with dedup a
/// key counts once whatever the plan.
pub fn plan(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Ok(value) = serde_json::from_slice::<Value>(lines.next().unwrap_or_default()) else { return };
    let plan = match Plan::from_json(&value) {
        Ok(plan) => plan,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(Plan::from_json(&plan.to_json()).as_ref(), Ok(&plan), "parse, show, parse");
    let dedup = plan.dedup;
    let mut core = Core::new(64);
    let at = |ms| Now { since_start: Duration::from_millis(ms), unix_ms: 1_795_447_820_000 };
    core.set_plan(at(0), plan);
    for (n, line) in lines.take(32).enumerate() {
        let (key, body) = line.split_at(line.len().min(4));
        let call = Call::receipt(n % 7 != 6, std::str::from_utf8(key).ok(), body);
        core.step(at(n as u64 * 700), &call);
        core.step(at(n as u64 * 700 + 1), &Call::Ping { authorised: true });
        core.finish();
    }
    for document in core.ledger().page(0, usize::MAX) {
        assert!(!dedup || document.counted <= 1, "{document:?}");
        assert!(document.counted <= document.received, "{document:?}");
    }
}

thread_local! {
    static PLACE: RefCell<(TempDir, Runtime)> = RefCell::new((
        tempfile::tempdir().expect("a temporary folder"),
        Builder::new_current_thread().enable_all().build().expect("a runtime"),
    ));
}

/// Any bytes as the state file: it starts, takes a document, and starting once more finds the same.
pub fn journal(data: &[u8]) {
    PLACE.with_borrow(|(folder, runtime)| {
        let path = folder.path().join("state");
        std::fs::write(&path, data).expect("a temporary file can be written");
        runtime.block_on(async {
            let open =
                || Simulator::start(Options::default().state(&path)).expect("it starts whatever is there");
            let first = open();
            for _ in 0..2 {
                submit(&first).await;
            }
            let ledger = first.ledger();
            assert!(ledger.iter().any(|document| document.key == KEY && document.counted == 1));
            first.shutdown().await;
            let second = open();
            assert_eq!(second.ledger(), ledger, "opening changes nothing");
            second.shutdown().await;
        });
    });
}

const KEY: &str = "019a0000-0000-7000-8000-0000000000ff";

async fn submit(simulator: &Simulator) {
    let body = format!(
        r#"{{"receipt_id":"{KEY}","document":"receipt","pos_id":"POS-001","fn_number":"9999000000000001",
        "fiscal_doc_number":42,"total":1.00}}"#
    );
    let base = simulator.base_url();
    let address = base.strip_prefix("http://").expect("it speaks plain HTTP");
    let request = format!(
        "POST /ofd/v1/receipt HTTP/1.1\r\nHost: {address}\r\nIdempotency-Key: {KEY}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 20") && answer.contains("accepted"), "{answer}");
}
