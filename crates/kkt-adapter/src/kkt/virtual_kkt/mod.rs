//! The virtual KKT: a cash register with an emulated ФН that keeps its state on disk, so that every path from
//! the till to the OFD runs without a device. Nothing it prints is fiscal.
//!
//! # What it promises
//! 1. ФД numbers of a device grow by one from document to document, over any restart and any kill. They never
//!    fall behind the highest one the buffer knows ([`crate::ports::KktFleet::floor`]).
//! 2. `find` answers `Printed` with the same document for every key whose document was made, also after SIGKILL
//!    at any instant, and `NotPrinted` for every other, unless the fault `lose_find` is set.
//! 3. Its time never goes back: a document's date is never earlier than the one before it, as a real ФН refuses
//!    to go back. After the clock was set ahead and back again, documents carry the later date until the clock
//!    has caught up.
//! 4. A shift lasts 24 hours on that time; then receipts are refused until it is closed.
//! 5. It does **not** deduplicate: the same key printed twice is a second document with another ФД number, and
//!    [`VirtualKkt::doubles`] tells on whoever relies on more.
//!
//! # Where it keeps its state
//! ```text
//! <folder>/<device>/device.toml   serial numbers, secret of the fiscal sign; fsynced, once
//!                   journal       every document, 80 bytes each (see journal.rs)
//!                   faults.toml   faults to inject, if there are any (see faults.rs)
//! ```
//! A record is in the journal, by one write(2), before the answer is given. It is not fsynced: a killed process
//! loses nothing of what it wrote, and against power loss an fsync here would buy no promise, since the paper is
//! virtual. The buffer, which is fsynced, tells the floor of the ФД numbers at the next start, and a document
//! that the buffer has as `printing` and the journal lost was never seen by anyone: `NotPrinted` is then true.
//!
//! # State figure of the shift
//! ```text
//!            open_shift                24 h
//!  Closed ───────────────► Open ───────────────► Expired
//!    ▲                      │ ▲ │ receipt           │
//!    │      close_shift     │ └─┘                   │ close_shift
//!    └──────────────────────┴───────────────────────┘
//! ```
//!
//! # Failures
//! | what | then |
//! |---|---|
//! | last record torn or lost | cut at opening, logged; the numbers go on from the floor |
//! | more than a record lost at the end | the same, and the journal as it was is kept as `journal.damaged` |
//! | a record damaged in the middle | `find` of its key answers `Unknown` |
//! | journal cannot be written (disk full) | `NotPrinted`, nothing of the record is left |
//! | `device.toml` damaged | the device does not open; the error says what to do; others go on |
//! | something else in the place of a file or of the folder | the device does not open or print and says why; it goes on once that is gone |
//! | `faults.toml` malformed | `NotPrinted` or `Failed` with the fault and what is allowed |
//! | the configured identity changes | documents found later carry the new one, the numbers stay |

mod faults;
mod fiscal_memory;
mod fleet;
mod journal;
mod passport;

pub use faults::{Fault, Faults, Setting};
pub use fleet::{VirtualDevice, VirtualFleet, VirtualOptions};
pub use journal::{Record, RecordKind};

