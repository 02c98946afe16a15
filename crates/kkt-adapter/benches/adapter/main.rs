//! `cargo xtask bench adapter`: the durable path over HTTP beside the disk and SQLite alone, in one run.
//!
//! Client (this process), adapter and simulator are three processes on one machine and share its cores. Every connection is
//! a till with a device of its own. All figures of a run are comparable with each other; absolute ones are the machine's.

#![allow(clippy::unwrap_used)]

mod client;
mod floor;
mod process;

use client::{Until, load};
use process::Process;
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

struct Args {
    seconds: u64,
    waiting: usize,
    drain: usize,
}

impl Args {
    fn parse() -> Self {
        let mut args = Self { seconds: 5, waiting: 300_000, drain: 5_000 };
        if std::env::args().any(|arg| arg == "--quick") {
            args = Self { seconds: 2, waiting: 20_000, drain: 1_000 };
        }
        args
    }
}

fn quantile(times: &mut [Duration], q: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * q) as usize]
}

fn per_second(times: &[Duration]) -> f64 {
    times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64()
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn commits(connection: &mut client::Connection) -> f64 {
    connection.get("/metrics");
    let text = connection.text();
    let line = text.lines().find(|line| line.starts_with("kkt_fsync_seconds_count")).expect("the metric");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn force(connection: &mut client::Connection, command: &str) {
    let path = format!("/v1/kkt/circuit-breakers/ofd/{command}");
    assert_eq!(connection.request("POST", &path, "", r#"{"reason":"bench"}"#), 200);
}

fn faults(simulator: &Process, plan: &str) {
    assert_eq!(simulator.connect().request("PUT", "/sim/faults", "", plan), 200);
}

fn main() {
    let args = Args::parse();
    let folder = tempfile::tempdir_in(target()).unwrap();
    let mut results = Vec::new();

    println!("floor");
    let mut syncs = floor::fdatasync(folder.path(), 2_000);
    let sync_p99 = quantile(&mut syncs, 0.99);
    let sync_rate = per_second(&syncs);
    println!(
        "  fdatasync, 4 KiB               {sync_rate:>9.0} /s   p50 {:.3} ms   p99 {:.3} ms",
        ms(quantile(&mut syncs, 0.5)),
        ms(sync_p99)
    );
    let single = per_second(&floor::sqlite(folder.path(), 2_000, 1));
    println!("  SQLite, one row a commit       {single:>9.0} rows/s");
    let batched = per_second(&floor::sqlite(folder.path(), 200, 64)) * 64.0;
    println!("  SQLite, 64 rows a commit       {batched:>9.0} rows/s");
    results.push(json!({"case": "floor", "fdatasync_per_second": sync_rate, "fdatasync_p99_ms": ms(sync_p99), "sqlite_single_per_second": single, "sqlite_64_per_second": batched}));

    for delivering in [false, true] {
        println!(
            "receipts over HTTP, the OFD {}",
            if delivering { "confirming beside it" } else { "left alone (breaker forced open)" }
        );
        for connections in [1, 8, 64] {
            results.push(receipts(folder.path(), &args, connections, delivering, (single, sync_p99)));
        }
    }
    results.push(backlog(folder.path(), &args));
    for delay_ms in [0, 10, 50] {
        results.push(drain(folder.path(), &args, delay_ms));
    }
    let file = target().join("bench/adapter.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, serde_json::to_string_pretty(&Value::from(results)).unwrap()).unwrap();
    println!("written to {}", file.display());
}

/// The build folder, which lies on a real disk (a temporary folder may be memory).
fn target() -> std::path::PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).expect("target/<profile>/deps/adapter").to_owned()
}

fn receipts(root: &Path, args: &Args, connections: usize, delivering: bool, floor: (f64, Duration)) -> Value {
    let folder = tempfile::tempdir_in(root).unwrap();
    let simulator = Process::simulator();
    let adapter = Process::adapter(folder.path(), simulator.address, 10_000_000);
    let idle = adapter.memory_mib();
    let mut control = adapter.connect();
    if !delivering {
        force(&mut control, "force-open");
    }
    // The shifts are opened and the files have grown before anything is counted.
    load(adapter.address, connections, Until::After(Duration::from_millis(500)), "warm");
    let before = commits(&mut control);
    let (mut times, took) =
        load(adapter.address, connections, Until::After(Duration::from_secs(args.seconds)), "run");
    let rate = times.len() as f64 / took.as_secs_f64();
    let commits_per_receipt = (commits(&mut control) - before) / times.len() as f64;
    let (p50, p99, p999) =
        (quantile(&mut times, 0.5), quantile(&mut times, 0.99), quantile(&mut times, 0.999));
    let (single, sync_p99) = floor;
    let memory = adapter.memory_mib();
    println!(
        "  {connections:>2} connections  {rate:>7.0} receipts/s   p50 {:>7.3}  p99 {:>7.3}  p99.9 {:>7.3} ms   {commits_per_receipt:.2} commits a receipt   {:>5.2} x SQLite single/k   p99 {:>5.1} x fdatasync p99   {memory:.1} MiB (idle {idle:.1})",
        ms(p50),
        ms(p99),
        ms(p999),
        rate / (single / 2.0),
        p99.as_secs_f64() / sync_p99.as_secs_f64(),
    );
    adapter.stop();
    json!({"case": "receipts", "delivering": delivering, "connections": connections, "per_second": rate,
        "p50_ms": ms(p50), "p99_ms": ms(p99), "p999_ms": ms(p999), "commits_per_receipt": commits_per_receipt,
        "ratio_to_sqlite_single_by_2": rate / (single / 2.0), "idle_mib": idle, "memory_mib": memory})
}

/// Start, memory and looks with nothing and with much waiting.
fn backlog(root: &Path, args: &Args) -> Value {
    let folder = tempfile::tempdir_in(root).unwrap();
    let simulator = Process::simulator();
    let empty = Process::adapter(folder.path(), simulator.address, 10_000_000);
    let (start_empty, idle) = (empty.started_in, empty.memory_mib());
    let mut control = empty.connect();
    force(&mut control, "force-open");
    load(empty.address, 1, Until::Count(10), "ten");
    let look_few = looks(&mut control);
    load(empty.address, 64, Until::Count(args.waiting), "backlog");
    let (look_many, memory) = (looks(&mut control), empty.memory_mib());
    empty.stop();
    faults(&simulator, r#"{"fault":"fail","status":503}"#);
    let again = Process::adapter(folder.path(), simulator.address, 10_000_000);
    let start_full = again.started_in;
    println!("backlog of {} receipts", args.waiting);
    println!(
        "  start                          empty {:.1} ms, with the backlog {:.1} ms",
        ms(start_empty),
        ms(start_full)
    );
    println!(
        "  resident memory                idle {idle:.1} MiB, with the backlog {memory:.1} MiB, after a start on it {:.1} MiB",
        again.memory_mib()
    );
    println!(
        "  health + status, median        with 10: {:.3} ms, with the backlog: {:.3} ms",
        ms(look_few),
        ms(look_many)
    );
    again.stop();
    json!({"case": "backlog", "waiting": args.waiting, "start_empty_ms": ms(start_empty), "start_full_ms": ms(start_full),
        "idle_mib": idle, "memory_mib": memory, "look_few_ms": ms(look_few), "look_many_ms": ms(look_many)})
}

fn looks(control: &mut client::Connection) -> Duration {
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let began = Instant::now();
            control.get("/v1/health");
            control.get("/v1/kkt/buffer/status");
            began.elapsed()
        })
        .collect();
    quantile(&mut times, 0.5)
}

/// How fast a backlog of 64 devices drains.
fn drain(root: &Path, args: &Args, delay_ms: u64) -> Value {
    let folder = tempfile::tempdir_in(root).unwrap();
    let simulator = Process::simulator();
    let adapter = Process::adapter(folder.path(), simulator.address, 10_000_000);
    let mut control = adapter.connect();
    force(&mut control, "force-open");
    load(adapter.address, 64, Until::Count(args.drain), "drain");
    if delay_ms > 0 {
        faults(&simulator, &format!(r#"{{"fault":"latency","delay_ms":{delay_ms}}}"#));
    }
    let pending = control.get("/v1/kkt/buffer/status")["pending"].as_u64().unwrap();
    let began = Instant::now();
    force(&mut control, "release");
    while control.get("/v1/kkt/buffer/status")["pending"] != 0 {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let rate = pending as f64 / began.elapsed().as_secs_f64();
    println!("drain, OFD answers in {delay_ms:>2} ms     {rate:>7.0} documents/s over 64 lanes");
    adapter.stop();
    json!({"case": "drain", "ofd_ms": delay_ms, "documents": pending, "per_second": rate})
}
