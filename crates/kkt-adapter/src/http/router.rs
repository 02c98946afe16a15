//! Every route, with the area that decides who may use it and what the document of the API says of it. A route that is
//! not in this table does not exist.

use super::{
    HttpPorts, audit,
    auth::Area,
    breakers, buffer, dashboard, decide, dlq, documents,
    door::Door,
    events, gate, health, heartbeat,
    openapi::{self, Operation, operations as said},
    pages, receipts, session, shift,
};
use axum::{
    Router,
    handler::Handler,
    http::Method,
    middleware,
    routing::{MethodFilter, MethodRouter, on},
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// What handlers see: the ports, and what the table says of each route.
pub struct App {
    pub(super) ports: HttpPorts,
    pub(super) areas: HashMap<&'static str, Area>,
    pub(super) methods: HashSet<(&'static str, Method)>,
    pub(super) door: Door,
}

/// The shared state of all handlers.
pub type Shared = Arc<App>;

/// One method of one path: who may use it, what answers it, and what the document of the API says of it.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub area: Area,
    pub operation: fn() -> Operation,
    handler: MethodRouter<Shared>,
}

fn route<H, T>(
    method: Method,
    (path, area): (&'static str, Area),
    handler: H,
    operation: fn() -> Operation,
) -> Route
where
    H: Handler<T, Shared>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).expect("the table names known methods only");
    Route { method, path, area, operation, handler: on(filter, handler) }
}

fn get<H, T>(path: &'static str, area: Area, handler: H, operation: fn() -> Operation) -> Route
where
    H: Handler<T, Shared>,
    T: 'static,
{
    route(Method::GET, (path, area), handler, operation)
}

fn post<H, T>(path: &'static str, area: Area, handler: H, operation: fn() -> Operation) -> Route
where
    H: Handler<T, Shared>,
    T: 'static,
{
    route(Method::POST, (path, area), handler, operation)
}

/// All routes, in the order in which the document shows them.
pub fn routes() -> Vec<Route> {
    use Area::{Control, Health, Liveness, Page, Read, Till};
    vec![
        post("/v1/kkt/receipt", Till, receipts::sell, said::sell),
        get("/v1/kkt/receipt/{id}", Till, documents::show, said::show_receipt),
        get("/v1/kkt/receipts", Till, documents::list, said::list_receipts),
        post("/v1/kkt/receipt/{id}/cancel", Till, documents::cancel, said::cancel),
        // What a till cannot undo is a person's to decide.
        post("/v1/kkt/receipt/{id}/decide", Control, decide::decide, said::decide),
        post("/v1/kkt/receipt/{id}/park", Control, dlq::park, said::park),
        get("/v1/kkt/shift", Till, shift::show, said::show_shift),
        post("/v1/kkt/shift/close", Till, shift::close, said::close_shift),
        post("/v1/kkt/shift/open", Till, shift::open, said::open_shift),
        get("/v1/kkt/buffer/status", Till, buffer::status, said::buffer_status),
        post("/v1/kkt/buffer/sync", Control, buffer::sync, said::sync),
        get("/v1/kkt/worker/status", Read, buffer::worker, said::worker),
        get("/v1/kkt/heartbeat/status", Read, heartbeat::status, said::heartbeat),
        get("/v1/kkt/dlq", Read, dlq::list, said::list_dead_letters),
        post("/v1/kkt/dlq/{id}/requeue", Control, dlq::requeue, said::requeue),
        post("/v1/kkt/dlq/{id}/resolve", Control, dlq::resolve, said::resolve),
        get("/v1/kkt/circuit-breakers", Read, breakers::list, said::list_breakers),
        get("/v1/kkt/circuit-breakers/{key}", Read, breakers::show, said::show_breaker),
        get("/v1/kkt/circuit-breakers/{key}/history", Read, breakers::history, said::history),
        post("/v1/kkt/circuit-breakers/{key}/force-open", Control, breakers::force_open, said::force_open),
        post(
            "/v1/kkt/circuit-breakers/{key}/force-closed",
            Control,
            breakers::force_closed,
            said::force_closed,
        ),
        post("/v1/kkt/circuit-breakers/{key}/release", Control, breakers::release, said::release),
        post("/v1/kkt/circuit-breakers/{key}/reset", Control, breakers::reset, said::reset),
        get("/v1/kkt/events", Read, events::events, said::events),
        get("/v1/kkt/audit", Read, audit::list, said::audit),
        get("/metrics", Read, pages::metrics, said::metrics),
        get("/v1/health", Health, health::health, said::health),
        get("/livez", Liveness, health::livez, said::livez),
        get("/readyz", Liveness, health::readyz, said::readyz),
        get("/v1/session", Page, session::show, said::show_session),
        post("/v1/session", Page, session::begin, said::begin_session),
        route(Method::DELETE, ("/v1/session", Page), session::end, said::end_session),
        get("/", Page, pages::root, said::root),
        get("/docs", Page, dashboard::docs, said::docs),
        get("/docs/{guide}", Page, dashboard::guides::guide, said::guide),
        get("/openapi.json", Read, openapi::openapi, said::openapi),
        get("/assets/{name}", Page, dashboard::asset, said::asset),
    ]
}

/// The whole API.
pub fn router(ports: HttpPorts) -> Router {
    let table = routes();
    let areas = table.iter().map(|route| (route.path, route.area)).collect();
    let methods = table.iter().map(|route| (route.path, route.method.clone())).collect();
    let door = Door::new(ports.options.wrong_tokens_max, ports.options.tls);
    let app: Shared = Arc::new(App { ports, areas, methods, door });
    table
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.path, route.handler))
        .fallback(pages::no_such_path)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), gate::gate))
        .with_state(app)
}
