use super::{Operation, Tag, any_text, example};
use crate::http::{
    breakers::{Breaker, Breakers, ForceClosed, ForceOpen, History},
    documents::Because,
};
use serde_json::json;

fn key(operation: Operation) -> Operation {
    let text = "`ofd` for the endpoint, `device:<id>` for a KKT.";
    operation.path("key", any_text, "ofd", text).errors(&["not_found"])
}

pub fn list_breakers() -> Operation {
    Operation::new("listBreakers", Tag::Breakers, "All of them").json::<Breakers>(
        200,
        "The endpoint's first.",
        example!("listBreakers"),
    )
}

pub fn show_breaker() -> Operation {
    key(Operation::new("showBreaker", Tag::Breakers, "One of them").json::<Breaker>(
        200,
        "As it is now.",
        example!("showBreaker"),
    ))
}

pub fn history() -> Operation {
    key(Operation::new("breakerHistory", Tag::Breakers, "The states it has been in")
        .text("Since the adapter started; kept in memory only.")
        .json::<History>(200, "Its stays.", example!("breakerHistory")))
}

fn command(id: &'static str, summary: &'static str, text: &'static str, example: &'static str) -> Operation {
    let operation = Operation::new(id, Tag::Breakers, summary).text(text);
    key(operation.json::<Breaker>(200, "The breaker as it is now.", example))
}

pub fn force_open() -> Operation {
    let text = "Nothing is sent until it is released. Receipts are taken and printed as before. Audited.";
    command("forceOpenBreaker", "Stop sending", text, example!("forceOpenBreaker"))
        .body::<ForceOpen>(json!({ "reason": "the OFD announced maintenance", "for_seconds": 3_600 }))
}

pub fn force_closed() -> Operation {
    let text = "Everything is sent, whatever fails, until it is released. Audited.";
    command("forceClosedBreaker", "Send whatever happens", text, example!("forceClosedBreaker"))
        .body::<ForceClosed>(json!({ "reason": "the OFD asked for a test" }))
}

pub fn release() -> Operation {
    let text = "From a forced state back to CLOSED; the breaker decides again. Audited.";
    command("releaseBreaker", "Back to automatic", text, example!("releaseBreaker"))
        .optional_body::<Because>(json!({ "reason": "the maintenance is over" }))
}

pub fn reset() -> Operation {
    let text = "To CLOSED from any state, as if nothing had failed. Audited.";
    command("resetBreaker", "Forget what failed", text, example!("resetBreaker"))
        .optional_body::<Because>(json!({ "reason": "the network was repaired" }))
}
