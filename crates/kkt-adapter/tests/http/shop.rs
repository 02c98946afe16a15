//! A shop with its API on a free port.

use async_trait::async_trait;
use circuit_breaker::CircuitBreaker;
use jiff::{Span, Timestamp, tz::TimeZone};
use kkt_adapter::{
    buffer::MemoryBuffer,
    domain::{
        document::{Confirmation, Identity},
        entry::{Actor, Entry, SendOutcome, Settlement},
        ids::{DeviceId, IdempotencyKey, PosId, ReceiptId, RequestId},
        lifecycle::State,
        receipt::{Receipt, Taxation},
    },
    fiscalize::{Fiscalizer, Options},
    http::{
        AllowedHosts, EventLimits, EventLog, HttpOptions, HttpPorts, Role, ServerLimits, Tls, TokenEntry,
        Tokens, router, serve,
    },
    kkt::virtual_kkt::{Faults, VirtualFleet, VirtualOptions},
    ports::{
        BreakerCommand, BreakerControl, BreakerError, BreakerView, Buffer, BufferError, Clock, DeviceView,
        LaneHead, LaneView, Lookup, MetricsPage, Monotonic, NoHeartbeat, Observer, Sale, ShiftState,
        SyncBusy, SyncControl, SyncReport, Till, TillError, Verdict, WorkerView,
    },
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
};

pub struct ManualClock(Mutex<Timestamp>, Instant, Mutex<Duration>);

