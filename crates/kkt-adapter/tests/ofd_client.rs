//! The client of the OFD over real sockets: the simulator with each of its faults, and raw servers for what it lacks.

#![allow(clippy::unwrap_used)]

#[path = "support/ca.rs"]
#[allow(dead_code)]
mod ca;

use jiff::Timestamp;
use kkt_adapter::{
    domain::{
        document::Outgoing,
        ids::{DeviceId, ReceiptId},
    },
    ofd::{ANSWER_MAX, HttpOfd, HttpOfdOptions, OfdTokens},
    ports::{Clock, Monotonic, Observer, OfdClient, OfdError},
};
use ofd_sim::{
    Options, Plan, Rule, Simulator,
    plan::{GarbageForm, RetryAfter},
};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

struct RealClock(Instant);

impl Clock for RealClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.0.elapsed())
    }
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}

#[derive(Default)]
struct Calls(Mutex<Vec<&'static str>>);

impl Observer for Calls {
    fn ofd_call(&self, outcome: &'static str, _took: Duration) {
        self.0.lock().unwrap().push(outcome);
    }
}

fn options(base_url: String, timeout: Duration) -> HttpOfdOptions {
    HttpOfdOptions { base_url, timeout, tokens: OfdTokens::default(), fiscal: false, roots: Vec::new() }
}

fn client(options: &HttpOfdOptions) -> HttpOfd {
    HttpOfd::new(options, Arc::new(RealClock(Instant::now())), Arc::new(Calls::default())).unwrap()
}

fn document(fd: u32) -> Outgoing {
    document_of("POS-001", fd)
}

fn document_of(device: &str, fd: u32) -> Outgoing {
    let id = ReceiptId::new();
    let wire = format!(
        r#"{{"receipt_id":"{id}","document":"receipt","pos_id":"{device}","type":"sale","items":[{{"name":"x","price":1.00,"quantity":1,"total":1.00,"vat_rate":null}}],"payments":[{{"type":"cash","amount":1.00}}],"fiscal_doc_number":{fd},"fiscal_sign":"1","fiscal_datetime":"2026-01-01T00:00:00","fn_number":"9999078900005488","kkt_number":"1","qr_code_data":"","shift_number":1,"receipt_number":1,"ofd_name":"o","inn":"7702203276","rn_kkt":"0000000005008570","total":1.00}}"#
    );
    Outgoing {
        id,
        pos_id: device.parse().unwrap(),
        device: device.parse().unwrap(),
        fd,
        attempts: 0,
        request_id: Some("till-7.request".parse().unwrap()),
        wire: wire.into_bytes(),
    }
}

/// Long for what must answer, so that a slow machine fails no test.
const PATIENT: Duration = Duration::from_secs(20);
/// Short for what never answers.
const SHORT: Duration = Duration::from_millis(300);

/// How a document fares under a plan, with the simulator's ledger behind it.
async fn under(plan: Plan, timeout: Duration) -> (Result<String, OfdError>, u32) {
    let sim = Simulator::start(Options::default()).unwrap();
    sim.set_faults(plan);
    let ofd = client(&options(sim.base_url(), timeout));
    let document = document(1);
    let outcome = ofd.submit(&document).await.map(|confirmation| confirmation.ofd_id);
    (outcome, sim.document(&document.id.to_string()).map_or(0, |known| known.counted))
}

fn outcome(result: &Result<String, OfdError>) -> &'static str {
    result.as_ref().map_or_else(OfdError::outcome, |_| "accepted")
}

