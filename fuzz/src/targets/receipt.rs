//! The body of a receipt, from bytes to what is stored and sent.

use super::numbers::plain;
use jiff::civil::date;
use kkt_adapter::domain::{
    document::{DocumentKind, FiscalDoc, wire},
    ids::ReceiptId,
    money::{KOPECKS_MAX, Kopecks},
    receipt::{Receipt, ReceiptKind},
    validate::{
        self, ITEMS_MAX, NAME_MAX, PAYMENTS_MAX,
        form::{ERRORS_MAX, IGNORED_MAX},
        json::{self, JsonError},
        problem::{FieldError, Loc},
    },
};
use serde_json::Value;
use uuid::Uuid;

/// A receipt that is accepted holds the contract's bounds to the kopeck and reads back the same; one that is not says
/// where and why.
pub fn receipt(data: &[u8]) {
    let body = match json::parse(data) {
        Ok(body) => body,
        Err(JsonError::NotUtf8(at)) => return assert!(at < data.len()),
        Err(JsonError::Invalid(error)) => return says_where(&[*error]),
    };
    let today = date(2026, 11, 23);
    let valid = match validate::receipt(body.clone(), today) {
        Ok(valid) => valid,
        Err(errors) => return says_where(&errors),
    };
    holds_the_contract(&valid.receipt);
    says_the_same_money(&body, &valid.receipt);
    assert!(valid.ignored.len() <= IGNORED_MAX + 1);

    let stored = valid.receipt.canonical();
    let read: Receipt = serde_json::from_slice(&stored).expect("what is stored reads back");
    assert_eq!(read, valid.receipt, "parse, render, parse");
    assert_eq!(read.hash(), valid.receipt.hash());
    let again = validate::receipt(json::parse(&stored).expect("it is JSON"), today);
    assert_eq!(again.expect("its own canonical form is valid").receipt, valid.receipt);
    reaches_the_ofd(&valid.receipt);
}

fn says_where(errors: &[FieldError]) {
    assert!((1..=ERRORS_MAX).contains(&errors.len()), "{} errors", errors.len());
    for error in errors {
        assert_eq!(error.loc.first(), Some(&Loc::from("body")), "{error:?}");
        assert!(!error.msg.is_empty() && !error.kind.is_empty(), "{error:?}");
        let shown = serde_json::to_vec(&error.input).expect("an input is JSON");
        assert!(shown.len() < 1_024, "an error repeats a bounded part of the input: {} bytes", shown.len());
    }
}

fn holds_the_contract(receipt: &Receipt) {
    assert!((1..=ITEMS_MAX).contains(&receipt.items.len()));
    assert!((1..=PAYMENTS_MAX).contains(&receipt.payments.len()));
    for item in &receipt.items {
        assert!((1..=NAME_MAX).contains(&item.name.chars().count()));
        assert!(!item.name.chars().any(char::is_control), "what could command a printer");
        assert!((1..=KOPECKS_MAX).contains(&item.price.0));
        assert!((1..=KOPECKS_MAX).contains(&item.total.0));
        assert!(item.quantity.0 > 0 && item.quantity.0 % 1_000 == 0, "three decimals");
        let off = item.price.times(item.quantity) - i128::from(item.total.0) * 1_000_000;
        assert!(off.abs() <= 1_000_000, "total = price × quantity within 0.01");
        assert!(item.vat_rate.is_none_or(|rate| [0, 5, 7, 10, 18, 20, 22].contains(&rate)));
    }
    let paid: i64 = receipt.payments.iter().map(|payment| payment.amount.0).sum();
    assert!(receipt.payments.iter().all(|payment| payment.amount.0 >= 0));
    assert_eq!(Kopecks(paid), receipt.total(), "what was paid is the sum of the items, to the kopeck");
    assert!(receipt.total().0 <= KOPECKS_MAX);
    assert_eq!(receipt.correction.is_some(), receipt.kind == ReceiptKind::Correction);
}

/// Against the text that was sent, read here by moving its digits as text.
fn says_the_same_money(body: &Value, receipt: &Receipt) {
    let said = |value: &Value| match value {
        Value::Number(number) => plain(number.as_str()),
        Value::String(text) => plain(text),
        other => panic!("accepted as a number: {other}"),
    };
    for (index, item) in receipt.items.iter().enumerate() {
        let sent = &body["items"][index];
        assert_eq!(said(&sent["price"]), plain(&item.price.to_string()));
        assert_eq!(said(&sent["total"]), plain(&item.total.to_string()));
        assert_eq!(said(&sent["quantity"]), plain(&item.quantity.to_string()));
    }
    // The largest payment takes the kopeck by which they may be off; the others stand as they were sent.
    let changed = (receipt.payments.iter().enumerate())
        .filter(|(index, payment)| {
            said(&body["payments"][*index]["amount"]) != plain(&payment.amount.to_string())
        })
        .count();
    assert!(changed <= 1, "{changed} payments were changed");
}

fn reaches_the_ofd(receipt: &Receipt) {
    let fiscal = FiscalDoc {
        fiscal_doc_number: 7,
        fiscal_sign: "1234567890".into(),
        fiscal_datetime: "2026-11-23T18:30:20".into(),
        fn_number: "9999078900005488".into(),
        kkt_number: "00000000000001".into(),
        qr_code_data: String::new(),
        shift_number: 1,
        receipt_number: 1,
        ofd_name: "ОФД".into(),
        inn: "7702203276".into(),
        rn_kkt: "0000000005008570".into(),
        total: receipt.total(),
    };
    let id = ReceiptId(Uuid::nil());
    let bytes = wire(id, DocumentKind::Receipt, &receipt.pos_id, Some(receipt), &fiscal);
    let sent: Value = serde_json::from_slice(&bytes).expect("what is sent is JSON");
    assert_eq!(plain(&sent["total"].to_string()), plain(&receipt.total().to_string()));
    assert_eq!(sent["items"].as_array().map(Vec::len), Some(receipt.items.len()));
    let read =
        ofd_sim::core::call::Submission::read(Some(&id.to_string()), &bytes).expect("the OFD reads it");
    assert_eq!(read.total, Some(receipt.total().0), "the OFD sees the same kopecks");
}
