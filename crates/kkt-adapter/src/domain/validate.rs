//! The only way from outside bytes to a [`Receipt`]. Pure: the day is given.
//!
//! What it promises: a receipt that passes holds every rule of the API; one that does not is answered with all that
//! is wrong (at most [`form::ERRORS_MAX`] errors), each with its field and what is allowed. Numbers are read exactly and
//! never rounded. What was changed or is unusual but accepted is said in a note. Fields nobody knows are ignored and
//! named.

pub mod form;
pub mod json;
pub mod problem;
pub mod schema;
mod size;
#[cfg(test)]
mod tests;

use self::{form::Form, problem::FieldError};
use super::{
    document,
    ids::PosId,
    money::{KOPECKS_MAX, Kopecks, QUANTITY_DECIMALS_MAX, Quantity},
    receipt::{
        Buyer, Cashier, Correction, CorrectionKind, Item, Payment, PaymentKind, Receipt, ReceiptKind,
        Taxation,
    },
    vat::{self, VatRate},
};
use jiff::civil::Date;
use serde_json::Value;
use std::collections::BTreeMap;

/// Most items of a receipt.
pub const ITEMS_MAX: usize = 1_000;
/// Most payments of a receipt.
pub const PAYMENTS_MAX: usize = 10;
/// Longest name of an item here, in characters.
pub const NAME_MAX: usize = 255;
/// Largest quantity in millionths: ten billions, as the amounts of money.
const QUANTITY_MAX: i64 = KOPECKS_MAX / 100 * 1_000_000;
/// Longest name of a cashier and address of a buyer (tags 1021, 1008), in characters.
pub const PERSON_MAX: usize = 64;
/// Longest base of a correction, in characters.
pub const BASE_MAX: usize = 255;
/// Largest value of tag 1212, what is sold.
pub const SUBJECT_MAX: i64 = 33;
/// Largest value of tag 1214, how it is settled.
pub const METHOD_MAX: i64 = 7;

/// A receipt that holds every rule.
#[derive(Debug, Clone)]
pub struct Validated {
    /// The receipt.
    pub receipt: Receipt,
    /// What people should know about it; part of the answer's `message`.
    pub notes: Vec<String>,
    /// Fields that were ignored, by path (`items.0.sku`).
    pub ignored: Vec<String>,
}

/// Validates a body.
///
/// # Errors
/// Everything that is wrong with it.
pub fn receipt(body: Value, today: Date) -> Result<Validated, Vec<FieldError>> {
    let mut form = Form::new("body");
    let read = read_receipt(&mut form, body);
    let (receipt, notes) = match read {
        Some(mut receipt) if form.is_clean() => {
            let kopeck = balance(&mut form, &mut receipt);
            fits(&mut form, &receipt);
            let notes = notes(&receipt, kopeck, today);
            (Some(receipt), notes)
        }
        _ => (None, Vec::new()),
    };
    let (errors, ignored) = form.finish();
    match receipt {
        Some(receipt) if errors.is_empty() => Ok(Validated { receipt, notes, ignored }),
        _ => Err(errors),
    }
}

fn read_receipt(form: &mut Form, body: Value) -> Option<Receipt> {
    let mut map = form.object(body)?;
    let pos_id = form.required(&mut map, "pos_id").and_then(|value| pos_id(form, &value));
    let kind = form.required(&mut map, "type").and_then(|value| {
        let words = [
            ("sale", ReceiptKind::Sale),
            ("refund", ReceiptKind::Refund),
            ("correction", ReceiptKind::Correction),
        ];
        form.choice("type", &value, &words)
    });
    let items = form.required(&mut map, "items").and_then(|v| list(form, "items", v, ITEMS_MAX, item));
    let payments =
        form.required(&mut map, "payments").and_then(|v| list(form, "payments", v, PAYMENTS_MAX, payment));
    let taxation =
        form.optional(&mut map, "taxation").and_then(|value| form.choice("taxation", &value, &TAXATIONS));
    let cashier =
        form.optional(&mut map, "cashier").and_then(|v| form.within_personal("cashier", |f| cashier(f, v)));
    let buyer = form.optional(&mut map, "buyer").and_then(|v| form.within_personal("buyer", |f| buyer(f, v)));
    let given = form.optional(&mut map, "correction");
    let correction = correction(form, kind, given);
    form.ignore_rest(&map);
    Some(Receipt {
        pos_id: pos_id?,
        kind: kind?,
        items: items?,
        payments: payments?,
        taxation,
        cashier,
        buyer,
        correction,
    })
}

