//! Allocations a call, counted by an allocator that keeps its counts per thread.
use crate::cases::Case;

const CALLS: u32 = 1_000;

/// Allocations of a subject's calls in a row.
pub struct Allocations {
    pub case: &'static str,
    pub subject: &'static str,
    pub per_call: f64,
}

/// Counts each subject's allocations over calls that follow as many unmeasured ones.
pub fn measure(cases: &[Case]) -> Vec<Allocations> {
    let mut counted = Vec::new();
    for case in cases.iter().filter(|case| case.floor.is_some()) {
        for entry in &case.entries {
            let subject = (entry.make)();
            let mut work = subject.worker();
            work(CALLS);
            let info = allocation_counter::measure(|| work(CALLS));
            let per_call = info.count_total as f64 / f64::from(CALLS);
            counted.push(Allocations { case: case.name, subject: entry.subject, per_call });
        }
    }
    counted
}
