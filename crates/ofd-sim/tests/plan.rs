//! The JSON form of the plan.

use ofd_sim::Plan;
use serde_json::{Value, json};

const ACCEPTED: &[&str] = &[
    r#"{}"#,
    r#"{"fault":"ok"}"#,
    r#"{"fault":"dedup_off"}"#,
    r#"{"seed":18446744073709551615,"dedup":false,"rules":[]}"#,
    r#"{"fault":"fail"}"#,
    r#"{"fault":"fail","status":500,"times":3,"detail":"maintenance","retry_after":"Wed, 21 Oct 2026 07:28:00 GMT"}"#,
    r#"{"fault":"latency","delay_ms":200,"delay_jitter_ms":100}"#,
    r#"{"fault":"hang"}"#,
    r#"{"fault":"hang","store":true}"#,
    r#"{"fault":"reset","delay_ms":10}"#,
    r#"{"fault":"store_then_cut","when":{"attempt":1}}"#,
    r#"{"fault":"garbage"}"#,
    r#"{"fault":"garbage","form":"html"}"#,
    r#"{"fault":"garbage","form":"json"}"#,
    r#"{"fault":"garbage","form":"other_json","store":true}"#,
    r#"{"fault":"flap","up_ms":1000,"down_ms":2000}"#,
    r#"{"fault":"flap","up_ms":1000,"up_max_ms":30000,"down_ms":1000,"down_max_ms":30000,"down":"reset"}"#,
    r#"{"fault":"flap","up_ms":1,"down_ms":1,"down":"hang"}"#,
    r#"{"fault":"too_many_requests","retry_after":30}"#,
    r#"{"fault":"reject","code":14,"when":{"key":"k"}}"#,
    r#"{"fault":"reject","code":-3,"status":200,"detail":"no"}"#,
    r#"{"fault":"poison","when":{"key":"k"}}"#,
    r#"{"fault":"poison","when":{"fn":"9999078900000001","fd":7},"status":502}"#,
    r#"{"fault":"unauthorised","when":{"pos_id":"POS-001"}}"#,
    r#"{"fault":"unauthorised","status":403,"when":{"fn":"9999078900000001"}}"#,
    r#"{"fault":"slow","byte_ms":50}"#,
    r#"{"fault":"endless"}"#,
    r#"{"rules":[{"fault":"ok","when":{"calls":"pings"}},{"fault":"fail","when":{"calls":"receipts","nth":3}},
        {"fault":"fail","when":{"document":"shift_open","every":2,"probability":0.25,"from_ms":5,"until_ms":9}}]}"#,
];

#[test]
fn every_plan_that_is_taken_is_shown_in_a_form_that_is_taken_again() {
    for text in ACCEPTED {
        let json: Value = serde_json::from_str(text).unwrap();
        let plan = Plan::from_json(&json).unwrap_or_else(|e| panic!("{text}: {e}"));
        let shown = plan.to_json();
        assert_eq!(Plan::from_json(&shown).unwrap_or_else(|e| panic!("{shown}: {e}")), plan, "{text}");
    }
}

#[test]
fn what_cannot_be_taken_is_refused_by_field_and_allowed_values() {
    for (text, loc, says) in [
        (r#"[]"#, "body", "JSON object"),
        (r#"{"rule":[]}"#, "body.rule", "allowed: seed, dedup, rules"),
        (r#"{"rules":{}}"#, "body.rules", "list"),
        (r#"{"rules":[5]}"#, "body.rules.0", "JSON object"),
        (r#"{"seed":-1}"#, "body.seed", "from 0"),
        (r#"{"dedup":"no"}"#, "body.dedup", "true or false"),
        (r#"{"fault":"zap"}"#, "body.fault", "store_then_cut"),
        (r#"{"fault":7}"#, "body.fault", "store_then_cut"),
        (r#"{"rules":[{}]}"#, "body.rules.0.fault", "is required: one of ok, fail"),
        (r#"{"rules":[{"fault":"dedup_off"}]}"#, "body.rules.0.fault", "\"dedup\": false"),
        (r#"{"fault":"fail","stauts":500}"#, "body.stauts", "status, retry_after, detail"),
        (r#"{"fault":"fail","status":200}"#, "body.status", "400 to 599"),
        (r#"{"fault":"fail","retry_after":-1}"#, "body.retry_after", "seconds"),
        (r#"{"fault":"fail","retry_after":"a\r\nb"}"#, "body.retry_after", "printable ASCII"),
        (r#"{"fault":"fail","times":1.5}"#, "body.times", "whole number"),
        (r#"{"fault":"hang","status":500}"#, "body.status", "allowed: "),
        (r#"{"fault":"latency"}"#, "body.delay_ms", "needs delay_ms"),
        (r#"{"fault":"latency","delay_ms":1e30}"#, "body.delay_ms", "to 86400000"),
        (r#"{"fault":"garbage","form":"odd"}"#, "body.form", "wire, html, json, other_json"),
        (r#"{"fault":"flap","up_ms":5}"#, "body.down_ms", "needs down_ms"),
        (r#"{"fault":"flap","up_ms":5,"down_ms":0}"#, "body.down_ms", "from 1"),
        (r#"{"fault":"flap","up_ms":5,"up_max_ms":4,"down_ms":1}"#, "body.up_max_ms", "not be below up_ms"),
        (r#"{"fault":"poison"}"#, "body.when", "when.key, or when.fn and when.fd"),
        (r#"{"fault":"poison","when":{"fn":"1"}}"#, "body.when", "when.fn and when.fd"),
        (r#"{"fault":"unauthorised","status":500}"#, "body.status", "401 or 403"),
        (r#"{"fault":"reject","status":500}"#, "body.status", "from 200 to 499"),
        (r#"{"fault":"reject","status":302}"#, "body.status", "200 or from 400"),
        (r#"{"fault":"reject","code":"x"}"#, "body.code", "whole number"),
        (r#"{"rules":[{"fault":"ok","when":{"pos":"P"}}]}"#, "body.rules.0.when.pos", "pos_id"),
        (r#"{"fault":"ok","when":{"calls":"none"}}"#, "body.when.calls", "all, receipts, pings"),
        (r#"{"fault":"ok","when":{"probability":1.01}}"#, "body.when.probability", "from 0 to 1"),
        (r#"{"fault":"ok","when":{"nth":0}}"#, "body.when.nth", "from 1"),
        (r#"{"fault":"ok","when":{"fd":4294967296}}"#, "body.when.fd", "4294967295"),
    ] {
        let error = Plan::from_json(&serde_json::from_str(text).unwrap()).expect_err(text).to_string();
        assert!(error.starts_with(&format!("{loc}: ")), "{text}: {error}");
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn limits_hold_and_long_input_is_not_repeated_in_full() {
    let rule = json!({"fault": "ok"});
    let plan = |n: usize| Plan::from_json(&json!({"rules": vec![rule.clone(); n]}));
    assert!(plan(Plan::RULES_MAX).is_ok());
    assert!(plan(Plan::RULES_MAX + 1).is_err());
    let error = Plan::from_json(&json!({"fault": "x".repeat(100_000)})).unwrap_err();
    assert!(error.to_json().to_string().len() < 1000);
}
