//! What came and what was counted.
//!
//! # Invariants
//! 1. An entry is made when a key first comes and is never removed but by a reset; its place is `seq - 1`.
//! 2. `first_seq` is given at the first acceptance, from 1, without gaps, and never changes.
//! 3. With dedup on `counted <= 1`.
//!
//! A million documents of one-UUID keys take about 150 MB: names are stored once, keys as 16 bytes, and the index maps a
//! key's 64-bit hash to the first entry that has it (the rare others hang on `next`).

use super::Now;
use super::call::Submission;
use super::key::Key;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// One line of `GET /sim/ledger`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Idempotency key.
    pub key: String,
    /// Till.
    pub pos_id: String,
    /// Serial of the ФН (`fn` in JSON).
    #[serde(rename = "fn")]
    pub fn_number: String,
    /// ФД number.
    pub fd: u32,
    /// How often it came.
    pub received: u32,
    /// How often it was counted: 0 or 1 while dedup is on.
    pub counted: u32,
    /// Its place in the global order of first acceptance, from 1; 0: never accepted.
    pub first_seq: u64,
    /// Its place in the order in which keys first came, from 1: the cursor for `after`.
    pub seq: u64,
    /// Kind of document.
    pub document: String,
    /// Total in kopecks, if the document has one.
    pub total_kopecks: Option<i64>,
    /// First 64 bits of the SHA-256 of the bytes that came first, in hex.
    pub hash: String,
}

/// What a call did to the ledger, for the journal: replayed in order, sightings rebuild it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipt_id: Option<String>,
    pos_id: String,
    #[serde(rename = "fn")]
    fn_number: String,
    fd: u32,
    document: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
    hash: u64,
    /// Whether it was accepted (now or, as a duplicate, before).
    pub(super) stored: bool,
    pub(super) dedup: bool,
    pub(super) at: i64,
}

impl Sighting {
    pub(super) fn new(document: &Submission, stored: bool, dedup: bool, now: Now) -> Self {
        let Submission { key, receipt_id, pos_id, fn_number, fd, document, total, hash } = document.clone();
        let receipt_id = receipt_id.filter(|id| *id != key);
        Self { key, receipt_id, pos_id, fn_number, fd, document, total, hash, stored, dedup, at: now.unix_ms }
    }

    pub(super) fn submission(&self) -> Submission {
        let Self { key, receipt_id, pos_id, fn_number, fd, document, total, hash, .. } = self.clone();
        Submission { key, receipt_id, pos_id, fn_number, fd, document, total, hash }
    }
}

#[derive(Debug)]
struct Entry {
    key: Key,
    pos_id: u32,
    fn_number: u32,
    fd: u32,
    document: u32,
    received: u32,
    counted: u32,
    first_seq: u32,
    /// The next entry whose key has the same hash, or `NONE`.
    next: u32,
    /// Kopecks; `i64::MIN`: none.
    total: i64,
    hash: u64,
    accepted_at: i64,
}

const NONE: u32 = u32::MAX;

/// An arrival as the ledger saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) index: u32,
    pub(super) attempt: u64,
    pub(super) other_bytes: bool,
    /// For a new key: the entry that has the same ФН and ФД.
    pub(super) same_document_as: Option<u32>,
}

/// An acceptance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    pub(super) first_seq: u64,
    pub(super) at: i64,
    pub(super) replayed: bool,
}

