//! The dead letters.

use super::{
    auth::Bearer,
    body,
    documents::{Because, REASON_MAX, Reason, find},
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

/// `POST /v1/kkt/receipt/{id}/park {"reason"}`: out of its lane, which it holds up, into the dead letters.
///
/// Only the first document of a lane that was tried and did not get through: while nothing else is delivered the adapter
/// cannot tell such a document from an OFD that is down, and a person who has asked the OFD can. Any other document would
/// only leave its order (P5), and help nobody.
pub async fn park(
    State(app): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let bearer = Arc::clone(access(&parts.extensions)?);
    let why = body::form(&parts, body, &app.ports.options, Reason::read).await?.words();
    let entry = find(&app, &name, &bearer).await?;
    let is_head = app.ports.sync.head(&entry.device).is_some_and(|head| head.id == entry.id);
    if entry.state == DocumentState::Printed && !is_head {
        let text = "this document holds up nothing: only the first one of a lane that the OFD was sent and did not take \
                    can be set aside; GET /v1/kkt/worker/status names it";
        return Err(ApiError::new(StatusCode::CONFLICT, "holds_up_nothing", text));
    }
    let (id, by) = (entry.id, bearer.actor());
    let worker = Arc::clone(&app);
    let parked = detached(async move {
        let ports = &worker.ports;
        ports.buffer.apply(id, Change::Park { by: by.clone(), why: why.clone() }).await?;
        ports.observer.settled(&entry.pos_id, "dead");
        let device = entry.device.clone();
        ports.observer.event(Event::DeadLetter { id, device, action: "parked", by, why });
        ports.sync.parked(&entry.device, id);
        find(&worker, &id.to_string(), &bearer).await
    })
    .await??;
    Ok(json(StatusCode::OK, &EntryView::whole(&parked, app.ports.fiscal())))
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
        // Also where it was closed: a lane that stops at dead letters goes on.
        worker.ports.sync.wake(&entry.device);
        find(&worker, &entry.id.to_string(), &bearer).await
    })
    .await??;
    Ok(json(StatusCode::OK, &EntryView::whole(&changed, app.ports.fiscal())))
}
