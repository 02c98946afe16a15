use super::{Operation, Tag, example};
use crate::http::buffer::{BufferStatus, SyncResult, WorkerStatus};
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

pub fn worker() -> Operation {
    Operation::new("workerStatus", Tag::Buffer, "The lanes to the OFD").json::<WorkerStatus>(
        200,
        "One lane a KKT.",
        example!("workerStatus"),
    )
}