/// The systems of tag 1055 by the names of the API.
const TAXATIONS: [(&str, Taxation); 5] = [
    ("osn", Taxation::Osn),
    ("usn_income", Taxation::UsnIncome),
    ("usn_income_outcome", Taxation::UsnIncomeOutcome),
    ("eshn", Taxation::Eshn),
    ("patent", Taxation::Patent),
];

/// Reads the name of a till; shared with the other bodies that have one.
pub fn pos_id(form: &mut Form, value: &Value) -> Option<PosId> {
    let Some(text) = value.as_str() else {
        form.fail(Some("pos_id".into()), "string_type", "must be a string", value);
        return None;
    };
    match text.parse() {
        Ok(pos_id) => Some(pos_id),
        Err(_) => {
            let msg = format!("must be {}", PosId::RULE);
            form.fail(Some("pos_id".into()), "string_pattern_mismatch", msg, value);
            None
        }
    }
}

fn list<T>(
    form: &mut Form,
    field: &'static str,
    value: Value,
    max: usize,
    read: impl Fn(&mut Form, Value) -> Option<T>,
) -> Option<Vec<T>> {
    let Value::Array(values) = value else {
        form.fail(Some(field.into()), "list_type", "must be a list", &value);
        return None;
    };
    if values.is_empty() || values.len() > max {
        let kind = if values.is_empty() { "too_short" } else { "too_long" };
        let msg = format!("must have 1 to {max} entries, not {}", values.len());
        form.fail(Some(field.into()), kind, msg, &Value::Array(values));
        return None;
    }
    form.within(field, |form| {
        let mut read_values = Vec::with_capacity(values.len());
        let mut complete = true;
        for (index, value) in values.into_iter().enumerate() {
            match form.within(index, |form| read(form, value)) {
                Some(value) => read_values.push(value),
                None => complete = false,
            }
        }
        complete.then_some(read_values)
    })
}

fn item(form: &mut Form, value: Value) -> Option<Item> {
    let mut map = form.object(value)?;
    let name = form.required(&mut map, "name").and_then(|value| form.text("name", value, NAME_MAX));
    let price = form.required(&mut map, "price").and_then(|value| form.money("price", &value, 1));
    let quantity = form.required(&mut map, "quantity").and_then(|value| quantity(form, &value));
    let given_total = form.required(&mut map, "total");
    let total = given_total.as_ref().and_then(|value| form.money("total", value, 1));
    let vat_rate = match form.optional(&mut map, "vat_rate") {
        Some(value) => Some(vat_rate(form, &value)?),
        None => None,
    };
    let subject =
        form.optional(&mut map, "subject").and_then(|value| form.whole("subject", &value, 1, SUBJECT_MAX));
    let method =
        form.optional(&mut map, "method").and_then(|value| form.whole("method", &value, 1, METHOD_MAX));
    form.ignore_rest(&map);
    let (price, quantity, total) = (price?, quantity?, total?);
    // In millionths of a kopeck, exact.
    let difference = price.times(quantity) - i128::from(total.0) * 1_000_000;
    if difference.abs() > 1_000_000 {
        let product = price.times(quantity) / 1_000_000;
        let msg = format!(
            "must be price × quantity within 0.01: {price} × {quantity} is {}",
            i64::try_from(product)
                .map_or_else(|_| "out of range".into(), |kopecks| Kopecks(kopecks).to_string())
        );
        form.fail(Some("total".into()), "value_error", msg, &given_total.unwrap_or_default());
        return None;
    }
    let small = |number: Option<i64>| number.and_then(|number| u8::try_from(number).ok());
    Some(Item {
        name: name?,
        price,
        quantity,
        total,
        vat_rate,
        subject: small(subject),
        method: small(method),
    })
}

