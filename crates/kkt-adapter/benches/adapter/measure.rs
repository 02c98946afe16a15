//! Figures from times.

use std::time::Duration;

/// The times of one case, sorted.
pub struct Times(Vec<Duration>);

impl Times {
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that the share `q` of all did not exceed, in milliseconds.
    pub fn ms(&self, q: f64) -> f64 {
        ms(self.0[((self.0.len() - 1) as f64 * q).round() as usize])
    }

    /// How many a second, one after the other.
    pub fn per_second(&self) -> f64 {
        self.0.len() as f64 / self.0.iter().sum::<Duration>().as_secs_f64()
    }
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1e3)
}

/// Three decimals: what is beyond them is noise.
pub fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