impl ManualClock {
    pub fn pass(&self, span: Span) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(span).unwrap();
    }

    /// Both clocks go on.
    pub fn skip(&self, time: Duration) {
        *self.2.lock().unwrap() += time;
        let mut now = self.0.lock().unwrap();
        *now += time;
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.1.elapsed() + *self.2.lock().unwrap())
    }
    fn wall(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[derive(Default)]
pub struct Counting(pub Mutex<Vec<(String, String, u16)>>);

impl Observer for Counting {
    fn http_request(&self, method: &str, route: &str, status: u16, _: Duration) {
        self.0.lock().unwrap().push((method.into(), route.into(), status));
    }
}

/// The real till, which a test can make hang or panic.
pub struct TrickTill {
    pub inner: Fiscalizer,
    pub panics: AtomicBool,
    pub hangs: AtomicBool,
    pub go_on: Notify,
    pub calls: AtomicUsize,
}

#[async_trait]
impl Till for TrickTill {
    async fn sell(
        &self,
        key: IdempotencyKey,
        receipt: Receipt,
        notes: Vec<String>,
        request_id: RequestId,
    ) -> Result<Sale, TillError> {
        self.calls.fetch_add(1, SeqCst);
        assert!(!self.panics.load(SeqCst), "a defect of the till");
        if self.hangs.load(SeqCst) {
            self.go_on.notified().await;
        }
        self.inner.sell(key, receipt, notes, request_id).await
    }
    async fn cancel(&self, id: ReceiptId, by: Actor, why: String) -> Result<Entry, TillError> {
        Till::cancel(&self.inner, id, by, why).await
    }
    async fn decide(
        &self,
        id: ReceiptId,
        verdict: Verdict,
        by: Actor,
        why: String,
    ) -> Result<Entry, TillError> {
        Till::decide(&self.inner, id, verdict, by, why).await
    }
    async fn open_shift(&self, pos_id: PosId) -> Result<Sale, TillError> {
        self.inner.open_shift(pos_id).await
    }
    async fn close_shift(&self, pos_id: PosId) -> Result<Sale, TillError> {
        self.inner.close_shift(pos_id).await
    }
    async fn shift(&self, pos_id: PosId) -> Result<(DeviceId, ShiftState), TillError> {
        Till::shift(&self.inner, pos_id).await
    }
    fn devices(&self) -> Vec<DeviceView> {
        self.inner.devices()
    }
    fn fiscal(&self) -> bool {
        self.inner.fiscal()
    }
}

/// Phase 2 that only says what it was asked.
#[derive(Default)]
pub struct Lanes {
    pub busy: AtomicBool,
    pub woken: Mutex<Vec<DeviceId>>,
    pub stuck: Mutex<Vec<LaneView>>,
    pub parked: Mutex<Vec<(DeviceId, ReceiptId)>>,
}

#[async_trait]
impl SyncControl for Lanes {
    async fn sync_now(&self) -> Result<SyncReport, SyncBusy> {
        if self.busy.load(SeqCst) {
            return Err(SyncBusy);
        }
        let duration = Duration::from_millis(1_500);
        Ok(SyncReport { synced: 3, failed: 1, skipped: 2, duration, message: "3 delivered".into() })
    }
    fn worker(&self) -> WorkerView {
        let lane =
            LaneView { device: "POS-001".parse().unwrap(), state: "idle", last_error: None, head: None };
        WorkerView { running: true, lanes: vec![lane], lane_count: 1 }
    }
    fn stuck(&self) -> Vec<LaneView> {
        self.stuck.lock().unwrap().clone()
    }
    fn head(&self, device: &DeviceId) -> Option<LaneHead> {
        self.stuck.lock().unwrap().iter().find(|lane| lane.device == *device)?.head
    }
    fn wake(&self, device: &DeviceId) {
        self.woken.lock().unwrap().push(device.clone());
    }
    fn parked(&self, device: &DeviceId, id: ReceiptId) {
        self.parked.lock().unwrap().push((device.clone(), id));
    }
}

/// Real breakers; commands are remembered.
pub struct Breakers {
    pub ofd: CircuitBreaker,
    pub device: CircuitBreaker,
    pub commands: Mutex<Vec<(String, BreakerCommand, String, String)>>,
}

impl Breakers {
    fn new() -> Self {
        let breaker = |name: &str| CircuitBreaker::builder().name(name).build().unwrap();
        Self { ofd: breaker("ofd"), device: breaker("device:POS-001"), commands: Mutex::default() }
    }

    fn view(key: &str, pos_id: &str, breaker: &CircuitBreaker) -> BreakerView {
        let snapshot = breaker.snapshot();
        BreakerView {
            key: key.into(),
            pos_id: pos_id.into(),
            since: Timestamp::try_from(snapshot.since).unwrap(),
            last_failure: snapshot.last_failure.map(|at| Timestamp::try_from(at).unwrap()),
            reason: Some(snapshot.explanation.to_string()),
            retry_after: snapshot.retry_after,
            forced_until: None,
            snapshot,
        }
    }

    pub fn trip(&self) {
        for _ in 0..5 {
            self.ofd.try_acquire().unwrap().failure();
        }
    }
}

#[async_trait]
impl BreakerControl for Breakers {
    fn endpoint(&self) -> BreakerView {
        Self::view("ofd", "", &self.ofd)
    }
    fn breakers(&self) -> Vec<BreakerView> {
        vec![self.endpoint(), Self::view("device:POS-001", "POS-001", &self.device)]
    }
    fn breaker(&self, key: &str) -> Option<BreakerView> {
        self.breakers().into_iter().find(|view| view.key == key)
    }
    async fn command(
        &self,
        key: &str,
        command: BreakerCommand,
        by: Actor,
        why: String,
    ) -> Result<BreakerView, BreakerError> {
        let breaker = match key {
            "ofd" => &self.ofd,
            "device:POS-001" => &self.device,
            _ => return Err(BreakerError::NotFound(key.into())),
        };
        match command {
            BreakerCommand::ForceOpen { .. } => breaker.force_open(why.as_str()),
            BreakerCommand::ForceClosed => breaker.force_closed(why.as_str()),
            BreakerCommand::Release => drop(breaker.release()),
            BreakerCommand::Reset => breaker.reset(),
        }
        self.commands.lock().unwrap().push((key.into(), command, by.0, why));
        Ok(self.breaker(key).expect("it was found above"))
    }
}

#[derive(Default)]
pub struct Page(pub AtomicBool);

#[async_trait]
impl MetricsPage for Page {
    async fn render(&self) -> Result<String, BufferError> {
        assert!(!self.0.load(SeqCst), "a defect of the metrics");
        Ok("kkt_buffer_size 0\n".into())
    }
}

pub struct Setup {
    pub tls: Option<Arc<Tls>>,
    pub capacity: u64,
    pub tokens: Vec<TokenEntry>,
    pub request_timeout: Duration,
    pub body_timeout: Duration,
    /// Longest silence of the stream of events.
    pub heartbeat: Duration,
    pub limits: ServerLimits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            tls: None,
            capacity: 1_000,
            tokens: Vec::new(),
            request_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(10),
            heartbeat: EventLimits::default().heartbeat,
            limits: ServerLimits::default(),
        }
    }
}

