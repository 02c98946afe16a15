use super::fault::{DownMode, Fault, GarbageForm, RetryAfter};
use std::time::Duration;

/// One rule of a [`Plan`](super::Plan): when it applies, how often at most, and what then happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Conditions; all must hold.
    pub when: When,
    /// Most calls it applies to; `None`: no limit.
    pub times: Option<u64>,
    /// Pause before the answer or the fault, at most 24 h.
    pub delay: Duration,
    /// Random part on top of `delay`, chosen evenly by the seed, at most 24 h.
    pub delay_jitter: Duration,
    /// What happens.
    pub fault: Fault,
}

/// Which calls a rule looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calls {
    /// Receipts and pings.
    #[default]
    All,
    /// `POST /ofd/v1/receipt` only.
    Receipts,
    /// `GET /ofd/v1/health` only.
    Pings,
}

/// Conditions of a rule; all that are given must hold. A ping has none of `key`, `pos_id`, `fn`, `fd`, `document` and
/// `attempt`, so a rule with one of these never touches pings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    /// Receipts, pings or both.
    pub calls: Calls,
    /// Idempotency key.
    pub key: Option<String>,
    /// Till.
    pub pos_id: Option<String>,
    /// Serial of the ФН (`fn` in JSON).
    pub fn_number: Option<String>,
    /// Number of the fiscal document (ФД).
    pub fd: Option<u32>,
    /// Kind of document, such as `receipt` or `shift_open`.
    pub document: Option<String>,
    /// The n-th arrival of a key, from 1.
    pub attempt: Option<u64>,
    /// Not before this long after the plan was set.
    pub from: Option<Duration>,
    /// Only before this long after the plan was set.
    pub until: Option<Duration>,
    /// Only the n-th call that meets the conditions above, from 1.
    pub nth: Option<u64>,
    /// Only every n-th call that meets the conditions above.
    pub every: Option<u64>,
    /// Chance from 0 to 1, rolled last.
    pub probability: Option<f64>,
}

impl Rule {
    /// A rule for every call.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            when: When::default(),
            times: None,
            delay: Duration::ZERO,
            delay_jitter: Duration::ZERO,
            fault,
        }
    }

    /// Served normally: shields calls from the rules behind.
    #[must_use]
    pub fn ok() -> Self {
        Self::new(Fault::Ok)
    }

    /// Served normally, after a pause.
    #[must_use]
    pub fn latency(delay: Duration) -> Self {
        Self::ok().delay(delay)
    }

    /// Answered with an error status.
    #[must_use]
    pub fn fail(status: u16) -> Self {
        Self::new(Fault::Fail { status, retry_after: None, detail: None })
    }

    /// 429 with `Retry-After` in seconds.
    #[must_use]
    pub fn too_many_requests(retry_after_seconds: u64) -> Self {
        let retry_after = Some(RetryAfter::Seconds(retry_after_seconds));
        Self::new(Fault::Fail { status: 429, retry_after, detail: None })
    }

    /// Always 500 for one key, while others pass.
    #[must_use]
    pub fn poison_key(key: impl Into<String>) -> Self {
        Self::fail(500).key(key)
    }

    /// Always 500 for one fiscal document, while others pass.
    #[must_use]
    pub fn poison_document(fn_number: impl Into<String>, fd: u32) -> Self {
        Self::fail(500).fn_number(fn_number).fd(fd)
    }

    /// 401, to be narrowed by [`Rule::pos_id`] or [`Rule::fn_number`].
    #[must_use]
    pub fn unauthorised() -> Self {
        Self::fail(401)
    }

    /// Refused for good: HTTP 422 with the operator's code.
    #[must_use]
    pub fn reject(code: i64) -> Self {
        Self::new(Fault::Reject { status: 422, code, detail: None })
    }

    /// Never answered, nothing stored.
    #[must_use]
    pub fn hang() -> Self {
        Self::new(Fault::Hang { store: false })
    }

    /// Connection reset, nothing stored.
    #[must_use]
    pub fn reset() -> Self {
        Self::new(Fault::Reset { store: false })
    }

    /// Stored, then cut before the answer.
    #[must_use]
    pub fn store_then_cut() -> Self {
        Self::new(Fault::StoreThenCut)
    }

    /// Nonsense instead of an answer, nothing stored.
    #[must_use]
    pub fn garbage(form: GarbageForm) -> Self {
        Self::new(Fault::Garbage { form, store: false })
    }

    /// The right answer, one byte at a time.
    #[must_use]
    pub fn slow(byte_interval: Duration) -> Self {
        Self::new(Fault::Slow { byte_interval })
    }

    /// A body that never ends, nothing stored.
    #[must_use]
    pub fn endless() -> Self {
        Self::new(Fault::Endless { store: false })
    }

    /// Up and down in turns; 503 while down.
    #[must_use]
    pub fn flap(up: Duration, down: Duration) -> Self {
        Self::new(Fault::Flap { up: (up, up), down: (down, down), mode: DownMode::Fail(503) })
    }

    /// At most this many calls.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Pause before the answer or the fault.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Random part on top of the pause.
    #[must_use]
    pub fn delay_jitter(mut self, jitter: Duration) -> Self {
        self.delay_jitter = jitter;
        self
    }

    /// Only receipts.
    #[must_use]
    pub fn receipts(mut self) -> Self {
        self.when.calls = Calls::Receipts;
        self
    }

    /// Only pings.
    #[must_use]
    pub fn pings(mut self) -> Self {
        self.when.calls = Calls::Pings;
        self
    }

    /// Only this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.when.key = Some(key.into());
        self
    }

    /// Only this till.
    #[must_use]
    pub fn pos_id(mut self, pos_id: impl Into<String>) -> Self {
        self.when.pos_id = Some(pos_id.into());
        self
    }

    /// Only this ФН.
    #[must_use]
    pub fn fn_number(mut self, fn_number: impl Into<String>) -> Self {
        self.when.fn_number = Some(fn_number.into());
        self
    }

    /// Only this ФД number.
    #[must_use]
    pub fn fd(mut self, fd: u32) -> Self {
        self.when.fd = Some(fd);
        self
    }

    /// Only the n-th arrival of a key, from 1.
    #[must_use]
    pub fn attempt(mut self, attempt: u64) -> Self {
        self.when.attempt = Some(attempt);
        self
    }

    /// Only the n-th matching call, from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.when.nth = Some(nth);
        self
    }

    /// Only with this chance, 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.when.probability = Some(probability);
        self
    }
}
