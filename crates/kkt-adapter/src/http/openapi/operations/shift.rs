use super::{Operation, Tag, example, schema_of};
use crate::{
    domain::ids::PosId,
    http::{
        shift::{Shift, ShiftCommand},
        view::SaleView,
    },
};
use serde_json::json;

pub fn show_shift() -> Operation {
    Operation::new("showShift", Tag::Shift, "The shift of a till's KKT")
        .query("pos_id", schema_of::<PosId>, "POS-001", "The till.")
        .json::<Shift>(200, "As the KKT has it.", example!("showShift"))
        .errors(&["foreign_till", "validation_error", "storage_failed"])
        .errors(&["kkt_not_ready", "kkt_no_answer", "kkt_shift", "kkt_failed", "stopping"])
}

fn command(id: &'static str, summary: &'static str, example: &'static str) -> Operation {
    Operation::new(id, Tag::Shift, summary)
        .text("Its report is a document with a ФД number of its own, and travels to the OFD as receipts do.")
        .body::<ShiftCommand>(json!({ "pos_id": "POS-001" }))
        .json::<SaleView<'_>>(200, "Done; `fiscal_doc` is the report.", example)
        .errors(&[
            "foreign_till",
            "shift_conflict",
            "wrong_state",
            "buffer_full",
            "storage_failed",
            "stopping",
        ])
        .errors(&["kkt_not_ready", "kkt_no_answer", "kkt_shift", "kkt_failed"])
}

pub fn open_shift() -> Operation {
    command("openShift", "Open it", example!("openShift"))
}

pub fn close_shift() -> Operation {
    command("closeShift", "Close it", example!("closeShift"))
}
