//! Decimals, units and names: small grammars that stand inside all the others.

use kkt_adapter::{
    config::units::{parse_duration, parse_size, show_duration, show_size},
    domain::{
        ids::{DeviceId, IdempotencyKey, PosId, ReceiptId},
        money::{Kopecks, Quantity},
        validate::problem::clip,
    },
};

/// What is read shows again as what was read, and reads back the same.
pub fn numbers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(money) = text.parse::<Kopecks>() {
        assert_eq!(plain(text), plain(&money.to_string()), "money never changes by a kopeck");
        assert_eq!(money.to_string().parse(), Ok(money));
        let json = serde_json::to_string(&money).expect("a number");
        assert_eq!(serde_json::from_str::<Kopecks>(&json).expect("its own form"), money);
    }
    if let Ok(quantity) = text.parse::<Quantity>() {
        assert_eq!(plain(text), plain(&quantity.to_string()));
        assert_eq!(quantity.to_string().parse(), Ok(quantity));
    }
    if let Some(duration) = parse_duration(text) {
        assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
    }
    if let Some(size) = parse_size(text) {
        assert_eq!(parse_size(&show_size(size)), Some(size));
    }
    if let Ok(pos_id) = text.parse::<PosId>() {
        assert!((1..=64).contains(&text.len()) && text.is_ascii() && !text.contains(['/', ' ', '"', '\n']));
        assert_eq!(pos_id.as_str(), text);
        assert!(text.parse::<DeviceId>().is_ok());
    }
    if let Ok(key) = text.parse::<IdempotencyKey>() {
        assert!((1..=128).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b)));
        assert_eq!(key.as_str(), text);
    }
    if let Ok(id) = text.parse::<ReceiptId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    assert!(clip(text).len() <= 64 * 4 + 64);
}

/// A decimal without exponent, needless zeros and a sign of zero: two texts are one number exactly if these are the
/// same. Only ever given what was accepted, so exponents are small.
pub fn plain(text: &str) -> String {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().expect("an accepted exponent is a number");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits_trimmed = digits.trim_start_matches('0');
    if digits_trimmed.is_empty() {
        return "0".into();
    }
    // The number is 0.DIGITS × 10^point.
    let point = whole.len() as i64 + exponent - (digits.len() - digits_trimmed.len()) as i64;
    format!("{sign}0.{}e{point}", digits_trimmed.trim_end_matches('0'))
}
