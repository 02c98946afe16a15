//! Reading the query of a list.

use super::{auth::Bearer, body::outside, error::ApiError, router::App};
use crate::{
    domain::{
        ids::{DeviceId, PosId, ReceiptId},
        lifecycle::State,
        validate::problem::FieldError,
    },
    ports::{BufferError, ListFilter, ListPage},
};
use axum::extract::Query;
use serde_json::Value;
use std::collections::HashMap;

/// Entries of a page unless asked otherwise, and at most.
pub const LIMIT: (usize, usize) = (100, 1_000);

/// A query, as names and values.
pub type Pairs = Query<HashMap<String, String>>;

fn field<T>(
    pairs: &Pairs,
    errors: &mut Vec<FieldError>,
    name: &'static str,
    rule: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let text = pairs.get(name)?;
    let value = read(text);
    if value.is_none() {
        let input = Value::String(text.clone());
        errors.push(outside("query", name, "value_error", format!("must be {rule}"), &input));
    }
    value
}

/// The names older clients have for two states.
pub const OLD_NAMES: [(&str, State); 2] = [("pending", State::Printed), ("failed", State::Dead)];

fn state(text: &str) -> Option<State> {
    let old = OLD_NAMES.iter().find(|(name, _)| *name == text);
    old.map(|(_, state)| *state).or_else(|| State::from_name(text))
}

/// The filter of a list: `pos_id`, `device`, `status`, `fd`, `order`, `limit`, `cursor`. A till's token sees its own tills
/// only, all of them unless it names one.
///
/// # Errors
/// 422, 403.
pub fn filter(pairs: &Pairs, bearer: &Bearer) -> Result<ListFilter, ApiError> {
    let mut errors = Vec::new();
    let names = State::ALL.iter().map(|state| state.as_str()).chain(OLD_NAMES.map(|(name, _)| name));
    let states = format!("one of {}", names.collect::<Vec<_>>().join(", "));
    let pos_id: Option<PosId> = field(pairs, &mut errors, "pos_id", PosId::RULE, |text| text.parse().ok());
    let device: Option<DeviceId> =
        field(pairs, &mut errors, "device", DeviceId::RULE, |text| text.parse().ok());
    let state = field(pairs, &mut errors, "status", &states, state);
    let fd_rule = format!("a number from 1 to {}", u32::MAX);
    let fd = field(pairs, &mut errors, "fd", &fd_rule, |text| text.parse().ok().filter(|fd| *fd > 0));
    let order = field(pairs, &mut errors, "order", "newest or oldest", |text| match text {
        "newest" => Some(false),
        "oldest" => Some(true),
        _ => None,
    });
    let cursor: Option<ReceiptId> =
        field(pairs, &mut errors, "cursor", "the next_cursor of the page before", |text| text.parse().ok());
    let limit = field(pairs, &mut errors, "limit", &format!("a number from 1 to {}", LIMIT.1), |text| {
        text.parse().ok().filter(|limit| (1..=LIMIT.1).contains(limit))
    });
    let resolved = field(pairs, &mut errors, "resolved", "true or false", |text| text.parse().ok());
    let pos_ids = match (pos_id, bearer.tills()) {
        (Some(pos_id), _) => {
            bearer.act_for(&pos_id)?;
            Some(vec![pos_id])
        }
        (None, own) => own.map(|own| own.iter().cloned().collect()),
    };
    if !errors.is_empty() {
        return Err(ApiError::fields(errors));
    }
    Ok(ListFilter {
        pos_ids,
        device,
        fd,
        state,
        resolved: resolved.unwrap_or(false),
        ascending: order.unwrap_or(false),
        cursor,
        limit: limit.unwrap_or(LIMIT.0),
    })
}

/// The page that a filter asks for.
///
/// # Errors
/// 422: the cursor is of no page; 503.
pub async fn page(app: &App, filter: ListFilter) -> Result<ListPage, ApiError> {
    let cursor = filter.cursor;
    match (app.ports.buffer.list(filter).await, cursor) {
        (Err(BufferError::NotFound), Some(cursor)) => {
            let msg = "must be the next_cursor of the page before: no document has this id".into();
            let input = Value::String(cursor.to_string());
            Err(ApiError::fields(vec![outside("query", "cursor", "value_error", msg, &input)]))
        }
        (found, _) => Ok(found?),
    }
}

/// The one till a query is about.
///
/// # Errors
/// 422, 403.
pub fn pos_id(pairs: &Pairs, bearer: &Bearer) -> Result<PosId, ApiError> {
    let mut errors = Vec::new();
    let pos_id = field(pairs, &mut errors, "pos_id", PosId::RULE, |text| text.parse().ok());
    if errors.is_empty() && pos_id.is_none() {
        let msg = "this field is required".into();
        errors.push(outside("query", "pos_id", "missing", msg, &Value::Null));
    }
    match pos_id {
        Some(pos_id) => {
            bearer.act_for(&pos_id)?;
            Ok(pos_id)
        }
        None => Err(ApiError::fields(errors)),
    }
}
