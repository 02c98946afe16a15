use super::{Operation, Tag, example, schema_of};
use crate::{
    domain::{ids::IdempotencyKey, receipt::Receipt},
    http::view::SaleView,
};
use serde_json::json;

pub fn sell() -> Operation {
    Operation::new("sell", Tag::Receipts, "Sell, refund or correct")
        .text(
            "The answer comes once the receipt is on the disk and, if the KKT could, on paper; the OFD is not waited \
             for. A retry under the same key is answered with what the first call did. A `buffered` receipt is printed \
             by the adapter itself, in order, when the KKT is back.\n\n\
             `total` of an item is price × quantity within 0.01; the payments sum up to the items within 0.01, and the \
             largest payment takes the kopeck. A VAT rate that is not in force today is accepted, and `message` says so. \
             Fields nobody knows are ignored and named in `X-Ignored-Fields`.",
        )
        .header(
            "Idempotency-Key",
            schema_of::<IdempotencyKey>,
            "pos-001-2026-000042",
            "A new one for each new receipt, the same one for a retry; a UUID recommended.",
        )
        .body::<Receipt>(json!({
            "pos_id": "POS-001",
            "type": "sale",
            "items": [
                { "name": "Оправа", "price": "100.00", "quantity": 2, "total": "200.00", "vat_rate": 22 },
            ],
            "payments": [{ "type": "cash", "amount": "200.00" }],
        }))
        .json::<SaleView<'_>>(200, "Taken; `status` says whether it is on paper.", example!("sell"))
        .answer_header("Idempotent-Replayed", "`true`: the answer of an earlier call under this key.")
        .answer_header("X-Ignored-Fields", "Fields of the request that nobody knows.")
        .errors(&[
            "foreign_till",
            "idempotency_key_reused",
            "receipt_cancelled",
            "buffer_full",
            "receipt_unprinted",
            "storage_failed",
            "stopping",
            "kkt_not_ready",
            "kkt_no_answer",
            "kkt_shift",
            "kkt_failed",
            "document_damaged",
        ])
}
