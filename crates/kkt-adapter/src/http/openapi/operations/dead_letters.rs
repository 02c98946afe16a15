use super::{Operation, Tag, example, id, list};
use crate::http::{
    dlq::Note,
    documents::{Because, Reason},
    view::{DeadLetters, EntryView},
};
use schemars::json_schema;
use serde_json::json;

pub fn list_dead_letters() -> Operation {
    let resolved = |_: &mut schemars::SchemaGenerator| json_schema!({ "type": "boolean", "default": false });
    let operation =
        Operation::new("listDeadLetters", Tag::DeadLetters, "Dead letters, newest or oldest first")
            .optional("resolved", resolved, None, "Also those that a person has closed.")
            .json::<DeadLetters<'_>>(200, "A page.", example!("listDeadLetters"));
    list(operation, None)
}

pub fn park() -> Operation {
    let operation = Operation::new("parkReceipt", Tag::DeadLetters, "Set aside what holds up its lane")
        .text(
            "For the first document of a lane, after it was sent in vain. While nothing else is delivered the adapter cannot \
             tell a document that the OFD cannot take from an OFD that is down; ask the OFD first. The document becomes a dead \
             letter and still awaits its confirmation; what is behind it goes on. With `sync.on_rejected = \"stop\"` the \
             lane goes on once the dead letter is closed. `requeue` takes it back.",
        )
        .body::<Reason>(json!({ "reason": "the OFD cannot read it, ticket 1743" }))
        .json::<EntryView<'_>>(200, "It is a dead letter.", example!("parkReceipt"))
        .errors(&["wrong_state", "holds_up_nothing"]);
    id(operation, "pos-005-2026-000005")
}

pub fn requeue() -> Operation {
    let operation = Operation::new("requeueDeadLetter", Tag::DeadLetters, "Send it again")
        .text("Back to its lane, its attempts at zero.")
        .optional_body::<Because>(json!({ "reason": "the OFD has corrected its registration" }))
        .json::<EntryView<'_>>(200, "It will be sent.", example!("requeueDeadLetter"))
        .errors(&["wrong_state", "nothing_to_send"]);
    id(operation, "pos-004-2026-000003")
}

pub fn resolve() -> Operation {
    let operation = Operation::new("resolveDeadLetter", Tag::DeadLetters, "Close it")
        .text("Who did it is the name of the token.")
        .body::<Note>(json!({ "note": "reported to the OFD by hand, ticket 1742" }))
        .json::<EntryView<'_>>(200, "It is closed.", example!("resolveDeadLetter"))
        .errors(&["wrong_state"]);
    id(operation, "pos-004-2026-000004")
}
