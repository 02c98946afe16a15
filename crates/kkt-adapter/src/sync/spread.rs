//! Keeps a thousand shops from coming back at the same instant.
//!
//! Of themselves they do not: each circuit opened when its shop sold, and so their probes are as far apart. But a
//! `Retry-After` names one instant to all of them, as a date to the second. So what the OFD asked for is lengthened, never
//! shortened, by up to a tenth. Pauses of single lanes are left as they are: the gate and the breaker bound how many of
//! one adapter's lanes send at once, so nobody would gain.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The most that is added, as a part of the pause.
const SHARE: f64 = 0.1;

/// A stream of random numbers: `SplitMix64` (Steele, Lea, Flood 2014), so that a simulation repeats a run from its seed.
pub(super) struct Spread(Mutex<u64>);

impl Spread {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// `pause` and up to a tenth more.
    pub fn lengthened(&self, pause: Duration) -> Duration {
        // The top 53 bits: as many as a float has.
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        pause.saturating_add(pause.mul_f64(SHARE * unit))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_lengthened_by_up_to_a_tenth_and_the_same_seed_draws_the_same() {
        let asked = Duration::from_secs(300);
        let drawn = |seed| {
            let spread = Spread::new(seed);
            (0..1_000).map(|_| spread.lengthened(asked)).collect::<Vec<_>>()
        };
        let pauses = drawn(7);
        assert_eq!(pauses, drawn(7));
        assert_ne!(pauses, drawn(8));
        assert!(pauses.iter().all(|pause| (asked..asked + asked / 10).contains(pause)));
        let late = pauses.iter().filter(|pause| **pause > asked + asked / 20).count();
        assert!((400..600).contains(&late), "{late} of 1,000 in the later half");
    }
}
