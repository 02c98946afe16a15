//! Compares what the tills were told, what the buffer holds, what came out on paper and what the OFD counted.

use ofd_sim::Document;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

/// What a 2xx answer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub printed: bool,
    pub receipt_id: String,
    /// ФН and ФД number.
    pub document: Option<(String, u32)>,
}

/// One sale as its till knows it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub key: String,
    pub pos: String,
    pub kopecks: u64,
    pub answers: Vec<Answer>,
    /// The till will not ask again, whatever came.
    pub forgotten: bool,
}

/// A line of `buffer export`.
#[derive(Debug, Clone)]
pub struct Row {
    pub receipt_id: String,
    pub key: String,
    pub state: String,
    pub document: Option<(String, u32)>,
}

impl Row {
    pub fn read(line: &Value) -> Self {
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        let fiscal = &line["fiscal_doc"];
        let document = fiscal["fn_number"].as_str().map(|fn_number| {
            (fn_number.to_owned(), u32::try_from(fiscal["fiscal_doc_number"].as_u64().unwrap()).unwrap())
        });
        Self { receipt_id: text("receipt_id"), key: text("key"), state: text("state"), document }
    }
}

/// Everything that is known once the adapter has drained and stopped.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub asked: Vec<Asked>,
    pub rows: Vec<Row>,
    pub ledger: Vec<Document>,
    /// Of the protocol, as the OFD saw them.
    pub violations: Vec<String>,
    /// What each device printed: key and ФД number, in order.
    pub paper: BTreeMap<String, Vec<(String, u32)>>,
    /// Damaged documents and faults of the file.
    pub damage: u64,
    /// Documents of which no order is promised: dead letters, sent back or not.
    pub unordered: BTreeSet<String>,
    /// Documents that the OFD refused for good, or failed while it took others: only these may be dead.
    pub refused: BTreeSet<String>,
    /// Documents that a person cancelled before they were printed: only these may be cancelled once acknowledged.
    pub cancelled: BTreeSet<String>,
}

/// What is wrong, each kind by itself; all empty is right.
#[derive(Debug, Default)]
pub struct Verdict {
    /// P1, P2: acknowledged or printed, and not where it must be.
    pub lost: Vec<String>,
    /// P3, P4: two documents of one sale, or one counted twice.
    pub doubled: Vec<String>,
    /// P5: documents of a ФН not in ФД order.
    pub disordered: Vec<String>,
    /// P4: another answer for the same key, or another document than was sold.
    pub changed: Vec<String>,
    /// P2: acknowledged and still on its way after the drain.
    pub stuck: Vec<String>,
    /// P8, and the rules of the OFD's protocol.
    pub damaged: Vec<String>,
}

impl Verdict {
    pub fn is_clean(&self) -> bool {
        self.all().iter().all(|(_, found)| found.is_empty())
    }

