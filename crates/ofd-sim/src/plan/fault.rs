use std::time::Duration;

/// What happens to a call that a rule matches.
///
/// `store` says whether the document is counted before the fault: then the sender cannot know, and only the same key
/// again is right. A document is stored when it arrives, before any delay: the harder case for the sender.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Served as by a healthy operator (after the rule's delay, if it has one).
    Ok,
    /// Answered with an error status; nothing is stored.
    Fail {
        /// HTTP status, 400–599.
        status: u16,
        /// Value of `Retry-After`.
        retry_after: Option<RetryAfter>,
        /// Text for the answer's `detail`.
        detail: Option<String>,
    },
    /// Refused for good: `{"status":"rejected","code":…}`. Pings pass.
    Reject {
        /// HTTP status, 200 or 400–499.
        status: u16,
        /// The operator's code.
        code: i64,
        /// Text for the answer's `detail`.
        detail: Option<String>,
    },
    /// Taken and never answered: the socket stays open until the client leaves.
    Hang {
        /// Count the document first.
        store: bool,
    },
    /// The TCP connection is reset (RST) instead of an answer.
    Reset {
        /// Count the document first.
        store: bool,
    },
    /// The document is counted, then the connection closed (FIN) without an answer. Pings are cut, too.
    StoreThenCut,
    /// Nonsense instead of an answer.
    Garbage {
        /// Which kind.
        form: GarbageForm,
        /// Count the document first.
        store: bool,
    },
    /// The right answer, but its body comes one byte at a time.
    Slow {
        /// Pause before each byte, 1 ms – 1 h.
        byte_interval: Duration,
    },
    /// Status 200 and a body that never ends.
    Endless {
        /// Count the document first.
        store: bool,
    },
    /// Up and down in turns, beginning up when the plan is set.
    Flap {
        /// Length of an up phase, from–to (chosen evenly by the seed), 1 ms – 24 h.
        up: (Duration, Duration),
        /// Length of a down phase, from–to.
        down: (Duration, Duration),
        /// What happens while down.
        mode: DownMode,
    },
}

impl Fault {
    /// The fault's name in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fail { status: 401 | 403, .. } => "unauthorised",
            Self::Fail { .. } => "fail",
            Self::Reject { .. } => "reject",
            Self::Hang { .. } => "hang",
            Self::Reset { .. } => "reset",
            Self::StoreThenCut => "store_then_cut",
            Self::Garbage { .. } => "garbage",
            Self::Slow { .. } => "slow",
            Self::Endless { .. } => "endless",
            Self::Flap { .. } => "flap",
        }
    }
}

/// Value of a `Retry-After` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// Seconds.
    Seconds(u64),
    /// Sent as it is: an HTTP date, or nonsense to see what the client makes of it.
    Text(String),
}

/// Kinds of nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GarbageForm {
    /// Bytes that are not HTTP, then the connection closes.
    Wire,
    /// HTTP 200 with an HTML page, as a captive portal sends.
    Html,
    /// HTTP 200 with JSON that is cut in the middle, under a right Content-Length.
    Json,
    /// HTTP 200 with valid JSON that says nothing about acceptance.
    OtherJson,
}

/// What a flapping operator does while down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownMode {
    /// Answers with this status.
    Fail(u16),
    /// Resets connections.
    Reset,
    /// Never answers.
    Hang,
}