pub struct Shop {
    pub address: SocketAddr,
    pub client: reqwest::Client,
    pub buffer: Arc<MemoryBuffer>,
    pub fleet: Arc<VirtualFleet>,
    pub till: Arc<TrickTill>,
    pub sync: Arc<Lanes>,
    pub breakers: Arc<Breakers>,
    pub page: Arc<Page>,
    pub clock: Arc<ManualClock>,
    pub seen: Arc<Counting>,
    pub options: Arc<HttpOptions>,
    pub stop: Option<oneshot::Sender<()>>,
    pub server: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

pub async fn open() -> Shop {
    Shop::open(Setup::default()).await
}

impl Shop {
    pub async fn open(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = "2026-11-23T15:30:20Z".parse().unwrap();
        let clock = Arc::new(ManualClock(Mutex::new(start), Instant::now(), Mutex::default()));
        let buffer = Arc::new(MemoryBuffer::new(setup.capacity, clock.clone()));
        let identity = Identity {
            inn: "7702203276".into(),
            rn_kkt: "0000000005008570".into(),
            ofd_name: "ОФД".into(),
            taxation: Taxation::Osn,
        };
        let kkts = VirtualOptions::new(folder.path().join("virtual-kkt"), identity);
        let fleet = Arc::new(VirtualFleet::new(kkts, clock.clone()).unwrap());
        let seen = Arc::new(Counting::default());
        let phase_1 = Options {
            print_timeout: Duration::from_millis(500),
            find_timeout: Duration::from_millis(300),
            retry_first: Duration::from_secs(600),
            retry_max: Duration::from_secs(600),
            ..Options::default()
        };
        let inner = Fiscalizer::new(buffer.clone(), fleet.clone(), clock.clone(), seen.clone(), phase_1);
        inner.recover().await.unwrap();
        inner.start();
        let till = Arc::new(TrickTill {
            inner,
            panics: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            go_on: Notify::new(),
            calls: AtomicUsize::new(0),
        });
        let (sync, page) = (Arc::new(Lanes::default()), Arc::new(Page::default()));
        let breakers = Arc::new(Breakers::new());
        let options = Arc::new(HttpOptions {
            allowed_hosts: AllowedHosts::new(["till.shop.local".into()]),
            tokens: Tokens::new(setup.tokens),
            tls: setup.tls.is_some(),
            request_timeout: setup.request_timeout,
            body_timeout: setup.body_timeout,
            zone: TimeZone::UTC,
            // The matrix of roles asks with thousands of wrong ones.
            wrong_tokens_max: u32::MAX,
            ..HttpOptions::default()
        });
        let ports = HttpPorts {
            till: till.clone(),
            buffer: buffer.clone(),
            sync: sync.clone(),
            breakers: breakers.clone(),
            heartbeat: Arc::new(NoHeartbeat),
            metrics: page.clone(),
            events: Arc::new(EventLog::new(
                clock.clone(),
                EventLimits { heartbeat: setup.heartbeat, ..EventLimits::default() },
            )),
            clock: clock.clone(),
            observer: seen.clone(),
            options: options.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            serve(listener, setup.tls, router(ports), setup.limits, shutdown).await.unwrap();
        });
        // The client is built with TLS, which no test uses but which wants a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let stop = Some(stop);
        Self {
            address,
            client,
            buffer,
            fleet,
            till,
            sync,
            breakers,
            page,
            clock,
            seen,
            options,
            stop,
            server,
            _folder: folder,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.url(path)).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::of(self.client.post(self.url(path)).json(&body).send().await.unwrap()).await
    }