fn quantity(form: &mut Form, value: &Value) -> Option<Quantity> {
    let scaled = form.decimal("quantity", value, QUANTITY_DECIMALS_MAX)?;
    let millionths = scaled.checked_mul(10_i64.pow(6 - QUANTITY_DECIMALS_MAX));
    match millionths {
        Some(millionths) if (1..=QUANTITY_MAX).contains(&millionths) => Some(Quantity(millionths)),
        _ if scaled <= 0 => {
            form.fail(Some("quantity".into()), "greater_than", "must be greater than 0", value);
            None
        }
        _ => {
            let msg = format!("must be at most {}", Quantity(QUANTITY_MAX));
            form.fail(Some("quantity".into()), "less_than_equal", msg, value);
            None
        }
    }
}

fn vat_rate(form: &mut Form, value: &Value) -> Option<u8> {
    let percent = form.decimal("vat_rate", value, 0)?;
    let rate = VatRate::of(percent);
    if rate.is_none() {
        form.fail(Some("vat_rate".into()), "enum", format!("must be one of {}", vat::ALLOWED), value);
    }
    rate.map(|rate| rate.percent)
}

fn payment(form: &mut Form, value: Value) -> Option<Payment> {
    let mut map = form.object(value)?;
    let kind = form.required(&mut map, "type").and_then(|value| {
        let words = [("cash", PaymentKind::Cash), ("card", PaymentKind::Card), ("other", PaymentKind::Other)];
        form.choice("type", &value, &words)
    });
    // Tills send the kinds that were not used with 0.00.
    let amount = form.required(&mut map, "amount").and_then(|value| form.money("amount", &value, 0));
    form.ignore_rest(&map);
    Some(Payment { kind: kind?, amount: amount? })
}

fn cashier(form: &mut Form, value: Value) -> Option<Cashier> {
    let mut map = form.object(value)?;
    let name = form.required(&mut map, "name").and_then(|value| form.text("name", value, PERSON_MAX));
    let inn = form.optional(&mut map, "inn").and_then(|value| match value {
        Value::String(text) if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) => Some(text),
        other => {
            form.fail(Some("inn".into()), "string_pattern_mismatch", "must be a string of 12 digits", &other);
            None
        }
    });
    form.ignore_rest(&map);
    Some(Cashier { name: name?, inn })
}

fn buyer(form: &mut Form, value: Value) -> Option<Buyer> {
    let mut map = form.object(value)?;
    let given_email = form.optional(&mut map, "email");
    let given_phone = form.optional(&mut map, "phone");
    if given_email.is_none() && given_phone.is_none() {
        form.fail(None, "missing", "must have email or phone", &Value::Null);
    }
    let email = given_email.and_then(|value| email(form, value));
    let phone = given_phone.and_then(|value| phone(form, &value));
    form.ignore_rest(&map);
    Some(Buyer { email, phone })
}

fn email(form: &mut Form, value: Value) -> Option<String> {
    let text = form.text("email", value, PERSON_MAX)?;
    let plain = !text.contains(char::is_whitespace);
    match text.split_once('@') {
        Some((user, host)) if plain && !user.is_empty() && !host.is_empty() && !host.contains('@') => {
            Some(text)
        }
        _ => {
            form.fail(Some("email".into()), "value_error", "must be an e-mail address", &Value::String(text));
            None
        }
    }
}

