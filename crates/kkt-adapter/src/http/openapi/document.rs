//! Puts the document together.

use super::{
    super::{
        auth::{Area, Role},
        codes::{self, Code},
        error::{ErrorBody, ValidationErrorBody},
        router::Route,
    },
    operation::{Answer, Operation, Tag, schema_of},
    sample,
};
use axum::http::{Method, StatusCode};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const ABOUT: &str = "Takes fiscal receipts at the till, makes them durable, prints them on the cash register (KKT) and \
delivers them to the operator of fiscal data (OFD), whatever the network does.

- **Money** is a JSON number, or a string with one, with at most 2 decimals; it is read exactly and never rounded. \
Answers have numbers with 2 decimals.
- **Times** are RFC 3339 in UTC; `fiscal_datetime` is the local time of the KKT.
- **Retries**: send a receipt again under the same `Idempotency-Key` whenever no answer came. It is printed once.
- **Errors** have `detail` (what to do, in words; a list of fields for 422), `type` (for programs) and `request_id`. \
A method that a path does not know is answered 405.
- Every answer has the header `X-Request-Id`: the one of the request if it has 1 to 64 letters, digits, `.`, `_`, `-`. \
Only what is no HTTP request (400) or has too large a head (431) is answered without one, and without a body: there is no request yet.
- A **change** (POST, DELETE) needs `Content-Type: application/json`, a `Host` that is a loopback name or configured, \
and no foreign `Origin`. There is no CORS.
- While the KKT or the OFD is emulated, `fiscal` is `false`: nothing of it is a legal receipt.";

/// The whole document.
pub fn document(routes: &[Route], version: &str) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let operation = operation(route, &mut schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let tags = Tag::ALL.map(|(_, name, text)| json!({ "name": name, "description": text }));
    let license = json!({ "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" });
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "kkt-adapter", "version": version, "description": ABOUT, "license": license },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A token of `[auth]`." },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": super::super::session::COOKIE,
                    "description": "The cookie of `POST /v1/session`; HttpOnly, SameSite=Strict. Under TLS it is `__Host-kkt_session`.",
                },
            },
            "headers": {
                "RequestId": {
                    "description": "Stands in the log beside what happened.", "required": true,
                    "schema": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" },
                },
                "RetryAfter": {
                    "description": "Seconds to wait.", "required": true,
                    "schema": { "type": "integer", "minimum": 1 },
                },
            },
        },
    });
    document["components"]["schemas"] = schemas.finish().into();
    document
}

/// The schemas that operations name. What is accepted and what is answered may differ in the same type.
struct Schemas {
    asked: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = |settings: SchemaSettings, place: &'static str| {
            settings.with(|settings| {
                settings.definitions_path = place.into();
                settings.meta_schema = None;
            })
        };
        let latest = SchemaSettings::draft2020_12;
        Self {
            asked: settings(latest().for_deserialize(), "/components/schemas/asked").into_generator(),
            answered: settings(latest().for_serialize(), "/components/schemas").into_generator(),
        }
    }

    /// All of them by name; those of requests have `Input` behind theirs.
    fn finish(mut self) -> Map<String, Value> {
        let mut all = self.answered.take_definitions(true);
        for (name, mut schema) in self.asked.take_definitions(true) {
            rename(&mut schema);
            all.insert(format!("{name}Input"), schema);
        }
        all.sort_keys();
        all
    }
}

/// Points references to the schemas of requests at their names in the document.
fn rename(value: &mut Value) {
    const ASKED: &str = "#/components/schemas/asked/";
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix(ASKED) {
                *text = format!("#/components/schemas/{name}Input");
            }
        }
        Value::Array(list) => list.iter_mut().for_each(rename),
        Value::Object(map) => map.values_mut().for_each(rename),
        _ => {}
    }
}

fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let operation = (route.operation)();
    let mut out = json!({
        "operationId": operation.id,
        "tags": [operation.tag.name()],
        "summary": operation.summary,
    });
    if !operation.text.is_empty() {
        out["description"] = operation.text.into();
    }
    out["security"] = match route.area {
        Area::Liveness => json!([]),
        Area::Page => json!([{}, { "token": [] }, { "session": [] }]),
        _ => json!([{ "token": [] }, { "session": [] }]),
    };
    out["x-roles"] = roles(route).iter().map(|role| Value::from(role.as_str())).collect();
    let parameters: Vec<Value> = operation.parameters.iter().map(|one| parameter(one, schemas)).collect();
    if !parameters.is_empty() {
        out["parameters"] = parameters.into();
    }
    if let Some(body) = &operation.body {
        let mut schema = (body.schema)(&mut schemas.asked).to_value();
        rename(&mut schema);
        let content = json!({ "application/json": { "schema": schema, "example": body.example } });
        out["requestBody"] = json!({ "required": body.required, "content": content });
        if !body.required {
            out["requestBody"]["description"] =
                "It may be empty; the header `Content-Type: application/json` is needed all the same.".into();
        }
    }
    let mut responses = Map::new();
    for one in &operation.answers {
        responses.insert(one.status.to_string(), answer(one, schemas));
    }
    for (status, codes) in errors(route, &operation) {
        responses.entry(status.as_u16().to_string()).or_insert_with(|| error(status, &codes, schemas));
    }
    responses.sort_keys();
    out["responses"] = responses.into();
    if let Some(schema) = operation.event_data {
        // OpenAPI 3.1 has no word for it.
        out["x-event-data"] = schema(&mut schemas.answered).to_value();
    }
    out["x-codeSamples"] =
        json!([{ "lang": "Shell", "label": "curl", "source": sample::curl(route, &operation) }]);
    out
}

