//! The shift of a till's device.

use super::{
    auth::Bearer,
    body,
    error::ApiError,
    gate::{access, detached},
    query::{self, Pairs},
    router::Shared,
    view::{SaleView, Time, json},
};
use crate::{
    domain::{
        ids::{DeviceId, PosId},
        validate,
    },
    ports::ShiftState,
};
use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// Whose shift a command is about.
#[derive(JsonSchema)]
pub struct ShiftCommand {
    /// The till.
    pos_id: PosId,
}

/// The shift of a till's device.
#[derive(Serialize, JsonSchema)]
pub struct Shift {
    pos_id: PosId,
    /// The KKT that the till prints on.
    device: DeviceId,
    state: ShiftWord,
    /// Of the open shift, or the last one.
    shift_number: u32,
    opened_at: Option<Time>,
    /// Receipts in it so far.
    receipts: Option<u32>,
    fiscal: bool,
}

/// `expired`: older than 24 hours; the adapter closes it before the next receipt.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum ShiftWord {
    Open,
    Closed,
    Expired,
}

/// `GET /v1/kkt/shift?pos_id=`.
pub async fn show(
    State(app): State<Shared>,
    Extension(bearer): Extension<Arc<Bearer>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let pos_id = query::pos_id(&pairs, &bearer)?;
    let (device, shift) = app.ports.till.shift(pos_id.clone()).await?;
    let (state, number, since, receipts) = match shift {
        ShiftState::Closed { last } => (ShiftWord::Closed, last, None, None),
        ShiftState::Open { number, since, receipts } => {
            (ShiftWord::Open, number, Some(since), Some(receipts))
        }
        ShiftState::Expired { number } => (ShiftWord::Expired, number, None, None),
    };
    let fiscal = app.ports.fiscal();
    let opened_at = since.map(Time);
    let body = Shift { pos_id, device, state, shift_number: number, opened_at, receipts, fiscal };
    Ok(json(StatusCode::OK, &body))
}

async fn till_of(app: &Shared, request: Request) -> Result<PosId, ApiError> {
    let (parts, body) = request.into_parts();
    let bearer = access(&parts.extensions)?;
    let ShiftCommand { pos_id } = body::form(&parts, body, &app.ports.options, |form, map| {
        let value = form.required(map, "pos_id")?;
        Some(ShiftCommand { pos_id: validate::pos_id(form, &value)? })
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
