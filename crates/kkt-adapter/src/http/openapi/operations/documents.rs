use super::{Operation, Tag, example, id, list, status};
use crate::http::{
    decide::Decision,
    documents::Because,
    view::{EntryView, Receipts},
};
use serde_json::json;

pub fn show_receipt() -> Operation {
    let operation = Operation::new("showReceipt", Tag::Receipts, "Where a receipt stands")
        .json::<EntryView<'_>>(200, "The document, with all that was sold.", example!("showReceipt"))
        .errors(&["foreign_till"]);
    id(operation, "pos-001-2026-000042")
}

pub fn list_receipts() -> Operation {
    let operation = Operation::new("listReceipts", Tag::Receipts, "Documents, newest or oldest first")
        .optional("status", status, None, "Only in this state. `pending` is `printed`, `failed` is `dead`.")
        .json::<Receipts<'_>>(200, "A page.", example!("listReceipts"))
        .errors(&["foreign_till"]);
    list(operation, Some("POS-001"))
}

pub fn cancel() -> Operation {
    let operation = Operation::new("cancelReceipt", Tag::Receipts, "Cancel what was never printed")
        .optional_body::<Because>(json!({ "reason": "the buyer has left" }))
        .json::<EntryView<'_>>(200, "It will not be printed any more.", example!("cancelReceipt"))
        .errors(&["foreign_till", "wrong_state", "stopping", "kkt_not_ready", "kkt_no_answer", "kkt_failed"]);
    id(operation, "pos-002-2026-000007")
}

pub fn decide() -> Operation {
    let operation = Operation::new("decideReceipt", Tag::Receipts, "Say whether a document is on paper")
        .text(
            "A document is `print_unknown` when the KKT cannot say whether it printed it. Its device prints nothing \
             until a person has looked at the paper.",
        )
        .body::<Decision>(json!({
            "printed": true, "fiscal_doc_number": 3, "fiscal_sign": "0569239658", "receipt_number": 2,
            "reason": "the paper shows it",
        }))
        .json::<EntryView<'_>>(200, "It goes on as decided.", example!("decideReceipt"))
        .errors(&["wrong_state", "stopping", "kkt_not_ready", "kkt_no_answer", "kkt_failed"]);
    id(operation, "pos-003-2026-000011")
}
