//! Receipts over HTTP: how many a second, how long each, what of the machine they take.

use super::{
    Args,
    client::{Until, load},
    floor::Floor,
    measure::{Times, round},
    process::{Cpu, Process},
};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

/// One load.
#[derive(Clone, Copy)]
pub struct Case {
    pub connections: usize,
    pub devices: usize,
    /// Whether the OFD confirms meanwhile; else its breaker is held open.
    pub delivering: bool,
}

impl Case {
    pub const ALL: [Self; 10] = [
        Self::new(1, 1, false),
        Self::new(8, 8, false),
        Self::new(64, 64, false),
        Self::new(8, 1, false),
        Self::new(64, 1, false),
        Self::new(1, 1, true),
        Self::new(8, 8, true),
        Self::new(64, 64, true),
        Self::new(8, 1, true),
        Self::new(64, 1, true),
    ];

    const fn new(connections: usize, devices: usize, delivering: bool) -> Self {
        Self { connections, devices, delivering }
    }
}

pub fn print_head() {
    println!("receipts over HTTP; a connection is a till that sells without a pause; CPU in µs a receipt");
    println!(
        "  {:<5} {:>5} {:>7}   {:>8} {:>8} {:>8} {:>8} {:>8}   {:>4} {:>6} {:>9}   {:>7} {:>7} {:>7}   {:>6} {:>6}",
        "conn.",
        "ККТ",
        "the OFD",
        "rec./s",
        "p50 ms",
        "p99 ms",
        "p99.9",
        "longest",
        "k",
        "commit",
        "x single/k",
        "adapter",
        "client",
        "OFD",
        "RSS",
        "idle"
    );
}

pub fn run(root: &Path, args: &Args, floor: &Floor, case: Case) -> Value {
    let Case { connections, devices, delivering } = case;
    let folder = tempfile::tempdir_in(root).unwrap();
    let simulator = Process::simulator();
    let adapter = Process::adapter(folder.path(), simulator.address);
    let mut control = adapter.connect();
    if !delivering {
        control.breaker("force-open");
    }
    let idle = adapter.memory_mib();
    // The shifts are opened and the files have grown before anything is counted.
    let sell =
        |time, run| load(adapter.address, (connections, devices), Duration::ZERO, Until::After(time), run);
    sell(args.warm_up, "warm");
    let before = control.commits();
    let cpu = || [adapter.cpu(), Cpu::of("self"), simulator.cpu()];
    let cpu_before = cpu();
    let (times, took) = sell(args.each, "run");
    let cpu_after = cpu();
    let after = control.commits();
    let commits = after.0 - before.0;
    let commit_ms = round((after.1 - before.1) / commits * 1e3);
    let times = Times::new(times);
    let receipts = times.count() as f64;
    let per_second = receipts / took.as_secs_f64();
    let k = commits / receipts;
    let ratio = per_second / (floor.single / k.max(1.0));
    let cost = |index: usize| {
        let used: Cpu = cpu_after[index].since(cpu_before[index]);
        (used.total() * 1e6 / receipts).round()
    };
    let (memory, anonymous) = (adapter.memory_mib(), adapter.anonymous_mib());
    println!(
        "  {connections:<5} {devices:>5} {:>7}   {per_second:>8.0} {:>8.3} {:>8.3} {:>8.3} {:>8.3}   {k:>4.2} {commit_ms:>6.3} {ratio:>9.2}    {:>7} {:>7} {:>7}   {memory:>6.1} {idle:>6.1}",
        if delivering { "answers" } else { "is left" },
        times.ms(0.5),
        times.ms(0.99),
        times.ms(0.999),
        times.ms(1.0),
        cost(0),
        cost(1),
        cost(2),
    );
    let adapter_cpu = cpu_after[0].since(cpu_before[0]);
    adapter.stop();
    json!({"case": "receipts", "delivering": delivering, "connections": connections, "devices": devices,
        "per_second": per_second, "p50_ms": times.ms(0.5), "p99_ms": times.ms(0.99), "p999_ms": times.ms(0.999), "longest_ms": times.ms(1.0),
        "commits_per_receipt": round(k), "commit_mean_ms": commit_ms, "ratio_to_sqlite_single_by_k": round(ratio),
        "p99_to_fdatasync_p99": round(times.ms(0.99) / floor.sync.ms(0.99)),
        "adapter_cpu_us": cost(0), "client_cpu_us": cost(1), "simulator_cpu_us": cost(2),
        "adapter_cpu_system_share": round(adapter_cpu.system / adapter_cpu.total()),
        "idle_mib": round(idle), "memory_mib": round(memory), "anonymous_mib": round(anonymous)})
}
