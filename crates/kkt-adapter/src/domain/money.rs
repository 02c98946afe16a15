//! Exact decimals: money in kopecks, quantities in millionths. Nothing here ever passes through a float.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// Largest amount accepted anywhere: 10^12 kopecks (contract, «Receipts»).
pub const KOPECKS_MAX: i64 = 1_000_000_000_000;

/// Digits after the point that FFD 1.05 allows in a quantity; FFD 1.2 allows 6.
pub const QUANTITY_DECIMALS_MAX: u32 = 3;

/// Why a text is not the decimal that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not of the form `[-]digits[.digits][e±digits]`.
    #[error("not a decimal number")]
    Malformed,
    /// Non-zero digits beyond the allowed ones; never rounded.
    #[error("more than {max} digits after the point")]
    TooPrecise {
        /// Digits allowed after the point.
        max: u32,
    },
    /// Does not fit the bounds of the type.
    #[error("out of range")]
    OutOfRange,
}

/// An amount of money in kopecks (1/100 rouble). JSON form: a number with exactly two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Kopecks(pub i64);

/// A quantity in millionths of its unit. JSON form: a number without trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(pub i64);

/// Reads a JSON-style decimal (exponents included) into an integer scaled by `10^decimals`.
///
/// # Errors
/// [`DecimalError`]; trailing zeros beyond `decimals` are accepted, other digits are not.
pub fn parse_scaled(text: &str, decimals: u32) -> Result<i64, DecimalError> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix('+').unwrap_or(exponent);
            let plain = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_digit()) {
                return Err(DecimalError::Malformed);
            }
            // An exponent that does not fit is out of range whichever way it points; the mantissa 0 apart.
            (mantissa, digits.parse::<i32>().map_err(|_| DecimalError::OutOfRange)?)
        }
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(DecimalError::Malformed),
        None => (mantissa, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    // The value is digits × 10^(exponent − fraction); `keep` leading digits make the scaled integer.
    let keep = whole.len() as i64 + i64::from(exponent) + i64::from(decimals);
    let mut value: i64 = 0;
    for (index, digit) in digits.iter().enumerate() {
        if (index as i64) < keep {
            value = value
                .checked_mul(10)
                .and_then(|v| v.checked_add(i64::from(*digit)))
                .ok_or(DecimalError::OutOfRange)?;
        } else if *digit != 0 {
            return Err(DecimalError::TooPrecise { max: decimals });
        }
    }
    if value != 0 {
        for _ in digits.len() as i64..keep {
            value = value.checked_mul(10).ok_or(DecimalError::OutOfRange)?;
        }
    }
    Ok(if negative { -value } else { value })
}

fn write_scaled(f: &mut fmt::Formatter<'_>, value: i64, decimals: usize, min_decimals: usize) -> fmt::Result {
    let scale = 10_u64.pow(decimals as u32);
    let magnitude = value.unsigned_abs();
    let mut fraction = format!("{:0decimals$}", magnitude % scale);
    while fraction.len() > min_decimals && fraction.ends_with('0') {
        fraction.pop();
    }
    let sign = if value < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    write!(f, "{sign}{}{point}{fraction}", magnitude / scale)
}

impl Kopecks {
    /// Adds; `None` on overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Price × quantity in millionths of a kopeck, exact.
    #[must_use]
    pub fn times(self, quantity: Quantity) -> i128 {
        i128::from(self.0) * i128::from(quantity.0)
    }
}

impl fmt::Display for Kopecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, 2, 2)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, 6, 0)
    }
}

impl FromStr for Kopecks {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        parse_scaled(text, 2).map(Self)
    }
}

impl FromStr for Quantity {
    type Err = DecimalError;
    /// Accepts 6 decimals, the most any FFD has; the validation of a receipt asks for fewer.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        parse_scaled(text, 6).map(Self)
    }
}

fn serialize_number<S: Serializer>(text: String, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::Error as _;
    serde_json::Number::from_str(&text).map_err(S::Error::custom)?.serialize(serializer)
}

fn deserialize_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    use serde::de::Error as _;
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Number(number) => Ok(number.to_string()),
        serde_json::Value::String(text) => Ok(text),
        _ => Err(D::Error::custom("a decimal number or a string with one")),
    }
}

impl Serialize for Kopecks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_number(self.to_string(), serializer)
    }
}

impl<'de> Deserialize<'de> for Kopecks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_number(self.to_string(), serializer)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_is_read_exactly_and_never_rounded() {
        assert_eq!("0.1".parse(), Ok(Kopecks(10)));
        assert_eq!("100.00".parse(), Ok(Kopecks(10_000)));
        assert_eq!("1.5e2".parse(), Ok(Kopecks(15_000)));
        assert_eq!("15000E-2".parse(), Ok(Kopecks(15_000)));
        assert_eq!("-0.01".parse(), Ok(Kopecks(-1)));
        assert_eq!("1.230".parse(), Ok(Kopecks(123)), "trailing zeros carry no value");
        assert_eq!("1.234".parse::<Kopecks>(), Err(DecimalError::TooPrecise { max: 2 }));
        assert_eq!("1e-3".parse::<Kopecks>(), Err(DecimalError::TooPrecise { max: 2 }));
        assert_eq!("1e300".parse::<Kopecks>(), Err(DecimalError::OutOfRange));
        assert_eq!("0e300".parse(), Ok(Kopecks(0)));
        for text in
            ["", "-", ".5", "5.", "NaN", "1,5", "0x10", "1e", "1e+", "--1", " 1", "1e1e1", "+1", "1e+-2"]
        {
            assert_eq!(text.parse::<Kopecks>(), Err(DecimalError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_huge_exponent_costs_no_time() {
        assert_eq!("1e2147483647".parse::<Kopecks>(), Err(DecimalError::OutOfRange));
        assert_eq!("1e99999999999".parse::<Kopecks>(), Err(DecimalError::OutOfRange));
        assert_eq!("1e-2147483648".parse::<Kopecks>(), Err(DecimalError::TooPrecise { max: 2 }));
    }

    #[test]
    fn a_quantity_is_written_without_needless_zeros() {
        assert_eq!(Quantity(2_000_000).to_string(), "2");
        assert_eq!(Quantity(1_500_000).to_string(), "1.5");
        assert_eq!(serde_json::to_string(&Quantity(1)).unwrap(), "0.000001");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(value in any::<i64>()) {
            prop_assume!(value != i64::MIN);
            prop_assert_eq!(Kopecks(value).to_string().parse(), Ok(Kopecks(value)));
            let json = serde_json::to_string(&Kopecks(value)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Kopecks>(&json).unwrap(), Kopecks(value));
            prop_assert_eq!(Quantity(value).to_string().parse(), Ok(Quantity(value)));
        }
    }
}
