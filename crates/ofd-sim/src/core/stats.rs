//! Counters, and who broke the protocol.

use super::Now;
use super::action::rfc3339;
use super::call::{Invalid, Submission};
use super::ledger::Ledger;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// `GET /sim/stats`. Counters run from the start of the process or the last reset; `documents`, `counted`,
/// `out_of_order` and the violations seen in the ledger survive with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Receipts that came, whatever was answered.
    pub calls: u64,
    /// Pings that came.
    pub pings: u64,
    /// Receipts and pings that have arrived in full and are not answered yet. A caller that gives up is counted until
    /// the end of its connection is noticed.
    pub in_flight: u64,
    /// The highest `in_flight` ever was.
    pub most_in_flight: u64,
    /// How many of each: accepted, duplicate, conflict, rejected, invalid, unauthorised, failed, too_many_requests,
    /// ledger_full, garbage, hang, reset, cut, endless, pong.
    pub by_answer: BTreeMap<String, u64>,
    /// Keys in the ledger.
    pub documents: u64,
    /// Documents counted.
    pub counted: u64,
    /// First acceptances whose ФД was below one already accepted of the same ФН. Not a violation: dead and requeued
    /// documents may come late.
    pub out_of_order: u64,
    /// Violations of the protocol, all of them.
    pub violations: u64,
    /// Violations by kind.
    pub violations_by_kind: BTreeMap<String, u64>,
    /// The latest violations, at most 100, oldest first.
    pub latest_violations: VecDeque<Violation>,
}

impl Stats {
    /// How often this answer was given.
    #[must_use]
    pub fn answered(&self, answer: &str) -> u64 {
        self.by_answer.get(answer).copied().unwrap_or(0)
    }

    /// How often this violation happened.
    #[must_use]
    pub fn violations_of(&self, kind: ViolationKind) -> u64 {
        self.violations_by_kind.get(kind.name()).copied().unwrap_or(0)
    }
}

/// Ways to break the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ViolationKind {
    /// The same key with other bytes.
    KeyConflict,
    /// The same ФН and ФД under two keys.
    DocumentUnderTwoKeys,
    /// `receipt_id` in the body is not the key.
    KeyMismatch,
    /// A document that cannot be read.
    InvalidDocument,
}

impl ViolationKind {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyConflict => "key_conflict",
            Self::DocumentUnderTwoKeys => "document_under_two_keys",
            Self::KeyMismatch => "key_mismatch",
            Self::InvalidDocument => "invalid_document",
        }
    }
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which kind.
    pub kind: ViolationKind,
    /// Idempotency key, if there was one.
    pub key: Option<String>,
    /// Serial of the ФН (`fn` in JSON), if known.
    #[serde(rename = "fn")]
    pub fn_number: Option<String>,
    /// ФД number, if known.
    pub fd: Option<u32>,
    /// What happened.
    pub detail: String,
    /// When, RFC 3339.
    pub at: String,
}

const LATEST_MAX: usize = 100;

/// The counters that the ledger does not keep.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) stats: Stats,
}

impl Tally {
    pub(super) fn answered(&mut self, label: &str) {
        *self.stats.by_answer.entry(label.to_owned()).or_default() += 1;
    }

    pub(super) fn violation(&mut self, kind: ViolationKind, document: &Submission, detail: String, now: Now) {
        self.push(Violation {
            kind,
            key: Some(document.key.clone()),
            fn_number: Some(document.fn_number.clone()),
            fd: Some(document.fd),
            detail,
            at: rfc3339(now.unix_ms),
        });
    }

    pub(super) fn invalid(&mut self, invalid: &Invalid, now: Now) {
        self.push(Violation {
            kind: ViolationKind::InvalidDocument,
            key: invalid.key.clone(),
            fn_number: None,
            fd: None,
            detail: format!("{} {}", invalid.loc.join("."), invalid.msg),
            at: rfc3339(now.unix_ms),
        });
    }

    pub(super) fn snapshot(&self, ledger: &Ledger) -> Stats {
        Stats {
            documents: ledger.len() as u64,
            counted: ledger.counted(),
            out_of_order: ledger.out_of_order(),
            ..self.stats.clone()
        }
    }

    fn push(&mut self, violation: Violation) {
        self.stats.violations += 1;
        *self.stats.violations_by_kind.entry(violation.kind.name().to_owned()).or_default() += 1;
        if self.stats.latest_violations.len() == LATEST_MAX {
            self.stats.latest_violations.pop_front();
        }
        self.stats.latest_violations.push_back(violation);
    }
}
