//! Clients that are slow, idle or many cost the good ones nothing; the stop is orderly.

use crate::shop::{Setup, Shop, read_all, receipt};
use kkt_adapter::{domain::lifecycle::State, http::ServerLimits};
use std::{
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

fn limits() -> ServerLimits {
    ServerLimits {
        header_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(400),
        ..ServerLimits::default()
    }
}

async fn closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    let read =
        tokio::time::timeout(Duration::from_secs(20), stream.read(&mut byte)).await.expect("it is closed");
    !matches!(read, Ok(1..))
}

// Time is the test's own: it goes on when everybody waits, so the drip costs none.
#[tokio::test(start_paused = true)]
async fn dripped_headers_are_cut_and_the_drip_does_not_prolong_them() {
    let shop = Shop::open(Setup { limits: limits(), ..Setup::default() }).await;
    let (mut read, mut write) = TcpStream::connect(shop.address).await.unwrap().into_split();
    let drip = tokio::spawn(async move {
        let head = "GET / HTTP/1.1\r\nHost: localhost\r\nX: ".bytes().chain(std::iter::repeat(b'x'));
        for byte in head {
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut text = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(20), read.read_to_end(&mut text)).await;
    assert!(end.is_ok(), "the connection was not cut");
    drip.abort();
}

#[tokio::test]
async fn a_dripped_body_is_a_408_and_nothing_was_begun() {
    let shop = Shop::open(Setup { body_timeout: Duration::from_millis(150), ..Setup::default() }).await;
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    let head = "POST /v1/kkt/receipt HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Idempotency-Key: drip\r\nContent-Length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"type\":\"body_timeout\""), "{answer}");
    assert_eq!(shop.till.calls.load(SeqCst), 0);
}

