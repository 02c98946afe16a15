//! How fast a backlog drains, once the OFD is back.

use super::{
    Args,
    client::{Until, load},
    measure::{Times, round},
    offline,
    process::Process,
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// Receipts a second that the tills ring up meanwhile, one till at each device, all together: a busy chain of shops behind
/// one adapter. Evenly, since a lane cannot pass more than one document in the time that the OFD takes to answer.
pub const ARRIVALS_PER_SECOND: usize = 100;

/// One backlog.
#[derive(Clone, Copy)]
pub struct Case {
    pub devices: usize,
    /// The simulated OFD's latency.
    pub ofd_ms: u64,
    /// Whether tills sell meanwhile.
    pub selling: bool,
}

impl Case {
    pub const ALL: [Self; 8] = [
        Self::new(64, 0, false),
        Self::new(64, 10, false),
        Self::new(64, 50, false),
        Self::new(64, 0, true),
        Self::new(64, 10, true),
        Self::new(64, 50, true),
        Self::new(1, 0, false),
        Self::new(1, 10, false),
    ];

    const fn new(devices: usize, ofd_ms: u64, selling: bool) -> Self {
        Self { devices, ofd_ms, selling }
    }
}

pub fn run(root: &Path, args: &Args, case: Case) -> Value {
    let Case { devices, ofd_ms, selling } = case;
    let folder = tempfile::tempdir_in(root).unwrap();
    // About as long in every case: a lane sends one document at a time.
    let documents = match (devices, ofd_ms) {
        (1, 0) => args.drain / 4,
        (1, _) => args.drain / 40,
        (_, 0) => args.drain * 2,
        _ => args.drain,
    };
    offline::fill(folder.path(), 0, documents, devices);
    let simulator = Process::simulator();
    simulator.set_faults(r#"{"fault":"fail","status":503}"#);
    let adapter = Process::adapter(folder.path(), simulator.address);
    let mut control = adapter.connect();
    control.breaker("force-open");
    match ofd_ms {
        0 => simulator.heal(),
        _ => simulator.set_faults(&format!(r#"{{"fault":"latency","delay_ms":{ofd_ms}}}"#)),
    }
    let stop = AtomicBool::new(false);
    let pause = Duration::from_secs(1) * devices as u32 / ARRIVALS_PER_SECOND as u32;
    let (drained_in, confirmed, sold) = std::thread::scope(|scope| {
        let sell = || load(adapter.address, (devices, devices), pause, Until::Told(&stop), "meanwhile").0;
        let tills = selling.then(|| scope.spawn(sell));
        let before = control.pending();
        let began = Instant::now();
        control.breaker("release");
        while control.pending() > if selling { devices as u64 } else { 0 } {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let drained_in = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        let sold = tills.map(|tills| Times::new(tills.join().expect("the tills end")));
        (drained_in, before + sold.as_ref().map_or(0, |sold| sold.count() as u64), sold)
    });
    let per_second = confirmed as f64 / drained_in.as_secs_f64();
    let (arrivals, p99) = match &sold {
        Some(sold) => (sold.count() as f64 / drained_in.as_secs_f64(), sold.ms(0.99)),
        None => (0.0, 0.0),
    };
    let memory = adapter.memory_mib();
    print!(
        "  {devices:>2} ККТ, the OFD answers in {ofd_ms:>2} ms   {per_second:>7.0} documents/s   {memory:>5.1} MiB"
    );
    match selling {
        true => println!(
            "   {:>5.1} x the {arrivals:.0} receipts/s that arrive (their p99: {p99:.1} ms)",
            per_second / arrivals
        ),
        false => println!(),
    }
    adapter.stop();
    json!({"case": "drain", "devices": devices, "ofd_ms": ofd_ms, "documents": confirmed, "per_second": per_second,
        "selling": selling, "arrivals_per_second": round(arrivals), "arrivals_p99_ms": p99,
        "ratio_to_arrivals": selling.then(|| round(per_second / arrivals)), "memory_mib": round(memory)})
}
