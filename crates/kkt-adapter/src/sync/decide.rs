//! What a failed or successful send means: pure, so that every row of the table is tested without a network.
//!
//! | the OFD said | `ofd` breaker | `device` breaker | the document | the lane |
//! |---|---|---|---|---|
//! | accepted | success | success | synced | goes on |
//! | `Rejected` | success: it is alive | success | dead | goes on, or stops |
//! | `Unauthorised` | success: it is alive | failure | untouched | pauses |
//! | `Unavailable`, `Ambiguous` | failure | ignored | charged only if the endpoint accepted another document since its previous try | pauses |
//!
//! A `Retry-After` holds everybody, as it is the OFD's. Where the document is charged it holds that document alone: the OFD
//! takes others meanwhile, and one device's trouble must not delay them (P5).

use super::options::{OnRejected, RETRY_AFTER_MAX, SyncOptions};
use crate::{
    domain::{document::Confirmation, entry::SendOutcome},
    ports::OfdError,
};
use std::time::Duration;

/// What is known of the document at the head of a lane beside the document itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tries {
    /// Charged attempts, from the buffer.
    pub charged: u32,
    /// How many documents the endpoint had accepted when this one was last tried; `None`: never tried yet in this process.
    pub accepted_at_last_try: Option<u64>,
}

/// What a breaker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    /// With `retry_after` nobody sends to the endpoint before: the OFD asked for it.
    Failure {
        retry_after: Option<Duration>,
    },
    Ignored,
}

/// What follows from one send.
#[derive(Debug, Clone)]
pub(super) struct Decision {
    pub endpoint: Verdict,
    pub device: Verdict,
    /// For the buffer; `None`: nothing changed.
    pub settle: Option<SendOutcome>,
    /// The OFD asked not to be sent this document before so long.
    pub hold: Option<Duration>,
    pub lane: LaneNext,
}

/// What the lane does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneNext {
    /// On to the next document.
    GoOn,
    /// Wait, then the same document again.
    Pause(Duration),
    /// Stop until a person has decided on the dead document.
    Stop,
}

/// Decides; `accepted` is how many documents the endpoint has accepted until now.
pub(super) fn decide(
    options: &SyncOptions,
    tries: Tries,
    accepted: u64,
    result: &Result<Confirmation, OfdError>,
) -> Decision {
    match result {
        Ok(confirmation) => Decision {
            endpoint: Verdict::Success,
            device: Verdict::Success,
            settle: Some(SendOutcome::Synced(confirmation.clone())),
            hold: None,
            lane: LaneNext::GoOn,
        },
        Err(OfdError::Rejected { .. }) => Decision {
            endpoint: Verdict::Success,
            device: Verdict::Success,
            settle: Some(SendOutcome::Dead { error: text(result) }),
            hold: None,
            lane: match options.on_rejected {
                OnRejected::Park => LaneNext::GoOn,
                OnRejected::Stop => LaneNext::Stop,
            },
        },
        Err(OfdError::Unauthorised(_)) => Decision {
            endpoint: Verdict::Success,
            device: Verdict::Failure { retry_after: None },
            settle: None,
            hold: None,
            lane: LaneNext::Pause(options.retry_after),
        },
        Err(OfdError::Unavailable { retry_after, .. }) => {
            failed(options, tries, accepted, result, *retry_after)
        }
        Err(OfdError::Ambiguous(_)) => failed(options, tries, accepted, result, None),
    }
}

fn failed(
    options: &SyncOptions,
    tries: Tries,
    accepted: u64,
    result: &Result<Confirmation, OfdError>,
    retry_after: Option<Duration>,
) -> Decision {
    let retry_after = retry_after.map(|asked| asked.min(RETRY_AFTER_MAX));
    let own_fault = tries.accepted_at_last_try.is_some_and(|then| accepted > then);
    let charged = tries.charged.saturating_add(u32::from(own_fault));
    let dead = own_fault && charged >= options.attempts_max;
    let settle = match (own_fault, dead) {
        (_, true) => Some(SendOutcome::Dead {
            error: format!("given up after {charged} attempts, while others passed: {}", text(result)),
        }),
        (true, false) => Some(SendOutcome::AttemptFailed { error: text(result) }),
        (false, _) => None,
    };
    let lane = match (own_fault, dead, options.on_rejected) {
        (_, true, OnRejected::Park) => LaneNext::GoOn,
        (_, true, OnRejected::Stop) => LaneNext::Stop,
        (true, false, _) => LaneNext::Pause(options.backoff(charged)),
        (false, ..) => LaneNext::Pause(options.retry_after),
    };
    let (of_all, hold) = if own_fault { (None, retry_after) } else { (retry_after, None) };
    Decision {
        endpoint: Verdict::Failure { retry_after: of_all },
        device: Verdict::Ignored,
        settle,
        hold: hold.filter(|_| !dead),
        lane,
    }
}

