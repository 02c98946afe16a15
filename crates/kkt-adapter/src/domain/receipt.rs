//! The receipt as the till rings it up, after validation. Its JSON form here is canonical: two
//! receipts are the same exactly if these bytes are.

use super::{
    ids::PosId,
    money::{Kopecks, Quantity},
    validate::{BASE_MAX, ITEMS_MAX, METHOD_MAX, NAME_MAX, PAYMENTS_MAX, PERSON_MAX, SUBJECT_MAX, schema},
};
use schemars::{JsonSchema, json_schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What kind of settlement the receipt records (FFD tag 1054; `correction` is document 31).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// Tag 1030; cut to 128 characters in the fiscal document.
    #[schemars(length(min = 1, max = NAME_MAX), regex(pattern = schema::TEXT))]
    pub name: String,
    /// For one, in roubles (tag 1079).
    #[schemars(schema_with = "schema::money_above_zero")]
    pub price: Kopecks,
    /// How much of it (tag 1023).
    #[schemars(schema_with = "schema::quantity")]
    pub quantity: Quantity,
    /// In roubles: price × quantity within one kopeck (tag 1043).
    #[schemars(schema_with = "schema::money_above_zero")]
    pub total: Kopecks,
    /// VAT in percent; none is «без НДС».
    #[serde(default)]
    #[schemars(schema_with = "schema::vat_rate")]
    pub vat_rate: Option<u8>,
    /// Tag 1212: what is sold (1 = goods, 4 = service).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::whole_or_none::<1, SUBJECT_MAX>")]
    pub subject: Option<u8>,
    /// Tag 1214: how it is settled (4 = full settlement).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::whole_or_none::<1, METHOD_MAX>")]
    pub method: Option<u8>,
}

/// One payment of the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payment {
    /// How.
    #[serde(rename = "type")]
    pub kind: PaymentKind,
    /// How much, in roubles.
    #[schemars(schema_with = "schema::money_from_zero")]
    pub amount: Kopecks,
}

/// Who rang it up (tags 1021, 1203).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cashier {
    /// Name and position.
    #[schemars(length(min = 1, max = PERSON_MAX), regex(pattern = schema::TEXT))]
    pub name: String,
    /// INN, 12 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]{12}$"))]
    pub inn: Option<String>,
}

/// Where the buyer wants the electronic receipt (tag 1008).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Buyer {
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = PERSON_MAX), regex(pattern = schema::TEXT))]
    pub email: Option<String>,
    /// Telephone number, `+` and digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = PERSON_MAX))]
    pub phone: Option<String>,
}

/// Who a correction was made by (tag 1173).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionKind {
    /// By the shop itself, value 0.
    #[serde(rename = "self")]
    Own,
    /// By order of the tax service, value 1.
    Order,
}

/// Why a correction is made (tags 1173, 1174).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Correction {
    /// Who wanted it.
    #[serde(rename = "type")]
    pub kind: CorrectionKind,
    /// The document it rests on, in words.
    #[schemars(length(min = 1, max = BASE_MAX), regex(pattern = schema::TEXT))]
    pub base: String,
}

/// A receipt as the till rings it up.
// `domain::validate` is the only way from outside bytes to one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = needs_correction)]
pub struct Receipt {
    /// The till.
    pub pos_id: PosId,
    /// Sale, refund or correction.
    #[serde(rename = "type")]
    pub kind: ReceiptKind,
    /// Its lines.
    #[schemars(length(min = 1, max = ITEMS_MAX))]
    pub items: Vec<Item>,
    /// Their sum is the items' sum to the kopeck.
    #[schemars(length(min = 1, max = PAYMENTS_MAX))]
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

/// Corrections have their reason, other receipts have none.
fn needs_correction(schema: &mut schemars::Schema) {
    let of_type =
        |kind: &str| json_schema!({ "properties": { "type": { "const": kind } }, "required": ["type"] });
    schema.insert("if".into(), of_type("correction").to_value());
    let given =
        json_schema!({ "properties": { "correction": { "type": "object" } }, "required": ["correction"] });
    schema.insert("then".into(), given.to_value());
    let none = json_schema!({ "properties": { "correction": { "type": "null" } } });
    schema.insert("else".into(), none.to_value());
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
