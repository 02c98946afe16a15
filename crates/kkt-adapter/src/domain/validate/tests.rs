use super::*;
use jiff::civil::date;
use proptest::prelude::*;
use serde_json::json;

const TODAY: Date = date(2025, 6, 1);

fn valid() -> Value {
    json!({
        "pos_id": "POS-001", "type": "sale",
        "items": [{"name": "Оправа", "price": "100.00", "quantity": 2, "total": "200.00", "vat_rate": 20}],
        "payments": [{"type": "cash", "amount": "200.00"}],
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut body = valid();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value;
    body
}

fn with_text(pointer: &str, value: &str) -> Value {
    with(pointer, json::parse(value.as_bytes()).unwrap())
}

fn errors(body: Value) -> Vec<(String, &'static str)> {
    let errors = receipt(body, TODAY).expect_err("the body is bad");
    errors
        .into_iter()
        .map(|error| {
            let loc: Vec<String> = error
                .loc
                .iter()
                .map(|step| match step {
                    problem::Loc::Name(name) => name.to_string(),
                    problem::Loc::Index(index) => index.to_string(),
                })
                .collect();
            (loc.join("."), error.kind)
        })
        .collect()
}

fn one_error(body: Value) -> (String, &'static str) {
    let mut all = errors(body);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn the_receipt_of_the_contract_passes_without_notes() {
    let ok = receipt(valid(), TODAY).unwrap();
    assert_eq!(ok.receipt.total(), Kopecks(20_000));
    assert!(ok.notes.is_empty() && ok.ignored.is_empty());
}

#[test]
fn every_bad_value_of_an_item_is_an_error_that_names_its_field() {
    let cases = [
        ("price", "-1", "greater_than"),
        ("price", "0", "greater_than"),
        ("price", "1e300", "less_than_equal"),
        ("price", "-1e300", "greater_than"),
        ("price", "10000000000.01", "less_than_equal"),
        ("price", "1.001", "decimal_max_places"),
        ("price", "\"NaN\"", "decimal_parsing"),
        ("price", "\"Infinity\"", "decimal_parsing"),
        ("price", "true", "decimal_type"),
        ("price", "null", "decimal_type"),
        ("price", "[]", "decimal_type"),
        ("quantity", "0.0001", "decimal_max_places"),
        ("quantity", "-2", "greater_than"),
        ("quantity", "0", "greater_than"),
        ("quantity", "10000000000.001", "less_than_equal"),
        ("quantity", "9e15", "less_than_equal"),
        ("total", "200.02", "value_error"),
        ("total", "199.98", "value_error"),
        ("total", "\"\"", "decimal_parsing"),
        ("name", "\"\"", "string_too_short"),
        ("name", "\"  \"", "string_too_short"),
        ("name", "7", "string_type"),
        ("name", "\"a\\u0000b\"", "string_control_characters"),
        ("name", "\"a\\u001bb\"", "string_control_characters"),
        ("vat_rate", "15", "enum"),
        ("vat_rate", "20.5", "decimal_max_places"),
        ("vat_rate", "true", "decimal_type"),
        ("subject", "34", "out_of_range"),
        ("method", "0", "out_of_range"),
    ];
    for (field, value, kind) in cases {
        let error = one_error(with_text(&format!("/items/0/{field}"), value));
        assert_eq!(error, (format!("body.items.0.{field}"), kind), "{field} = {value}");
    }
    assert_eq!(one_error(with("/items/0/name", json!("я".repeat(256)))).1, "string_too_long");
}

#[test]
fn every_bad_value_of_the_receipt_is_an_error_that_names_its_field() {
    let cases = [
        ("pos_id", json!("a b"), "string_pattern_mismatch"),
        ("pos_id", json!("a".repeat(65)), "string_pattern_mismatch"),
        ("pos_id", json!(1), "string_type"),
        ("type", json!("return"), "enum"),
        ("type", json!("Sale"), "enum"),
        ("items", json!([]), "too_short"),
        ("items", json!(vec![0; 1001]), "too_long"),
        ("items", json!({}), "list_type"),
        ("payments", json!(vec![0; 11]), "too_long"),
        ("payments", Value::Null, "list_type"),
        ("taxation", json!("envd"), "enum"),
    ];
    for (field, value, kind) in cases {
        assert_eq!(one_error(with(&format!("/{field}"), value)), (format!("body.{field}"), kind));
    }
    for body in [json!([]), json!("x"), json!(1), Value::Null] {
        assert_eq!(one_error(body), ("body".into(), "object_type"));
    }
    assert_eq!(errors(json!({})).len(), 4);
}

#[test]
fn all_errors_are_told_at_once_and_their_number_is_bounded() {
    let body = json!({"pos_id": "", "type": "x", "items": [{"name": 1, "price": -1}], "payments": [{}]});
    let found: Vec<String> = errors(body).into_iter().map(|(loc, _)| loc).collect();
    for loc in [
        "body.pos_id",
        "body.type",
        "body.items.0.name",
        "body.items.0.price",
        "body.items.0.quantity",
        "body.items.0.total",
        "body.payments.0.type",
        "body.payments.0.amount",
    ] {
        assert!(found.iter().any(|f| f == loc), "{loc} is missing in {found:?}");
    }
    assert_eq!(errors(with("/items", json!(vec![json!({}); 1000]))).len(), form::ERRORS_MAX);
}

#[test]
fn inputs_are_repeated_shortened_and_buyers_not_at_all() {
    let long = receipt(with("/pos_id", json!("x".repeat(1_000_000))), TODAY).unwrap_err();
    assert!(serde_json::to_string(&long).unwrap().len() < 500);
    let number = with_text("/items/0/price", &"9".repeat(1_000_000));
    assert!(serde_json::to_string(&receipt(number, TODAY).unwrap_err()).unwrap().len() < 500);
    for buyer in [
        json!({"email": "secret.person"}),
        json!({"phone": "secret"}),
        json!({"email": ["secret"]}),
        json!("secret"),
        json!({"email": {"secret": 1}}),
    ] {
        let errors = receipt(with("/buyer", buyer), TODAY).unwrap_err();
        assert!(!serde_json::to_string(&errors).unwrap().contains("secret"), "{errors:?}");
    }
}

#[test]
fn numbers_are_liberal_where_they_are_exact() {
    for rate in ["20", "20.0", "\"20\"", "2e1", "\"20.00\""] {
        assert_eq!(
            receipt(with_text("/items/0/vat_rate", rate), TODAY).unwrap().receipt.items[0].vat_rate,
            Some(20)
        );
    }
    for (pointer, value) in
        [("/items/0/price", "1e2"), ("/items/0/price", "100"), ("/items/0/quantity", "\"2.000\"")]
    {
        assert_eq!(
            receipt(with_text(pointer, value), TODAY).unwrap().receipt.hash(),
            receipt(valid(), TODAY).unwrap().receipt.hash()
        );
    }
    // 0.1 + 0.2 is 0.3 here.
    let body = json!({"pos_id":"P","type":"sale","items":[
        {"name":"a","price":"0.1","quantity":1,"total":"0.1"},{"name":"b","price":"0.2","quantity":1,"total":"0.2","vat_rate":null}],
        "payments":[{"type":"card","amount":"0.3"},{"type":"cash","amount":0}]});
    assert!(receipt(body, TODAY).unwrap().notes.is_empty());
}

#[test]
fn a_total_may_differ_by_a_kopeck_and_no_more() {
    for total in ["199.99", "200.00", "200.01"] {
        let mut body = with("/items/0/total", json!(total));
        body["payments"][0]["amount"] = json!(total);
        assert!(receipt(body, TODAY).unwrap().notes.is_empty(), "{total}");
    }
    // 0.333 × 10.00 = 3.33; half a kopeck either way is within.
    let body = json!({"pos_id":"P","type":"sale","payments":[{"type":"card","amount":3.34}],
        "items":[{"name":"a","price":10.01,"quantity":0.333,"total":3.34}]});
    assert!(receipt(body, TODAY).is_ok());
}

#[test]
fn the_largest_payment_takes_the_kopeck_and_the_note_says_so() {
    for (card, expected) in [("149.99", 15_000), ("150.01", 15_000)] {
        let payments = json!([{"type": "cash", "amount": "50"}, {"type": "card", "amount": card}]);
        let ok = receipt(with("/payments", payments), TODAY).unwrap();
        assert_eq!(ok.receipt.payments[1].amount, Kopecks(expected));
        assert!(ok.notes[0].contains("0.01"), "{:?}", ok.notes);
    }
    assert_eq!(
        one_error(with("/payments/0/amount", json!("199.98"))),
        ("body.payments".into(), "value_error")
    );
    assert_eq!(one_error(with("/payments/0/amount", json!("-200"))).1, "greater_than_equal");
}

#[test]
fn a_rate_not_in_force_is_accepted_with_a_note() {
    assert!(receipt(valid(), date(2025, 12, 31)).unwrap().notes.is_empty());
    let late = receipt(valid(), date(2026, 1, 1)).unwrap();
    assert!(late.notes[0].contains("20 %") && late.notes[0].contains("2026-01-01"), "{:?}", late.notes);
}

#[test]
fn long_names_are_accepted_and_the_cut_is_noted() {
    assert!(receipt(with("/items/0/name", json!("я".repeat(128))), TODAY).unwrap().notes.is_empty());
    let ok = receipt(with("/items/0/name", json!("я".repeat(255))), TODAY).unwrap();
    assert!(ok.notes[0].contains("128"));
    assert_eq!(ok.receipt.items[0].name.chars().count(), 255);
    assert_eq!(
        receipt(with("/items/0/name", json!("a\tb\r\nc")), TODAY).unwrap().receipt.items[0].name,
        "a b c"
    );
}

#[test]
fn optional_fields_are_read_and_corrections_need_theirs() {
    let mut body = valid();
    body["taxation"] = json!("patent");
    body["cashier"] = json!({"name": "Иванова", "inn": "123456789012"});
    body["buyer"] = json!({"phone": "+7 (999) 123-45-67"});
    body["items"][0]["subject"] = json!(1);
    body["items"][0]["method"] = json!("4");
    body["correction"] = Value::Null;
    let ok = receipt(body.clone(), TODAY).unwrap().receipt;
    assert_eq!(ok.buyer.unwrap().phone.as_deref(), Some("+79991234567"));
    assert_eq!((ok.items[0].subject, ok.items[0].method), (Some(1), Some(4)));
    body["type"] = json!("correction");
    assert_eq!(one_error(body.clone()), ("body.correction".into(), "missing"));
    body["correction"] = json!({"type": "self", "base": "акт 7"});
    assert!(receipt(body.clone(), TODAY).is_ok());
    body["correction"] = json!({"type": "me"});
    assert_eq!(errors(body.clone()).len(), 2);
    body["type"] = json!("sale");
    assert_eq!(one_error(body).0, "body.correction");
    assert_eq!(one_error(with("/buyer", json!({}))), ("body.buyer".into(), "missing"));
    assert_eq!(one_error(with("/buyer", json!({"phone": "89991234567"}))).0, "body.buyer.phone");
    assert_eq!(one_error(with("/buyer", json!({"email": "a@b@c"}))).0, "body.buyer.email");
    assert_eq!(one_error(with("/cashier", json!({"name": "x", "inn": "1"}))).0, "body.cashier.inn");
}

#[test]
fn unknown_fields_are_ignored_and_named_by_path() {
    let mut body = valid();
    body["note"] = json!("x");
    body["items"][0]["sku"] = json!([1, {"deep": true}]);
    body["payments"][0]["terminal"] = json!(5);
    let ok = receipt(body, TODAY).unwrap();
    let mut ignored = ok.ignored;
    ignored.sort();
    assert_eq!(ignored, ["items.0.sku", "note", "payments.0.terminal"]);
    assert_eq!(ok.receipt.hash(), receipt(valid(), TODAY).unwrap().receipt.hash());
    let mut many = valid();
    for n in 0..1000 {
        many[format!("f{n}")] = json!(n);
    }
    assert_eq!(receipt(many, TODAY).unwrap().ignored.len(), form::IGNORED_MAX + 1);
}

fn many_items(count: usize, name: usize) -> Value {
    let item = json!({"name": "я".repeat(name), "price": 1, "quantity": 1, "total": 1, "vat_rate": 10});
    let mut body = with("/items", json!(vec![item; count]));
    body["payments"][0]["amount"] = json!(count);
    body
}

#[test]
fn a_document_that_could_exceed_the_message_is_refused() {
    assert!(receipt(many_items(100, 128), TODAY).is_ok());
    assert!(receipt(many_items(500, 3), TODAY).is_ok());
    assert_eq!(one_error(many_items(300, 128)), ("body.items".into(), "document_too_large"));
    assert_eq!(one_error(many_items(1000, 3)).1, "document_too_large");
}

#[test]
fn the_sum_of_the_items_is_bounded() {
    let item = json!({"name": "a", "price": "10000000000", "quantity": 1, "total": "10000000000"});
    let mut body = with("/items", json!([item.clone(), item]));
    body["payments"] = json!([{"type":"card","amount":"10000000000"},{"type":"cash","amount":"10000000000"}]);
    assert_eq!(one_error(body).1, "less_than_equal");
}

prop_compose! {
    fn any_item()(
        name in "[^\\p{Cc}]{0,40}[а-яA-Z]", price in 1_i64..10_000_000, thousandths in 1_i64..100_000,
        rate in prop::option::of(prop::sample::select(vec![0_u8, 5, 7, 10, 18, 20, 22])),
        subject in prop::option::of(1_u8..=33), method in prop::option::of(1_u8..=7), up in any::<bool>(),
    ) -> Item {
        let quantity = Quantity(thousandths * 1000);
        let exact = Kopecks(price).times(quantity);
        let total = exact / 1_000_000 + i128::from(up && exact % 1_000_000 != 0);
        Item { name, price: Kopecks(price), quantity, total: Kopecks((total as i64).max(1)), vat_rate: rate, subject, method }
    }
}

prop_compose! {
    fn any_receipt()(
        pos in "[A-Za-z0-9._-]{1,64}", items in prop::collection::vec(any_item(), 1..20),
        kind in prop::sample::select(vec![ReceiptKind::Sale, ReceiptKind::Refund, ReceiptKind::Correction]),
        cash in 0_i64..100, taxation in prop::option::of(prop::sample::select(TAXATIONS.map(|(_, t)| t).to_vec())),
        buyer in prop::option::of("[a-z]{1,20}@[a-z]{1,20}"), cashier in prop::option::of("[а-я]{1,64}"),
    ) -> Receipt {
        let total: i64 = items.iter().map(|i| i.total.0).sum();
        let cash = cash.min(total);
        Receipt {
            pos_id: pos.parse().unwrap(), kind, items,
            payments: vec![
                Payment { kind: PaymentKind::Cash, amount: Kopecks(cash) },
                Payment { kind: PaymentKind::Card, amount: Kopecks(total - cash) },
            ],
            taxation,
            cashier: cashier.map(|name| Cashier { name, inn: None }),
            buyer: buyer.map(|email| Buyer { email: Some(email), phone: None }),
            correction: (kind == ReceiptKind::Correction)
                .then(|| Correction { kind: CorrectionKind::Order, base: "приказ".into() }),
        }
    }
}

proptest! {
    #[test]
    fn a_valid_receipt_passes_and_comes_out_as_it_went_in(sold in any_receipt()) {
        let body = json::parse(&sold.canonical()).unwrap();
        let ok = receipt(body, TODAY);
        prop_assert!(ok.is_ok(), "{:?}", ok);
        prop_assert_eq!(ok.unwrap().receipt, sold);
    }

    #[test]
    fn changed_bytes_never_panic_and_what_passes_is_stable(
        sold in any_receipt(), cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6),
    ) {
        let mut bytes = sold.canonical();
        for (at, byte, how) in cuts {
            if bytes.is_empty() { break }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                _ => bytes.insert(at, b"\"{}[],:0129eE.-+ntf\\u"[byte as usize % 21]),
            }
        }
        if let Ok(body) = json::parse(&bytes)
            && let Ok(ok) = receipt(body, TODAY)
        {
            let again = receipt(json::parse(&ok.receipt.canonical()).unwrap(), TODAY).unwrap();
            prop_assert_eq!(again.receipt, ok.receipt);
        }
    }
}
