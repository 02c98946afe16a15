//! Documents looked up, listed and cancelled.

use super::{
    auth::Bearer,
    body,
    error::ApiError,
    gate::{access, detached},
    query::{self, Pairs},
    router::{App, Shared},
    view::{EntryView, json, page},
};
use crate::{domain::entry::Entry, ports::Lookup};
use axum::{
    Extension,
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
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

/// `GET /v1/kkt/receipts?pos_id=&status=&limit=&cursor=`, newest first.
pub async fn list(
    State(app): State<Shared>,
    Extension(bearer): Extension<Arc<Bearer>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let filter = query::filter(&pairs, &bearer)?;
    let found = app.ports.buffer.list(filter).await?;
    Ok(json(StatusCode::OK, &page("receipts", &found, app.ports.fiscal())))
}

/// Longest reason or note a person gives, in characters.
pub const REASON_MAX: usize = 500;

/// `POST /v1/kkt/receipt/{id}/cancel {"reason"?}`.
pub async fn cancel(
    State(app): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let bearer = access(&parts.extensions)?;
    let reason = body::form(&parts, body, &app.ports.options, |form, map| {
        let given = form.optional(map, "reason");
        Some(match given {
            Some(value) => form.text("reason", value, REASON_MAX)?,
            None => String::new(),
        })
    })
    .await?;
    let entry = find(&app, &name, bearer).await?;
    let (till, by) = (Arc::clone(&app.ports.till), bearer.actor());
    let entry = detached(async move { till.cancel(entry.id, by, reason).await }).await??;
    Ok(json(StatusCode::OK, &EntryView::whole(&entry, app.ports.fiscal())))
}
