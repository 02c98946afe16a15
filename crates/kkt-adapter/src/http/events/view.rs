//! Events as they stand on the wire: name, id, one line of JSON.

use super::Told;
use crate::ports::Event;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Appends one server-sent event. JSON has no bare line ends, so it is one `data` line whatever a reason contains.
pub(super) fn write(out: &mut String, run: &str, number: u64, name: &str, data: &Value) {
    let _ = write!(out, "id: {run}-{number}\nevent: {name}\ndata: {data}\n\n");
}

/// The name of an event and its fields.
pub(super) fn fields(told: &Told) -> (&'static str, Value) {
    let at = told.at.to_string();
    match &told.event {
        Event::Breaker { key, explanation } => (
            "breaker",
            json!({
                "at": at,
                "key": &**key,
                "from": explanation.from.as_str(),
                "to": explanation.to.as_str(),
                "generation": explanation.generation,
                "reason": explanation.to_string(),
                "by": explanation.who.as_deref(),
                "why": explanation.why.as_deref(),
            }),
        ),
        Event::Command { key, command, by, why } => {
            ("command", json!({ "at": at, "key": key, "command": command, "by": by.0, "why": why }))
        }
        Event::Document { id, pos_id, device, state } => (
            "receipt",
            json!({ "at": at, "receipt_id": id, "pos_id": pos_id, "device": device, "state": state.as_str() }),
        ),
        Event::DeadLetter { id, device, action, by, why } => (
            "dead_letter",
            json!({ "at": at, "receipt_id": id, "device": device, "action": action, "by": by.0, "why": why }),
        ),
    }
}
