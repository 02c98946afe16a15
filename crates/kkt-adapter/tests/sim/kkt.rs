//! Simulated cash registers. They carry out one command after the other: one that was told to print and hung prints
//! when it is back, although nobody waits any more, before it answers anything else. They do not deduplicate.

use super::{
    scenario::Sabotage,
    world::{MachineClock, World},
};
use async_trait::async_trait;
use jiff::Timestamp;
use kkt_adapter::{
    domain::{
        document::{DocumentKind, FiscalDoc},
        ids::{DeviceId, PosId, ReceiptId},
        money::Kopecks,
        receipt::Receipt,
    },
    ports::{Clock, Found, KktDriver, KktError, KktFleet, ShiftState},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

const DAY_SECONDS: i64 = 24 * 3_600;

/// What is wrong with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    Off,
    PaperOut,
    /// Answers nothing until the trouble is over.
    Hangs,
    /// Prints, then the answer is lost: the driver cannot say.
    LosesAnswers,
    /// Takes up to 15 s to print.
    Slow,
    /// Does not know what it has printed.
    Forgetful,
}

pub const TROUBLES: &[Trouble] = &[
    Trouble::Off,
    Trouble::PaperOut,
    Trouble::Hangs,
    Trouble::LosesAnswers,
    Trouble::Slow,
    Trouble::Forgetful,
];

#[derive(Debug, Clone, Copy)]
struct Order {
    key: ReceiptId,
    kind: DocumentKind,
    total: i64,
}

/// The memory of a ФН; nothing a process does to itself can harm it.
struct Memory {
    ledger: Vec<(Order, FiscalDoc)>,
    /// Told to print, not carried out yet.
    pending: Vec<Order>,
    shift: u32,
    open_since: Option<Timestamp>,
    receipts: u32,
    last_time: Timestamp,
    trouble: Trouble,
    trouble_until: Duration,
}

/// One device.
pub struct Kkt {
    pub id: DeviceId,
    pub fn_number: String,
    world: Arc<World>,
    memory: Mutex<Memory>,
}

impl Kkt {
    fn new(world: Arc<World>, number: u64) -> Self {
        let memory = Memory {
            ledger: Vec::new(),
            pending: Vec::new(),
            shift: 0,
            open_since: None,
            receipts: 0,
            last_time: Timestamp::UNIX_EPOCH,
            trouble: Trouble::None,
            trouble_until: Duration::ZERO,
        };
        Self {
            id: format!("kkt-{number}").parse().unwrap(),
            fn_number: format!("9999{number:012}"),
            world,
            memory: Mutex::new(memory),
        }
    }

    /// Something is wrong with it for a while.
    pub fn set_trouble(&self, trouble: Trouble, lasting: Duration) {
        self.world.tell(self.id.as_str(), format_args!("{trouble:?} for {lasting:?}"));
        let mut memory = self.memory.lock().unwrap();
        (memory.trouble, memory.trouble_until) = (trouble, self.world.now() + lasting);
    }

    fn trouble(&self) -> Trouble {
        let memory = self.memory.lock().unwrap();
        if memory.trouble_until > self.world.now() { memory.trouble } else { Trouble::None }
    }

    /// What came out on paper, in order: key and ФД number.
    pub fn paper(&self) -> Vec<(String, u32)> {
        let memory = self.memory.lock().unwrap();
        memory.ledger.iter().map(|(order, doc)| (order.key.to_string(), doc.fiscal_doc_number)).collect()
    }

    /// A person looks at the paper: the document, or none; `Err` while it may still come out.
    pub fn look(&self, key: ReceiptId) -> Result<Option<FiscalDoc>, ()> {
        if self.trouble() != Trouble::None {
            return Err(());
        }
        self.carry_out_pending();
        Ok(self.on_paper(key))
    }

    fn on_paper(&self, key: ReceiptId) -> Option<FiscalDoc> {
        let memory = self.memory.lock().unwrap();
        memory.ledger.iter().find(|(order, _)| order.key == key).map(|(_, doc)| doc.clone())
    }

    fn now(&self) -> Timestamp {
        let world = &self.world;
        if world.scenario.own_clocks { world.true_time() } else { MachineClock(Arc::clone(world)).wall() }
    }

    fn shift_state(&self) -> ShiftState {
        let now = self.now();
        let memory = self.memory.lock().unwrap();
        match memory.open_since {
            None => ShiftState::Closed { last: memory.shift },
            Some(since) if now.max(memory.last_time).duration_since(since).as_secs() >= DAY_SECONDS => {
                ShiftState::Expired { number: memory.shift }
            }
            Some(since) => ShiftState::Open { number: memory.shift, since, receipts: memory.receipts },
        }
    }

