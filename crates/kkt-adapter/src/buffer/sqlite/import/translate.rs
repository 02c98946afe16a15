//! What a row of the old file is here: pure.

use crate::{
    buffer::rules::Document,
    domain::{
        document::{DocumentKind, FiscalDoc},
        ids::{DeviceId, IdempotencyKey, PosId, ReceiptId},
        lifecycle::State,
        money::{self, Kopecks},
        receipt::{BodyHash, Receipt},
        validate::{self, json},
    },
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What every document says that was taken over; part of the answer to a replay.
pub(super) const NOTE: &str = "из прежнего адаптера / taken over from the Python adapter";

/// A receipt as the old file has it.
#[derive(Debug, Clone, Default)]
pub(super) struct Old {
    pub rowid: i64,
    pub table: &'static str,
    pub id: String,
    pub pos_id: String,
    pub created_at: Option<Timestamp>,
    /// `hlc_local_time`, `hlc_logical_counter`.
    pub hlc: Option<(i64, i64)>,
    pub fiscal_doc: String,
    pub status: String,
    pub retry_count: i64,
    pub last_error: Option<String>,
    pub synced_at: Option<Timestamp>,
    pub letter: Option<Letter>,
}

/// A row of `dlq`.
#[derive(Debug, Clone, Default)]
pub(super) struct Letter {
    pub rowid: i64,
    pub receipt_id: String,
    pub pos_id: Option<String>,
    pub at: Option<Timestamp>,
    pub hlc: Option<(i64, i64)>,
    pub reason: Option<String>,
    pub fiscal_doc: Option<String>,
    pub attempts: i64,
    pub last_error: Option<String>,
    pub resolved_at: Option<Timestamp>,
    pub resolved_by: Option<String>,
}

impl Old {
    /// By what a person finds the row.
    pub(super) fn name(&self) -> String {
        let id: String = self.id.chars().filter(|c| !c.is_control()).take(80).collect();
        format!("{}, row {}, id {id}", self.table, self.rowid)
    }
}

/// A document to be stored.
#[derive(Debug)]
pub(super) struct Taken {
    pub document: Document,
    pub body: Option<Vec<u8>>,
    pub wire: Option<Vec<u8>>,
    /// Place in the lane.
    pub place: i64,
    /// What a person should know about it.
    pub problems: Vec<String>,
}

/// Makes a document of a row.
///
/// # Errors
/// Why it cannot be one at all, in words.
pub(super) fn translate(old: &Old, device: &dyn Fn(&PosId) -> DeviceId) -> Result<Taken, String> {
    if old.id.is_empty() || old.id.len() > 1_000 {
        return Err("its id is empty or too long".into());
    }
    let mut problems = Vec::new();
    let id = receipt_id(&old.id, &mut problems);
    let pos_id = pos_id(&old.pos_id, &mut problems);
    let created_at = old.created_at.or(old.hlc.and_then(|(at, _)| Timestamp::from_second(at).ok()));
    let created_at = created_at.unwrap_or_else(|| {
        problems.push("it has no readable time".into());
        Timestamp::UNIX_EPOCH
    });
    let read = json::parse(old.fiscal_doc.as_bytes()).ok();
    let map = read.and_then(|value| if let Value::Object(map) = value { Some(map) } else { None });
    let receipt = map.as_ref().and_then(|map| receipt(map, &pos_id, created_at));
    let fiscal = map.as_ref().and_then(|map| fiscal(map, receipt.as_ref()));
    let wire = map.as_ref().zip(fiscal.as_ref()).map(|(map, fiscal)| wire(id, &pos_id, map, fiscal));
    let fate = fate(old, map.is_some(), fiscal.is_some(), &mut problems);
    let key = map.as_ref().and_then(|map| map.get("idempotency_key")).and_then(Value::as_str);
    let key = key.or(Some(&old.id)).and_then(|key| key.parse().ok());
    let key: IdempotencyKey =
        key.unwrap_or_else(|| id.to_string().parse().expect("a UUID is printable ASCII"));
    let keeps = fate.state != State::Synced;
    let printed_at = fiscal.as_ref().map(|fiscal| fiscal.fiscal_datetime.parse().unwrap_or(created_at));
    let document = Document {
        request_id: None,
        id,
        key,
        kind: DocumentKind::Receipt,
        device: device(&pos_id),
        pos_id,
        state: fate.state,
        hash: receipt.as_ref().map_or_else(|| BodyHash::of(old.fiscal_doc.as_bytes()), Receipt::hash),
        notes: vec![NOTE.into()],
        printed_at,
        fiscal,
        attempts: fate.attempts,
        last_error: fate.last_error,
        confirmation: None,
        created_at,
        ended_at: fate.ended_at.map(|at| at.unwrap_or(created_at)),
        resolved: fate.resolved,
        kept: keeps,
    };
    Ok(Taken {
        body: receipt.filter(|_| keeps).map(|receipt| receipt.canonical()),
        wire: wire.filter(|_| keeps),
        place: place(old.hlc, created_at),
        document,
        problems,
    })
}

struct Fate {
    state: State,
    attempts: u32,
    last_error: Option<String>,
    ended_at: Option<Option<Timestamp>>,
    resolved: Option<(Timestamp, String)>,
}

fn fate(old: &Old, readable: bool, printed: bool, problems: &mut Vec<String>) -> Fate {
    let attempts = u32::try_from(old.retry_count.max(0)).unwrap_or(u32::MAX);
    let dead = |last_error: Option<String>| Fate {
        state: State::Dead,
        attempts,
        last_error,
        ended_at: Some(old.letter.as_ref().and_then(|letter| letter.at)),
        resolved: None,
    };
    let why = match (readable, printed) {
        (true, true) => None,
        (true, false) => Some("the Python adapter recorded no printout of it: look whether it is on paper"),
        (false, _) => Some("its fiscal_doc is not JSON that can be read: look at the row of the old file"),
    };
    match old.status.as_str() {
        "synced" => Fate {
            state: State::Synced,
            attempts,
            last_error: old.last_error.clone(),
            ended_at: Some(old.synced_at),
            resolved: None,
        },
        // Its attempts were charged for outages of the OFD too: here it begins anew.
        "pending" | "syncing" if why.is_none() => Fate {
            state: State::Printed,
            attempts: 0,
            last_error: old.last_error.clone(),
            ended_at: None,
            resolved: None,
        },
        "pending" | "syncing" => {
            let why = why.unwrap_or_default();
            problems.push(format!("{why}; it is a dead letter here and cannot be requeued"));
            dead(Some(why.into()))
        }
        status => {
            if status != "failed" {
                problems.push(format!("its status is {status:?}; it is a dead letter here"));
            }
            let letter = old.letter.as_ref();
            let texts = [
                letter.and_then(|letter| letter.reason.as_deref()),
                letter.and_then(|letter| letter.last_error.as_deref()).or(old.last_error.as_deref()),
                why,
            ];
            let text = texts.into_iter().flatten().collect::<Vec<_>>().join(": ");
            let resolved = letter.and_then(|letter| {
                let who = letter.resolved_by.as_deref().unwrap_or("nobody named");
                Some((letter.resolved_at?, format!("resolved in the Python adapter by {who}")))
            });
            Fate { resolved, ..dead(Some(if text.is_empty() { "failed".into() } else { text })) }
        }
    }
}

/// The row's own id; one that is no UUID, which the old adapter never wrote, gives one that is always the same.
fn receipt_id(text: &str, problems: &mut Vec<String>) -> ReceiptId {
    match Uuid::try_parse(text) {
        Ok(id) => ReceiptId(id),
        Err(_) => {
            let digest = Sha256::digest(text.as_bytes());
            let (first, _) = digest.split_first_chunk::<16>().expect("32 bytes hold 16");
            let id = ReceiptId(uuid::Builder::from_custom_bytes(*first).into_uuid());
            problems.push(format!("its id is no UUID; here, and for the OFD, it is {id}"));
            id
        }
    }
}

fn pos_id(text: &str, problems: &mut Vec<String>) -> PosId {
    if let Ok(pos_id) = text.parse() {
        return pos_id;
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = text.chars().take(64).map(|c| if allowed(c) { c } else { '_' }).collect();
    let name = if name.is_empty() { "unknown".to_owned() } else { name };
    problems.push(format!("its pos_id {text:?} is no name of a till here; it is {name}"));
    name.parse().expect("made of allowed characters")
}

/// Before all that is printed here, whose places are ФД numbers, and among themselves by the old clock.
fn place(hlc: Option<(i64, i64)>, created_at: Timestamp) -> i64 {
    const COUNTER_BITS: u32 = 20;
    let (time, counter) = hlc.unwrap_or((created_at.as_second(), 0));
    let time = time.clamp(0, (1 << 42) - 1);
    (time << COUNTER_BITS) + counter.clamp(0, (1 << COUNTER_BITS) - 1) - (1 << 62)
}

/// What was sold, by the rules of the API, so that a replay of the key is known as one.
fn receipt(map: &Map<String, Value>, pos_id: &PosId, at: Timestamp) -> Option<Receipt> {
    let mut body = map.clone();
    body.insert("pos_id".into(), pos_id.as_str().into());
    let day = TimeZone::UTC.to_datetime(at).date();
    validate::receipt(Value::Object(body), day).ok().map(|valid| valid.receipt)
}

fn fiscal(map: &Map<String, Value>, receipt: Option<&Receipt>) -> Option<FiscalDoc> {
    let text = |name: &str| match map.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let number = |name: &str| text(name).parse::<u32>().ok();
    let total = exact(&text("total")).or_else(|| receipt.map(Receipt::total));
    Some(FiscalDoc {
        fiscal_doc_number: number("fiscal_doc_number")?,
        fiscal_sign: text("fiscal_sign"),
        fiscal_datetime: text("fiscal_datetime"),
        fn_number: text("fn_number"),
        kkt_number: text("kkt_number"),
        qr_code_data: text("qr_code_data"),
        shift_number: number("shift_number").unwrap_or_default(),
        receipt_number: number("receipt_number").unwrap_or_default(),
        ofd_name: text("ofd_name"),
        inn: text("inn"),
        rn_kkt: text("rn_kkt"),
        total: total.unwrap_or_default(),
    })
}

fn exact(text: &str) -> Option<Kopecks> {
    money::parse_scaled(text, 2).ok().map(Kopecks)
}

/// The document as the old adapter wrote it, with what names it here. Its total went through floats: one that is no
/// amount of money any more is written as the sum of its items.
fn wire(id: ReceiptId, pos_id: &PosId, map: &Map<String, Value>, fiscal: &FiscalDoc) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("receipt_id".into(), id.to_string().into());
    body.insert("document".into(), DocumentKind::Receipt.as_str().into());
    body.insert("pos_id".into(), pos_id.as_str().into());
    for (name, value) in map {
        if !body.contains_key(name) {
            body.insert(name.clone(), value.clone());
        }
    }
    if body.get("total").is_some_and(|total| exact(&total.to_string()).is_none()) {
        let total = serde_json::to_value(fiscal.total).expect("an amount is a number");
        body.insert("total".into(), total);
    }
    serde_json::to_vec(&body).expect("a document has only string keys and exact numbers")
}