#[tokio::test]
async fn each_fault_of_the_simulator_is_sorted_by_what_the_caller_must_do() {
    let date = RetryAfter::Text("Sun, 06 Nov 1994 08:49:37 GMT".into());
    let dated = Rule::new(ofd_sim::Fault::Fail { status: 503, retry_after: Some(date), detail: None });
    for (rule, timeout, meaning, counted) in [
        (Rule::ok(), PATIENT, "accepted", 1),
        (Rule::fail(500), PATIENT, "unavailable", 0),
        (Rule::fail(503), PATIENT, "unavailable", 0),
        (dated, PATIENT, "unavailable", 0),
        (Rule::fail(404), PATIENT, "unavailable", 0),
        (Rule::fail(408), PATIENT, "unavailable", 0),
        (Rule::fail(425), PATIENT, "unavailable", 0),
        (Rule::too_many_requests(7), PATIENT, "unavailable", 0),
        (Rule::unauthorised(), PATIENT, "unauthorised", 0),
        (Rule::fail(403), PATIENT, "unauthorised", 0),
        (Rule::reject(14), PATIENT, "rejected", 0),
        (Rule::hang(), SHORT, "unavailable", 0),
        (Rule::latency(Duration::from_secs(60)), SHORT, "unavailable", 1),
        (Rule::reset(), PATIENT, "ambiguous", 0),
        (Rule::store_then_cut(), PATIENT, "ambiguous", 1),
        (Rule::garbage(GarbageForm::Wire), PATIENT, "ambiguous", 0),
        (Rule::garbage(GarbageForm::Html), PATIENT, "ambiguous", 0),
        (Rule::garbage(GarbageForm::Json), PATIENT, "ambiguous", 0),
        (Rule::garbage(GarbageForm::OtherJson), PATIENT, "ambiguous", 0),
        (Rule::endless(), PATIENT, "ambiguous", 0),
        (Rule::slow(Duration::from_secs(5)), SHORT, "ambiguous", 1),
        (Rule::slow(Duration::from_millis(1)), PATIENT, "accepted", 1),
    ] {
        let name = format!("{rule:?}");
        let (result, counts) = under(Plan::ok().rule(rule), timeout).await;
        assert_eq!((outcome(&result), counts), (meaning, counted), "{name}: {result:?}");
    }
}

#[tokio::test]
async fn the_operators_code_and_wish_are_handed_on() {
    let (rejected, _) = under(Plan::ok().rule(Rule::reject(14)), PATIENT).await;
    assert!(matches!(&rejected, Err(OfdError::Rejected { code, .. }) if code == "14"), "{rejected:?}");
    let (busy, _) = under(Plan::ok().rule(Rule::too_many_requests(7)), PATIENT).await;
    let wish = Some(Duration::from_secs(7));
    assert!(
        matches!(&busy, Err(OfdError::Unavailable { retry_after, .. }) if *retry_after == wish),
        "{busy:?}"
    );
}

// P3
#[tokio::test]
async fn a_lost_acknowledgement_sent_again_under_the_same_key_is_counted_once() {
    let sim = Simulator::start(Options::default()).unwrap();
    sim.set_faults(Plan::lost_acknowledgements());
    let ofd = client(&options(sim.base_url(), PATIENT));
    let document = document(1);
    assert_eq!(ofd.submit(&document).await.unwrap_err().outcome(), "ambiguous");
    ofd.submit(&document).await.unwrap();
    let known = sim.document(&document.id.to_string()).unwrap();
    assert_eq!((known.received, known.counted), (2, 1));
    assert_eq!(sim.stats().violations, 0, "the same key came with other bytes");
}

#[tokio::test]
async fn a_device_is_let_in_by_its_own_token_and_others_by_the_endpoints() {
    let sim = Simulator::start(Options::default().token("endpoint-token").token("device-token-1")).unwrap();
    let mut options = options(sim.base_url(), PATIENT);
    let device = |name: &str| name.parse::<DeviceId>().unwrap();
    options.tokens.common = Some("endpoint-token".into());
    options.tokens.of_devices =
        [(device("kkt-1"), "device-token-1".into()), (device("kkt-2"), "revoked-token".into())].into();
    let ofd = client(&options);
    ofd.submit(&document_of("kkt-1", 1)).await.unwrap();
    ofd.submit(&document_of("POS-9", 2)).await.unwrap();
    ofd.ping().await.unwrap();
    let refused = ofd.submit(&document_of("kkt-2", 3)).await.unwrap_err();
    assert_eq!(refused.outcome(), "unauthorised");
    assert!(!format!("{refused}{refused:?}{ofd:?}").contains("-token"), "{refused:?}");
    // A device that has none of its own any more goes by the endpoint's.
    options.tokens.of_devices.remove(&device("kkt-2"));
    ofd.set_tokens(&options.tokens).unwrap();
    ofd.submit(&document_of("kkt-2", 3)).await.unwrap();
    options.tokens.common = Some("no\nheader".into());
    assert!(ofd.set_tokens(&options.tokens).is_err());
    ofd.ping().await.unwrap();
    assert!(HttpOfd::new(&options, Arc::new(RealClock(Instant::now())), Arc::new(Calls::default())).is_err());
}

