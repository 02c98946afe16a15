//! The document at the head of a lane that does not get through: since when, how often it was tried, when to raise the
//! alarm. Pure.
//!
//! While a document fails and no other is accepted, nobody can tell a document that the OFD cannot take from an OFD that
//! takes none: where a shop has one till there never is another. A ping that succeeds is no evidence for it either, since
//! an OFD can be healthy and its way in for receipts be broken; counting it would empty the lanes into the dead letters
//! in the first such outage. So nothing is given up, nothing is sent out of order (P5), and a person is told (P2).

use crate::{
    domain::ids::ReceiptId,
    ports::{LaneHead, Monotonic},
};
use std::time::Duration;

/// A head that has failed for so long is an alarm, and counts in health.
const STUCK_AFTER: Duration = Duration::from_secs(600);
/// The alarm is repeated in the log so often.
const ALARM_EVERY: Duration = Duration::from_secs(3_600);

/// The head, from its first failure on.
#[derive(Debug, Clone)]
pub(super) struct Head {
    id: ReceiptId,
    fd: u32,
    since: Monotonic,
    tries: u32,
    alarm_at: Monotonic,
    /// The OFD asked not to be sent this document before.
    not_before: Monotonic,
}

impl Head {
    /// The document failed at `now`; `before` is the head as it was. Also says whether the alarm is due.
    pub fn failed(before: Option<Self>, id: ReceiptId, fd: u32, now: Monotonic) -> (Self, bool) {
        let alarm_at = Monotonic(now.0 + STUCK_AFTER);
        let fresh = || Self { id, fd, since: now, tries: 0, alarm_at, not_before: now };
        let mut head = before.filter(|head| head.is_of(id)).unwrap_or_else(fresh);
        head.tries = head.tries.saturating_add(1);
        let is_due = now >= head.alarm_at;
        if is_due {
            head.alarm_at = Monotonic(now.0 + ALARM_EVERY);
        }
        (head, is_due)
    }

    /// It is not to be sent before `until`.
    pub fn hold(&mut self, until: Monotonic) {
        self.not_before = self.not_before.max(until);
    }

    /// For how long it is not to be sent yet.
    pub fn held_for(&self, now: Monotonic) -> Option<Duration> {
        Some(self.not_before.since(now)).filter(|left| !left.is_zero())
    }

    /// Whether it is this document.
    pub fn is_of(&self, id: ReceiptId) -> bool {
        self.id == id
    }

    /// For people.
    pub fn view(&self, now: Monotonic) -> LaneHead {
        let failing_for = now.since(self.since);
        let is_stuck = failing_for >= STUCK_AFTER;
        LaneHead { id: self.id, fd: self.fd, failing_for, tries: self.tries, is_stuck }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    // P2
    #[test]
    fn a_head_that_fails_for_ten_minutes_is_an_alarm_then_once_an_hour() {
        let id = ReceiptId::new();
        let mut head = None;
        let mut alarms = Vec::new();
        for second in (0..2 * 3_600).step_by(60) {
            let (failed, is_due) = Head::failed(head, id, 7, at(100 + second));
            if is_due {
                alarms.push(second);
            }
            head = Some(failed);
        }
        assert_eq!(alarms, [600, 4_200]);
        let view = head.unwrap().view(at(100 + 7_200));
        assert_eq!((view.fd, view.tries, view.is_stuck), (7, 120, true));
        assert_eq!(view.failing_for, Duration::from_secs(7_200));
    }

    #[test]
    fn another_head_begins_anew() {
        let (first, _) = Head::failed(None, ReceiptId::new(), 7, at(0));
        let (second, is_due) = Head::failed(Some(first), ReceiptId::new(), 8, at(10_000));
        assert!(!is_due);
        let view = second.view(at(10_001));
        assert_eq!((view.fd, view.tries, view.is_stuck), (8, 1, false));
    }
}