/// A number as people write it: spaces, dashes and brackets carry nothing.
fn phone(form: &mut Form, value: &Value) -> Option<String> {
    let text: Option<String> = value
        .as_str()
        .filter(|text| text.len() <= PERSON_MAX)
        .map(|text| text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect());
    let digits = text.as_deref().and_then(|text| text.strip_prefix('+'));
    if digits
        .is_some_and(|digits| (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
    {
        return text;
    }
    let msg = "must be a telephone number in the international form: + and 5 to 15 digits";
    form.fail(Some("phone".into()), "string_pattern_mismatch", msg, value);
    None
}

fn correction(form: &mut Form, kind: Option<ReceiptKind>, given: Option<Value>) -> Option<Correction> {
    match (kind, given) {
        (Some(ReceiptKind::Correction), None) => {
            let msg = "a correction needs {\"type\": \"self\" or \"order\", \"base\": \"the document it rests on\"}";
            form.fail(Some("correction".into()), "missing", msg, &Value::Null);
            None
        }
        (Some(ReceiptKind::Sale | ReceiptKind::Refund), Some(value)) => {
            let msg = "is for type correction only; leave it out";
            form.fail(Some("correction".into()), "value_error", msg, &value);
            None
        }
        (_, None) => None,
        (_, Some(value)) => form.within("correction", |form| {
            let mut map = form.object(value)?;
            let kind = form.required(&mut map, "type").and_then(|value| {
                form.choice(
                    "type",
                    &value,
                    &[("self", CorrectionKind::Own), ("order", CorrectionKind::Order)],
                )
            });
            let base = form.required(&mut map, "base").and_then(|value| form.text("base", value, BASE_MAX));
            form.ignore_rest(&map);
            Some(Correction { kind: kind?, base: base? })
        }),
    }
}

/// Holds the payments against the items; a kopeck between them goes to the largest payment, and is returned.
fn balance(form: &mut Form, receipt: &mut Receipt) -> Option<Kopecks> {
    let total = receipt.total();
    if total.0 > KOPECKS_MAX {
        let msg = format!("the sum of the items must be at most {}, not {total}", Kopecks(KOPECKS_MAX));
        form.fail(Some("items".into()), "less_than_equal", msg, &Value::Null);
        return None;
    }
    let paid: i64 = receipt.payments.iter().map(|payment| payment.amount.0).sum();
    let difference = total.0 - paid;
    let largest = receipt.payments.iter_mut().max_by_key(|payment| payment.amount)?;
    if difference.abs() > 1 || largest.amount.0 + difference < 0 {
        let msg = format!(
            "the payments must sum up to the items within 0.01: {} was paid for {total}",
            Kopecks(paid)
        );
        form.fail(Some("payments".into()), "value_error", msg, &Value::Null);
        return None;
    }
    largest.amount.0 += difference;
    (difference != 0).then_some(Kopecks(difference))
}

fn fits(form: &mut Form, receipt: &Receipt) {
    let bytes = size::document_bytes(receipt);
    if bytes > size::DOCUMENT_BYTES_MAX {
        let msg = format!(
            "the fiscal document would have up to {bytes} bytes, at most {} are allowed: split the receipt",
            size::DOCUMENT_BYTES_MAX
        );
        form.fail(Some("items".into()), "document_too_large", msg, &Value::Null);
    }
}

/// What the cashier should know, each note «русский / English» ([`super::bilingual`]).
fn notes(receipt: &Receipt, kopeck: Option<Kopecks>, today: Date) -> Vec<String> {
    let mut notes = Vec::new();
    let mut dated: BTreeMap<u8, usize> = BTreeMap::new();
    for rate in receipt.items.iter().filter_map(|item| item.vat_rate) {
        if VatRate::of(rate.into()).is_some_and(|rate| !rate.in_force(today)) {
            *dated.entry(rate).or_default() += 1;
        }
    }
    for (rate, count) in dated {
        let day = today.strftime("%d.%m.%Y");
        notes.push(format!(
            "Ставка НДС {rate} % на {day} не действует; чек принят как есть (позиций: {count}). / VAT rate {rate} % is \
             not in force on {today}; accepted as sent (items: {count})."
        ));
    }
    let max = document::NAME_CHARS_MAX;
    let cut = receipt.items.iter().filter(|item| item.name.chars().nth(max).is_some()).count();
    if cut > 0 {
        notes.push(format!(
            "Названия длиннее {max} знаков в фискальном документе обрезаны (позиций: {cut}). / Names longer than {max} \
             characters are cut there in the fiscal document (items: {cut})."
        ));
    }
    if let Some(kopeck) = kopeck {
        let comma = kopeck.to_string().replace('.', ",");
        notes.push(format!(
            "Оплата отличалась от суммы позиций на 0,01; самый большой платёж изменён на {comma}. / The payments \
             differed from the items by 0.01; the largest was changed by {kopeck}."
        ));
    }
    notes
}
