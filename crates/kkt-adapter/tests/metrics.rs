//! The metrics page as a scraper meets it.

#![allow(clippy::unwrap_used)]

use circuit_breaker::CircuitBreaker;
use jiff::Timestamp;
use kkt_adapter::{
    buffer::MemoryBuffer,
    domain::{
        entry::Actor,
        ids::{PosId, ReceiptId},
    },
    ports::{
        BreakerCommand, BreakerControl, BreakerError, BreakerView, Clock, Counts, DeviceView, DiskSpace,
        LaneHead, LaneView, MetricsPage as _, Monotonic, Observer, Stats, StoreHealth,
    },
    telemetry::{self, Metrics, Page, Read, TILLS_MAX, names, scrape},
};
use prometheus::TextEncoder;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

fn pos(name: &str) -> PosId {
    name.parse().unwrap()
}

fn stats(per_pos: BTreeMap<PosId, Counts>, used: u64) -> Stats {
    Stats {
        capacity: 300,
        used,
        total: Counts { dead: 2, ..Counts::default() },
        per_pos: Arc::new(per_pos),
        oldest_unconfirmed: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        oldest: None,
        damaged: 0,
        damaged_open: 0,
    }
}

fn view(key: &str, pos_id: &str, breaker: &CircuitBreaker) -> BreakerView {
    BreakerView {
        key: key.into(),
        pos_id: pos_id.into(),
        snapshot: breaker.snapshot(),
        since: Timestamp::UNIX_EPOCH,
        last_failure: None,
        reason: None,
        retry_after: None,
        forced_until: None,
    }
}

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder().failure_threshold(1).build().unwrap()
}

/// A store that works, on a disk with room.
const WELL: StoreHealth = StoreHealth {
    ok: true,
    kind: "SQLite",
    mode: "WAL",
    error: None,
    refuses: None,
    disk: Some(DiskSpace { free_bytes: 5 << 30, floor_bytes: 1 << 30 }),
};

/// What is read where nothing but these is looked at.
fn read<'a>(breakers: &'a [BreakerView], devices: &'a [DeviceView], lanes: &'a [LaneView]) -> Read<'a> {
    Read { breakers, devices, lanes, store: &WELL, started: NOON.parse().unwrap() }
}

fn page(metrics: &Metrics, stats: &Stats, views: &[BreakerView], wall: &str) -> String {
    TextEncoder::new()
        .encode_to_string(&scrape(metrics, stats, &read(views, &[], &[]), wall.parse().unwrap()))
        .unwrap()
}

fn has(page: &str, lines: &[&str]) {
    for line in lines {
        assert!(page.lines().any(|l| l == *line), "{line} is not in\n{page}");
    }
}

fn device(name: &str, blocked: bool) -> DeviceView {
    DeviceView {
        device: name.parse().unwrap(),
        trouble: None,
        blocked_by: blocked.then(ReceiptId::new),
        unprinted: 0,
    }
}

const NOON: &str = "2026-01-01T12:00:00Z";

#[test]
fn the_buffers_figures_are_read_at_the_scrape() {
    let counts = Counts { unprinted: 1, pending: 2, synced: 50, dead: 4, cancelled: 8 };
    let stats = stats([(pos("POS-001"), counts)].into(), 75);
    let text = page(&Metrics::new(), &stats, &[], NOON);
    has(
        &text,
        &[
            r#"kkt_buffer_size{pos_id="POS-001"} 7"#,
            "kkt_buffer_capacity 300",
            "kkt_buffer_percent_full 25",
            "kkt_dlq_size 2",
            "kkt_oldest_pending_seconds 43200",
        ],
    );
    // P9: a wall clock that was set back gives no negative age.
    has(&page(&Metrics::new(), &stats, &[], "2025-01-01T00:00:00Z"), &["kkt_oldest_pending_seconds 0"]);
}