    pub fn all(&self) -> [(&'static str, &Vec<String>); 6] {
        [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("out of order", &self.disordered),
            ("changed", &self.changed),
            ("stuck", &self.stuck),
            ("damaged", &self.damaged),
        ]
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, found) in self.all() {
            writeln!(f, "{name}: {}", found.len())?;
            for line in found.iter().take(10) {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

/// Compares.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::default();
    sales(evidence, &mut verdict);
    rows(evidence, &mut verdict);
    paper(evidence, &mut verdict);
    ledger(evidence, &mut verdict);
    if evidence.damage > 0 {
        verdict.damaged.push(format!("{} damaged documents or faults of the file", evidence.damage));
    }
    verdict.damaged.extend(evidence.violations.iter().cloned());
    verdict
}

/// Each acknowledged sale against its row and the ledger.
fn sales(evidence: &Evidence, verdict: &mut Verdict) {
    let by_key: HashMap<&str, &Row> = evidence.rows.iter().map(|row| (row.key.as_str(), row)).collect();
    let counted: HashMap<&str, &Document> =
        evidence.ledger.iter().map(|document| (document.key.as_str(), document)).collect();
    for asked in evidence.asked.iter().filter(|asked| !asked.answers.is_empty()) {
        let Some(row) = by_key.get(asked.key.as_str()) else {
            verdict.lost.push(format!("acknowledged, not in the buffer: {asked:?}"));
            continue;
        };
        for answer in &asked.answers {
            if answer.receipt_id != row.receipt_id || (answer.printed && answer.document != row.document) {
                verdict.changed.push(format!("answered {answer:?}, stored {row:?}"));
            }
        }
        match row.state.as_str() {
            "synced" => match counted.get(row.receipt_id.as_str()) {
                Some(document) if document.counted >= 1 => {
                    if document.total_kopecks != i64::try_from(asked.kopecks).ok() {
                        verdict.changed.push(format!("sold for {} kopecks: {document:?}", asked.kopecks));
                    }
                }
                other => verdict.lost.push(format!("synced, says {row:?}; the OFD has {other:?}")),
            },
            "dead" => {}
            "cancelled" if evidence.cancelled.contains(&row.receipt_id) => {}
            "cancelled" => verdict.lost.push(format!("acknowledged, and no person cancelled it: {row:?}")),
            _ => verdict.stuck.push(format!("acknowledged: {row:?}")),
        }
    }
}

/// The rows by themselves.
fn rows(evidence: &Evidence, verdict: &mut Verdict) {
    let (mut keys, mut documents) = (BTreeSet::new(), BTreeSet::new());
    for row in &evidence.rows {
        if !keys.insert(&row.key) {
            verdict.doubled.push(format!("a second row of one key: {row:?}"));
        }
        if row.document.as_ref().is_some_and(|document| !documents.insert(document)) {
            verdict.doubled.push(format!("a second row of one ФД number: {row:?}"));
        }
        if row.state == "dead" && !evidence.refused.contains(&row.receipt_id) {
            verdict.lost.push(format!("dead, and the OFD never refused it: {row:?}"));
        }
        // `accepted`: never answered, never asked for again; it waits for the till for a day. `cancelled`: an opening or
        // closing of a shift that a crash cut before it was printed; `sales` sees to the acknowledged ones.
        if !matches!(row.state.as_str(), "synced" | "dead" | "accepted" | "cancelled") {
            verdict.stuck.push(format!("{row:?}"));
        }
    }
}

/// The paper against the rows and the ledger.
fn paper(evidence: &Evidence, verdict: &mut Verdict) {
    let rows: HashMap<&str, &Row> = evidence.rows.iter().map(|row| (row.receipt_id.as_str(), row)).collect();
    let counted: BTreeSet<&str> = evidence
        .ledger
        .iter()
        .filter(|document| document.counted > 0)
        .map(|document| document.key.as_str())
        .collect();
    for (device, printed) in &evidence.paper {
        let mut keys = BTreeSet::new();
        for (index, (key, fd)) in printed.iter().enumerate() {
            if !keys.insert(key) {
                verdict.doubled.push(format!("{device} printed {key} twice, last as {fd}"));
            }
            if *fd as usize != index + 1 {
                verdict.disordered.push(format!("{device} printed {fd} as its {}th document", index + 1));
            }
            match rows.get(key.as_str()) {
                None => {
                    verdict.lost.push(format!("{device} printed {key} as {fd}, the buffer does not know it"))
                }
                Some(row) if row.state == "dead" || counted.contains(key.as_str()) => {
                    if row.document.as_ref().is_none_or(|(_, stored)| stored != fd) {
                        verdict.changed.push(format!("{device} printed {key} as {fd}, stored {row:?}"));
                    }
                }
                Some(row) => {
                    verdict.lost.push(format!("{device} printed {fd}, the OFD never had it: {row:?}"))
                }
            }
        }
    }
}

/// The OFD's ledger by itself.
fn ledger(evidence: &Evidence, verdict: &mut Verdict) {
    let mut by_fn: BTreeMap<&str, Vec<&Document>> = BTreeMap::new();
    for document in &evidence.ledger {
        if document.counted > 1 {
            verdict.doubled.push(format!("counted {} times: {document:?}", document.counted));
        }
        if document.counted > 0 {
            by_fn.entry(&document.fn_number).or_default().push(document);
        }
    }
    for documents in by_fn.values_mut() {
        documents.sort_by_key(|document| document.first_seq);
        documents.retain(|document| !evidence.unordered.contains(&document.key));
        for pair in documents.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            if before.fd == after.fd {
                verdict.doubled.push(format!("one ФД number under two keys: {before:?}, {after:?}"));
            } else if before.fd > after.fd {
                verdict.disordered.push(format!("{before:?} came before {after:?}"));
            }
        }
    }
}
