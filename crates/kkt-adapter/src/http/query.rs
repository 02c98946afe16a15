//! Reading the query of a list.

use super::{auth::Bearer, body::outside, error::ApiError};
use crate::{
    domain::{
        ids::{PosId, ReceiptId},
        lifecycle::State,
        validate::problem::FieldError,
    },
    ports::ListFilter,
};
use axum::extract::Query;
use serde_json::Value;
use std::collections::HashMap;

/// Entries of a page unless asked otherwise, and at most.
const LIMIT: (usize, usize) = (100, 1_000);

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

/// The states, and the names older clients have for them.
fn state(text: &str) -> Option<State> {
    match text {
        "pending" => Some(State::Printed),
        "failed" => Some(State::Dead),
        _ => State::from_name(text),
    }
}

/// The filter of a list: `pos_id`, `status`, `limit`, `cursor`. A till's token sees its own tills only.
///
/// # Errors
/// 422, 403.
pub fn filter(pairs: &Pairs, bearer: &Bearer) -> Result<ListFilter, ApiError> {
    let mut errors = Vec::new();
    let names: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
    let states = format!("one of {}, pending, failed", names.join(", "));
    let mut pos_id: Option<PosId> =
        field(pairs, &mut errors, "pos_id", PosId::RULE, |text| text.parse().ok());
    let state = field(pairs, &mut errors, "status", &states, state);
    let cursor: Option<ReceiptId> =
        field(pairs, &mut errors, "cursor", "the next_cursor of the page before", |text| text.parse().ok());
    let limit = field(pairs, &mut errors, "limit", "a number from 1 to 1000", |text| {
        text.parse().ok().filter(|limit| (1..=LIMIT.1).contains(limit))
    });
    let resolved = field(pairs, &mut errors, "resolved", "true or false", |text| text.parse().ok());
    match (&pos_id, bearer.tills()) {
        (Some(pos_id), _) => bearer.act_for(pos_id)?,
        (None, Some(own)) if own.len() == 1 => pos_id = own.first().cloned(),
        (None, Some(_)) => {
            let msg = "this token acts for several tills: name one of them";
            errors.push(outside("query", "pos_id", "missing", msg.into(), &Value::Null));
        }
        (None, None) => {}
    }
    if !errors.is_empty() {
        return Err(ApiError::fields(errors));
    }
    Ok(ListFilter {
        pos_id,
        device: None,
        state,
        resolved: resolved.unwrap_or(false),
        ascending: false,
        cursor,
        limit: limit.unwrap_or(LIMIT.0),
    })
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
