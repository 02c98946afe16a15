use super::{Operation, Tag, any_text, example};
use crate::http::{
    audit::{self as trail, Audit},
    events::Data,
    health::Report,
    heartbeat::Status,
};
use schemars::json_schema;

pub fn events() -> Operation {
    Operation::new("events", Tag::Watch, "What happens, live")
        .text(
            "Server-sent events: `breaker`, `command`, `receipt`, `dead_letter`; `hello` at the beginning, `lost` when \
             some could not be sent. `data` is one line of JSON, of the schema `EventData`. A comment keeps a quiet \
             stream alive.",
        )
        .optional_header("Last-Event-ID", any_text, "Goes on after the event of this id.")
        .content(200, "The stream, until either side ends it.", vec![("text/event-stream", any_text, None)])
        .event_data::<Data<'_>>()
        .errors(&["too_many_readers"])
}

pub fn audit() -> Operation {
    let limit = |_: &mut schemars::SchemaGenerator| {
        let (usual, most) = trail::LIMIT;
        json_schema!({ "type": "integer", "minimum": 1, "maximum": most, "default": usual })
    };
    let subject = |_: &mut schemars::SchemaGenerator| json_schema!({ "type": "string", "maxLength": trail::SUBJECT_MAX });
    Operation::new("audit", Tag::Watch, "Who did what, newest first")
        .optional(
            "subject",
            subject,
            Some("breaker:ofd"),
            "Only about this: a receipt_id, `breaker:<key>`, ….",
        )
        .optional("limit", limit, Some("20"), "Lines.")
        .json::<Audit<'_>>(200, "The lines.", example!("audit"))
        .errors(&["validation_error", "storage_failed"])
}

pub fn metrics() -> Operation {
    Operation::new("metrics", Tag::Watch, "Metrics for Prometheus")
        .content(200, "The text format, version 0.0.4.", vec![("text/plain", any_text, None)])
        .errors(&["storage_failed"])
}

pub fn health() -> Operation {
    Operation::new("health", Tag::Health, "How it goes")
        .text(
            "200 also when unhealthy: read the body. Unhealthy: no new receipt would be taken (the buffer is full, or the disk \
             has less free than `buffer.min_free_disk`; `refuses` says which), more than 100 dead letters, or the database \
             fails. Degraded: a document or a part of the database was damaged, a breaker is not CLOSED, a KKT is blocked \
             or in trouble, a lane is stuck or stopped, the buffer is 80 % full, more than 50 dead letters, or the oldest \
             document has waited for more than 3 days.",
        )
        .json::<Report>(200, "All components; the worst one wins.", example!("health"))
}

pub fn livez() -> Operation {
    Operation::new("livez", Tag::Health, "The process answers").empty(200, "It does.")
}

pub fn readyz() -> Operation {
    Operation::new("readyz", Tag::Health, "It can work")
        .empty(200, "It can.")
        .empty(503, "It is unhealthy; `/v1/health` says why.")
}

pub fn heartbeat() -> Operation {
    Operation::new("heartbeatStatus", Tag::Watch, "Whether the ERP takes the adapter's signs of life")
        .json::<Status>(
            200,
            "The posts so far; not running where none is configured.",
            example!("heartbeatStatus"),
        )
}