use crate::{
    domain::{
        document::{FiscalDoc, Identity},
        ids::{DeviceId, ReceiptId},
        receipt::Receipt,
    },
    ports::{Clock, Found, KktDriver, KktError, ShiftState},
};
use async_trait::async_trait;
use faults::Operation;
use fiscal_memory::{FiscalMemory, Instant, Order};
use jiff::tz::TimeZone;
use journal::{Journal, Sought};
use passport::Passport;
use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One emulated device.
pub struct VirtualKkt {
    device: DeviceId,
    folder: PathBuf,
    identity: Identity,
    passport: Passport,
    clock: Arc<dyn Clock>,
    zone: TimeZone,
    journal: Journal,
    memory: Mutex<FiscalMemory>,
    faults: Mutex<Faults>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VirtualKkt {
    fn open(
        device: DeviceId,
        folder: PathBuf,
        identity: Identity,
        clock: Arc<dyn Clock>,
        zone: TimeZone,
    ) -> Result<Self, KktError> {
        let failed = |error: std::io::Error| {
            KktError::Failed(format!("the state of virtual KKT {device} in {}: {error}", folder.display()))
        };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let passport = Passport::open(&folder, &device)?;
        let (journal, last, cut) = Journal::open(&folder.join("journal")).map_err(failed)?;
        if cut > 0 {
            tracing::warn!(%device, cut, "the journal of the virtual KKT ended in a torn record; it was cut");
        }
        let memory = Mutex::new(FiscalMemory { last, floor: 0 });
        let faults = Mutex::default();
        Ok(Self { device, folder, identity, passport, clock, zone, journal, memory, faults })
    }

    /// Replaces the faults that were set by this call before; those of the file are met besides.
    pub fn set_faults(&self, faults: Faults) {
        *locked(&self.faults) = faults;
    }

    /// Serial number of the ФН.
    #[must_use]
    pub fn fn_number(&self) -> &str {
        &self.passport.fn_number
    }

    /// Every document ever made, oldest first. Holds the whole journal in memory: for checks, not for serving.
    ///
    /// # Errors
    /// The operating system's.
    pub fn ledger(&self) -> std::io::Result<Vec<Record>> {
        self.journal.all()
    }

    /// How many documents were made under a key that had one already. Costs what [`Self::ledger`] costs.
    ///
    /// # Errors
    /// The operating system's.
    pub fn doubles(&self) -> std::io::Result<usize> {
        let ledger = self.ledger()?;
        let keys: HashSet<ReceiptId> = ledger.iter().map(|record| record.key).collect();
        Ok(ledger.len() - keys.len())
    }

    fn raise_floor(&self, floor: u32) {
        let mut memory = locked(&self.memory);
        memory.floor = memory.floor.max(floor);
    }

    fn now(&self) -> Instant {
        Instant::new(self.clock.wall(), &self.zone)
    }

    fn doc(&self, record: &Record) -> FiscalDoc {
        fiscal_memory::fiscal_doc(record, &self.passport, &self.identity)
    }

    fn met(&self, operation: Operation) -> Result<Vec<(Fault, Setting)>, String> {
        let mut met = locked(&self.faults).take(operation);
        met.extend(faults::take_from_file(&self.folder.join("faults.toml"), operation)?);
        Ok(met)
    }

    /// Makes the document and stores it: from here on it exists.
    fn commit(&self, order: Order<'_>, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        let now = self.now();
        let mut memory = locked(&self.memory);
        let record = memory.next(order, key, now, &self.passport)?;
        self.journal.append(&record).map_err(|error| {
            KktError::NotPrinted(format!(
                "журнал виртуальной ККТ не пишется / its journal cannot be written: {error}"
            ))
        })?;
        memory.last = Some(record);
        Ok(self.doc(&record))
    }

    async fn print(&self, order: Order<'_>, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        let met = self.met(Operation::Print).map_err(KktError::NotPrinted)?;
        for (fault, setting) in &met {
            let refusal = match fault {
                Fault::Hang | Fault::PrintDelay => {
                    pause(*setting).await;
                    continue;
                }
                Fault::Off => "касса выключена / the KKT is off",
                Fault::PaperOut => "нет бумаги / out of paper",
                Fault::Fail => "неисправность кассы / a fault of the KKT",
                Fault::CrashBeforePrint => crash(&self.device, *fault),
                Fault::CrashAfterPrint | Fault::HangAfterPrint | Fault::LoseFind => continue,
            };
            return Err(KktError::NotPrinted(refusal.into()));
        }
        let doc = self.commit(order, key)?;
        for (fault, setting) in met {
            match fault {
                Fault::CrashAfterPrint => crash(&self.device, fault),
                Fault::HangAfterPrint => pause(setting).await,
                _ => {}
            }
        }
        Ok(doc)
    }

    /// Meets what keeps the device from being asked; answers whether `find` is to be lost.
    async fn asked(&self, operation: Operation) -> Result<bool, KktError> {
        let mut lost = false;
        for (fault, setting) in self.met(operation).map_err(KktError::Failed)? {
            match fault {
                Fault::Off => return Err(KktError::NotPrinted("касса выключена / the KKT is off".into())),
                Fault::Hang => pause(setting).await,
                _ => lost |= fault == Fault::LoseFind,
            }
        }
        Ok(lost)
    }
}

async fn pause(setting: Setting) {
    match setting.lasting {
        Some(lasting) => tokio::time::sleep(lasting).await,
        None => std::future::pending().await,
    }
}

fn crash(device: &DeviceId, fault: Fault) -> ! {
    tracing::error!(%device, fault = fault.as_str(), "the virtual KKT crashes the process, as it was told to");
    std::process::abort()
}

#[async_trait]
impl KktDriver for VirtualKkt {
    async fn fiscalize(&self, receipt: &Receipt, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        self.print(Order::Receipt(receipt), key).await
    }

    async fn open_shift(&self, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        self.print(Order::OpenShift, key).await
    }

    async fn close_shift(&self, key: ReceiptId) -> Result<FiscalDoc, KktError> {
        self.print(Order::CloseShift, key).await
    }

    async fn find(&self, key: ReceiptId) -> Result<Found, KktError> {
        if self.asked(Operation::Find).await? {
            return Ok(Found::Unknown);
        }
        let journal = self.journal.clone();
        // A key that was never printed costs a pass over the file, which must not hold up other tasks.
        let sought = tokio::task::spawn_blocking(move || journal.find(key)).await;
        match sought.map_err(std::io::Error::other).flatten() {
            Ok(Sought::Record(record)) => Ok(Found::Printed(Box::new(self.doc(&record)))),
            Ok(Sought::Absent) => Ok(Found::NotPrinted),
            Ok(Sought::Damaged) => Ok(Found::Unknown),
            Err(error) => {
                Err(KktError::Failed(format!("the journal of virtual KKT {}: {error}", self.device)))
            }
        }
    }

    async fn shift(&self) -> Result<ShiftState, KktError> {
        self.asked(Operation::Shift).await?;
        Ok(locked(&self.memory).shift(self.now()))
    }
}
