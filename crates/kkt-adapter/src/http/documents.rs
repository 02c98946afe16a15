//! Documents looked up, listed and cancelled.

use super::{
    auth::Bearer,
    body,
    error::ApiError,
    gate::{access, detached},
    query::{self, Pairs},
    router::{App, Shared},
    view::{EntryView, Receipts, json},
};
use crate::{
    domain::{
        entry::Entry,
        validate::{form::Form, schema::TEXT},
    },
    ports::Lookup,
};
use axum::{
    Extension,
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use schemars::JsonSchema;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The document that a path names, by our id or by the till's key; a till's token sees its own only.
///
/// # Errors
/// 404, 403, 503.
pub async fn find(app: &App, name: &str, bearer: &Bearer) -> Result<Entry, ApiError> {
    let buffer = &app.ports.buffer;
    let mut found = None;
    if let Ok(id) = name.parse() {
        found = buffer.find(Lookup::Id(id)).await?;
    }
    if let (None, Ok(key)) = (&found, name.parse()) {
        found = buffer.find(Lookup::Key(key)).await?;
    }
    let entry =
        found.ok_or_else(|| ApiError::not_found("no receipt with this receipt_id or Idempotency-Key"))?;
    bearer.act_for(&entry.pos_id)?;
    Ok(entry)
}

/// `GET /v1/kkt/receipt/{receipt_id or key}`.
pub async fn show(
    State(app): State<Shared>,
    Extension(bearer): Extension<Arc<Bearer>>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let entry = find(&app, &name, &bearer).await?;
    Ok(json(StatusCode::OK, &EntryView::whole(&entry, app.ports.fiscal())))
}

/// `GET /v1/kkt/receipts?pos_id=&device=&status=&fd=&order=&limit=&cursor=`, newest first unless `order=oldest`.
pub async fn list(
    State(app): State<Shared>,
    Extension(bearer): Extension<Arc<Bearer>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let filter = query::filter(&pairs, &bearer)?;
    let found = query::page(&app, filter).await?;
    Ok(json(StatusCode::OK, &Receipts::of(&found, app.ports.fiscal())))
}

/// Longest reason or note a person gives, in characters.
pub const REASON_MAX: usize = 500;

/// Why, where it need not be said.
#[derive(JsonSchema)]
pub struct Because {
    /// Why, for the audit.
    #[serde(default)]
    #[schemars(length(min = 1, max = REASON_MAX), regex(pattern = TEXT))]
    reason: Option<String>,
}

impl Because {
    /// Reads it.
    pub fn read(form: &mut Form, map: &mut Map<String, Value>) -> Option<Self> {
        let reason = match form.optional(map, "reason") {
            Some(value) => Some(form.text("reason", value, REASON_MAX)?),
            None => None,
        };
        Some(Self { reason })
    }

    /// In words; empty: it was not said.
    pub fn words(self) -> String {
        self.reason.unwrap_or_default()
    }
}

/// Why, where it must be said.
#[derive(JsonSchema)]
pub struct Reason {
    /// Why, for the audit and for those who look at the document later.
    #[schemars(length(min = 1, max = REASON_MAX), regex(pattern = TEXT))]
    reason: String,
}

impl Reason {
    /// Reads it.
    pub fn read(form: &mut Form, map: &mut Map<String, Value>) -> Option<Self> {
        let value = form.required(map, "reason")?;
        Some(Self { reason: form.text("reason", value, REASON_MAX)? })
    }

    /// In words.
    pub fn words(self) -> String {
        self.reason
    }
}

/// `POST /v1/kkt/receipt/{id}/cancel {"reason"?}`.
pub async fn cancel(
    State(app): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let bearer = access(&parts.extensions)?;
    let reason = body::form(&parts, body, &app.ports.options, Because::read).await?.words();
    let entry = find(&app, &name, bearer).await?;
    let (till, by) = (Arc::clone(&app.ports.till), bearer.actor());
    let entry = detached(async move { till.cancel(entry.id, by, reason).await }).await??;
    Ok(json(StatusCode::OK, &EntryView::whole(&entry, app.ports.fiscal())))
}
