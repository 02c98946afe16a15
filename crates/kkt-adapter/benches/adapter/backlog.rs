//! Start, memory and looks, with nothing and with much in the buffer.

use super::{
    Args,
    client::Connection,
    measure::{Times, ms, round},
    offline,
    process::Process,
};
use serde_json::{Value, json};
use std::{path::Path, time::Instant};

/// Tills, each with a device, over which the documents are spread, few or many.
const TILLS: usize = 10;

/// What is seen of an adapter over a buffer.
struct Seen {
    start_ms: f64,
    memory: f64,
    anonymous: f64,
    health: Times,
    status: Times,
}

pub fn run(root: &Path, args: &Args) -> Vec<Value> {
    println!("with nothing and with much in the buffer; the OFD is down, the looks are 500 of each kind");
    println!(
        "  {:<42} {:>8} {:>7} {:>7}   {:>10} {:>10}   {:>10} {:>10}",
        "", "start ms", "RSS", "anon.", "health p50", "p99 ms", "status p50", "p99 ms"
    );
    let cases = [
        ("empty".to_owned(), 0, 0),
        ("10 receipts waiting".into(), 0, TILLS),
        (format!("{} waiting", args.waiting), 0, args.waiting),
        (
            format!("{} rows, {} of them waiting", args.rows, args.waiting),
            args.rows - args.waiting,
            args.waiting,
        ),
    ];
    cases.iter().map(|(name, settled, waiting)| case(root, name, *settled, *waiting)).collect()
}

fn case(root: &Path, name: &str, settled: usize, waiting: usize) -> Value {
    let folder = tempfile::tempdir_in(root).unwrap();
    if settled + waiting > 0 {
        offline::fill(folder.path(), settled, waiting, TILLS);
    }
    // The first start of a buffer makes files, the later ones find them: the median is of those.
    let mut seen: Vec<Seen> = (0..6).map(|_| look(folder.path())).skip(1).collect();
    seen.sort_by(|a, b| a.start_ms.total_cmp(&b.start_ms));
    let (fastest, slowest) = (seen[0].start_ms, seen[4].start_ms);
    let Seen { start_ms, memory, anonymous, health, status } = seen.swap_remove(2);
    println!(
        "  {name:<42} {start_ms:>8.1} {memory:>7.1} {anonymous:>7.1}   {:>10.3} {:>10.3}   {:>10.3} {:>10.3}",
        health.ms(0.5),
        health.ms(0.99),
        status.ms(0.5),
        status.ms(0.99),
    );
    json!({"case": "backlog", "rows": settled + waiting, "waiting": waiting, "start_ms": start_ms,
        "start_fastest_ms": fastest, "start_slowest_ms": slowest,
        "memory_mib": round(memory), "anonymous_mib": round(anonymous),
        "health_p50_ms": health.ms(0.5), "health_p99_ms": health.ms(0.99),
        "status_p50_ms": status.ms(0.5), "status_p99_ms": status.ms(0.99)})
}

fn look(folder: &Path) -> Seen {
    let simulator = Process::simulator();
    simulator.set_faults(r#"{"fault":"fail","status":503}"#);
    let adapter = Process::adapter(folder, simulator.address);
    let start_ms = ms(adapter.started_in);
    let mut control = adapter.connect();
    let (health, status) = (looks(&mut control, "/v1/health"), looks(&mut control, "/v1/kkt/buffer/status"));
    let (memory, anonymous) = (adapter.memory_mib(), adapter.anonymous_mib());
    adapter.stop();
    Seen { start_ms, memory, anonymous, health, status }
}

fn looks(control: &mut Connection, path: &str) -> Times {
    let look = |_| {
        let began = Instant::now();
        control.get(path);
        began.elapsed()
    };
    Times::new((0..500).map(look).collect())
}