/// Who may; none: no token is needed.
fn roles(route: &Route) -> Vec<Role> {
    match route.area {
        Area::Liveness | Area::Page => Vec::new(),
        area => Role::ALL.into_iter().filter(|role| role.may(area, &route.method)).collect(),
    }
}

fn parameter(parameter: &super::operation::Parameter, schemas: &mut Schemas) -> Value {
    let mut schema = (parameter.schema)(&mut schemas.asked).to_value();
    rename(&mut schema);
    let mut out = json!({
        "name": parameter.name, "in": parameter.place.as_str(), "description": parameter.text,
        "required": parameter.required, "schema": schema,
    });
    if let Some(example) = parameter.example {
        // What stands in a path or a query is text; the example shows it as its schema has it.
        let number = out["schema"]["type"] == "integer";
        let value = example.parse::<i64>().ok().filter(|_| number);
        out["example"] = value.map_or_else(|| Value::from(example), Value::from);
    }
    out
}

fn answer(answer: &Answer, schemas: &mut Schemas) -> Value {
    let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/RequestId" } });
    for (name, text) in &answer.headers {
        headers[*name] = json!({ "description": text, "schema": { "type": "string" } });
    }
    let mut out = json!({ "description": answer.text, "headers": headers });
    for (kind, schema, example) in &answer.content {
        let mut media = json!({ "schema": schema(&mut schemas.answered) });
        if let Some(text) = example {
            let parsed = (*kind == "application/json").then(|| serde_json::from_str(text).ok()).flatten();
            media["example"] = parsed.unwrap_or_else(|| Value::from(*text));
        }
        if out.get("content").is_none() {
            out["content"] = json!({});
        }
        out["content"][*kind] = media;
    }
    out
}

/// The errors that an operation can end in, by status.
fn errors(route: &Route, operation: &Operation) -> BTreeMap<StatusCode, Vec<&'static Code>> {
    let mut kinds = vec!["internal_error", "request_timeout"];
    let change = route.method != Method::GET;
    if route.area != Area::Liveness {
        kinds.extend(["host_not_allowed", "foreign_origin"]);
    }
    if !matches!(route.area, Area::Liveness | Area::Page) {
        kinds.extend(["token_required", "too_many_failures"]);
        if roles(route).len() < Role::ALL.len() {
            kinds.push("role_not_enough");
        }
    }
    if change {
        kinds.push("content_type_not_json");
    }
    if operation.body.is_some() {
        kinds.extend(["invalid_utf8", "body_cut", "body_timeout", "body_too_large", "validation_error"]);
    }
    if !operation.parameters.is_empty() {
        kinds.push("bad_request");
    }
    kinds.extend(&operation.errors);
    let mut by_status: BTreeMap<StatusCode, Vec<&Code>> = BTreeMap::new();
    for kind in kinds {
        let code = codes::of(kind).expect("an operation names errors of the table only");
        by_status.entry(code.status).or_default().push(code);
    }
    by_status
}

fn error(status: StatusCode, codes: &[&Code], schemas: &mut Schemas) -> Value {
    let lines: Vec<String> =
        codes.iter().map(|code| format!("- `{}`: {}", code.kind, code.meaning)).collect();
    let body = if status == StatusCode::UNPROCESSABLE_ENTITY {
        schema_of::<ValidationErrorBody<'_>>(&mut schemas.answered)
    } else {
        schema_of::<ErrorBody<'_>>(&mut schemas.answered)
    };
    let mut schema = body.to_value();
    let kinds: Vec<&str> = codes.iter().map(|code| code.kind).collect();
    schema["properties"] = json!({ "type": { "enum": kinds } });
    let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/RequestId" } });
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        headers["Retry-After"] = json!({ "$ref": "#/components/headers/RetryAfter" });
    }
    if status == StatusCode::UNAUTHORIZED {
        let schema = json!({ "type": "string", "const": "Bearer" });
        headers["WWW-Authenticate"] =
            json!({ "description": "Always `Bearer`.", "required": true, "schema": schema });
    }
    let reason = status.canonical_reason().unwrap_or_default();
    json!({
        "description": format!("{reason}\n\n{}", lines.join("\n")),
        "headers": headers,
        "content": { "application/json": { "schema": schema } },
    })
}