    /// As the bearer of a token.
    pub async fn ask(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.client.request(method, self.url(path));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("idempotency-key", "k-ask").json(&body);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub async fn sell(&self, key: &str, body: Value) -> Answer {
        let request =
            self.client.post(self.url("/v1/kkt/receipt")).header("Idempotency-Key", key).json(&body);
        Answer::of(request.send().await.unwrap()).await
    }

    /// Bytes as a receipt's body.
    pub async fn sell_bytes(&self, bytes: impl Into<reqwest::Body>) -> Answer {
        let request = self.client.post(self.url("/v1/kkt/receipt")).header("Idempotency-Key", "k-bytes");
        let request = request.header("Content-Type", "application/json").body(bytes);
        Answer::of(request.send().await.unwrap()).await
    }

    /// Bytes on the wire, and all that comes back until the server closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        read_all(&mut stream).await
    }

    pub fn fault(&self, device: &str, faults: Faults) {
        self.fleet.device(&device.parse().unwrap()).unwrap().set_faults(faults);
    }

    pub async fn row(&self, key: &str) -> Option<Entry> {
        self.buffer.find(Lookup::Key(key.parse().unwrap())).await.unwrap()
    }

    /// A printed receipt that then died.
    pub async fn dead(&self, key: &str) -> String {
        let id = self.sell(key, receipt()).await.ok()["receipt_id"].as_str().unwrap().to_owned();
        let outcome = SendOutcome::Dead { error: "code 14".into() };
        self.buffer.settle(vec![Settlement { id: id.parse().unwrap(), outcome }]).await.unwrap();
        id
    }

    pub async fn synced(&self, id: &str) {
        let confirmation = Confirmation { ofd_id: "ofd-7".into(), timestamp: "1700000000".into() };
        let outcome = SendOutcome::Synced(confirmation);
        self.buffer.settle(vec![Settlement { id: id.parse().unwrap(), outcome }]).await.unwrap();
    }

    pub async fn until_state(&self, key: &str, state: State) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.row(key).await.is_none_or(|row| row.state != state) {
            assert!(Instant::now() < deadline, "{key} did not become {state:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

pub async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset after the answer ends it as a close does.
    let _ =
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await.expect("an end");
    String::from_utf8_lossy(&text).into_owned()
}

pub fn token(name: &str, role: Role, pos_ids: &[&str]) -> TokenEntry {
    let pos_ids = pos_ids.iter().map(|pos_id| pos_id.parse().unwrap()).collect();
    TokenEntry { name: name.into(), role, pos_ids, expires: None, secret: format!("secret-of-{name}") }
}

/// The receipt of the contract, of a rate in force.
pub fn receipt() -> Value {
    receipt_of("POS-001")
}

pub fn receipt_of(pos_id: &str) -> Value {
    json!({
        "pos_id": pos_id, "type": "sale",
        "items": [{"name": "Оправа", "price": "100.00", "quantity": 2, "total": "200.00", "vat_rate": 22}],
        "payments": [{"type": "cash", "amount": "200.00"}],
    })
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body of a success.
    pub fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text);
        self.json()
    }

    /// Holds an error to the contract's form; answers its body.
    pub fn error(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        let body = self.json();
        assert_eq!(body["type"], kind, "{}", self.text);
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        assert_eq!(self.header("content-type"), Some("application/json"));
        if status == 422 {
            let list = body["detail"].as_array().expect("a list of fields");
            assert!(!list.is_empty());
            for one in list {
                assert!(one["type"].is_string() && one["loc"].is_array() && one["msg"].is_string(), "{one}");
                assert!(one.get("input").is_some(), "{one}");
            }
        } else {
            assert!(!body["detail"].as_str().expect("a text").is_empty());
        }
        body
    }

    /// The places of a 422.
    pub fn locs(&self) -> Vec<String> {
        let body = self.error(422, "validation_error");
        body["detail"].as_array().unwrap().iter().map(|one| one["loc"].to_string()).collect()
    }
}

impl Shop {
    /// Action, actor and detail of each line about a document.
    pub async fn buffer_audit(&self, subject: &str) -> Vec<(String, String, String)> {
        let events = self.buffer.audit(Some(subject.into()), 100).await.unwrap();
        events.into_iter().map(|event| (event.action, event.actor.0, event.detail)).collect()
    }
}