fn text(result: &Result<Confirmation, OfdError>) -> String {
    result.as_ref().err().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> Result<Confirmation, OfdError> {
        Err(OfdError::Unavailable { reason: "HTTP 500".into(), retry_after: None })
    }

    fn tried(charged: u32, accepted_at_last_try: Option<u64>) -> Tries {
        Tries { charged, accepted_at_last_try }
    }

    #[test]
    fn a_failure_while_nothing_else_passes_is_the_ofds_and_costs_no_attempt() {
        for tries in [tried(0, None), tried(19, None), tried(3, Some(7))] {
            let decision = decide(&SyncOptions::default(), tries, 7, &unavailable());
            assert!(decision.settle.is_none());
            assert_eq!(decision.endpoint, Verdict::Failure { retry_after: None });
            assert_eq!(decision.device, Verdict::Ignored);
            assert_eq!(decision.lane, LaneNext::Pause(Duration::from_secs(1)));
        }
    }

    #[test]
    fn a_failure_while_others_pass_is_the_documents_and_backs_it_off() {
        let decision = decide(&SyncOptions::default(), tried(2, Some(7)), 8, &unavailable());
        assert!(matches!(decision.settle, Some(SendOutcome::AttemptFailed { .. })));
        assert_eq!(decision.lane, LaneNext::Pause(Duration::from_secs(20)));
    }

    #[test]
    fn the_last_attempt_ends_in_the_dead_letters_and_the_lane_goes_on() {
        let decision = decide(&SyncOptions::default(), tried(19, Some(7)), 8, &unavailable());
        assert!(matches!(decision.settle, Some(SendOutcome::Dead { .. })));
        assert_eq!(decision.lane, LaneNext::GoOn);
    }

    #[test]
    fn a_refusal_for_good_is_dead_at_once_and_proves_that_the_ofd_is_alive() {
        let refused = Err(OfdError::Rejected { code: "14".into(), reason: "format".into() });
        let decision = decide(&SyncOptions::default(), Tries::default(), 0, &refused);
        assert_eq!((decision.endpoint, decision.device), (Verdict::Success, Verdict::Success));
        assert!(matches!(decision.settle, Some(SendOutcome::Dead { .. })));
        assert_eq!(decision.lane, LaneNext::GoOn);
        let stop = SyncOptions { on_rejected: OnRejected::Stop, ..SyncOptions::default() };
        assert_eq!(decide(&stop, Tries::default(), 0, &refused).lane, LaneNext::Stop);
    }

    #[test]
    fn a_refused_token_counts_against_the_device_alone_and_costs_no_attempt() {
        let refused = Err(OfdError::Unauthorised("401".into()));
        let decision = decide(&SyncOptions::default(), tried(19, Some(1)), 100, &refused);
        assert_eq!(decision.endpoint, Verdict::Success);
        assert_eq!(decision.device, Verdict::Failure { retry_after: None });
        assert!(decision.settle.is_none());
    }

    #[test]
    fn an_ambiguous_end_counts_like_an_outage() {
        let decision =
            decide(&SyncOptions::default(), Tries::default(), 0, &Err(OfdError::Ambiguous("cut".into())));
        assert_eq!(decision.endpoint, Verdict::Failure { retry_after: None });
        assert!(decision.settle.is_none());
    }

    #[test]
    fn a_retry_after_is_honoured_up_to_its_cap() {
        let asked = Err(OfdError::Unavailable {
            reason: "429".into(),
            retry_after: Some(Duration::from_secs(86_400)),
        });
        let decision = decide(&SyncOptions::default(), Tries::default(), 0, &asked);
        assert_eq!(decision.endpoint, Verdict::Failure { retry_after: Some(RETRY_AFTER_MAX) });
        assert_eq!(decision.hold, None, "everybody waits");
    }

    // P5
    #[test]
    fn a_retry_after_for_a_document_that_fails_while_others_pass_holds_that_document_alone() {
        let asked = Err(OfdError::Unavailable {
            reason: "503".into(),
            retry_after: Some(Duration::from_secs(86_400)),
        });
        let decision = decide(&SyncOptions::default(), tried(2, Some(7)), 8, &asked);
        assert_eq!(decision.endpoint, Verdict::Failure { retry_after: None });
        assert_eq!(decision.hold, Some(RETRY_AFTER_MAX));
        // The document dies of it: what is behind it was asked nothing of.
        let dying = decide(&SyncOptions::default(), tried(19, Some(7)), 8, &asked);
        assert_eq!((dying.lane, dying.hold), (LaneNext::GoOn, None));
        assert_eq!(dying.endpoint, Verdict::Failure { retry_after: None });
    }

    #[test]
    fn the_backoff_doubles_up_to_its_bound() {
        let options = SyncOptions::default();
        let pauses: Vec<u64> = [1, 2, 3, 7, 8, 20, u32::MAX].map(|n| options.backoff(n).as_secs()).to_vec();
        assert_eq!(pauses, [5, 10, 20, 300, 300, 300, 300]);
    }
}
