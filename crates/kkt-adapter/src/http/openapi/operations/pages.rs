use super::{Operation, Tag, any_text, example};
use crate::http::{dashboard, pages::Root};
use schemars::json_schema;

pub fn root() -> Operation {
    let page = vec![
        ("application/json", super::schema_of::<Root> as _, Some(example!("root"))),
        ("text/html", any_text as _, None),
    ];
    Operation::new("root", Tag::Pages, "The dashboard, or where to begin")
        .text("The dashboard for a browser (`Accept: text/html`, no token), a few facts for readers and operators.")
        .content(200, "By `Accept`.", page)
        .empty(304, "The browser has it.")
        .errors(&["token_required", "role_not_enough"])
        .accept("application/json")
}

pub fn docs() -> Operation {
    Operation::new("docs", Tag::Pages, "This API, to be read")
        .text("The page is for everybody; what it shows is `/openapi.json`, for readers and operators.")
        .content(200, "The page.", vec![("text/html", any_text, None)])
        .empty(304, "The browser has it.")
}

pub fn guide() -> Operation {
    let name = |_: &mut schemars::SchemaGenerator| json_schema!({ "type": "string", "enum": dashboard::guides::names() });
    Operation::new("guide", Tag::Pages, "A guide, to be read")
        .text("What to do when an alert fires, every key of the configuration, every metric. For everybody.")
        .path("guide", name, "operations", "Its name.")
        .content(200, "The page.", vec![("text/html", any_text, None)])
        .empty(304, "The browser has it.")
        .errors(&["not_found"])
}

pub fn openapi() -> Operation {
    let document = |_: &mut schemars::SchemaGenerator| json_schema!({ "type": "object" });
    Operation::new("openapi", Tag::Pages, "This document")
        .content(200, "OpenAPI 3.1.", vec![("application/json", document, None)])
        .empty(304, "The caller has it (`If-None-Match`).")
}

pub fn asset() -> Operation {
    let name = |_: &mut schemars::SchemaGenerator| json_schema!({ "type": "string", "enum": dashboard::asset_names() });
    let kinds = vec![
        ("text/css", any_text as _, None),
        ("text/javascript", any_text as _, None),
        ("image/svg+xml", any_text as _, None),
    ];
    Operation::new("asset", Tag::Pages, "A file of the pages")
        .path("name", name, "icon.svg", "Its name.")
        .content(200, "The file.", kinds)
        .empty(304, "The browser has it.")
        .errors(&["not_found"])
}
