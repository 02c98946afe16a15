//! A call as the core sees it: read from the request, without I/O.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A call that has arrived in full.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// `GET /ofd/v1/health`.
    Ping {
        /// Whether its token is known (or none is needed).
        authorised: bool,
    },
    /// `POST /ofd/v1/receipt`.
    Receipt {
        /// Whether its token is known (or none is needed).
        authorised: bool,
        /// The document, or why it cannot be read.
        document: Result<Submission, Invalid>,
    },
}

impl Call {
    /// Reads a receipt from its `Idempotency-Key` and its body.
    #[must_use]
    pub fn receipt(authorised: bool, key: Option<&str>, body: &[u8]) -> Self {
        Self::Receipt { authorised, document: Submission::read(key, body) }
    }
}

/// A fiscal document as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Idempotency key: 1–128 printable ASCII characters.
    pub key: String,
    /// `receipt_id` of the body, which is to be the key.
    pub receipt_id: Option<String>,
    /// Till.
    pub pos_id: String,
    /// Serial of the ФН.
    pub fn_number: String,
    /// Number of the fiscal document (ФД).
    pub fd: u32,
    /// Kind of document; `receipt` when the body does not say.
    pub document: String,
    /// Total in kopecks, if the body has one with at most two decimals.
    pub total: Option<i64>,
    /// First 64 bits of the body's SHA-256.
    pub hash: u64,
}

/// A document that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Path of the field.
    pub loc: Vec<&'static str>,
    /// What is wrong and what is expected.
    pub msg: &'static str,
    /// The key, if there was a usable one.
    pub key: Option<String>,
}

/// Longest name kept (pos_id, ФН, kind of document), in bytes.
const NAME_MAX: usize = 64;

impl Submission {
    /// Reads a document. Identity (`fn_number`, `fiscal_doc_number`) may stand in the body or in its `fiscal_doc`.
    ///
    /// # Errors
    /// Names the field that is missing or not what it should be.
    pub fn read(key: Option<&str>, body: &[u8]) -> Result<Self, Invalid> {
        let invalid = |loc: &[&'static str], msg| Invalid {
            loc: loc.to_vec(),
            msg,
            key: key.filter(|k| is_key(k)).map(str::to_owned),
        };
        let Some(key) = key.filter(|k| is_key(k)) else {
            let msg = "is required: 1 to 128 printable ASCII characters";
            return Err(invalid(&["header", "Idempotency-Key"], msg));
        };
        let Ok(Value::Object(body_map)) = serde_json::from_slice(body) else {
            return Err(invalid(&["body"], "must be a JSON object"));
        };
        let fiscal = body_map.get("fiscal_doc").and_then(Value::as_object);
        let find = |name: &str| body_map.get(name).or_else(|| fiscal?.get(name)).filter(|v| !v.is_null());
        let name = |name: &'static str| {
            find(name)
                .and_then(text)
                .filter(|s| (1..=NAME_MAX).contains(&s.len()))
                .ok_or_else(|| invalid(&["body", name], "is required: a string of 1 to 64 bytes"))
        };
        let fd = find("fiscal_doc_number").and_then(text).and_then(|s| s.parse().ok());
        Ok(Self {
            key: key.to_owned(),
            receipt_id: body_map.get("receipt_id").and_then(text),
            pos_id: name("pos_id")?,
            fn_number: name("fn_number")?,
            fd: fd.ok_or_else(|| {
                invalid(&["body", "fiscal_doc_number"], "is required: a whole number from 0 to 4294967295")
            })?,
            document: document_kind(&body_map)
                .ok_or_else(|| invalid(&["body", "document"], "must be a string of 1 to 64 bytes"))?,
            total: find("total").and_then(text).and_then(|s| kopecks(&s)),
            hash: hash(body),
        })
    }
}

fn is_key(key: &str) -> bool {
    (1..=128).contains(&key.len()) && key.bytes().all(|b| (0x20..0x7f).contains(&b))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

fn document_kind(body: &Map<String, Value>) -> Option<String> {
    match body.get("document") {
        None | Some(Value::Null) => Some("receipt".into()),
        Some(Value::String(s)) if (1..=NAME_MAX).contains(&s.len()) => Some(s.clone()),
        Some(_) => None,
    }
}

fn hash(body: &[u8]) -> u64 {
    let digest = Sha256::digest(body);
    u64::from_be_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes"))
}

/// Exact kopecks of a decimal with at most two decimals.
fn kopecks(text: &str) -> Option<i64> {
    let (whole, cents) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(cents) || cents.len() > 2 {
        return None;
    }
    format!("{whole}{cents:0<2}").parse().ok()
}