#[tokio::test]
async fn nobody_there_is_unavailable_and_every_call_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let calls = Arc::new(Calls::default());
    let clock = Arc::new(RealClock(Instant::now()));
    let ofd = HttpOfd::new(&options(format!("http://{address}"), PATIENT), clock, calls.clone()).unwrap();
    let error = ofd.submit(&document(1)).await.unwrap_err();
    assert!(matches!(&error, OfdError::Unavailable { reason, .. } if reason.contains("refused")), "{error}");
    assert_eq!(ofd.ping().await.unwrap_err().outcome(), "unavailable");
    assert_eq!(*calls.0.lock().unwrap(), ["unavailable"], "a ping is no document");
}

/// A server that answers each connection, once the head of its request came, with these bytes and then closes.
async fn raw(answer: &'static [u8]) -> String {
    serve(move |mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(answer).await;
    })
    .await
}

async fn serve<F, Fut>(handle: F) -> String
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    format!("http://{address}")
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(n) => head.extend_from_slice(&chunk[..n]),
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

#[tokio::test]
async fn raw_answers_are_sorted_too() {
    for (answer, meaning, words) in [
        (&b""[..], "ambiguous", ""),
        (b"\x15\x03\x01\x00\x02\x02\x16", "ambiguous", ""),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "ambiguous", ""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"status\":\"acc", "ambiguous", "HTTP 200"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9000000000\r\n\r\n", "ambiguous", "longer than 65536 bytes"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "ambiguous", "not a JSON object"),
        (b"HTTP/1.1 422 No\r\ncontent-length: 500\r\n\r\n{\"status\":", "ambiguous", "HTTP 422"),
        (b"HTTP/1.1 503 No\r\nretry-after: 3\r\ncontent-length: 500\r\n\r\n<", "unavailable", "HTTP 503"),
        (b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nno", "unavailable", "ofd.base_url"),
        (
            b"HTTP/1.1 302 No\r\nlocation: http://portal/\r\ncontent-length: 0\r\n\r\n",
            "unavailable",
            "http://portal/",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 34\r\n\r\n{\"status\":\"accepted\",\"ofd_id\":\"A\"}\n",
            "accepted",
            "",
        ),
    ] {
        let ofd = client(&options(raw(answer).await, PATIENT));
        let result = ofd.submit(&document(1)).await;
        let name = result.as_ref().map_or_else(OfdError::outcome, |_| "accepted");
        let text = result.map_or_else(|error| error.to_string(), |_| String::new());
        let answer = String::from_utf8_lossy(answer);
        assert_eq!(name, meaning, "{answer}: {text}");
        assert!(text.contains(words), "{answer}: {text}");
    }
}

#[tokio::test]
async fn an_endless_body_costs_the_limit_and_no_more() {
    let sent = Arc::new(Mutex::new(0_usize));
    let counter = sent.clone();
    let url = serve(move |mut stream| {
        let counter = counter.clone();
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b' '; 4096]).await.is_ok() {
                *counter.lock().unwrap() += 4096;
            }
        }
    })
    .await;
    let error = client(&options(url, PATIENT)).submit(&document(1)).await.unwrap_err();
    assert!(error.to_string().contains(&format!("longer than {ANSWER_MAX} bytes")), "{error}");
    // Buffers of the sockets come on top of what was read.
    assert!(*sent.lock().unwrap() < 64 << 20, "the client went on reading");
}

