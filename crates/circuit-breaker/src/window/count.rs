use super::{Mark, Sums};

/// The last `size` calls, two bits each.
#[derive(Clone, Debug)]
pub(crate) struct CountRing {
    failed: Box<[u64]>,
    slow: Box<[u64]>,
    size: u32,
    /// Where the next call goes: over the oldest one, once the ring is full.
    next: u32,
    sums: Sums,
}

impl CountRing {
    pub(super) fn new(size: u32) -> Self {
        let words = size.div_ceil(64) as usize;
        CountRing {
            failed: vec![0; words].into_boxed_slice(),
            slow: vec![0; words].into_boxed_slice(),
            size,
            next: 0,
            sums: Sums::default(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, mark: Mark) {
        let (word, bit) = ((self.next / 64) as usize, self.next % 64);
        let failed_before = replace(&mut self.failed[word], bit, mark.failed);
        let slow_before = replace(&mut self.slow[word], bit, mark.slow);
        self.sums.failures = self.sums.failures + u32::from(mark.failed) - u32::from(failed_before);
        self.sums.slow = self.sums.slow + u32::from(mark.slow) - u32::from(slow_before);
        self.sums.calls = (self.sums.calls + 1).min(self.size);
        self.next = if self.next + 1 == self.size { 0 } else { self.next + 1 };
    }

    pub(super) fn absorb(&mut self, calls: u32) {
        // More than a ring full leaves only successes, wherever the ring's start is.
        for _ in 0..calls.min(self.size) {
            self.push(Mark::default());
        }
    }

    pub(super) fn sums(&self) -> Sums {
        self.sums
    }

    pub(super) fn size(&self) -> u32 {
        self.size
    }

    pub(super) fn is_full(&self) -> bool {
        self.sums.calls == self.size
    }
}

/// Sets a bit and says what it was. An unused place of the ring reads false.
fn replace(word: &mut u64, bit: u32, value: bool) -> bool {
    let before = *word >> bit & 1 == 1;
    *word = *word & !(1 << bit) | u64::from(value) << bit;
    before
}
