use super::*;
use crate::domain::ids::ReceiptId;
use std::time::Duration;

fn document() -> Outgoing {
    Outgoing {
        id: "0190d2f4-7f1a-7c3e-8a6b-000000000001".parse().unwrap(),
        pos_id: "POS-001".parse().unwrap(),
        device: "POS-001".parse().unwrap(),
        fd: 42,
        request_id: None,
        attempts: 0,
        wire: Vec::new(),
    }
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, retry_after: None, date: None, location: None, body: Ok(body.into()) }
}

fn cut(status: u16) -> Answer {
    Answer { body: Err("cut".into()), ..answer(status, "") }
}

fn outcome(answer: &Answer) -> &'static str {
    match submitted(&document(), answer, Timestamp::UNIX_EPOCH) {
        Ok(_) => "accepted",
        Err(error) => error.outcome(),
    }
}

const ACCEPTED: &str = r#"{"status":"accepted","ofd_id":"A1","timestamp":1700000000}"#;

#[test]
fn each_status_means_what_the_table_says() {
    let page = "<html>Welcome</html>";
    let error = r#"{"status":"error","detail":"no"}"#;
    let rejected = r#"{"status":"rejected","code":14}"#;
    for (statuses, body, meaning) in [
        (vec![200, 201, 202], ACCEPTED, "accepted"),
        (vec![200, 202, 400, 404, 409, 422], rejected, "rejected"),
        (vec![200, 204], page, "ambiguous"),
        (vec![401, 403], page, "unauthorised"),
        (vec![401, 403], rejected, "unauthorised"),
        (vec![301, 302, 307, 308, 408, 425, 429, 500, 502, 503, 504, 507, 511], ACCEPTED, "unavailable"),
        (vec![404, 405, 407, 421, 426], error, "unavailable"),
        (vec![400, 406, 409, 410, 413, 415, 422, 451], error, "rejected"),
        (vec![400, 404, 413, 422], page, "unavailable"),
    ] {
        for status in statuses {
            assert_eq!(outcome(&answer(status, body)), meaning, "{status} {body}");
        }
    }
    for (status, meaning) in [
        (200, "ambiguous"),
        (422, "ambiguous"),
        (401, "unauthorised"),
        (429, "unavailable"),
        (500, "unavailable"),
    ] {
        assert_eq!(outcome(&cut(status)), meaning, "{status} cut");
    }
}

#[test]
fn an_answer_confirms_only_the_document_it_names() {
    let with = |more: &str| format!(r#"{{"status":"accepted","ofd_id":"A1"{more}}}"#);
    let own = r#","receipt_id":"0190D2F4-7F1A-7C3E-8A6B-000000000001","fd":42,"fiscal_doc_number":"42""#;
    for (body, meaning) in [
        (with(""), "accepted"),
        (with(own), "accepted"),
        (with(r#","fd":null"#), "accepted"),
        (with(r#","fd":41"#), "ambiguous"),
        (with(r#","fd":[42]"#), "ambiguous"),
        (with(r#","fiscal_doc_number":43"#), "ambiguous"),
        (with(&format!(r#","receipt_id":"{}""#, ReceiptId::new())), "ambiguous"),
        (r#"{"status":"accepted"}"#.into(), "ambiguous"),
        (r#"{"status":"accepted","ofd_id":""}"#.into(), "ambiguous"),
        (r#"{"status":"accepted","ofd_id":{}}"#.into(), "ambiguous"),
        (r#"{"ofd_id":"A1"}"#.into(), "ambiguous"),
        (r#"{"status":"ACCEPTED","ofd_id":"A1"}"#.into(), "ambiguous"),
        (r#"{"status":"acc"#.into(), "ambiguous"),
        ("null".into(), "ambiguous"),
        (String::new(), "ambiguous"),
    ] {
        assert_eq!(outcome(&answer(200, &body)), meaning, "{body}");
    }
    let confirmation = submitted(&document(), &answer(200, ACCEPTED), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((confirmation.ofd_id.as_str(), confirmation.timestamp.as_str()), ("A1", "1700000000"));
}

#[test]
fn an_error_says_what_to_do_and_is_bounded() {
    let error = |answer: &Answer| submitted(&document(), answer, Timestamp::UNIX_EPOCH).unwrap_err();
    let moved = Answer { location: Some("https://other.example/".into()), ..answer(301, "") };
    assert!(error(&moved).to_string().contains("redirects to https://other.example/, which is not followed"));
    assert!(error(&answer(404, "")).to_string().contains("is ofd.base_url the address of the OFD?"));
    let busy = Answer { retry_after: Some("7".into()), ..answer(429, "") };
    let wait = Some(Duration::from_secs(7));
    assert!(matches!(error(&busy), OfdError::Unavailable { retry_after, .. } if retry_after == wait));
    let long =
        answer(422, &format!(r#"{{"code":"{}","detail":"a\nb{}"}}"#, "c".repeat(9_999), "d".repeat(9_999)));
    let text = error(&long).to_string();
    assert!(text.len() < 600 && !text.contains('\n'), "{text}");
    let OfdError::Rejected { code, .. } = error(&answer(400, r#"{"detail":"no"}"#)) else { panic!() };
    assert_eq!(code, "http_400");
}

#[test]
fn a_ping_is_answered_only_by_success() {
    let ping = |answer: &Answer| pinged(answer, Timestamp::UNIX_EPOCH).map_err(|error| error.outcome());
    assert_eq!(ping(&answer(200, "ok")), Ok(()));
    assert_eq!(ping(&answer(401, "")), Err("unauthorised"));
    for status in [302, 404, 422, 500] {
        assert_eq!(ping(&answer(status, "")), Err("unavailable"));
    }
    assert_eq!(ping(&cut(200)), Err("unavailable"));
}