// Whatever keeps receipts out is one figure, so that an alert and a dashboard need not know each cause.
#[test]
fn a_disk_without_room_a_failed_store_and_damage_are_on_the_page() {
    let text = |store: &StoreHealth, damaged_open| {
        let read = Read { store, ..read(&[], &[], &[]) };
        let stats = Stats { damaged: 9, damaged_open, ..stats(BTreeMap::new(), 0) };
        let families = scrape(&Metrics::new(), &stats, &read, NOON.parse().unwrap());
        TextEncoder::new().encode_to_string(&families).unwrap()
    };
    has(
        &text(&WELL, 0),
        &[
            "kkt_accepting 1",
            "kkt_disk_free_bytes 5368709120",
            "kkt_disk_floor_bytes 1073741824",
            "kkt_start_time_seconds 1767268800",
            "kkt_damaged_documents 0",
            "kkt_database_error 0",
        ],
    );
    let refuses = Some("too little free disk space".to_owned());
    let low = Some(DiskSpace { free_bytes: 1, floor_bytes: 1 << 30 });
    has(
        &text(&StoreHealth { refuses, disk: low, ..WELL }, 0),
        &["kkt_accepting 0", "kkt_disk_free_bytes 1", "kkt_database_error 0"],
    );
    has(
        &text(&StoreHealth { error: Some("set aside".into()), ..WELL }, 3),
        &["kkt_accepting 1", "kkt_damaged_documents 3", "kkt_database_error 1"],
    );
    has(&text(&StoreHealth { ok: false, ..WELL }, 0), &["kkt_database_error 1"]);
    let unknown = text(&StoreHealth { disk: None, ..WELL }, 0);
    assert!(!unknown.lines().any(|line| line.starts_with("kkt_disk_free_bytes ")), "{unknown}");
}

#[test]
fn each_breaker_shows_its_state_its_calls_and_its_time() {
    let ofd = breaker();
    ofd.try_acquire().unwrap().success();
    ofd.try_acquire().unwrap().failure();
    assert!(ofd.try_acquire().is_err());
    let device = breaker();
    device.force_closed("test");
    let views = [view("ofd", "", &ofd), view("device:POS-001", "POS-001", &device)];
    let text = page(&Metrics::new(), &stats(BTreeMap::new(), 0), &views, NOON);
    has(
        &text,
        &[
            r#"kkt_circuit_breaker_state{key="ofd",pos_id=""} 1"#,
            r#"kkt_circuit_breaker_state{key="device:POS-001",pos_id="POS-001"} 4"#,
            r#"kkt_circuit_breaker_failures_total{key="ofd",pos_id=""} 1"#,
            r#"kkt_circuit_breaker_opens_total{key="ofd",pos_id=""} 1"#,
            r#"kkt_circuit_breaker_calls_total{key="ofd",outcome="succeeded",pos_id=""} 1"#,
            r#"kkt_circuit_breaker_calls_total{key="ofd",outcome="failed",pos_id=""} 1"#,
            r#"kkt_circuit_breaker_calls_total{key="ofd",outcome="rejected",pos_id=""} 1"#,
            r#"kkt_circuit_breaker_calls_total{key="ofd",outcome="late",pos_id=""} 0"#,
            r#"kkt_circuit_breaker_state_seconds_total{key="ofd",pos_id="",state="FORCED_OPEN"} 0"#,
        ],
    );
}

#[test]
fn beyond_a_thousand_tills_the_rest_is_other_and_the_sum_stays_right() {
    let metrics = Metrics::new();
    let names: Vec<PosId> = (0..TILLS_MAX + 5).map(|n| pos(&format!("POS-{n:04}"))).collect();
    let one = Counts { pending: 1, ..Counts::default() };
    let all = stats(names.iter().map(|name| (name.clone(), one)).collect(), 0);
    let closed = breaker();
    let open = breaker();
    open.force_open("test");
    open.release();
    open.try_acquire().unwrap().failure();
    let views: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let breaker = if n == TILLS_MAX + 2 { &open } else { &closed };
            view(&format!("device:{name}"), name.as_str(), breaker)
        })
        .collect();
    for _ in 0..2 {
        let text = page(&metrics, &all, &views, NOON);
        let sizes: Vec<_> = text.lines().filter(|line| line.starts_with("kkt_buffer_size{")).collect();
        assert_eq!(sizes.len(), TILLS_MAX + 1);
        has(
            &text,
            &[
                r#"kkt_buffer_size{pos_id="other"} 5"#,
                r#"kkt_circuit_breaker_state{key="other",pos_id="other"} 1"#,
                r#"kkt_circuit_breaker_failures_total{key="other",pos_id="other"} 1"#,
            ],
        );
    }
}

