//! Documents as the API shows them.

use crate::{
    domain::{
        document::{Confirmation, DocumentKind, FiscalDoc},
        entry::Entry,
        ids::ReceiptId,
        money::Kopecks,
        receipt::Receipt,
    },
    ports::{Sale, SaleStatus},
};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
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

/// The answer to a receipt or a shift command.
#[derive(Serialize)]
pub struct SaleView<'a> {
    status: &'static str,
    receipt_id: ReceiptId,
    fiscal_doc: Option<&'a FiscalDoc>,
    fiscal: bool,
    message: &'a str,
}

impl<'a> SaleView<'a> {
    /// Shows a sale.
    pub fn of(sale: &'a Sale, fiscal: bool) -> Self {
        let status = match sale.status {
            SaleStatus::Printed => "printed",
            SaleStatus::Buffered => "buffered",
        };
        Self { status, receipt_id: sale.id, fiscal_doc: sale.fiscal.as_ref(), fiscal, message: &sale.message }
    }
}

#[derive(Serialize)]
struct Resolved<'a> {
    at: String,
    note: &'a str,
}

/// A document of the buffer.
#[derive(Serialize)]
pub struct EntryView<'a> {
    receipt_id: ReceiptId,
    idempotency_key: &'a str,
    document: DocumentKind,
    pos_id: &'a str,
    device: &'a str,
    state: &'static str,
    #[serde(rename = "type")]
    kind: Option<&'static str>,
    total: Option<Kopecks>,
    attempts: u32,
    created_at: String,
    printed_at: Option<String>,
    synced_at: Option<String>,
    last_error: Option<&'a str>,
    message: String,
    fiscal: bool,
    fiscal_doc: Option<&'a FiscalDoc>,
    ofd_confirmation: Option<&'a Confirmation>,
    resolved: Option<Resolved<'a>>,
    /// Only where one document is asked for; `null` once retention has removed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Option<&'a Receipt>>,
}

impl<'a> EntryView<'a> {
    /// Shows a document of a list.
    pub fn of(entry: &'a Entry, fiscal: bool) -> Self {
        Self {
            receipt_id: entry.id,
            idempotency_key: entry.key.as_str(),
            document: entry.kind,
            pos_id: entry.pos_id.as_str(),
            device: entry.device.as_str(),
            state: entry.state.as_str(),
            kind: entry.receipt.as_ref().map(|receipt| receipt.kind.as_str()),
            total: entry.receipt.as_ref().map(Receipt::total).or(entry.fiscal.as_ref().map(|doc| doc.total)),
            attempts: entry.attempts,
            created_at: entry.created_at.to_string(),
            printed_at: entry.printed_at.map(|at| at.to_string()),
            synced_at: entry.synced_at.map(|at| at.to_string()),
            last_error: entry.last_error.as_deref(),
            message: entry.notes.join(" "),
            fiscal,
            fiscal_doc: entry.fiscal.as_ref(),
            ofd_confirmation: entry.confirmation.as_ref(),
            resolved: entry.resolved.as_ref().map(|(at, note)| Resolved { at: at.to_string(), note }),
            receipt: None,
        }
    }

    /// Shows one document with all that was sold.
    pub fn whole(entry: &'a Entry, fiscal: bool) -> Self {
        Self { receipt: Some(entry.receipt.as_ref()), ..Self::of(entry, fiscal) }
    }
}

/// A page of a list under `name`.
pub fn page(name: &'static str, page: &crate::ports::ListPage, fiscal: bool) -> serde_json::Value {
    let entries: Vec<serde_json::Value> =
        page.entries.iter().map(|entry| serde_json::json!(EntryView::of(entry, fiscal))).collect();
    serde_json::json!({ name: entries, "next_cursor": page.next.map(|id| id.to_string()) })
}