/// Everything that came since the start or the last reset.
#[derive(Debug)]
pub struct Ledger {
    entries: Vec<Entry>,
    by_key: HashMap<u64, u32>,
    by_document: HashMap<(u32, u32), u32>,
    names: Names,
    hasher: RandomState,
    limit: usize,
    accepted: u32,
    counted: u64,
    out_of_order: u64,
    /// Highest ФД accepted, by ФН.
    highest: HashMap<u32, u32>,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            entries: Vec::new(),
            by_key: HashMap::new(),
            by_document: HashMap::new(),
            names: Names::default(),
            hasher: RandomState::new(),
            limit: limit.min(NONE as usize - 1),
            accepted: 0,
            counted: 0,
            out_of_order: 0,
            highest: HashMap::new(),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Number of keys that came.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of documents counted; above the number of keys only with dedup off.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.counted
    }

    /// First acceptances whose ФД was below one already accepted of the same ФН.
    #[must_use]
    pub fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// Up to `limit` documents behind the cursor (`seq` of the last one had; 0: from the start).
    #[must_use]
    pub fn page(&self, after: u64, limit: usize) -> Vec<Document> {
        let start = usize::try_from(after).unwrap_or(usize::MAX).min(self.entries.len());
        let end = start.saturating_add(limit).min(self.entries.len());
        (start..end).map(|i| self.document(i)).collect()
    }

    /// The document of this key, if it came.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<Document> {
        self.index_of(&Key::new(key)).map(|i| self.document(i as usize))
    }

    pub(super) fn key(&self, index: u32) -> String {
        self.entries[index as usize].key.to_string()
    }

    /// Notes an arrival. `None`: a new key, and the ledger is full.
    pub(super) fn see(&mut self, document: &Submission) -> Option<Seen> {
        let key = Key::new(&document.key);
        if let Some(index) = self.index_of(&key) {
            let entry = &mut self.entries[index as usize];
            entry.received = entry.received.saturating_add(1);
            let other_bytes = entry.hash != document.hash;
            let attempt = u64::from(entry.received);
            return Some(Seen { index, attempt, other_bytes, same_document_as: None });
        }
        if self.entries.len() >= self.limit {
            return None;
        }
        let index = u32::try_from(self.entries.len()).expect("the limit is below u32::MAX");
        let fn_number = self.names.id(&document.fn_number);
        let next = self.by_key.insert(self.hash_of(&key), index).unwrap_or(NONE);
        let same_document_as = self.by_document.get(&(fn_number, document.fd)).copied();
        self.by_document.entry((fn_number, document.fd)).or_insert(index);
        self.entries.push(Entry {
            key,
            pos_id: self.names.id(&document.pos_id),
            fn_number,
            fd: document.fd,
            document: self.names.id(&document.document),
            received: 1,
            counted: 0,
            first_seq: 0,
            next,
            total: document.total.unwrap_or(i64::MIN),
            hash: document.hash,
            accepted_at: 0,
        });
        Some(Seen { index, attempt: 1, other_bytes: false, same_document_as })
    }

    /// Counts an arrival; with dedup a key that was counted before is only found again.
    pub(super) fn accept(&mut self, index: u32, at: i64, dedup: bool) -> Accepted {
        let entry = &mut self.entries[index as usize];
        let replayed = entry.counted > 0 && dedup;
        if !replayed {
            entry.counted = entry.counted.saturating_add(1);
            self.counted += 1;
        }
        if entry.first_seq == 0 {
            self.accepted += 1;
            entry.first_seq = self.accepted;
            entry.accepted_at = at;
            let highest = self.highest.entry(entry.fn_number).or_insert(entry.fd);
            self.out_of_order += u64::from(entry.fd < *highest);
            *highest = entry.fd.max(*highest);
        }
        Accepted { first_seq: u64::from(entry.first_seq), at: entry.accepted_at, replayed }
    }

    fn hash_of(&self, key: &Key) -> u64 {
        match key {
            Key::Uuid(bytes) => self.hasher.hash_one(bytes),
            Key::Text(text) => self.hasher.hash_one(text),
        }
    }

    fn index_of(&self, key: &Key) -> Option<u32> {
        let mut index = *self.by_key.get(&self.hash_of(key))?;
        while index != NONE {
            let entry = &self.entries[index as usize];
            if entry.key == *key {
                return Some(index);
            }
            index = entry.next;
        }
        None
    }

    fn document(&self, index: usize) -> Document {
        let e = &self.entries[index];
        Document {
            key: e.key.to_string(),
            pos_id: self.names.get(e.pos_id),
            fn_number: self.names.get(e.fn_number),
            fd: e.fd,
            received: e.received,
            counted: e.counted,
            first_seq: u64::from(e.first_seq),
            seq: index as u64 + 1,
            document: self.names.get(e.document),
            total_kopecks: (e.total != i64::MIN).then_some(e.total),
            hash: format!("{:016x}", e.hash),
        }
    }
}

/// Names that repeat a million times, each stored once.
#[derive(Debug, Default)]
struct Names {
    ids: HashMap<std::sync::Arc<str>, u32>,
    names: Vec<std::sync::Arc<str>>,
}

impl Names {
    fn id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = u32::try_from(self.names.len()).expect("at most three names an entry");
        let name: std::sync::Arc<str> = name.into();
        self.names.push(name.clone());
        self.ids.insert(name, id);
        id
    }

    fn get(&self, id: u32) -> String {
        self.names[id as usize].to_string()
    }
}
