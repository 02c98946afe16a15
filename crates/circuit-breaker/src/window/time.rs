use super::{Mark, Sums};
use crate::clock::Tick;

/// The calls of the last stretches of time, one sum a stretch.
#[derive(Clone, Debug)]
pub(crate) struct TimeRing {
    buckets: Box<[Sums]>,
    bucket_ns: u64,
    /// The running bucket, counted from the clock's origin; its place is this modulo the ring's length.
    running: u64,
    sums: Sums,
}

impl TimeRing {
    pub(super) fn new(buckets: u32, bucket_ns: u64) -> Self {
        let buckets = vec![Sums::default(); buckets as usize].into_boxed_slice();
        TimeRing { buckets, bucket_ns, running: 0, sums: Sums::default() }
    }

    pub(super) fn push(&mut self, at: Tick, mark: Mark) {
        self.add(at, Sums { calls: 1, failures: u32::from(mark.failed), slow: u32::from(mark.slow) });
    }

    pub(super) fn absorb(&mut self, at: Tick, calls: u32) {
        self.add(at, Sums { calls, ..Sums::default() });
    }

    pub(super) fn sums(&self) -> Sums {
        self.sums
    }

    /// As if it had moved on to `at`.
    pub(super) fn sums_at(&self, at: Tick) -> Sums {
        let mut sums = self.sums;
        self.slid_out_by(at).for_each(|place| sums.subtract(self.buckets[place]));
        sums
    }

    /// The first instant of the next bucket.
    pub(super) fn bucket_end(&self) -> Tick {
        Tick::from_nanos(self.running.saturating_add(1).saturating_mul(self.bucket_ns))
    }

    fn add(&mut self, at: Tick, more: Sums) {
        self.move_to(at);
        let place = (self.running % self.buckets.len() as u64) as usize;
        for sums in [&mut self.buckets[place], &mut self.sums] {
            sums.calls = sums.calls.saturating_add(more.calls);
            sums.failures = sums.failures.saturating_add(more.failures);
            sums.slow = sums.slow.saturating_add(more.slow);
        }
    }

    /// Empties the buckets between the running one and the one that `at` is in.
    fn move_to(&mut self, at: Tick) {
        for place in self.slid_out_by(at) {
            let gone = std::mem::take(&mut self.buckets[place]);
            self.sums.subtract(gone);
        }
        self.running = self.running.max(at.as_nanos() / self.bucket_ns);
    }

    /// The places of the buckets that are over when `at` comes.
    fn slid_out_by(&self, at: Tick) -> impl Iterator<Item = usize> + use<> {
        let (running, length) = (self.running, self.buckets.len() as u64);
        let steps = (at.as_nanos() / self.bucket_ns).saturating_sub(running).min(length);
        (1..=steps).map(move |step| ((running + step) % length) as usize)
    }
}

impl Sums {
    fn subtract(&mut self, gone: Sums) {
        self.calls = self.calls.saturating_sub(gone.calls);
        self.failures = self.failures.saturating_sub(gone.failures);
        self.slow = self.slow.saturating_sub(gone.slow);
    }
}
