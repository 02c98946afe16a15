//! Disks that hang or fail under a running adapter.

use super::{
    bad_disk,
    harness::{Adapter, Setup, simulator, until},
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

/// An adapter on a bad disk, and the file that makes it bad; `what` is told in `bad_disk.c`.
fn on_a_bad_disk(base_url: &str, what: &str) -> (Setup, PathBuf) {
    let setup = Setup::new(base_url);
    let (library, lever) = (bad_disk::library(setup.path()), setup.path().join("lever"));
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let setup = setup.with("LD_PRELOAD", &text(&library)).with(what, &text(&lever));
    (setup, lever)
}

/// Sells, makes the disk bad, and sells once more, which is not answered with a document; the answers by their keys.
async fn sell_until(adapter: &Adapter, lever: &PathBuf) -> BTreeMap<String, u64> {
    let mut printed = BTreeMap::new();
    for n in 0..5 {
        let key = format!("key-{n}");
        let (status, _, body) = adapter.sell_as("POS-001", &key, "10.00").await.unwrap();
        assert_eq!(status, 200, "{body}");
        printed.insert(key, body["fiscal_doc"]["fiscal_doc_number"].as_u64().unwrap());
    }
    fs::write(lever, "").unwrap();
    let hit = tokio::time::timeout(Duration::from_secs(3), adapter.sell_as("POS-001", "hit", "10.00")).await;
    assert!(!matches!(hit, Ok(Ok((200, ..)))), "{hit:?}");
    printed
}

async fn assert_all_there(adapter: &Adapter, printed: &BTreeMap<String, u64>) {
    for (key, fd) in printed {
        let (status, replayed, body) = adapter.sell_as("POS-001", key, "10.00").await.unwrap();
        assert_eq!((status, replayed), (200, true), "{key}: {body}");
        assert_eq!(body["fiscal_doc"]["fiscal_doc_number"], *fd, "{key}");
    }
}

// P11
#[tokio::test]
async fn sigterm_ends_it_within_ten_seconds_although_the_disk_hangs() {
    let sim = simulator().await;
    let (setup, lever) = on_a_bad_disk(&sim.base_url(), "HANGS");
    let adapter = setup.start();
    let printed = sell_until(&adapter, &lever).await;
    let told = Instant::now();
    assert_eq!(adapter.terminate().code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(10), "SIGTERM to exit took {:?}", told.elapsed());
    fs::remove_file(lever).unwrap();
    let adapter = setup.start();
    assert_all_there(&adapter, &printed).await;
    adapter.until_delivered().await;
}

// P1, P8: after a failed sync nobody knows what is on the disk.
#[tokio::test]
async fn a_failed_sync_ends_it_and_the_next_start_checks_the_file_and_sells() {
    let sim = simulator().await;
    let (setup, lever) = on_a_bad_disk(&sim.base_url(), "SYNC_FAILS");
    let mut adapter = setup.start();
    let printed = sell_until(&adapter, &lever).await;
    assert_eq!(adapter.wait().code(), Some(1), "the service manager sees a failure: {}", adapter.log());
    let log = adapter.log();
    assert!(log.contains("the buffer's storage has failed"), "{log}");

    let adapter = setup.start();
    let log = adapter.log();
    assert!(log.contains("its whole file is checked"), "{log}");
    assert_all_there(&adapter, &printed).await;
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    assert_eq!(adapter.get("/v1/health").await["status"], "healthy");
    assert_eq!(adapter.terminate().code(), Some(0));
    let log = setup.start().log();
    assert!(!log.contains("its whole file is checked"), "once: {log}");
}

// P11: a start takes its time, and the service manager is asked for it.
#[tokio::test]
async fn sigterm_ends_a_start_that_waits_for_the_disk_and_until_then_it_asks_for_time() {
    let sim = simulator().await;
    let (setup, lever) = on_a_bad_disk(&sim.base_url(), "HANGS");
    let adapter = setup.start();
    adapter.sell("POS-001").await;
    assert_eq!(adapter.terminate().code(), Some(0));
    fs::write(lever, "").unwrap();

    let socket = setup.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = setup.command(&["serve"]);
    command.env("NOTIFY_SOCKET", &socket).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut text = [0; 64];
    let length = manager.recv(&mut text).unwrap();
    assert_eq!(String::from_utf8_lossy(&text[..length]), "EXTEND_TIMEOUT_USEC=30000000");
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let told = Instant::now();
    let status = until("the end of the start", async || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(10), "SIGTERM to exit took {:?}", told.elapsed());
}