#[test]
fn a_raw_path_or_method_cannot_flood_the_page() {
    let metrics = Metrics::new();
    for n in 0..2_000 {
        metrics.http_request(&format!("M{n}"), &format!("/x/{n}"), 200, Duration::ZERO);
    }
    let text = render(&metrics);
    let series = text.lines().filter(|line| line.starts_with("kkt_http_requests_total{")).count();
    assert!(series <= 201, "{series} series");
}

/// What the rooms reported alone, by way of the page's own parts.
fn render(metrics: &Metrics) -> String {
    TextEncoder::new().encode_to_string(&metrics.gather()).unwrap()
}

#[test]
fn what_the_rooms_report_is_counted_under_the_names_of_the_contract() {
    let metrics = Metrics::new();
    metrics.receipt(&pos("POS-001"), "sale", "printed");
    metrics.receipt(&pos("POS-001"), "sale", "printed");
    metrics.settled(&pos("POS-001"), "synced");
    metrics.sync_round(Duration::from_millis(20));
    metrics.fsync(Duration::from_millis(2));
    metrics.ofd_call("accepted", Duration::from_millis(30));
    metrics.http_request("POST", "/v1/kkt/receipt", 200, Duration::from_millis(5));
    has(
        &render(&metrics),
        &[
            r#"kkt_receipts_total{pos_id="POS-001",status="printed",type="sale"} 2"#,
            r#"kkt_receipts_synced_total{pos_id="POS-001",status="synced"} 1"#,
            "kkt_sync_duration_seconds_count 1",
            r#"kkt_fsync_seconds_bucket{le="0.0025"} 1"#,
            r#"kkt_ofd_call_seconds_count{outcome="accepted"} 1"#,
            r#"kkt_ofd_call_seconds_count{outcome="ambiguous"} 0"#,
            r#"kkt_http_requests_total{method="POST",route="/v1/kkt/receipt",status="200"} 1"#,
            r#"kkt_http_request_seconds_count{method="POST",route="/v1/kkt/receipt"} 1"#,
        ],
    );
}

#[test]
fn every_metric_of_the_contract_is_on_the_page_with_its_help_and_type() {
    let metrics = Metrics::new();
    metrics.receipt(&pos("P"), "sale", "printed");
    metrics.settled(&pos("P"), "synced");
    metrics.http_request("GET", "/", 200, Duration::ZERO);
    let stats = stats([(pos("P"), Counts::default())].into(), 0);
    let views = [view("ofd", "", &breaker())];
    let (devices, lanes) = ([device("P", false)], [lane("P", "idle", None)]);
    let scraped = scrape(&metrics, &stats, &read(&views, &devices, &lanes), NOON.parse().unwrap());
    let text = render(&metrics) + &TextEncoder::new().encode_to_string(&scraped).unwrap();
    for metric in names::ALL {
        has(
            &text,
            &[
                &format!("# HELP {} {}", metric.name, metric.help),
                &format!("# TYPE {} {}", metric.name, metric.kind.as_str()),
            ],
        );
        let labels = text.lines().any(|line| {
            line.starts_with(metric.name)
                && metric.labels.iter().all(|label| line.contains(&format!("{label}=\"")))
        });
        assert!(labels, "{} lacks a label", metric.name);
    }
}

#[test]
fn the_documentation_is_the_one_that_the_code_generates() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let generated = telemetry::documentation();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "docs/metrics.md is old; run: UPDATE_DOCS=1 cargo test -p kkt-adapter --test metrics"
    );
}

struct Breakers(CircuitBreaker);

