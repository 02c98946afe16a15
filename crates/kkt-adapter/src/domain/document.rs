//! The fiscal document that a ФН makes, and the bytes in which it travels to the OFD.

use super::{
    ids::{DeviceId, PosId, ReceiptId, RequestId},
    money::Kopecks,
    receipt::{Item, Receipt},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a document of the lane is (document codes 2, 3, 31, 5 of the FFD).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// A receipt or a correction.
    Receipt,
    /// Отчёт об открытии смены.
    ShiftOpen,
    /// Отчёт о закрытии смены.
    ShiftClose,
}

impl DocumentKind {
    /// The name the API and the buffer use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::ShiftOpen => "shift_open",
            Self::ShiftClose => "shift_close",
        }
    }
}

/// Who the device is registered as (`[[kkt.device]].identity`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// INN of the user, 10 or 12 digits.
    pub inn: String,
    /// Registration number of the KKT, 16 digits.
    pub rn_kkt: String,
    /// Name of the OFD, printed on the receipt.
    pub ofd_name: String,
    /// Default taxation system.
    pub taxation: super::receipt::Taxation,
}

/// What the ФН made of a document. Numbers are JSON numbers, signs are strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FiscalDoc {
    /// ФД number, counted by the ФН over its life.
    pub fiscal_doc_number: u32,
    /// ФП, up to 10 digits.
    pub fiscal_sign: String,
    /// Local time of the KKT, `YYYY-MM-DDTHH:MM:SS`.
    pub fiscal_datetime: String,
    /// Serial number of the ФН, 16 digits.
    pub fn_number: String,
    /// Serial number of the KKT.
    pub kkt_number: String,
    /// `t=…&s=…&fn=…&i=…&fp=…&n=…`; empty for shift documents, which carry no code.
    pub qr_code_data: String,
    /// Shift in which it was made.
    pub shift_number: u32,
    /// Number within the shift; 0 for shift documents.
    pub receipt_number: u32,
    /// Name of the OFD.
    pub ofd_name: String,
    /// INN of the user.
    pub inn: String,
    /// Registration number of the KKT.
    pub rn_kkt: String,
    /// Sum; 0 for shift documents.
    #[schemars(schema_with = "super::validate::schema::money_from_zero")]
    pub total: Kopecks,
}

/// A printed document on its way to the OFD. The bytes are made once, when it is printed, and stored: every
/// attempt sends the same ones (promise P3), whatever version of the program sends them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its key here and its idempotency key there.
    pub id: ReceiptId,
    /// The till that rang it up.
    pub pos_id: PosId,
    /// The device whose lane it travels in.
    pub device: DeviceId,
    /// ФД number, the order in the lane.
    pub fd: u32,
    /// Attempts that were charged to this document so far.
    pub attempts: u32,
    /// The request that brought it, for the log of the other side; `None` for documents of our own.
    pub request_id: Option<RequestId>,
    /// The body to send.
    pub wire: Vec<u8>,
}

/// What the OFD answered on accepting a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmation {
    /// The operator's own number of the document.
    pub ofd_id: String,
    /// The operator's time stamp, as it was sent.
    pub timestamp: String,
}

#[derive(Serialize)]
struct Wire<'a> {
    receipt_id: ReceiptId,
    document: DocumentKind,
    pos_id: &'a PosId,
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    kind: Option<super::receipt::ReceiptKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Item>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payments: Option<&'a [super::receipt::Payment]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taxation: Option<super::receipt::Taxation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cashier: Option<&'a super::receipt::Cashier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer: Option<&'a super::receipt::Buyer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correction: Option<&'a super::receipt::Correction>,
    fiscal_doc_number: u32,
    fiscal_sign: &'a str,
    fiscal_datetime: &'a str,
    fn_number: &'a str,
    kkt_number: &'a str,
    qr_code_data: &'a str,
    shift_number: u32,
    receipt_number: u32,
    ofd_name: &'a str,
    inn: &'a str,
    rn_kkt: &'a str,
    total: Kopecks,
}

/// Longest name of an item in a fiscal document, in characters (FFD tag 1030).
pub const NAME_CHARS_MAX: usize = 128;

/// The item as the fiscal document has it: its name cut to [`NAME_CHARS_MAX`].
fn cut(item: &Item) -> Item {
    let end = item.name.char_indices().nth(NAME_CHARS_MAX).map_or(item.name.len(), |(at, _)| at);
    Item { name: item.name[..end].to_owned(), ..item.clone() }
}

/// The body of `POST {base}/ofd/v1/receipt` (contract, «OFD over HTTP»): the receipt's fields, our id, what
/// document it is, and everything of the fiscal document.
#[must_use]
pub fn wire(
    id: ReceiptId,
    document: DocumentKind,
    pos_id: &PosId,
    receipt: Option<&Receipt>,
    fiscal: &FiscalDoc,
) -> Vec<u8> {
    let body = Wire {
        receipt_id: id,
        document,
        pos_id,
        kind: receipt.map(|r| r.kind),
        items: receipt.map(|r| r.items.iter().map(cut).collect()),
        payments: receipt.map(|r| r.payments.as_slice()),
        taxation: receipt.and_then(|r| r.taxation),
        cashier: receipt.and_then(|r| r.cashier.as_ref()),
        buyer: receipt.and_then(|r| r.buyer.as_ref()),
        correction: receipt.and_then(|r| r.correction.as_ref()),
        fiscal_doc_number: fiscal.fiscal_doc_number,
        fiscal_sign: &fiscal.fiscal_sign,
        fiscal_datetime: &fiscal.fiscal_datetime,
        fn_number: &fiscal.fn_number,
        kkt_number: &fiscal.kkt_number,
        qr_code_data: &fiscal.qr_code_data,
        shift_number: fiscal.shift_number,
        receipt_number: fiscal.receipt_number,
        ofd_name: &fiscal.ofd_name,
        inn: &fiscal.inn,
        rn_kkt: &fiscal.rn_kkt,
        total: fiscal.total,
    };
    let mut bytes = Vec::with_capacity(1_024);
    serde_json::to_writer(&mut bytes, &body).expect("a document has only string keys and exact numbers");
    bytes
}
