//! Devices with printed documents, lanes, and an OFD that does what the test says.

use async_trait::async_trait;
use jiff::Timestamp;
use kkt_adapter::{
    buffer::MemoryBuffer,
    domain::{
        document::{Confirmation, DocumentKind, FiscalDoc, Outgoing},
        entry::{Actor, AuditEvent, Change, Entry, NewEntry, Settlement},
        ids::{DeviceId, PosId, ReceiptId},
        money::Kopecks,
        receipt::BodyHash,
    },
    ports::{
        Appended, Buffer, BufferError, Clock, ListFilter, ListPage, Lookup, Monotonic, Observer, OfdClient,
        OfdError, Pending, Place, Silent, Stats, StoreHealth, SyncControl,
    },
    sync::{Breakers, SyncEngine, SyncOptions},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Tokio's clock, which stands while anybody works.
struct Paused(tokio::time::Instant);

impl Clock for Paused {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.0.elapsed())
    }
    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.0.elapsed()
    }
}

/// How long the OFD takes.
pub const SEND: Duration = Duration::from_millis(10);

/// What the OFD does with a document.
pub enum Fate {
    Accepted,
    /// Accepted, after so long.
    After(Duration),
    Fails(OfdError),
    Panics,
}

/// An attempt as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub device: String,
    pub fd: u32,
    /// After the OFD was made.
    pub at: Duration,
}

/// The OFD: what came, in order, and how many at once.
pub struct Ofd {
    fate: Box<dyn Fn(&Outgoing) -> Fate + Send + Sync>,
    began: tokio::time::Instant,
    seen: Mutex<(Vec<Attempt>, usize, usize)>,
}

impl Ofd {
    pub fn attempts(&self) -> Vec<Attempt> {
        self.seen.lock().unwrap().0.clone()
    }

    /// The most that were in flight at once.
    pub fn most(&self) -> usize {
        self.seen.lock().unwrap().2
    }
}

#[async_trait]
impl OfdClient for Ofd {
    async fn submit(&self, document: &Outgoing) -> Result<Confirmation, OfdError> {
        {
            let mut seen = self.seen.lock().unwrap();
            let at = self.began.elapsed();
            seen.0.push(Attempt { device: document.device.to_string(), fd: document.fd, at });
            seen.1 += 1;
            seen.2 = seen.2.max(seen.1);
        }
        let fate = (self.fate)(document);
        let takes = if let Fate::After(time) = &fate { *time } else { SEND };
        tokio::time::sleep(takes).await;
        self.seen.lock().unwrap().1 -= 1;
        match fate {
            Fate::Accepted | Fate::After(_) => {
                Ok(Confirmation { ofd_id: document.fd.to_string(), timestamp: String::new() })
            }
            Fate::Fails(error) => Err(error),
            Fate::Panics => panic!("a defect of the client"),
        }
    }
    async fn ping(&self) -> Result<(), OfdError> {
        Ok(())
    }
    fn fiscal(&self) -> bool {
        false
    }
}

/// The buffer as the lanes have it: what each page was asked for and had, and what goes wrong.
pub struct Pages {
    inner: Arc<MemoryBuffer>,
    asked: Mutex<Vec<usize>>,
    /// The most bytes that one page had.
    biggest: AtomicUsize,
    /// So many settlements are refused, as by a full disk.
    pub refuse_settles: AtomicUsize,
    /// How long each of those takes.
    pub refusals_take: Mutex<Duration>,
    /// So many settlements end in a panic.
    pub panicking_settles: AtomicUsize,
    /// So many pages end in a panic.
    pub panicking_pages: AtomicUsize,
    /// Asking for devices with work ends in a panic.
    pub panicking_net: AtomicBool,
}

impl Pages {
    pub fn asked(&self) -> Vec<usize> {
        self.asked.lock().unwrap().clone()
    }

    pub fn biggest(&self) -> usize {
        self.biggest.load(Ordering::SeqCst)
    }
}