#[async_trait::async_trait]
impl BreakerControl for Breakers {
    fn endpoint(&self) -> BreakerView {
        view("ofd", "", &self.0)
    }
    fn breakers(&self) -> Vec<BreakerView> {
        vec![self.endpoint()]
    }
    fn breaker(&self, _key: &str) -> Option<BreakerView> {
        None
    }
    async fn command(
        &self,
        key: &str,
        _command: BreakerCommand,
        _by: Actor,
        _why: String,
    ) -> Result<BreakerView, BreakerError> {
        Err(BreakerError::NotFound(key.into()))
    }
}

struct Noon;

impl Clock for Noon {
    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::ZERO)
    }
    fn wall(&self) -> Timestamp {
        NOON.parse().unwrap()
    }
}

#[test]
fn a_blocked_device_is_told_and_one_that_works_is_there_with_0() {
    let views = |first, second| [device("kkt-1", first), device("kkt-2", second)];
    let metrics = Metrics::new();
    let text = |views: &[DeviceView]| {
        let families =
            scrape(&metrics, &stats(BTreeMap::new(), 0), &read(&[], views, &[]), NOON.parse().unwrap());
        TextEncoder::new().encode_to_string(&families).unwrap()
    };
    has(
        &text(&views(false, true)),
        &[r#"kkt_device_blocked{device="kkt-1"} 0"#, r#"kkt_device_blocked{device="kkt-2"} 1"#],
    );
    has(&text(&views(false, false)), &[r#"kkt_device_blocked{device="kkt-2"} 0"#]);
    // Beyond the bound one blocked device is enough for all others.
    let many: Vec<_> = (0..TILLS_MAX + 3).map(|n| device(&format!("d{n}"), n == TILLS_MAX + 1)).collect();
    has(&text(&many), &[r#"kkt_device_blocked{device="other"} 1"#]);
}

fn lane(name: &str, state: &'static str, is_stuck: Option<bool>) -> LaneView {
    let head = is_stuck.map(|is_stuck| LaneHead {
        id: ReceiptId::new(),
        fd: 17,
        failing_for: Duration::from_secs(5),
        tries: 2,
        is_stuck,
    });
    LaneView { device: name.parse().unwrap(), state, last_error: None, head }
}

// P2: what is held up is an alarm, a failure of seconds is not.
#[test]
fn a_lane_that_is_held_up_or_stopped_is_told_and_one_that_failed_once_is_not() {
    let lanes = [
        lane("kkt-1", "idle", None),
        lane("kkt-2", "waiting", Some(false)),
        lane("kkt-3", "waiting", Some(true)),
        lane("kkt-4", "stopped", None),
    ];
    let metrics = Metrics::new();
    let read = read(&[], &[], &lanes);
    let families = scrape(&metrics, &stats(BTreeMap::new(), 0), &read, NOON.parse().unwrap());
    let text = TextEncoder::new().encode_to_string(&families).unwrap();
    for (device, stuck) in [("kkt-1", 0), ("kkt-2", 0), ("kkt-3", 1), ("kkt-4", 1)] {
        has(&text, &[&format!("kkt_lane_stuck{{device=\"{device}\"}} {stuck}")]);
    }
}

#[tokio::test]
async fn the_page_holds_each_metric_once_in_order() {
    let clock = Arc::new(Noon);
    let metrics = Arc::new(Metrics::new());
    metrics.receipt(&pos("POS-001"), "sale", "printed");
    let page = Page {
        metrics,
        buffer: Arc::new(MemoryBuffer::new(300, clock.clone())),
        breakers: Arc::new(Breakers(breaker())),
        devices: Arc::new(|| vec![device("kkt-1", true)]),
        lanes: Arc::new(|| vec![lane("kkt-1", "stopped", None)]),
        clock,
        started: NOON.parse().unwrap(),
    };
    let text = page.render().await.unwrap();
    let types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let mut sorted = types.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(types, sorted);
    has(&text, &["kkt_buffer_capacity 300", "kkt_oldest_pending_seconds 0", "kkt_fsync_seconds_count 0"]);
    has(&text, &[r#"kkt_lane_stuck{device="kkt-1"} 1"#]);
}
