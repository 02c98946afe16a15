//! What a shop is told when the disk has too little room, and when what was stored was damaged.

use super::harness::{Adapter, Setup, sale, simulator, until};
use serde_json::{Value, json};

/// More than any disk has.
const HUGE: &str = "1024TiB";

async fn ready(adapter: &Adapter) -> u16 {
    adapter.http.get(format!("{}/readyz", adapter.url)).send().await.unwrap().status().as_u16()
}

async fn metric(adapter: &Adapter, name: &str) -> f64 {
    let page = adapter.http.get(format!("{}/metrics", adapter.url)).send().await.unwrap();
    let page = page.text().await.unwrap();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} is not in\n{page}")).parse().unwrap()
}

// P7: nothing already taken is harmed, and whoever looks is told why the shop cannot sell.
#[tokio::test]
async fn below_the_floor_of_free_disk_everything_says_that_the_shop_cannot_sell_and_why() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let adapter = setup.start();
    let (_, _, sold) = adapter.sell_as("POS-001", "before", "200.00").await.unwrap();
    adapter.until_delivered().await;
    assert_eq!((ready(&adapter).await, metric(&adapter, "kkt_accepting").await), (200, 1.0));
    assert_eq!(adapter.get("/v1/kkt/buffer/status").await["refuses"], Value::Null);
    assert!(adapter.terminate().success());

    let setup = setup.with("KKT_BUFFER__MIN_FREE_DISK", HUGE);
    let adapter = setup.start();
    let request = adapter.http.post(format!("{}/v1/kkt/receipt", adapter.url));
    let request = request.header("Idempotency-Key", "refused").json(&sale("POS-001", "200.00"));
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let refused: Value = refused.json().await.unwrap();
    // Clients go by the status, by Retry-After and by this word; people go by the text.
    assert_eq!(refused["type"], "buffer_full");
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains("too little free disk space") && detail.contains("на диске мало места"),
        "{detail}"
    );
    assert!(!detail.contains("buffer is full"), "{detail}");

    assert_eq!(ready(&adapter).await, 503);
    let health = adapter.get("/v1/health").await;
    let buffer = &health["components"]["buffer"];
    assert_eq!(
        (&health["status"], &buffer["status"]),
        (&"unhealthy".into(), &"unhealthy".into()),
        "{health}"
    );
    assert_eq!(health["components"]["database"]["status"], "healthy");
    assert!(buffer["refuses"].as_str().unwrap().contains("too little free disk space"), "{health}");
    let (free, floor) = (buffer["free_disk_bytes"].as_u64().unwrap(), buffer["min_free_disk_bytes"].as_u64());
    assert!(free > 0 && floor == Some(1024 << 40), "{health}");
    let status = adapter.get("/v1/kkt/buffer/status").await;
    assert_eq!((&status["refuses"], status["percent_full"].as_f64()), (&buffer["refuses"], Some(0.0)));
    assert_eq!(metric(&adapter, "kkt_accepting").await, 0.0);
    assert!(metric(&adapter, "kkt_disk_free_bytes").await < metric(&adapter, "kkt_disk_floor_bytes").await);
    assert!(adapter.log().contains("too little free disk space"), "{}", adapter.log());

    let (status, replayed, again) = adapter.sell_as("POS-001", "before", "200.00").await.unwrap();
    assert_eq!((status, replayed, &again["receipt_id"]), (200, true, &sold["receipt_id"]));
}

fn database(setup: &Setup) -> rusqlite::Connection {
    rusqlite::Connection::open(setup.path().join("data/buffer.db")).unwrap()
}

