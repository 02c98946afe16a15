//! Documents as the API shows them.

use crate::{
    domain::{
        bilingual::together,
        document::{Confirmation, DocumentKind, FiscalDoc},
        entry::Entry,
        ids::{DeviceId, IdempotencyKey, PosId, ReceiptId, RequestId},
        lifecycle::State,
        money::Kopecks,
        receipt::{Receipt, ReceiptKind},
        validate::schema,
    },
    ports::{ListPage, Sale, SaleStatus},
};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use jiff::Timestamp;
use schemars::{JsonSchema, json_schema};
use serde::Serialize;

/// An answer with a JSON body.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // An answer to a receipt fits: growing step by step would cost as much as writing it.
    let mut bytes = Vec::with_capacity(1_024);
    serde_json::to_writer(&mut bytes, body).expect("an answer has only string keys and finite numbers");
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A wall time, RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct Time(pub Timestamp);

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// The answer to a receipt or a shift command.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sale")]
pub struct SaleView<'a> {
    /// `printed`: on paper and signed. `buffered`: safe, but not printed yet; the adapter goes on trying.
    status: SaleWord,
    /// The adapter's own key of the document.
    receipt_id: ReceiptId,
    /// Present exactly if printed.
    fiscal_doc: Option<&'a FiscalDoc>,
    /// Whether the document has legal force: `false` while the KKT or the OFD is emulated.
    fiscal: bool,
    /// What people should know: a rate not in force, a name that was cut, why it was not printed. May be empty.
    message: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum SaleWord {
    Printed,
    Buffered,
}

impl<'a> SaleView<'a> {
    /// Shows a sale.
    pub fn of(sale: &'a Sale, fiscal: bool) -> Self {
        let status = match sale.status {
            SaleStatus::Printed => SaleWord::Printed,
            SaleStatus::Buffered => SaleWord::Buffered,
        };
        Self { status, receipt_id: sale.id, fiscal_doc: sale.fiscal.as_ref(), fiscal, message: &sale.message }
    }
}

/// That a person closed it.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Resolved<'a> {
    at: Time,
    note: &'a str,
}

/// A document of the buffer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Document")]
pub struct EntryView<'a> {
    /// The adapter's own key of the document; also its idempotency key at the OFD.
    receipt_id: ReceiptId,
    /// The till's key; for shift documents the receipt_id.
    idempotency_key: &'a IdempotencyKey,
    document: DocumentKind,
    pos_id: &'a PosId,
    /// The KKT it belongs to.
    device: &'a DeviceId,
    state: State,
    /// `null` for shift documents, and once retention has removed the body.
    #[serde(rename = "type")]
    kind: Option<ReceiptKind>,
    #[schemars(schema_with = "schema::money_or_none")]
    total: Option<Kopecks>,
    /// Failed attempts at the OFD that were the document's own.
    attempts: u32,
    created_at: Time,
    printed_at: Option<Time>,
    synced_at: Option<Time>,
    /// The last thing that went wrong with it.
    last_error: Option<&'a str>,
    message: String,
    /// The `X-Request-Id` of the request that brought it.
    request_id: Option<&'a str>,
    fiscal: bool,
    fiscal_doc: Option<&'a FiscalDoc>,
    /// What the OFD answered on accepting it.
    ofd_confirmation: Option<&'a Confirmation>,
    /// Set once a person has closed it as a dead letter.
    resolved: Option<Resolved<'a>>,
    /// What was sold. Only where one document is asked for; `null` once retention has removed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Option<&'a Receipt>>,
}

impl<'a> EntryView<'a> {
    /// Shows a document of a list.
    pub fn of(entry: &'a Entry, fiscal: bool) -> Self {
        Self {
            receipt_id: entry.id,
            idempotency_key: &entry.key,
            document: entry.kind,
            pos_id: &entry.pos_id,
            device: &entry.device,
            state: entry.state,
            kind: entry.receipt.as_ref().map(|receipt| receipt.kind),
            total: entry.receipt.as_ref().map(Receipt::total).or(entry.fiscal.as_ref().map(|doc| doc.total)),
            attempts: entry.attempts,
            created_at: Time(entry.created_at),
            printed_at: entry.printed_at.map(Time),
            synced_at: entry.synced_at.map(Time),
            last_error: entry.last_error.as_deref(),
            message: together(entry.notes.iter().map(String::as_str)),
            request_id: entry.request_id.as_ref().map(RequestId::as_str),
            fiscal,
            fiscal_doc: entry.fiscal.as_ref(),
            ofd_confirmation: entry.confirmation.as_ref(),
            resolved: entry.resolved.as_ref().map(|(at, note)| Resolved { at: Time(*at), note }),
            receipt: None,
        }
    }

    /// Shows one document with all that was sold.
    pub fn whole(entry: &'a Entry, fiscal: bool) -> Self {
        Self { receipt: Some(entry.receipt.as_ref()), ..Self::of(entry, fiscal) }
    }
}

/// A page of documents, newest first.
#[derive(Serialize, JsonSchema)]
pub struct Receipts<'a> {
    receipts: Vec<EntryView<'a>>,
    /// The `cursor` of the next page; `null`: this is the last one.
    next_cursor: Option<ReceiptId>,
}

impl<'a> Receipts<'a> {
    /// Shows a page.
    pub fn of(page: &'a ListPage, fiscal: bool) -> Self {
        let receipts = page.entries.iter().map(|entry| EntryView::of(entry, fiscal)).collect();
        Self { receipts, next_cursor: page.next }
    }
}

/// A page of dead letters, newest first.
#[derive(Serialize, JsonSchema)]
pub struct DeadLetters<'a> {
    dead_letters: Vec<EntryView<'a>>,
    /// The `cursor` of the next page; `null`: this is the last one.
    next_cursor: Option<ReceiptId>,
    /// Dead letters in all that nobody has closed.
    dlq_size: u64,
}

impl<'a> DeadLetters<'a> {
    /// Shows a page.
    pub fn of(page: &'a ListPage, dlq_size: u64, fiscal: bool) -> Self {
        let Receipts { receipts, next_cursor } = Receipts::of(page, fiscal);
        Self { dead_letters: receipts, next_cursor, dlq_size }
    }
}
