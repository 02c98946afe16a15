use super::{
    key::*,
    section::{section, words},
};
use std::time::Duration;

words! {
    /// What a lane does after the OFD has refused a document for good.
    OnRejected {
        /// The document goes to the dead letters and the lane goes on.
        Park = "park",
        /// The lane stops until a person has decided.
        Stop = "stop",
    }
}

section! {
    /// `[sync]`: the way of the documents to the OFD.
    Sync {
        /// Each lane looks for work this often even if nothing woke it.
        "sync.interval" "KKT_SYNC__INTERVAL" interval: Duration = "10s", span(10, HOUR);
        /// Pause of a lane after a failed send; backing off further is the breaker's work.
        "sync.retry_after" "KKT_SYNC__RETRY_AFTER" retry_after: Duration = "1s", span(1, 5 * MINUTE);
        /// Failures of its own after which a document goes to the dead letters.
        "sync.max_attempts" "KKT_SYNC__MAX_ATTEMPTS" max_attempts: u32 = "20", int(1, 10_000);
        /// First pause after a failure that was the document's own; doubles each time.
        "sync.backoff.initial" "KKT_SYNC__BACKOFF__INITIAL" backoff_initial: Duration = "5s", span(1, HOUR);
        /// Longest such pause.
        "sync.backoff.max" "KKT_SYNC__BACKOFF__MAX" backoff_max: Duration = "5m", span(1, DAY);
        /// Lanes that send at the same time; one lane a device.
        "sync.max_lanes" "KKT_SYNC__MAX_LANES" max_lanes: usize = "64", int(1, 1_024);
        /// What a lane does after the OFD has refused a document for good.
        "sync.on_rejected" "KKT_SYNC__ON_REJECTED" on_rejected: OnRejected = "park", Kind::Choice(OnRejected::WORDS);
    }
}