// P2, P8: a document that was acknowledged and can no longer be delivered is an alarm, not a line of the log.
#[tokio::test]
async fn a_damaged_document_degrades_health_and_is_a_metric() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let adapter = setup.start();
    let sold = adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    assert_eq!(adapter.get("/v1/health").await["status"], "healthy");
    assert_eq!(metric(&adapter, "kkt_damaged_documents").await, 0.0);
    assert!(adapter.terminate().success());

    // As a failing disk would: without its checksum.
    let id: uuid::Uuid = sold["receipt_id"].as_str().unwrap().parse().unwrap();
    let rot = "UPDATE documents SET attempts = attempts + 1 WHERE id = ?";
    assert_eq!(database(&setup).execute(rot, [id.as_bytes()]).unwrap(), 1);
    let adapter = setup.start();
    adapter.get(&format!("/v1/kkt/receipt/{id}")).await;
    let health = until("the damage is told", async || {
        let health = adapter.get("/v1/health").await;
        (health["components"]["buffer"]["damaged"] == 1).then_some(health)
    })
    .await;
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(health["components"]["buffer"]["status"], "degraded", "{health}");
    assert_eq!(ready(&adapter).await, 200, "the shop can sell");
    assert_eq!(metric(&adapter, "kkt_damaged_documents").await, 1.0);
    adapter.sell("POS-001").await;

    // An alarm that cannot be ended is one that nobody looks at any more.
    let path = "/v1/kkt/buffer/damage/resolve";
    assert_eq!(adapter.post(path, &json!({})).await.0, 422, "what was done must be said");
    let (status, settled) = adapter.post(path, &json!({"note": "is in the OFD's cabinet"})).await;
    assert_eq!((status, settled), (200, json!({"damaged": 1, "damaged_open": 0})));
    adapter.until_delivered().await;
    assert!(adapter.terminate().success());
    let more = "UPDATE documents SET attempts = attempts + 1 WHERE id = \
                (SELECT id FROM documents WHERE kind = 0 ORDER BY seq DESC LIMIT 1)";
    let adapter = setup.start();
    let health = adapter.get("/v1/health").await;
    assert_eq!(health["status"], "healthy", "after a restart too: {health}");
    assert_eq!(health["components"]["buffer"]["damaged"], 1);
    assert_eq!(metric(&adapter, "kkt_damaged_documents").await, 0.0);
    let audit = adapter.get("/v1/kkt/audit?subject=damage").await["audit"][0].clone();
    assert_eq!(
        (&audit["action"], &audit["by"]),
        (&json!("resolve"), &json!("anonymous@loopback")),
        "{audit}"
    );
    assert!(adapter.terminate().success());
    assert_eq!(database(&setup).execute(more, []).unwrap(), 1);
    let adapter = setup.start();
    adapter.get("/v1/kkt/receipts").await;
    until("more damage raises it again", async || {
        let health = adapter.get("/v1/health").await;
        (health["components"]["buffer"]["damaged_open"] == 1).then_some(())
    })
    .await;
}

// P8: found by asking of each file what happens if something else lies there. A container makes a folder where it is told to
// mount a file that does not exist.
#[tokio::test]
async fn what_the_emulated_parts_cannot_read_keeps_nobody_from_starting_and_selling() {
    let setup = Setup::new("http://127.0.0.1:9");
    let embedded = setup.with("KKT_OFD__KIND", "simulator").without("base_url");
    let data = embedded.path().join("data");
    std::fs::create_dir_all(data.join("ofd-sim.jsonl")).unwrap();
    std::fs::write(data.join("virtual-kkt"), "").unwrap();
    let adapter = embedded.start();
    let (status, _, sold) = adapter.sell_as("POS-001", "a", "200.00").await.unwrap();
    assert_eq!((status, &sold["status"]), (200, &json!("buffered")), "{sold}");
    assert!(sold["message"].as_str().unwrap().contains("virtual-kkt"), "{sold}");
    assert!(adapter.log().contains("the simulator begins anew"), "{}", adapter.log());
    std::fs::remove_file(data.join("virtual-kkt")).unwrap();
    until("it is printed once the file is gone", async || {
        let (_, _, again) = adapter.sell_as("POS-001", "a", "200.00").await.unwrap();
        (again["status"] == "printed").then_some(())
    })
    .await;
    adapter.until_delivered().await;
}

// P8
#[tokio::test]
async fn a_database_that_was_set_aside_degrades_health_until_somebody_moves_it_away() {
    use std::io::Write as _;
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let adapter = setup.start();
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    assert!(adapter.terminate().success());
    let data = setup.path().join("data");
    let mut file = std::fs::OpenOptions::new().write(true).open(data.join("buffer.db")).unwrap();
    file.write_all(b"not a database any more").unwrap();
    drop(file);

    let adapter = setup.start();
    let health = adapter.get("/v1/health").await;
    let database = &health["components"]["database"];
    assert_eq!(
        (&health["status"], &database["status"]),
        (&"degraded".into(), &"degraded".into()),
        "{health}"
    );
    assert!(database["error"].as_str().unwrap().contains("set aside"), "{health}");
    assert_eq!(metric(&adapter, "kkt_database_error").await, 1.0);
    assert_eq!(ready(&adapter).await, 200);
    adapter.sell("POS-001").await;

    let aside = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    for path in aside.filter(|path| path.to_string_lossy().contains(".damaged-")) {
        std::fs::rename(&path, setup.path().join(path.file_name().unwrap())).unwrap();
    }
    let health = adapter.get("/v1/health").await;
    assert_eq!(health["components"]["database"]["error"], Value::Null, "{health}");
    assert_eq!(metric(&adapter, "kkt_database_error").await, 0.0);
}
