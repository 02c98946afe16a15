//! What the validation accepts, as JSON Schema: from the same constants, for the document of the API.
//!
//! A field that is read and written has two forms: what is accepted (money as a number or a string with one), and what
//! is answered (a number). The generator's contract says which one is asked for.

use super::super::{
    money::{KOPECKS_MAX, QUANTITY_DECIMALS_MAX},
    vat::RATES,
};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A decimal in a string, as JSON writes numbers. How many digits may follow the point stands in the description.
const DECIMAL: &str = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$";

/// Characters that no text of a person may have: those that could command a printer.
macro_rules! control {
    () => {
        r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
    };
}

/// At least one character that is not blank, none that commands.
pub const TEXT: &str = concat!("^[^", control!(), "]*[^\\s", control!(), "][^", control!(), "]*$");

fn answered(generator: &SchemaGenerator) -> bool {
    generator.contract().is_serialize()
}

fn number_or_text(number: &Value, words: &str) -> Schema {
    json_schema!({ "anyOf": [number, { "type": "string", "pattern": DECIMAL, "description": words }] })
}

fn money(generator: &SchemaGenerator, minimum: (&str, f64), words: &str) -> Schema {
    if answered(generator) {
        return json_schema!({ "type": "number", "description": "Roubles, with two decimals." });
    }
    let mut number = json!({ "type": "number", "maximum": KOPECKS_MAX / 100 });
    number[minimum.0] = minimum.1.into();
    number_or_text(&number, words)
}

/// Roubles, more than none.
pub fn money_above_zero(generator: &mut SchemaGenerator) -> Schema {
    money(generator, ("minimum", 0.01), "The same as a string.")
}

/// Roubles, none allowed.
pub fn money_from_zero(generator: &mut SchemaGenerator) -> Schema {
    money(generator, ("minimum", 0.0), "The same as a string.")
}

/// Roubles, or nothing.
pub fn money_or_none(generator: &mut SchemaGenerator) -> Schema {
    or_null(money_from_zero(generator))
}

/// A quantity.
pub fn quantity(generator: &mut SchemaGenerator) -> Schema {
    if answered(generator) {
        return json_schema!({ "type": "number" });
    }
    let least = 10_f64.powi(-i32::try_from(QUANTITY_DECIMALS_MAX).unwrap_or(3));
    let number = json!({ "type": "number", "minimum": least, "maximum": KOPECKS_MAX / 100 });
    number_or_text(&number, "The same as a string.")
}

/// A whole number within bounds.
pub fn whole<const MIN: i64, const MAX: i64>(generator: &mut SchemaGenerator) -> Schema {
    let number = json!({ "type": "integer", "minimum": MIN, "maximum": MAX });
    if answered(generator) {
        return json_schema!({ "type": "integer" });
    }
    number_or_text(&number, "The same as a string.")
}

/// The same where the field may be missing or null.
pub fn whole_or_none<const MIN: i64, const MAX: i64>(generator: &mut SchemaGenerator) -> Schema {
    or_null(whole::<MIN, MAX>(generator))
}

/// A VAT rate of the table, or none.
pub fn vat_rate(generator: &mut SchemaGenerator) -> Schema {
    let rates: Vec<u8> = RATES.iter().map(|rate| rate.percent).collect();
    if answered(generator) {
        return or_null(json_schema!({ "type": "integer", "enum": rates }));
    }
    or_null(number_or_text(&json!({ "type": "integer", "enum": rates }), "The same as a string."))
}

/// Digits, in a string or as a number.
pub fn digits<const MAX: usize>(_: &mut SchemaGenerator) -> Schema {
    let exponent = u32::try_from(MAX).unwrap_or(u32::MAX);
    let most = 10_u128.checked_pow(exponent).map_or(u128::MAX, |one_more| one_more - 1);
    json_schema!({ "anyOf": [
        { "type": "string", "pattern": format!("^[0-9]{{1,{MAX}}}$") },
        { "type": "integer", "minimum": 0, "maximum": most, "description": "The same as a number." },
    ] })
}

/// The same where the field may be missing or null.
pub fn digits_or_none<const MAX: usize>(generator: &mut SchemaGenerator) -> Schema {
    or_null(digits::<MAX>(generator))
}

fn or_null(schema: Schema) -> Schema {
    let mut value = schema.to_value();
    match value.get_mut("anyOf").and_then(Value::as_array_mut) {
        Some(choices) => choices.push(json!({ "type": "null" })),
        None => value = json!({ "anyOf": [value, { "type": "null" }] }),
    }
    Schema::try_from(value).unwrap_or_default()
}
