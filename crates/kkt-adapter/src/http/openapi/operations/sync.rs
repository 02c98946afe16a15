use super::{Operation, Tag, example};
use crate::http::{
    buffer::{BufferStatus, Damage, SyncResult, WorkerStatus},
    dlq::Note,
};
use schemars::JsonSchema;
use serde_json::json;

/// No fields.
#[derive(JsonSchema)]
struct Nothing {}

pub fn buffer_status() -> Operation {
    Operation::new("bufferStatus", Tag::Buffer, "How much waits, and how full the buffer is")
        .text("To a till's token the counts are of its own tills; how full the buffer is concerns all.")
        .json::<BufferStatus>(200, "The figures.", example!("bufferStatus"))
        .errors(&["storage_failed"])
}

pub fn sync() -> Operation {
    Operation::new("syncBuffer", Tag::Buffer, "Send now what waits")
        .text("Waits until every lane has emptied or come to a halt. It does not bypass an OPEN breaker.")
        .optional_body::<Nothing>(json!({}))
        .json::<SyncResult>(202, "What it did.", example!("syncBuffer"))
        .errors(&["sync_running"])
}

pub fn resolve_damage() -> Operation {
    Operation::new("resolveDamage", Tag::Buffer, "Say that what was damaged has been seen to")
        .text(
            "Ends the alarm about documents that failed their checksum and were set aside: health is no longer degraded by \
             them. It changes none of them. What is damaged later raises the alarm again.",
        )
        .body::<Note>(json!({ "note": "the cabinet of the OFD has them all, ticket 1744" }))
        .json::<Damage>(200, "The count, and what of it is open.", example!("resolveDamage"))
        .errors(&["storage_failed", "buffer_full"])
}

pub fn worker() -> Operation {
    Operation::new("workerStatus", Tag::Buffer, "The lanes to the OFD").json::<WorkerStatus>(
        200,
        "One lane a KKT.",
        example!("workerStatus"),
    )
}
