//! A shop: buffer, virtual devices and phase 1 in one folder, to be closed and opened again.

use jiff::{Span, Timestamp};
use kkt_adapter::{
    buffer::{MemoryBuffer, SqliteBuffer, SqliteOptions, sqlite::OpenError},
    domain::{
        document::Identity,
        entry::Entry,
        ids::{DeviceId, IdempotencyKey, PosId, ReceiptId},
        lifecycle::State,
        money::{Kopecks, Quantity},
        receipt::{Item, Payment, PaymentKind, Receipt, ReceiptKind, Taxation},
    },
    fiscalize::{Fiscalizer, Options, Recovered},
    kkt::virtual_kkt::{Faults, RecordKind, VirtualFleet, VirtualKkt, VirtualOptions},
    ports::{
        Buffer, Clock, KktFleet, ListFilter, Lookup, Monotonic, Observer, Sale, SaleStatus, Till, TillError,
    },
};
use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

pub struct ManualClock {
    wall: Mutex<Timestamp>,
    passed: Mutex<Duration>,
    pub began: Instant,
}

impl ManualClock {
    /// Time passes.
    pub fn pass(&self, span: Span) {
        let from = *self.wall.lock().unwrap();
        self.set_wall(span);
        *self.passed.lock().unwrap() += self.wall().duration_since(from).unsigned_abs();
    }

    /// The wall clock alone is set.
    pub fn set_wall(&self, by: Span) {
        let mut now = self.wall.lock().unwrap();
        *now = now.checked_add(by).unwrap();
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.began.elapsed() + *self.passed.lock().unwrap())
    }
    fn wall(&self) -> Timestamp {
        *self.wall.lock().unwrap()
    }
}

#[derive(Default)]
pub struct Counting {
    pub commits: AtomicUsize,
    pub answers: Mutex<Vec<&'static str>>,
}

impl Observer for Counting {
    fn fsync(&self, _: Duration) {
        self.commits.fetch_add(1, SeqCst);
    }
    fn receipt(&self, _: &PosId, _: &'static str, status: &'static str) {
        self.answers.lock().unwrap().push(status);
    }
}

pub struct Shop {
    pub buffer: Arc<dyn Buffer>,
    pub fleet: Arc<VirtualFleet>,
    pub till: Fiscalizer,
    pub clock: Arc<ManualClock>,
    pub seen: Arc<Counting>,
    pub woken: Arc<Mutex<Vec<DeviceId>>>,
    pub recovered: Recovered,
}

/// Short times, so that what hangs is given up soon.
pub fn options() -> Options {
    Options {
        print_timeout: Duration::from_millis(300),
        find_timeout: Duration::from_millis(200),
        retry_first: Duration::from_millis(20),
        retry_max: Duration::from_millis(50),
        tick: Duration::from_millis(10),
        forgotten_every: Duration::from_millis(50),
        ..Options::default()
    }
}

impl Shop {
    /// Opens the shop of a folder as the program does: recover, then the background.
    pub async fn open(folder: &Path) -> Self {
        Self::open_with(folder, options(), 1_000).await
    }

    pub async fn open_with(folder: &Path, options: Options, capacity: u64) -> Self {
        let shop = Self::closed(folder, options, capacity).await;
        shop.till.start();
        shop
    }

    /// Without the background.
    pub async fn closed(folder: &Path, options: Options, capacity: u64) -> Self {
        let (clock, seen) = (clock(), Arc::new(Counting::default()));
        let buffer = open_buffer(folder, capacity, &clock, &seen);
        let fleet = fleet(folder, &clock);
        let devices = fleet.clone();
        Self::joined(clock, seen, buffer, fleet, devices, options).await
    }

    /// Over the buffer in memory, whose writes can be held back and refused.
    pub async fn in_memory(folder: &Path) -> (Self, Arc<MemoryBuffer>) {
        Self::in_memory_with(folder, options()).await
    }

