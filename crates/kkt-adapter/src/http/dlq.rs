//! The dead letters.

use super::{
    auth::Bearer,
    body,
    documents::{REASON_MAX, find},
    error::ApiError,
    gate::{access, detached},
    query::{self, Pairs},
    router::Shared,
    view::{EntryView, json, page},
};
use crate::{
    domain::{entry::Change, lifecycle::State as DocumentState},
    ports::{Event, ListFilter},
};
use axum::{
    Extension,
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use std::sync::Arc;

/// `GET /v1/kkt/dlq?pos_id=&resolved=&limit=&cursor=`, newest first; those that a person closed only if `resolved=true`.
pub async fn list(
    State(app): State<Shared>,
    Extension(bearer): Extension<Arc<Bearer>>,
    pairs: Pairs,
) -> Result<Response, ApiError> {
    let filter = ListFilter { state: Some(DocumentState::Dead), ..query::filter(&pairs, &bearer)? };
    let found = app.ports.buffer.list(filter).await?;
    let mut body = page("dead_letters", &found, app.ports.fiscal());
    body["dlq_size"] = app.ports.buffer.stats().await?.total.dead.into();
    Ok(json(StatusCode::OK, &body))
}

/// `POST /v1/kkt/dlq/{id}/requeue {"reason"?}`: back to its lane, its attempts at zero.
pub async fn requeue(
    State(app): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    change(app, name, request, "reason", false).await
}

/// `POST /v1/kkt/dlq/{id}/resolve {"note"}`: closed by a person.
pub async fn resolve(
    State(app): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    change(app, name, request, "note", true).await
}

async fn change(
    app: Shared,
    name: String,
    request: Request,
    field: &'static str,
    resolve: bool,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let bearer = Arc::clone(access(&parts.extensions)?);
    let why = body::form(&parts, body, &app.ports.options, |form, map| {
        let given = if resolve { Some(form.required(map, field)?) } else { form.optional(map, field) };
        Some(match given {
            Some(value) => form.text(field, value, REASON_MAX)?,
            None => String::new(),
        })
    })
    .await?;
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
