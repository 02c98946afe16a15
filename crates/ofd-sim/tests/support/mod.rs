//! What the tests over a real socket share.
#![allow(dead_code, reason = "each test binary uses a part")]

use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A test that waits longer has failed.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn client() -> reqwest::Client {
    // Fails when another test of this process has installed it: just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().unwrap()
}

pub fn document(key: &str, fd: u32) -> Value {
    json!({"receipt_id": key, "pos_id": "POS-001", "document": "receipt", "type": "sale", "total": 200.00,
        "fn_number": "9999078900000001", "fiscal_doc_number": fd})
}

pub async fn send(
    client: &reqwest::Client,
    base: &str,
    key: &str,
    fd: u32,
) -> reqwest::Result<reqwest::Response> {
    let request = client.post(format!("{base}/ofd/v1/receipt")).header("Idempotency-Key", key);
    request.json(&document(key, fd)).send().await
}

/// What came back on the socket, to the byte.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// Bytes, then FIN.
    Bytes(Vec<u8>),
    /// RST.
    Reset,
}

impl Heard {
    pub fn text(&self) -> String {
        match self {
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Reset => "RST".into(),
        }
    }
}

/// Sends a document over a bare socket and listens until the connection ends.
pub async fn send_raw(base: &str, key: &str, fd: u32) -> Heard {
    let mut stream = write_raw(base, key, fd).await;
    let mut bytes = Vec::new();
    match tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("the connection ends") {
        Ok(_) => Heard::Bytes(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Heard::Reset,
        Err(error) => panic!("{error}"),
    }
}

pub async fn write_raw(base: &str, key: &str, fd: u32) -> TcpStream {
    let body = document(key, fd).to_string();
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST /ofd/v1/receipt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    stream
}

/// Polls until the condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}