/// Whether it was to happen once more.
fn counts_down(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// What is told of documents that were settled.
#[derive(Default)]
pub struct Told(AtomicUsize);

impl Told {
    pub fn settled(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Observer for Told {
    fn settled(&self, _: &PosId, _: &'static str) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Buffer for Pages {
    async fn next(
        &self,
        device: &DeviceId,
        after_fd: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Outgoing>, BufferError> {
        self.asked.lock().unwrap().push(limit);
        if limit > 1 && counts_down(&self.panicking_pages) {
            panic!("{WANTED_PANIC}");
        }
        let page = self.inner.next(device, after_fd, limit).await?;
        self.biggest.fetch_max(page.iter().map(|document| document.wire.len()).sum(), Ordering::SeqCst);
        Ok(page)
    }
    fn reserve(&self) -> Result<Place, BufferError> {
        self.inner.reserve()
    }
    fn reserve_own(&self) -> Result<Place, BufferError> {
        self.inner.reserve_own()
    }
    fn append(&self, place: Place, entry: NewEntry, print_now: bool) -> Pending<Appended> {
        self.inner.append(place, entry, print_now)
    }
    fn apply(&self, id: ReceiptId, change: Change) -> Pending<()> {
        self.inner.apply(id, change)
    }
    fn settle(&self, outcomes: Vec<Settlement>) -> Pending<()> {
        assert!(!counts_down(&self.panicking_settles), "{WANTED_PANIC}");
        if counts_down(&self.refuse_settles) {
            let takes = *self.refusals_take.lock().unwrap();
            return Box::pin(async move {
                tokio::time::sleep(takes).await;
                let (reason, retry_after) =
                    ("диск заполнен / the disk is full".into(), Duration::from_secs(60));
                Err(BufferError::Full { reason, retry_after })
            });
        }
        self.inner.settle(outcomes)
    }
    fn record(&self, event: AuditEvent) -> Pending<()> {
        self.inner.record(event)
    }
    async fn find(&self, by: Lookup) -> Result<Option<Entry>, BufferError> {
        self.inner.find(by).await
    }
    async fn list(&self, filter: ListFilter) -> Result<ListPage, BufferError> {
        self.inner.list(filter).await
    }
    async fn devices_pending(&self) -> Result<Vec<DeviceId>, BufferError> {
        assert!(!self.panicking_net.load(Ordering::SeqCst), "{WANTED_PANIC}");
        self.inner.devices_pending().await
    }
    async fn devices(&self) -> Result<Vec<DeviceId>, BufferError> {
        self.inner.devices().await
    }
    async fn last_fd(&self, device: &DeviceId) -> Result<Option<u32>, BufferError> {
        self.inner.last_fd(device).await
    }
    async fn audit(&self, subject: Option<String>, limit: usize) -> Result<Vec<AuditEvent>, BufferError> {
        self.inner.audit(subject, limit).await
    }
    async fn stats(&self) -> Result<Stats, BufferError> {
        self.inner.stats().await
    }
    fn health(&self) -> StoreHealth {
        self.inner.health()
    }
    async fn close(&self) {
        self.inner.close().await;
    }
}

pub const WANTED_PANIC: &str = "a defect that the test wants";

/// Panics with these words are not shown: they would look like failures.
pub fn hush(words: &'static str) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let is_wanted = text.is_some_and(|text| text.contains(words));
        if !is_wanted {
            before(info);
        }
    }));
}

pub struct Shop {
    pub buffer: Arc<MemoryBuffer>,
    pub pages: Arc<Pages>,
    pub ofd: Arc<Ofd>,
    pub told: Arc<Told>,
    pub breakers: Arc<Breakers>,
    pub engine: Arc<SyncEngine>,
    next_fd: BTreeMap<String, u32>,
}

impl Shop {
    pub fn new(options: SyncOptions, fate: impl Fn(&Outgoing) -> Fate + Send + Sync + 'static) -> Self {
        let clock = Arc::new(Paused(tokio::time::Instant::now()));
        let buffer = Arc::new(MemoryBuffer::new(100_000, clock.clone()));
        let pages = Arc::new(Pages {
            inner: buffer.clone(),
            asked: Mutex::default(),
            biggest: AtomicUsize::new(0),
            refuse_settles: AtomicUsize::new(0),
            refusals_take: Mutex::default(),
            panicking_settles: AtomicUsize::new(0),
            panicking_pages: AtomicUsize::new(0),
            panicking_net: AtomicBool::new(false),
        });
        let told = Arc::new(Told::default());
        let ofd = Arc::new(Ofd {
            fate: Box::new(fate),
            began: tokio::time::Instant::now(),
            seen: Mutex::default(),
        });
        let breakers = Breakers::new(
            circuit_breaker::Config::new(),
            BTreeMap::new(),
            buffer.clone(),
            clock.clone(),
            Arc::new(Silent),
        )
        .unwrap();
        let (observer, its_breakers) = (told.clone(), breakers.clone());
        let engine = SyncEngine::new(options, pages.clone(), ofd.clone(), its_breakers, clock, observer);
        Self { buffer, pages, ofd, told, breakers, engine, next_fd: BTreeMap::new() }
    }

    /// Prints documents on a device; its lane is not told.
    pub async fn print(&mut self, device: &str, count: u32) {
        self.print_long(device, count, 2).await;
    }

    /// The same; each has so many bytes for the OFD.
    pub async fn print_long(&mut self, device: &str, count: u32, bytes: usize) {
        for _ in 0..count {
            let fd = self.next_fd.entry(device.into()).or_insert(0);
            *fd += 1;
            let id = ReceiptId::new();
            let entry = NewEntry {
                request_id: None,
                id,
                key: id.to_string().parse().unwrap(),
                kind: DocumentKind::ShiftOpen,
                pos_id: device.parse().unwrap(),
                device: device.parse().unwrap(),
                receipt: None,
                hash: BodyHash([0; 32]),
                notes: Vec::new(),
                created_at: Timestamp::UNIX_EPOCH,
            };
            self.buffer.append(self.buffer.reserve().unwrap(), entry, true).await.unwrap();
            let fiscal = FiscalDoc {
                fiscal_doc_number: *fd,
                fiscal_sign: "1".into(),
                fiscal_datetime: "2026-01-15T13:00:00".into(),
                fn_number: "9999078902012345".into(),
                kkt_number: "1".into(),
                qr_code_data: String::new(),
                shift_number: 1,
                receipt_number: 0,
                ofd_name: "ОФД".into(),
                inn: "7700000000".into(),
                rn_kkt: "1".into(),
                total: Kopecks(0),
            };
            let by = Actor::system();
            let why = String::new();
            let printed = Change::Printed { fiscal: Box::new(fiscal), wire: vec![b' '; bytes], by, why };
            self.buffer.apply(id, printed).await.unwrap();
        }
    }

    pub fn wake(&self, device: &str) {
        SyncControl::wake(&self.engine, &device.parse::<DeviceId>().unwrap());
    }

    pub async fn pending(&self) -> u64 {
        self.buffer.stats().await.unwrap().total.pending
    }

    /// Lets time pass until no more than `left` documents wait.
    pub async fn until_pending(&self, left: u64) {
        for _ in 0..1_000_000 {
            if self.pending().await <= left {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} documents still wait", self.pending().await);
    }
}