#[tokio::test]
async fn a_drip_of_bytes_does_not_outlive_the_deadline() {
    // The head byte by byte: never whole.
    let head = serve(|mut stream| async move {
        read_head(&mut stream).await;
        for byte in b"HTTP/1.1 200 OK\r\n".iter().chain(std::iter::repeat_n(&b'x', 10_000)) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let error = client(&options(head, SHORT)).submit(&document(1)).await.unwrap_err();
    assert!(error.to_string().contains("no answer within 300 ms"), "{error}");
    assert_eq!(error.outcome(), "unavailable");
}

#[tokio::test]
async fn a_document_goes_where_the_configuration_says_with_its_key_and_its_bytes() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let url = serve(move |mut stream| {
        let tell = tell.clone();
        async move {
            let head = read_head(&mut stream).await;
            let _ = tell.send(head);
            let _ = stream
                .write_all(b"HTTP/1.1 307 No\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    })
    .await;
    let mut options = options(format!("{url}/base/"), PATIENT);
    options.tokens.common = Some("secret-token".into());
    let document = document(1);
    client(&options).submit(&document).await.unwrap_err();
    let head = told.recv().await.unwrap().to_lowercase();
    for line in [
        "post /base/ofd/v1/receipt http/1.1",
        &format!("idempotency-key: {}", document.id),
        "authorization: bearer secret-token",
        "content-type: application/json",
        &format!("content-length: {}", document.wire.len()),
    ] {
        assert!(head.contains(line), "{line:?} is not in {head}");
    }
    assert!(!head.contains("accept-encoding"), "{head}");
    assert!(told.try_recv().is_err(), "the redirect was followed or the request repeated");
}

#[tokio::test]
async fn https_is_refused_by_a_server_without_a_known_certificate() {
    let url = raw(b"HTTP/1.1 200 OK\r\n\r\n").await.replace("http://", "https://");
    match HttpOfd::new(&options(url, SHORT), Arc::new(RealClock(Instant::now())), Arc::new(Calls::default()))
    {
        Ok(ofd) => assert_eq!(ofd.submit(&document(1)).await.unwrap_err().outcome(), "unavailable"),
        // A machine without root certificates is told so.
        Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
    }
}

#[tokio::test]
async fn an_ofd_behind_a_private_ca_is_reached_by_that_ca_alone() {
    let ca = ca::Ca::new("the OFD's");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = seen.clone();
    let health = axum::routing::get(|| async { axum::Json(serde_json::json!({ "status": "ok" })) });
    let take = axum::routing::post(move |headers: axum::http::HeaderMap| async move {
        requests.lock().unwrap().push(headers["x-request-id"].to_str().unwrap().to_owned());
        axum::Json(serde_json::json!({ "status": "accepted", "ofd_id": "7", "timestamp": 1 }))
    });
    let router = axum::Router::new().route("/ofd/v1/health", health).route("/ofd/v1/receipt", take);
    let limits = kkt_adapter::http::ServerLimits::default();
    let tls = Some(ca.issue().tls());
    tokio::spawn(kkt_adapter::http::serve(listener, tls, router, limits, std::future::pending()));
    let trusting = |pem: &str| {
        let der = rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes());
        let der: rustls::pki_types::CertificateDer<'_> = der.unwrap();
        client(&HttpOfdOptions { roots: vec![der.to_vec()], ..options(base_url.clone(), PATIENT) })
    };
    let ofd = trusting(&ca.pem);
    ofd.ping().await.unwrap();
    assert_eq!(ofd.submit(&document(1)).await.unwrap().ofd_id, "7");
    let own = Outgoing { request_id: None, ..document(2) };
    ofd.submit(&own).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["till-7.request".to_owned(), own.id.to_string()]);
    let other = trusting(&ca::Ca::new("another").pem).submit(&document(3)).await;
    assert!(matches!(other, Err(OfdError::Unavailable { .. })), "{other:?}");
    assert_eq!(seen.lock().unwrap().len(), 2, "the document did not leave");
}
