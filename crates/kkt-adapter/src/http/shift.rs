//! The shift of a till's device.

use super::{
    auth::Bearer,
    body,
    error::ApiError,
    gate::{access, detached},
    query::{self, Pairs},
    router::Shared,
    view::{SaleView, json},
};
use crate::{
    domain::{ids::PosId, validate},
    ports::ShiftState,
};
use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::json;
use std::sync::Arc;

/// `GET /v1/kkt/shift?pos_id=`.
pub async fn show(
    State(app): State<Shared>,
    Extension(bearer): Extension<Arc<Bearer>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let pos_id = query::pos_id(&pairs, &bearer)?;
    let (device, shift) = app.ports.till.shift(pos_id.clone()).await?;
    let (state, number, since, receipts) = match shift {
        ShiftState::Closed { last } => ("closed", last, None, None),
        ShiftState::Open { number, since, receipts } => ("open", number, Some(since), Some(receipts)),
        ShiftState::Expired { number } => ("expired", number, None, None),
    };
    let body = json!({
        "pos_id": pos_id,
        "device": device,
        "state": state,
        "shift_number": number,
        "opened_at": since.map(|at| at.to_string()),
        "receipts": receipts,
        "fiscal": app.ports.fiscal(),
    });
    Ok(json(StatusCode::OK, &body))
}

async fn till_of(app: &Shared, request: Request) -> Result<PosId, ApiError> {
    let (parts, body) = request.into_parts();
    let bearer = access(&parts.extensions)?;
    let pos_id = body::form(&parts, body, &app.ports.options, |form, map| {
        let value = form.required(map, "pos_id")?;
        validate::pos_id(form, &value)
    })
    .await?;
    bearer.act_for(&pos_id)?;
    Ok(pos_id)
}

/// `POST /v1/kkt/shift/open {"pos_id"}`.
pub async fn open(State(app): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let pos_id = till_of(&app, request).await?;
    let till = Arc::clone(&app.ports.till);
    let done = detached(async move { till.open_shift(pos_id).await }).await??;
    Ok(json(StatusCode::OK, &SaleView::of(&done, app.ports.fiscal())))
}

/// `POST /v1/kkt/shift/close {"pos_id"}`.
pub async fn close(State(app): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let pos_id = till_of(&app, request).await?;
    let till = Arc::clone(&app.ports.till);
    let done = detached(async move { till.close_shift(pos_id).await }).await??;
    Ok(json(StatusCode::OK, &SaleView::of(&done, app.ports.fiscal())))
}
