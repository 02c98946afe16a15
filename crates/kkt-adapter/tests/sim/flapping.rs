//! An OFD that is up and down in turns: the row «OFD flapping» of the promises.

use super::{
    ofd::Weather,
    rng::{Rng, number},
    run::{Forecast, calm, run_under},
    scenario::Scenario,
};
use circuit_breaker::Config;
use kkt_adapter::sync::SyncOptions;
use std::time::Duration;

/// Up and down, each for 1–30 s; while up, healthy or with 30 % errors, slow answers, lost acknowledgements; while down,
/// an error, a 429 with `Retry-After`, silence, refused connections.
fn flaps(count: u64, seed: u64) -> (Forecast, Duration) {
    let mut rng = Rng::new(seed);
    let mut forecast = Vec::new();
    for _ in 0..count {
        let up = match rng.between(0, 4) {
            0 | 1 => Weather::Up,
            2 => Weather::Fails(30, 500),
            3 => Weather::Slow(9_000),
            _ => Weather::Cuts(30),
        };
        let down = match rng.between(0, 4) {
            0 | 1 => Weather::Fails(100, 503),
            2 => Weather::Busy(100, rng.between(1, 20)),
            3 => Weather::Hangs { stores: rng.chance(50) },
            _ => Weather::Refuses,
        };
        for weather in [up, down] {
            forecast.push((Duration::from_millis(rng.between(1_000, 30_000)), weather));
        }
    }
    let lasting = forecast.iter().map(|(time, _)| *time).sum();
    (forecast, lasting)
}

// P2, P3, P5, P6, P7: the tills sell on through all of it, each sale printed at once.
#[test]
fn through_two_hundred_flaps_every_sale_is_printed_at_once_and_delivered_once_in_order() {
    let (count, seed) = (number("SIM_FLAPS", 200), number("SIM_SEED", 7));
    let (forecast, lasting) = flaps(count, seed);
    let seconds = Duration::from_secs;
    let scenario = Scenario {
        ofd_timeout: seconds(10),
        pace_ms: 25_000,
        breaker: Config::new().failure_threshold(3).recovery_timeout(seconds(5)),
        half_open_max_calls: 2,
        sync: SyncOptions::default(),
        ..calm(4, lasting)
    };
    assert!(scenario.is_till_unhindered(), "or nothing is asserted of the answers");
    let outcome = run_under(scenario, seed, false, forecast);
    assert!(outcome.is_clean(), "SIM_SEED={seed}: {}", outcome.wrong());
    let figure = |name| outcome.figures[name];
    println!("{:#?}", outcome.figures);
    assert_eq!(figure("dead at the end"), 0, "no document is to blame");
    assert!(figure("acknowledged") > count, "the tills sold");
    assert!(figure("delivered") > figure("acknowledged"), "with the shifts' own documents");
    assert!(figure("transitions of the OFD's breaker") > count / 2, "it flapped");
}
