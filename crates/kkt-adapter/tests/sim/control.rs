//! Control runs: a rule of the world is broken, and the oracle sees it.

use super::{
    run::{Outcome, run},
    scenario::{Sabotage, Scenario},
};

/// Runs seeds under sabotage until one is found out as it must be; most seeds never come to the fault.
fn first_bad(sabotage: Sabotage, shape: impl Fn(Scenario) -> Scenario, is_found: impl Fn(&Outcome) -> bool) {
    let found = (0..200).find(|seed| {
        let mut scenario = shape(Scenario::draw(*seed));
        scenario.nights = false;
        assert!(run(scenario.clone(), *seed, false).is_clean(), "seed {seed} is bad without sabotage");
        scenario.sabotage = Some(sabotage);
        is_found(&run(scenario, *seed, false))
    });
    assert!(found.is_some(), "{sabotage:?} is never found out");
}

fn has(outcome: &Outcome, promise: &str) -> bool {
    outcome.violations.iter().any(|violation| violation.starts_with(promise))
}

// P3
#[test]
fn an_ofd_that_counts_every_arrival_is_found_out() {
    let shape = |scenario| Scenario { ofd_faults: true, late_packets: true, ..scenario };
    first_bad(Sabotage::NoDedup, shape, |outcome| !outcome.verdict.doubled.is_empty());
}

// P1
#[test]
fn a_buffer_that_answers_before_it_has_written_is_found_out() {
    let shape = |scenario| Scenario { crashes: true, slow_disk: true, ..scenario };
    let is_found =
        |outcome: &Outcome| !outcome.verdict.lost.is_empty() || !outcome.verdict.changed.is_empty();
    first_bad(Sabotage::EagerBuffer, shape, is_found);
}

// P5
#[test]
fn a_lane_out_of_order_is_found_out() {
    let shape = |scenario| Scenario { ofd_faults: true, ..scenario };
    first_bad(Sabotage::ShuffledLane, shape, |outcome| {
        !outcome.verdict.disordered.is_empty() && has(outcome, "P5")
    });
}

// P4
#[test]
fn a_second_printout_is_found_out() {
    let shape = |scenario| Scenario { kkt_faults: true, crashes: true, ..scenario };
    first_bad(Sabotage::LyingKkt, shape, |outcome| !outcome.verdict.doubled.is_empty());
}

// P2
#[test]
fn a_document_that_the_ofd_confirmed_and_never_had_is_found_out() {
    first_bad(Sabotage::LyingOfd, |scenario| scenario, |outcome| !outcome.verdict.lost.is_empty());
}

// P6
#[test]
fn a_call_that_passes_the_breaker_by_is_found_out() {
    let shape = |scenario| Scenario { ofd_faults: true, ..scenario };
    first_bad(Sabotage::NoBreaker, shape, |outcome| has(outcome, "P6"));
}
