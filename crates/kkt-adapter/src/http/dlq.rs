//! The dead letters.

use super::{
    auth::Bearer,
    body,
    documents::{Because, REASON_MAX, find},
    error::ApiError,
    gate::{access, detached},
    query::{self, Pairs},
    router::Shared,
    view::{DeadLetters, EntryView, json},
};
use crate::{
    domain::{
        entry::Change,
        lifecycle::State as DocumentState,
        validate::{form::Form, schema::TEXT},
    },
    ports::{Event, ListFilter},
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

/// What was done about a dead letter.
#[derive(JsonSchema)]
pub struct Note {
    /// For the audit and for those who look at the document later.
    #[schemars(length(min = 1, max = REASON_MAX), regex(pattern = TEXT))]
    note: String,
}

impl Note {
    fn read(form: &mut Form, map: &mut Map<String, Value>) -> Option<Self> {
        let value = form.required(map, "note")?;
        Some(Self { note: form.text("note", value, REASON_MAX)? })
    }
}

/// `GET /v1/kkt/dlq?pos_id=&resolved=&limit=&cursor=`, newest first; those that a person closed only if `resolved=true`.
pub async fn list(
    State(app): State<Shared>,
    Extension(bearer): Extension<Arc<Bearer>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let filter = ListFilter { state: Some(DocumentState::Dead), ..query::filter(&pairs, &bearer)? };
    let found = query::page(&app, filter).await?;
    let dead = app.ports.buffer.stats().await?.total.dead;
    Ok(json(StatusCode::OK, &DeadLetters::of(&found, dead, app.ports.fiscal())))
}

/// `POST /v1/kkt/dlq/{id}/requeue {"reason"?}`: back to its lane, its attempts at zero.
pub async fn requeue(
    State(app): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    change(app, name, request, Because::read, |why| Todo { why: why.words(), resolve: false }).await
}

/// `POST /v1/kkt/dlq/{id}/resolve {"note"}`: closed by a person.
pub async fn resolve(
    State(app): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    change(app, name, request, Note::read, |Note { note }| Todo { why: note, resolve: true }).await
}

struct Todo {
    why: String,
    resolve: bool,
}

async fn change<T>(
    app: Shared,
    name: String,
    request: Request,
    read: impl FnOnce(&mut Form, &mut Map<String, Value>) -> Option<T>,
    todo: impl FnOnce(T) -> Todo,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let bearer = Arc::clone(access(&parts.extensions)?);
    let Todo { why, resolve } = todo(body::form(&parts, body, &app.ports.options, read).await?);
    let entry = find(&app, &name, &bearer).await?;
    let by = bearer.actor();
    let action = if resolve { "resolved" } else { "requeued" };
    let (id, device) = (entry.id, entry.device.clone());
    let event = Event::DeadLetter { id, device, action, by: by.clone(), why: why.clone() };
    let change = if resolve { Change::Resolve { by, note: why } } else { Change::Requeue { by, why } };
    let worker = Arc::clone(&app);
    let changed = detached(async move {
        worker.ports.buffer.apply(entry.id, change).await?;
        worker.ports.observer.event(event);
        if !resolve {
            worker.ports.sync.wake(&entry.device);
        }
        find(&worker, &entry.id.to_string(), &bearer).await
    })
    .await??;
    Ok(json(StatusCode::OK, &EntryView::whole(&changed, app.ports.fiscal())))
}
