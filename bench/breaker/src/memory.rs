//! Memory of a breaker: resident bytes and allocated bytes, over many instances.
//!
//! Each kind of breaker is held in a process of its own, so that no subject profits from memory that another has freed.
use std::hint::black_box;
use std::process::Command;
use std::{env, fs, io};

use crate::subjects::{
    breaker, circuit_breaker, circuitbreaker_rs, failsafe, ours, recloser, tower_resilience,
};

const INSTANCES: usize = 100_000;

/// A kind of breaker whose memory is measured.
struct Kind {
    subject: &'static str,
    what: &'static str,
    hold: fn() -> Bytes,
}

/// Bytes a breaker, its handle included.
#[derive(Clone, Copy)]
pub struct Bytes {
    pub resident: f64,
    pub allocated: f64,
}

pub struct Row {
    pub subject: &'static str,
    pub what: &'static str,
    pub bytes: Bytes,
}

fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        Kind { subject: "recloser", what: "ring of 100", hold: || hold(recloser::build) },
        Kind { subject: "failsafe", what: "consecutive", hold: || hold(failsafe::build) },
        Kind { subject: "failsafe", what: "time window", hold: || hold(failsafe::build_timed) },
        Kind { subject: "circuit_breaker", what: "consecutive", hold: || hold(circuit_breaker::build) },
        Kind { subject: "breaker", what: "ring of 100", hold: || hold(breaker::build) },
        Kind { subject: "circuitbreaker-rs", what: "consecutive", hold: || hold(circuitbreaker_rs::build) },
        Kind {
            subject: "tower-resilience",
            what: "consecutive",
            hold: || hold(|| tower_resilience::build(tower_resilience::consecutive)),
        },
    ];
    kinds.splice(
        0..0,
        ours::memory().into_iter().map(|(what, hold)| Kind { subject: crate::cases::OURS, what, hold }),
    );
    kinds
}

/// Measures every kind, each in a process of its own.
pub fn measure() -> io::Result<Vec<Row>> {
    let program = env::current_exe()?;
    let mut rows = Vec::new();
    for (n, kind) in kinds().iter().enumerate() {
        let output = Command::new(&program).arg("--hold").arg(n.to_string()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
        let (Some(resident), Some(allocated)) = (numbers.next(), numbers.next()) else {
            return Err(io::Error::other(format!("holding {} {}: {text}", kind.subject, kind.what)));
        };
        rows.push(Row { subject: kind.subject, what: kind.what, bytes: Bytes { resident, allocated } });
    }
    Ok(rows)
}

/// What the child process does: hold the n-th kind and print its bytes.
pub fn child(n: usize) {
    if let Some(kind) = kinds().get(n) {
        let bytes = (kind.hold)();
        println!("{} {}", bytes.resident, bytes.allocated);
    }
}

/// Makes and keeps many instances; says what one costs.
pub fn hold<B>(make: impl Fn() -> B) -> Bytes {
    hold_many(INSTANCES, make)
}

/// The same with so many instances, for those that take long to make.
pub fn hold_many<B>(instances: usize, make: impl Fn() -> B) -> Bytes {
    drop(black_box(make())); // lazily made statics are not a breaker's memory
    let before = resident();
    let mut resident_after = before;
    let info = allocation_counter::measure(|| {
        let mut held = Vec::with_capacity(instances);
        held.extend((0..instances).map(|_| make()));
        resident_after = resident();
        std::mem::forget(black_box(held));
    });
    Bytes {
        resident: (resident_after - before) / instances as f64,
        allocated: info.bytes_current as f64 / instances as f64,
    }
}

/// Resident bytes of this process, from the kernel.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
    kilobytes.and_then(|text| text.trim().parse::<f64>().ok()).unwrap_or(f64::NAN) * 1_024.0
}
