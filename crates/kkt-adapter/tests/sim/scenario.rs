//! What a run is like: drawn from the seed, each fault for itself, so that some runs are quiet and some are hell.

use super::rng::Rng;
use circuit_breaker::{Backoff, Config};
use kkt_adapter::{
    fiscalize,
    sync::{OnRejected, SyncOptions},
};
use std::time::Duration;

/// Control runs: one rule of the world or of the adapter's storage is broken, and the oracle must see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The OFD counts every arrival.
    NoDedup,
    /// The buffer answers before it has written.
    EagerBuffer,
    /// The lane is given its documents in another order.
    ShuffledLane,
    /// The KKT says of what it has printed that it has not.
    LyingKkt,
    /// The OFD confirms what it has not counted.
    LyingOfd,
    /// Sends pass the breaker by.
    NoBreaker,
}

#[derive(Debug, Clone)]
pub struct Scenario {
    pub tills: u64,
    pub devices: u64,
    /// How long the tills sell.
    pub selling: Duration,
    /// Mean pause between two sales of a till, ms.
    pub pace_ms: u64,
    pub capacity: u64,
    pub ofd_timeout: Duration,
    pub half_open_max_calls: u32,
    pub breaker: Config,
    pub sync: SyncOptions,
    pub fiscalize: fiscalize::Options,
    pub ofd_faults: bool,
    /// Of a thousand documents, so many are cursed.
    pub cursed_permille: u64,
    pub kkt_faults: bool,
    pub crashes: bool,
    pub disk_faults: bool,
    /// The disk is full for a batch now and then, and takes the next one.
    pub disk_refuses: bool,
    pub slow_disk: bool,
    pub late_packets: bool,
    pub people: bool,
    /// Shops are closed for a day now and then, the adapter runs.
    pub nights: bool,
    pub jumps: bool,
    /// The devices have clocks of their own; otherwise they go by the machine's.
    pub own_clocks: bool,
    pub sabotage: Option<Sabotage>,
}

impl Scenario {
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5ce0_a410);
        let seconds = Duration::from_secs;
        let tills = rng.between(1, 5);
        let nights = rng.chance(8);
        // A day has 86,400 seconds: who watches a night need not look at each of them.
        let idle = if nights { 60 } else { 1 };
        let breaker_recovery = seconds(*rng.pick(&[2, 5, 30, 60]) * idle.min(5));
        let half_open_max_calls = rng.between(1, 3) as u32;
        let breaker = Config::new()
            .failure_threshold(rng.between(1, 6) as u32)
            .recovery_timeout(breaker_recovery)
            .success_threshold(rng.between(1, 3) as u32)
            .half_open_max_calls(half_open_max_calls);
        let breaker = match rng.chance(30) {
            true => breaker.backoff(Backoff::exponential(2.0, seconds(300))),
            false => breaker,
        };
        Self {
            tills,
            devices: rng.between(1, tills),
            selling: seconds(rng.between(30, 400)),
            pace_ms: *rng.pick(&[1_500, 4_000, 10_000]) * tills,
            capacity: if rng.chance(15) { rng.between(5, 40) } else { 300_000 },
            ofd_timeout: seconds(*rng.pick(&[2, 10])),
            half_open_max_calls,
            breaker,
            sync: SyncOptions {
                interval: seconds(10 * idle),
                retry_after: seconds(1),
                attempts_max: *rng.pick(&[3, 20]),
                lanes_max: *rng.pick(&[1, 2, 64]),
                on_rejected: if rng.chance(15) { OnRejected::Stop } else { OnRejected::Park },
                seed,
                ..SyncOptions::default()
            },
            fiscalize: fiscalize::Options { tick: seconds(idle), ..fiscalize::Options::default() },
            ofd_faults: rng.chance(85),
            cursed_permille: *rng.pick(&[0, 0, 20, 100]),
            kkt_faults: rng.chance(50),
            crashes: rng.chance(50),
            disk_faults: rng.chance(10),
            slow_disk: rng.chance(20),
            late_packets: rng.chance(30),
            people: rng.chance(50),
            nights,
            jumps: rng.chance(30),
            own_clocks: rng.chance(50),
            // Drawn last, so that what the other seeds are like stays as it was.
            disk_refuses: rng.chance(15),
            sabotage: None,
        }
    }

    /// Where days pass, chance and people take their time.
    pub fn leisure(&self) -> u32 {
        if self.nights { 60 } else { 1 }
    }

    /// Whether nothing but the OFD and the network keeps a till from printing at once.
    pub fn is_till_unhindered(&self) -> bool {
        !self.kkt_faults && !self.disk_faults && !self.disk_refuses && !self.slow_disk && !self.people
    }
}
