//! TLS at the door: who is let in, what others see, and that broken handshakes cost the good ones nothing.

use crate::{
    ca::{Ca, Pair, shown},
    shop::{Setup, Shop, read_all, receipt, token},
};
use kkt_adapter::http::{Role, ServerLimits};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};

const NEVER: Duration = Duration::from_secs(3_600);

async fn open(pair: &Pair, setup: Setup) -> Shop {
    Shop::open(Setup { tls: Some(pair.tls()), ..setup }).await
}

fn https(shop: &Shop, path: &str) -> String {
    format!("https://localhost:{}{path}", shop.address.port())
}

/// One request on an open connection; answers the head.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(Duration::from_secs(20), stream.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served_and_others_turn_away() {
    let ca = Ca::new("the shop's");
    let shop = open(&ca.issue(), Setup::default()).await;
    let sale = ca.client().post(https(&shop, "/v1/kkt/receipt")).header("Idempotency-Key", "k1");
    assert_eq!(sale.json(&receipt()).send().await.unwrap().status(), 200);
    let other = Ca::new("somebody else's").client().get(https(&shop, "/livez")).send().await;
    assert!(other.unwrap_err().is_connect());
    let foreign = open(&ca.issue_for(&["another.example"]), Setup::default()).await;
    assert!(ca.client().get(https(&foreign, "/livez")).send().await.unwrap_err().is_connect());
    // Who turned away has harmed nobody.
    assert_eq!(ca.client().get(https(&shop, "/livez")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn plain_http_is_told_to_use_tls_and_gets_nothing_else() {
    let shop = open(&Ca::new("x").issue(), Setup::default()).await;
    for path in ["/livez", "/v1/health"] {
        let answer = shop.get(path).await;
        answer.error(400, "tls_required");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert!(shop.seen.0.lock().unwrap().is_empty(), "no handler has seen a request");
    let garbage = shop.raw(b"\x00\x01\x02 garbage").await;
    assert!(garbage.starts_with("HTTP/1.1 400 "), "{garbage}");
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on() {
    let ca = Ca::new("x");
    let (first, second) = (ca.issue(), ca.issue());
    let tls = first.tls();
    let shop = Shop::open(Setup { tls: Some(tls.clone()), ..Setup::default() }).await;
    let mut before = ca.connect(shop.address).await;
    assert_eq!(shown(&before), first.der().0[0]);
    assert!(ask(&mut before).await.starts_with("HTTP/1.1 200"));
    let (chain, key) = second.der();
    tls.replace(chain, key).unwrap();
    assert!(ask(&mut before).await.starts_with("HTTP/1.1 200"));
    let mut after = ca.connect(shop.address).await;
    assert_eq!(shown(&after), second.der().0[0]);
    assert!(ask(&mut after).await.starts_with("HTTP/1.1 200"));
    // A key that is not the certificate's changes nothing.
    assert!(tls.replace(first.der().0, second.der().1).is_err());
    assert_eq!(shown(&ca.connect(shop.address).await), second.der().0[0]);
}

#[tokio::test]
async fn more_half_handshakes_than_places_do_not_starve_good_requests() {
    let ca = Ca::new("x");
    let limits = ServerLimits {
        max_connections: 16,
        header_timeout: NEVER,
        idle_timeout: NEVER,
        ..Default::default()
    };
    let shop = open(&ca.issue(), Setup { limits, ..Setup::default() }).await;
    let mut bad = Vec::new();
    for number in 0..100 {
        let connecting = TcpStream::connect(shop.address);
        let mut stream =
            tokio::time::timeout(Duration::from_secs(20), connecting).await.expect("a place").unwrap();
        // Nothing; the head of a handshake without the rest; plain HTTP without an end.
        let start: &[u8] = match number % 3 {
            0 => b"",
            1 => &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
            _ => b"POST /v1/kkt/receipt HTTP/1.1\r\nHost: loc",
        };
        let _ = stream.write_all(start).await;
        bad.push(stream);
    }
    for _ in 0..3 {
        let answer = ca.client().get(https(&shop, "/livez")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn a_handshake_that_drips_is_cut_at_its_time() {
    let limits = ServerLimits {
        header_timeout: Duration::from_millis(200),
        idle_timeout: NEVER,
        ..ServerLimits::default()
    };
    let shop = open(&Ca::new("x").issue(), Setup { limits, ..Setup::default() }).await;
    let (mut read, mut write) = TcpStream::connect(shop.address).await.unwrap().into_split();
    let drip = tokio::spawn(async move {
        // A handshake record of 16 KiB, a byte at a time.
        let record = [0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc].into_iter().chain(std::iter::repeat(0));
        for byte in record {
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let end = tokio::time::timeout(Duration::from_secs(20), read.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "the connection was not cut");
    drip.abort();
}

#[tokio::test]
async fn the_stop_does_not_wait_for_a_handshake() {
    // P11
    let mut shop = open(&Ca::new("x").issue(), Setup::default()).await;
    let mut half = TcpStream::connect(shop.address).await.unwrap();
    half.write_all(&[0x16, 3, 1]).await.unwrap();
    let began = Instant::now();
    shop.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), shop.server).await.expect("the server ends").unwrap();
    assert!(began.elapsed() < ServerLimits::default().shutdown_deadline);
    assert_eq!(read_all(&mut half).await, "");
}

#[tokio::test]
async fn under_tls_the_sessions_cookie_is_secure_and_an_unencrypted_origin_is_foreign() {
    // P10
    let ca = Ca::new("x");
    let tokens = vec![token("operator", Role::Operator, &[])];
    let shop = open(&ca.issue(), Setup { tokens, ..Setup::default() }).await;
    let begin = |origin: String| {
        let request = ca.client().post(https(&shop, "/v1/session")).header("Origin", origin);
        request.json(&serde_json::json!({ "token": "secret-of-operator" })).send()
    };
    let own = https(&shop, "");
    let answer = begin(own.clone()).await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-kkt_session="), "{cookie}");
    let dlq = |cookie: &str| ca.client().get(https(&shop, "/v1/kkt/dlq")).header("Cookie", cookie).send();
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(dlq(pair).await.unwrap().status(), 200);
    let unmarked = pair.replace("__Host-", "");
    assert_eq!(dlq(&unmarked).await.unwrap().status(), 401, "an unencrypted port may have set it");
    for part in ["; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(begin(own.replace("https", "http")).await.unwrap().status(), 403);
}
