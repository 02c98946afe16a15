//! What is said of each route: words, parameters, examples. One file a group.

mod breakers;
mod dead_letters;
mod documents;
mod pages;
mod receipts;
mod session;
mod shift;
mod sync;
mod watch;

pub use self::{
    breakers::{force_closed, force_open, history, list_breakers, release, reset, show_breaker},
    dead_letters::{list_dead_letters, park, requeue, resolve},
    documents::{cancel, decide, list_receipts, show_receipt},
    pages::{asset, docs, guide, openapi, root},
    receipts::sell,
    session::{begin_session, end_session, show_session},
    shift::{close_shift, open_shift, show_shift},
    sync::{buffer_status, sync, worker},
    watch::{audit, events, health, heartbeat, livez, metrics, readyz},
};

use super::operation::{Operation, Tag, schema_of};
use crate::{
    domain::{ids::PosId, lifecycle::State},
    http::query,
};
use schemars::{Schema, SchemaGenerator, json_schema};

/// What the adapter answered to the sample of an operation.
macro_rules! example {
    ($id:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http/openapi/examples/", $id, ".json"))
    };
}
use example;

fn any_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// A receipt_id or a till's key, as part of a path.
fn id(operation: Operation, example: &'static str) -> Operation {
    let schema = |_: &mut SchemaGenerator| json_schema!({ "type": "string", "minLength": 1 });
    operation.path("id", schema, example, "The receipt_id, or the till's Idempotency-Key.").errors(&[
        "not_found",
        "storage_failed",
        "document_damaged",
    ])
}

/// The paging and filtering of lists.
fn list(operation: Operation, pos_id: Option<&'static str>) -> Operation {
    let limit = |_: &mut SchemaGenerator| {
        let (usual, most) = query::LIMIT;
        json_schema!({ "type": "integer", "minimum": 1, "maximum": most, "default": usual })
    };
    let cursor = |_: &mut SchemaGenerator| json_schema!({ "type": "string", "format": "uuid" });
    operation
        .optional(
            "pos_id",
            schema_of::<PosId>,
            pos_id,
            "Only of this till. A till's token sees its own ones only.",
        )
        .optional("limit", limit, Some("20"), "Documents a page.")
        .optional("cursor", cursor, None, "The next_cursor of the page before.")
        .errors(&["validation_error", "storage_failed"])
}

/// The states that a list can be asked for, with the names that older clients have for two of them.
fn status(_: &mut SchemaGenerator) -> Schema {
    let mut names: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
    names.extend(query::OLD_NAMES.map(|(name, _)| name));
    json_schema!({ "type": "string", "enum": names })
}
