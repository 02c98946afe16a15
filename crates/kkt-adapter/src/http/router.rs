//! Every route, with the area that decides who may use it. A route that is not in this table does not exist.

use super::{
    HttpPorts, audit, auth::Area, breakers, buffer, dashboard, decide, dlq, documents, door::Door, events,
    gate, health, heartbeat, pages, receipts, session, shift,
};
use axum::{
    Router, middleware,
    routing::{MethodRouter, get, post},
};
use std::{collections::HashMap, sync::Arc};

/// What handlers see: the ports, and the area of each route.
pub struct App {
    pub(super) ports: HttpPorts,
    pub(super) areas: HashMap<&'static str, Area>,
    pub(super) door: Door,
}

/// The shared state of all handlers.
pub type Shared = Arc<App>;

fn routes() -> Vec<(&'static str, Area, MethodRouter<Shared>)> {
    vec![
        ("/livez", Area::Liveness, get(health::livez)),
        ("/readyz", Area::Liveness, get(health::readyz)),
        ("/", Area::Page, get(pages::root)),
        ("/assets/{name}", Area::Page, get(dashboard::asset)),
        ("/v1/session", Area::Page, get(session::show).post(session::begin).delete(session::end)),
        ("/v1/health", Area::Health, get(health::health)),
        ("/v1/kkt/receipt", Area::Till, post(receipts::sell)),
        ("/v1/kkt/receipt/{id}", Area::Till, get(documents::show)),
        ("/v1/kkt/receipt/{id}/cancel", Area::Till, post(documents::cancel)),
        ("/v1/kkt/receipts", Area::Till, get(documents::list)),
        ("/v1/kkt/shift", Area::Till, get(shift::show)),
        ("/v1/kkt/shift/open", Area::Till, post(shift::open)),
        ("/v1/kkt/shift/close", Area::Till, post(shift::close)),
        ("/v1/kkt/buffer/status", Area::Till, get(buffer::status)),
        // What a till cannot undo is a person's to decide.
        ("/v1/kkt/receipt/{id}/decide", Area::Control, post(decide::decide)),
        ("/v1/kkt/buffer/sync", Area::Control, post(buffer::sync)),
        ("/v1/kkt/dlq", Area::Read, get(dlq::list)),
        ("/v1/kkt/dlq/{id}/requeue", Area::Control, post(dlq::requeue)),
        ("/v1/kkt/dlq/{id}/resolve", Area::Control, post(dlq::resolve)),
        ("/v1/kkt/worker/status", Area::Read, get(buffer::worker)),
        ("/v1/kkt/heartbeat/status", Area::Read, get(heartbeat::status)),
        ("/v1/kkt/audit", Area::Read, get(audit::list)),
        ("/v1/kkt/events", Area::Read, get(events::events)),
        ("/v1/kkt/circuit-breakers", Area::Read, get(breakers::list)),
        ("/v1/kkt/circuit-breakers/{key}", Area::Read, get(breakers::show)),
        ("/v1/kkt/circuit-breakers/{key}/history", Area::Read, get(breakers::history)),
        ("/v1/kkt/circuit-breakers/{key}/force-open", Area::Control, post(breakers::force_open)),
        ("/v1/kkt/circuit-breakers/{key}/force-closed", Area::Control, post(breakers::force_closed)),
        ("/v1/kkt/circuit-breakers/{key}/release", Area::Control, post(breakers::release)),
        ("/v1/kkt/circuit-breakers/{key}/reset", Area::Control, post(breakers::reset)),
        ("/metrics", Area::Read, get(pages::metrics)),
    ]
}

/// The patterns of all routes, for what must be complete over them.
#[must_use]
pub fn paths() -> Vec<&'static str> {
    routes().into_iter().map(|(path, ..)| path).collect()
}

/// The whole API.
pub fn router(ports: HttpPorts) -> Router {
    let table = routes();
    let areas = table.iter().map(|(path, area, _)| (*path, *area)).collect();
    let door = Door::new(ports.options.wrong_tokens_max);
    let app: Shared = Arc::new(App { ports, areas, door });
    table
        .into_iter()
        .fold(Router::new(), |router, (path, _, methods)| router.route(path, methods))
        .fallback(pages::no_such_path)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), gate::gate))
        .with_state(app)
}