    pub async fn in_memory_with(folder: &Path, options: Options) -> (Self, Arc<MemoryBuffer>) {
        let clock = clock();
        let memory = Arc::new(MemoryBuffer::new(1_000, clock.clone()));
        let fleet = fleet(folder, &clock);
        let devices = fleet.clone();
        let shop = Self::joined(clock, Arc::default(), memory.clone(), fleet, devices, options).await;
        shop.till.start();
        (shop, memory)
    }

    /// With devices that are not quite the virtual ones.
    pub async fn with_devices(
        folder: &Path,
        devices: impl FnOnce(Arc<VirtualFleet>) -> Arc<dyn KktFleet>,
    ) -> Self {
        let (clock, seen) = (clock(), Arc::new(Counting::default()));
        let buffer = open_buffer(folder, 1_000, &clock, &seen);
        let fleet = fleet(folder, &clock);
        let devices = devices(fleet.clone());
        let shop = Self::joined(clock, seen, buffer, fleet, devices, options()).await;
        shop.till.start();
        shop
    }

    async fn joined(
        clock: Arc<ManualClock>,
        seen: Arc<Counting>,
        buffer: Arc<dyn Buffer>,
        fleet: Arc<VirtualFleet>,
        devices: Arc<dyn KktFleet>,
        options: Options,
    ) -> Self {
        let till = Fiscalizer::new(buffer.clone(), devices, clock.clone(), seen.clone(), options);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&woken);
        till.on_printed(Arc::new(move |device: &DeviceId| {
            told.lock().unwrap().push(device.clone());
        }));
        let recovered = till.recover().await.unwrap();
        Self { buffer, fleet, till, clock, seen, woken, recovered }
    }

    /// Closes it in good order.
    pub async fn close(self) {
        assert!(self.till.stop(Duration::from_secs(10)).await);
        self.buffer.close().await;
    }

    pub fn kkt(&self, device: &str) -> Arc<VirtualKkt> {
        self.fleet.device(&device.parse().unwrap()).unwrap()
    }

    pub fn fault(&self, device: &str, faults: Faults) {
        self.kkt(device).set_faults(faults);
    }

    pub async fn sell(&self, key: &str, receipt: Receipt) -> Result<Sale, TillError> {
        self.till.sell(key.parse().unwrap(), receipt, Vec::new(), "request-1".parse().unwrap()).await
    }

    /// Sells and expects a printed document; answers its ФД number.
    pub async fn printed(&self, key: &str, receipt: Receipt) -> u32 {
        let sale = self.sell(key, receipt).await.unwrap();
        assert_eq!(sale.status, SaleStatus::Printed, "{}", sale.message);
        sale.fiscal.unwrap().fiscal_doc_number
    }

    /// Sells and expects that it waits.
    pub async fn buffered(&self, key: &str, receipt: Receipt) -> Sale {
        let sale = self.sell(key, receipt).await.unwrap();
        assert_eq!((sale.status, &sale.fiscal), (SaleStatus::Buffered, &None));
        sale
    }

    pub async fn row(&self, key: &str) -> Entry {
        let key: IdempotencyKey = key.parse().unwrap();
        self.buffer.find(Lookup::Key(key)).await.unwrap().unwrap()
    }

    /// Waits until a key is in the buffer.
    pub async fn until_taken(&self, key: &str) -> Entry {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let by = Lookup::Key(key.parse().unwrap());
            if let Some(row) = self.buffer.find(by).await.unwrap() {
                return row;
            }
            assert!(Instant::now() < deadline, "{key} was not taken");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Closes the buffer of a shop that was stopped already.
    pub async fn buffer_closed(self) {
        self.buffer.close().await;
    }

    pub async fn in_state(&self, state: State) -> Vec<Entry> {
        let filter =
            ListFilter { state: Some(state), ascending: true, limit: 1_000, ..ListFilter::default() };
        self.buffer.list(filter).await.unwrap().entries
    }

    /// Waits until the row of a key is in a state.
    pub async fn until(&self, key: &str, state: State) -> Entry {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let row = self.until_taken(key).await;
            if row.state == state {
                return row;
            }
            assert!(
                Instant::now() < deadline,
                "{key} is {:?}, not {state:?}: {:?}",
                row.state,
                row.last_error
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until something is true.
    pub async fn until_true(&self, what: &str, mut is: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is(self) {
            assert!(Instant::now() < deadline, "{what} did not come about");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What the ФН of a device made, shift documents left out.
    pub fn receipts(&self, device: &str) -> Vec<ReceiptId> {
        let ledger = self.kkt(device).ledger().unwrap();
        ledger.iter().filter(|record| !record.kind.is_shift()).map(|record| record.key).collect()
    }

    pub fn shift_documents(&self, device: &str) -> Vec<RecordKind> {
        let ledger = self.kkt(device).ledger().unwrap();
        ledger.iter().map(|record| record.kind).filter(|kind| kind.is_shift()).collect()
    }

    /// P4 and P5: no key was printed twice, numbers have no gap, and each document of the ФН is a row.
    pub async fn assert_sound(&self, device: &str) {
        let kkt = self.kkt(device);
        let ledger = kkt.ledger().unwrap();
        assert_eq!(kkt.doubles().unwrap(), 0, "a key was printed twice");
        let numbers: Vec<u32> = ledger.iter().map(|record| record.fd).collect();
        assert_eq!(numbers, (1..=ledger.len() as u32).collect::<Vec<_>>());
        // A page is bounded in bytes as well.
        let mut sent: Vec<(u32, ReceiptId)> = Vec::new();
        loop {
            let after = sent.last().map(|one| one.0);
            let page = self.buffer.next(&device.parse().unwrap(), after, 1_000).await.unwrap();
            if page.is_empty() {
                break;
            }
            sent.extend(page.iter().map(|one| (one.fd, one.id)));
        }
        let made: Vec<(u32, ReceiptId)> = ledger.iter().map(|record| (record.fd, record.key)).collect();
        assert_eq!(sent, made, "the lane is not what the ФН made");
    }
}

fn clock() -> Arc<ManualClock> {
    let start = "2026-11-23T15:30:20Z".parse().unwrap();
    Arc::new(ManualClock { wall: Mutex::new(start), passed: Mutex::default(), began: Instant::now() })
}

fn fleet(folder: &Path, clock: &Arc<ManualClock>) -> Arc<VirtualFleet> {
    let identity = Identity {
        inn: "7702203276".into(),
        rn_kkt: "0000000005008570".into(),
        ofd_name: "ОФД".into(),
        taxation: Taxation::Osn,
    };
    let options = VirtualOptions::new(folder.join("virtual-kkt"), identity);
    Arc::new(VirtualFleet::new(options, clock.clone()).unwrap())
}

fn open_buffer(
    folder: &Path,
    capacity: u64,
    clock: &Arc<ManualClock>,
    seen: &Arc<Counting>,
) -> Arc<SqliteBuffer> {
    let options =
        SqliteOptions { capacity, min_free_disk_bytes: 0, ..SqliteOptions::new(folder.join("buffer.db")) };
    let (clock, seen): (Arc<dyn Clock>, Arc<dyn Observer>) = (clock.clone(), seen.clone());
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match SqliteBuffer::open(options.clone(), clock.clone(), seen.clone()) {
            Ok(buffer) => return Arc::new(buffer),
            // A process that another test is about to start holds a copy of the lock until its exec.
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => {
                std::thread::park_timeout(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

pub fn receipt(pos_id: &str, kopecks: i64) -> Receipt {
    Receipt {
        pos_id: pos_id.parse().unwrap(),
        kind: ReceiptKind::Sale,
        items: vec![Item {
            name: "Оправа".into(),
            price: Kopecks(kopecks),
            quantity: Quantity(1_000_000),
            total: Kopecks(kopecks),
            vat_rate: Some(20),
            subject: None,
            method: None,
        }],
        payments: vec![Payment { kind: PaymentKind::Card, amount: Kopecks(kopecks) }],
        taxation: None,
        cashier: None,
        buyer: None,
        correction: None,
    }
}

/// The till of most tests, and its device.
pub const POS: &str = "POS-001";

/// Its receipt over one rouble.
pub fn rouble() -> Receipt {
    receipt(POS, 100)
}
