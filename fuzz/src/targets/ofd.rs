//! What an answer of the OFD means.

use jiff::Timestamp;
use kkt_adapter::{
    domain::{document::Outgoing, ids::ReceiptId},
    ofd::classify::{Answer, pinged, submitted},
    ports::OfdError,
};
use serde_json::{Map, Value};
use std::time::Duration;
use uuid::Uuid;

/// Two bytes of status; a byte whose bits say which headers come and whether the body is whole; the headers, a line
/// each; the body.
fn answer_of(data: &[u8]) -> Option<Answer> {
    let (status, data) = data.split_first_chunk::<2>()?;
    let (flags, mut data) = data.split_first()?;
    let mut header = |bit: u8| {
        if flags & bit == 0 {
            return Some(None);
        }
        let at = data.iter().position(|byte| *byte == b'\n')?;
        let text = std::str::from_utf8(&data[..at]).ok()?.to_owned();
        data = &data[at + 1..];
        Some(Some(text))
    };
    let (retry_after, date, location) = (header(1)?, header(2)?, header(4)?);
    let body = if flags & 8 == 0 { Ok(data.to_vec()) } else { Err("cut".to_owned()) };
    let status = 100 + u16::from_be_bytes(*status) % 500;
    Some(Answer { status, retry_after, date, location, body })
}

/// Confirmed only by a whole answer that says so; given up only on the OFD's own word.
pub fn answer(data: &[u8]) {
    let Some(answer) = answer_of(data) else { return };
    let wall = Timestamp::from_second(1_795_447_820).expect("a second of 2026");
    let document = Outgoing {
        id: ReceiptId(Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0001)),
        pos_id: "POS-001".parse().expect("a till"),
        device: "POS-001".parse().expect("a device"),
        fd: 42,
        attempts: 0,
        wire: Vec::new(),
        request_id: None,
    };
    let object: Option<Map<String, Value>> =
        answer.body.as_ref().ok().and_then(|body| serde_json::from_slice(body).ok());
    let says = |word: &str| object.as_ref().is_some_and(|body| body.get("status") == Some(&word.into()));
    match submitted(&document, &answer, wall) {
        Ok(confirmation) => {
            assert!((200..300).contains(&answer.status) && says("accepted"));
            assert!(!confirmation.ofd_id.is_empty());
            assert!(
                confirmation.ofd_id.chars().count() <= 256 && confirmation.timestamp.chars().count() <= 256
            );
            let stored = serde_json::to_string(&confirmation).expect("a confirmation is JSON");
            let read = serde_json::from_str(&stored).map_err(|error| error.to_string());
            assert_eq!(read, Ok(confirmation), "stored and read");
        }
        Err(OfdError::Rejected { code, reason }) => {
            assert!(object.is_some(), "given up on something that is not the OFD's word");
            assert!(says("rejected") || (400..500).contains(&answer.status));
            assert!(code.chars().count() <= 65 && reason.chars().count() <= 400);
        }
        Err(OfdError::Unavailable { reason, retry_after }) => {
            assert!(!reason.contains(char::is_control) && reason.chars().count() <= 800);
            assert!(retry_after.is_none_or(|wait| wait <= Duration::from_secs(86_400)));
            assert!(!(200..300).contains(&answer.status));
        }
        Err(OfdError::Unauthorised(_)) => assert!(matches!(answer.status, 401 | 403)),
        Err(_) => {}
    }
    assert!(pinged(&answer, wall).is_err() || (200..300).contains(&answer.status));
}