    fn make(&self, order: Order) -> Result<FiscalDoc, KktError> {
        let shift = self.shift_state();
        let is_allowed = match order.kind {
            DocumentKind::Receipt => matches!(shift, ShiftState::Open { .. }),
            DocumentKind::ShiftOpen => matches!(shift, ShiftState::Closed { .. }),
            DocumentKind::ShiftClose => !matches!(shift, ShiftState::Closed { .. }),
        };
        if !is_allowed {
            return Err(KktError::Shift(shift));
        }
        let now = self.now();
        let mut memory = self.memory.lock().unwrap();
        memory.last_time = memory.last_time.max(now);
        match order.kind {
            DocumentKind::Receipt => memory.receipts += 1,
            DocumentKind::ShiftOpen => {
                memory.shift += 1;
                memory.receipts = 0;
                memory.open_since = Some(memory.last_time);
            }
            DocumentKind::ShiftClose => memory.open_since = None,
        }
        let number = memory.ledger.len() as u32 + 1;
        let doc = FiscalDoc {
            fiscal_doc_number: number,
            fiscal_sign: format!("{number:010}"),
            fiscal_datetime: "2026-03-02T08:00:00".into(),
            fn_number: self.fn_number.clone(),
            kkt_number: "99000000000001".into(),
            qr_code_data: String::new(),
            shift_number: memory.shift,
            receipt_number: memory.receipts,
            ofd_name: "ОФД".into(),
            inn: "7702203276".into(),
            rn_kkt: "0000000005008570".into(),
            total: Kopecks(order.total),
        };
        memory.ledger.push((order, doc.clone()));
        drop(memory);
        self.world
            .tell(self.id.as_str(), format_args!("prints {} as ФД {number}", self.world.name(order.key)));
        Ok(doc)
    }

    fn carry_out_pending(&self) {
        let pending = std::mem::take(&mut self.memory.lock().unwrap().pending);
        for order in pending {
            // Whom it tells what went wrong has gone.
            let _ = self.make(order);
        }
    }

    /// It answers nothing while it hangs; then what it was told before comes first.
    async fn attend(&self) -> Result<(), KktError> {
        loop {
            match self.trouble() {
                Trouble::Hangs => {
                    let until = self.memory.lock().unwrap().trouble_until;
                    tokio::time::sleep(until.saturating_sub(self.world.now()) + Duration::from_millis(1))
                        .await;
                }
                Trouble::Off => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    return Err(KktError::NotPrinted("касса выключена / the KKT is off".into()));
                }
                _ => break,
            }
        }
        self.carry_out_pending();
        Ok(())
    }

    async fn print(&self, order: Order) -> Result<FiscalDoc, KktError> {
        let mut told = Told { kkt: self, order: Some(order), is_received: self.world.chance(50) };
        let attended = self.attend().await;
        if attended.is_err() || self.trouble() == Trouble::PaperOut {
            told.order = None;
            attended?;
            tokio::time::sleep(Duration::from_millis(5)).await;
            return Err(KktError::NotPrinted("нет бумаги / out of paper".into()));
        }
        let slowest = if self.trouble() == Trouble::Slow { 15_000 } else { 120 };
        tokio::time::sleep(self.world.millis(10, slowest)).await;
        told.order = None;
        let doc = self.make(order)?;
        // A crash here is the one between print and answer.
        tokio::time::sleep(self.world.millis(0, 30)).await;
        if self.trouble() == Trouble::LosesAnswers {
            return Err(KktError::Ambiguous(
                "связь с кассой прервалась / the link to the KKT was cut".into(),
            ));
        }
        Ok(doc)
    }
}

/// A command under way. If whoever gave it goes away, the device may carry it out all the same. That is drawn beforehand:
/// the tasks of a dead process are dropped in no certain order.
struct Told<'a> {
    kkt: &'a Kkt,
    order: Option<Order>,
    is_received: bool,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if let Some(order) = self.order.take()
            && self.is_received
        {
            self.kkt.memory.lock().unwrap().pending.push(order);
        }
    }
}

#[async_trait]
impl KktDriver for Kkt {
    async fn fiscalize(&self, receipt: &Receipt, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        self.print(Order { key, kind: DocumentKind::Receipt, total: receipt.total().0 }).await
    }

    async fn open_shift(&self, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        self.print(Order { key, kind: DocumentKind::ShiftOpen, total: 0 }).await
    }

    async fn close_shift(&self, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        self.print(Order { key, kind: DocumentKind::ShiftClose, total: 0 }).await
    }

    async fn find(&self, key: ReceiptId) -> Result<Found, KktError> {
        self.attend().await?;
        self.world.dawdle(20).await;
        if self.trouble() == Trouble::Forgetful {
            return Ok(Found::Unknown);
        }
        match self.on_paper(key) {
            Some(_) if self.world.scenario.sabotage == Some(Sabotage::LyingKkt) => Ok(Found::NotPrinted),
            Some(doc) => Ok(Found::Printed(Box::new(doc))),
            None => Ok(Found::NotPrinted),
        }
    }

    async fn shift(&self) -> Result<ShiftState, KktError> {
        self.attend().await?;
        self.world.dawdle(20).await;
        Ok(self.shift_state())
    }
}

/// All devices. A till has one; several tills may share it.
pub struct Fleet {
    pub devices: BTreeMap<DeviceId, Arc<Kkt>>,
}

impl Fleet {
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        let devices =
            (1..=world.scenario.devices).map(|number| Arc::new(Kkt::new(Arc::clone(world), number)));
        Arc::new(Self { devices: devices.map(|kkt| (kkt.id.clone(), kkt)).collect() })
    }
}

impl KktFleet for Fleet {
    fn fiscal(&self) -> bool {
        false
    }

    fn device_of(&self, pos_id: &PosId) -> Result<DeviceId, KktError> {
        let till: usize = pos_id.as_str().trim_start_matches("POS-").parse().unwrap();
        let name = self.devices.keys().nth((till - 1) % self.devices.len());
        Ok(name.unwrap().clone())
    }

    fn driver(&self, device: &DeviceId) -> Result<Arc<dyn KktDriver>, KktError> {
        let kkt = self.devices.get(device).ok_or_else(|| KktError::Failed("no such device".into()))?;
        Ok(Arc::clone(kkt) as Arc<dyn KktDriver>)
    }

    fn floor(&self, _device: &DeviceId, _last_fd: u32) {}
}