#[tokio::test]
async fn idle_connections_are_closed_after_their_time() {
    let shop = Shop::open(Setup { limits: limits(), ..Setup::default() }).await;
    let mut silent = TcpStream::connect(shop.address).await.unwrap();
    assert!(closed(&mut silent).await);
    let mut served = TcpStream::connect(shop.address).await.unwrap();
    served.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = read_all(&mut served).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn more_bad_connections_than_places_do_not_starve_good_requests() {
    // «Slow clients» of the promises: 500 bad connections, all good requests answered.
    // No time-out is short enough to help: places become free by the rule for the waiting alone.
    let never = Duration::from_secs(3_600);
    let limits = ServerLimits {
        max_connections: 64,
        header_timeout: never,
        idle_timeout: never,
        ..ServerLimits::default()
    };
    let shop = Shop::open(Setup { limits, body_timeout: never, ..Setup::default() }).await;
    let mut bad = Vec::new();
    for n in 0..500 {
        let connecting = TcpStream::connect(shop.address);
        let mut stream =
            tokio::time::timeout(Duration::from_secs(20), connecting).await.expect("a place").unwrap();
        let start: &[u8] = match n % 4 {
            0 => b"",
            1 => b"GET / HTTP/1.1\r\nHost: loc",
            // Refused for its size alone: what comes all the same is thrown away, and may not come.
            2 => {
                b"POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                   Content-Length: 3000000\r\n\r\n{"
            }
            _ => {
                b"POST /v1/kkt/receipt HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                   Idempotency-Key: bad\r\nContent-Length: 900\r\n\r\n{"
            }
        };
        // An earlier one may be closed for a later one at any time.
        let _ = stream.write_all(start).await;
        bad.push(stream);
    }
    for n in 0..20 {
        assert_eq!(shop.sell(&format!("good{n}"), receipt()).await.ok()["status"], "printed");
    }
    assert!(shop.row("bad").await.is_none());
}

#[tokio::test]
async fn a_body_that_is_refused_for_its_size_and_never_comes_gives_its_place_to_another_client() {
    let limits = ServerLimits { max_connections: 4, ..ServerLimits::default() };
    let shop = Shop::open(Setup { limits, ..Setup::default() }).await;
    let head = |length: &str| {
        format!(
            "POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
        )
    };
    // Too large as announced; too large as it came.
    let announced = head("Content-Length: 3000000") + "{";
    let came = head("Transfer-Encoding: chunked") + "200001\r\n" + &" ".repeat(0x20_0001) + "\r\n";
    let mut stalled = Vec::new();
    for bytes in [&announced, &came, &announced, &came] {
        let mut stream = TcpStream::connect(shop.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    assert_eq!(shop.get("/livez").await.status, 200);
    // A place was free before any of them had been waited for to its end.
    let mut answer = [0; 16];
    for stream in &stalled {
        let read = stream.try_read(&mut answer);
        assert!(!matches!(read, Ok(1..)), "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_at_work_is_never_closed_for_another() {
    let limits = ServerLimits { max_connections: 1, ..limits() };
    let shop = std::sync::Arc::new(Shop::open(Setup { limits, ..Setup::default() }).await);
    shop.till.hangs.store(true, SeqCst);
    let at_work = std::sync::Arc::clone(&shop);
    let work = tokio::spawn(async move { at_work.sell("k1", receipt()).await.ok() });
    while shop.till.calls.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Longer than every time-out of a connection without work.
    let waiting = shop.client.get(shop.url("/livez")).timeout(Duration::from_millis(1_500));
    assert!(waiting.send().await.is_err(), "there was no place for it");
    shop.till.hangs.store(false, SeqCst);
    shop.till.go_on.notify_waiters();
    assert_eq!(work.await.unwrap()["status"], "printed");
    assert_eq!(shop.get("/v1/health").await.status, 200);
}

#[tokio::test]
async fn the_stop_lets_requests_in_work_end_and_takes_no_new_ones() {
    // P11
    let mut shop = Shop::open(Setup::default()).await;
    shop.till.hangs.store(true, SeqCst);
    let request =
        shop.client.post(shop.url("/v1/kkt/receipt")).header("Idempotency-Key", "k1").json(&receipt());
    let work = tokio::spawn(request.send());
    let mut idle = TcpStream::connect(shop.address).await.unwrap();
    while shop.till.calls.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    shop.stop.take().unwrap().send(()).unwrap();
    assert!(closed(&mut idle).await, "an idle connection is closed at once");
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(shop.address).await.is_ok() {
        assert!(Instant::now() < deadline, "it still listens");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!work.is_finished());
    shop.till.hangs.store(false, SeqCst);
    shop.till.go_on.notify_waiters();
    assert_eq!(work.await.unwrap().unwrap().status(), 200);
    tokio::time::timeout(Duration::from_secs(10), shop.server).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn the_stop_ends_at_its_deadline_whatever_hangs_and_the_sale_goes_on() {
    // P11
    let limits = ServerLimits { shutdown_deadline: Duration::from_millis(100), ..ServerLimits::default() };
    let mut shop = Shop::open(Setup { limits, ..Setup::default() }).await;
    shop.till.hangs.store(true, SeqCst);
    let request =
        shop.client.post(shop.url("/v1/kkt/receipt")).header("Idempotency-Key", "k1").json(&receipt());
    let work = tokio::spawn(request.send());
    while shop.till.calls.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    shop.stop.take().unwrap().send(()).unwrap();
    let server = &mut shop.server;
    tokio::time::timeout(Duration::from_secs(10), server).await.expect("the server ends").unwrap();
    assert!(work.await.unwrap().is_err());
    shop.till.hangs.store(false, SeqCst);
    shop.till.go_on.notify_waiters();
    shop.until_state("k1", State::Printed).await;
}

#[tokio::test]
async fn a_head_that_is_none_or_too_large_is_refused_before_there_is_a_request_and_costs_no_more() {
    let shop = Shop::open(Setup::default()).await;
    let with = |headers: String| {
        format!("GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
    };
    let few: String = (0..ServerLimits::default().max_headers - 2).map(|n| format!("X-{n}: 1\r\n")).collect();
    let answer = shop.raw(with(few.clone()).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let one_too_many = format!("{few}X-Last: 1\r\n");
    let too_long = format!("X: {}\r\n", "x".repeat(ServerLimits::default().max_header_bytes));
    let endless_path = format!("GET /{} HTTP/1.1\r\n", "x".repeat(ServerLimits::default().max_header_bytes));
    let no_request = "what is this\r\n\r\n".to_owned();
    for (head, status) in
        [(with(one_too_many), "431"), (with(too_long), "431"), (endless_path, "431"), (no_request, "400")]
    {
        let answer = shop.raw(head.as_bytes()).await;
        assert_eq!(answer.get(9..12), Some(status), "{answer}");
        // As the document of the API says of these, and of no others.
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains("x-request-id"), "{answer}");
    }
    assert_eq!(shop.get("/v1/health").await.status, 200);
}
