//! The receipt as the till rings it up, after validation. Its JSON form here is canonical: two
//! receipts are the same exactly if these bytes are.

use super::{
    ids::PosId,
    money::{Kopecks, Quantity},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What kind of settlement the receipt records (FFD tag 1054; `correction` is document 31).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// Приход.
    Sale,
    /// Возврат прихода.
    Refund,
    /// Чек коррекции.
    Correction,
}

impl ReceiptKind {
    /// The names the API uses.
    pub const ALL: [&'static str; 3] = ["sale", "refund", "correction"];

    /// The name the API uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Refund => "refund",
            Self::Correction => "correction",
        }
    }
}

/// How it was paid (FFD tags 1031, 1081, 1217).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentKind {
    /// Tag 1031.
    Cash,
    /// Tag 1081.
    Card,
    /// Tag 1217.
    Other,
}

/// Taxation system of the receipt (FFD tag 1055, one bit a receipt).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taxation {
    /// ОСН, bit 1.
    Osn,
    /// УСН доход, bit 2.
    UsnIncome,
    /// УСН доход−расход, bit 4.
    UsnIncomeOutcome,
    /// ЕСХН, bit 16.
    Eshn,
    /// Патент, bit 32.
    Patent,
}

/// One line of the receipt (FFD tag 1059).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Tag 1030; 1–255 characters here, cut to 128 in the fiscal document.
    pub name: String,
    /// Tag 1079.
    pub price: Kopecks,
    /// Tag 1023.
    pub quantity: Quantity,
    /// Tag 1043; price × quantity within one kopeck.
    pub total: Kopecks,
    /// VAT in percent; `None` is «без НДС».
    pub vat_rate: Option<u8>,
    /// Tag 1212, what is sold (1 = goods, 4 = service).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<u8>,
    /// Tag 1214, how it is settled (4 = full settlement).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<u8>,
}

/// One payment of the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// How.
    #[serde(rename = "type")]
    pub kind: PaymentKind,
    /// How much.
    pub amount: Kopecks,
}

/// Who rang it up (tags 1021, 1203).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cashier {
    /// Name and position.
    pub name: String,
    /// INN, 12 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inn: Option<String>,
}

/// Where the buyer wants the electronic receipt (tag 1008).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buyer {
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Telephone number, `+` and digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Whose idea a correction was (tag 1173).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionKind {
    /// By the shop itself, value 0.
    #[serde(rename = "self")]
    Own,
    /// By order of the tax service, value 1.
    Order,
}

/// Why a correction is made (tags 1173, 1174).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Whose idea.
    #[serde(rename = "type")]
    pub kind: CorrectionKind,
    /// The document it rests on, in words.
    pub base: String,
}

/// A valid receipt. `domain::validate` is the only way from outside bytes to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The till.
    pub pos_id: PosId,
    /// Sale, refund or correction.
    #[serde(rename = "type")]
    pub kind: ReceiptKind,
    /// 1–1,000 lines.
    pub items: Vec<Item>,
    /// 1–10 payments; their sum is the items' sum to the kopeck.
    pub payments: Vec<Payment>,
    /// Taxation system, where it differs from the device's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taxation: Option<Taxation>,
    /// Who rang it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cashier: Option<Cashier>,
    /// Where the electronic receipt goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Buyer>,
    /// Present exactly for corrections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
}

impl Receipt {
    /// Sum of the items.
    #[must_use]
    pub fn total(&self) -> Kopecks {
        Kopecks(self.items.iter().map(|item| item.total.0).sum())
    }

    /// The canonical bytes: stored, hashed, compared.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        serde_json::to_writer(&mut bytes, self).expect("a receipt has only string keys and exact numbers");
        bytes
    }

    /// Hash by which the same key with another receipt is told from a retry (promise P4).
    #[must_use]
    pub fn hash(&self) -> BodyHash {
        BodyHash::of(&self.canonical())
    }
}

/// SHA-256 of a canonical body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BodyHash(pub [u8; 32]);

impl BodyHash {
    /// Hashes the bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}
