//! How much memory and time a million documents take: `cargo run --release -p ofd-sim --example million`.

use ofd_sim::core::call::{Call, Submission};
use ofd_sim::core::{Core, Now};
use std::time::Instant;

const DOCUMENTS: u32 = 1_000_000;

fn main() {
    let before = resident_mib();
    let mut core = Core::new(2_000_000);
    let started = Instant::now();
    for n in 0..DOCUMENTS {
        let document = Submission {
            key: format!("0190f5b2-7c3e-7abc-8def-{n:012x}"),
            receipt_id: None,
            pos_id: format!("POS-{:03}", n % 100),
            fn_number: format!("9999078900000{:03}", n % 100),
            fd: n / 100 + 1,
            document: "receipt".into(),
            total: Some(20_000),
            hash: u64::from(n),
        };
        core.step(Now::default(), &Call::Receipt { authorised: true, document: Ok(document) });
        core.finish();
    }
    let took = started.elapsed();
    println!("{} documents counted in {took:.2?}", core.stats().counted);
    match (before, resident_mib()) {
        (Some(before), Some(after)) => println!("{} MiB resident", after - before),
        _ => println!("resident memory is known on Linux only"),
    }
}

fn resident_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}
