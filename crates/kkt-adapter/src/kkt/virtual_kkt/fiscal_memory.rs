//! What an emulated ФН does with an order: pure, from its last record and the time to the next record.

use super::{
    journal::{Record, RecordKind},
    passport::Passport,
};
use crate::{
    domain::{
        document::{FiscalDoc, Identity},
        ids::ReceiptId,
        money::Kopecks,
        receipt::{Receipt, ReceiptKind},
    },
    ports::{KktError, ShiftState},
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// Seconds a shift may last (ofd-protocol, «Offline law»).
pub const SHIFT_SECONDS_MAX: i64 = 24 * 60 * 60;

/// What the KKT is told to make.
#[derive(Debug, Clone, Copy)]
pub enum Order<'a> {
    /// A receipt or a correction.
    Receipt(&'a Receipt),
    /// Отчёт об открытии смены.
    OpenShift,
    /// Отчёт о закрытии смены.
    CloseShift,
}

/// The state of the ФН: its last record, and a number below which it may not count.
#[derive(Debug, Clone, Copy, Default)]
pub struct FiscalMemory {
    /// The last document made.
    pub last: Option<Record>,
    /// The highest ФД number known elsewhere.
    pub floor: u32,
}

/// The instant as the ФН has it.
#[derive(Debug, Clone, Copy)]
pub struct Instant {
    /// Unix seconds.
    pub at: i64,
    /// Local date and time, in seconds as if it were UTC.
    pub local: i64,
}

impl Instant {
    /// The wall time in a zone.
    #[must_use]
    pub fn new(wall: Timestamp, zone: &TimeZone) -> Self {
        let at = wall.as_second();
        Self { at, local: at + i64::from(zone.to_offset(wall).seconds()) }
    }
}

impl FiscalMemory {
    /// The shift. Its age is counted on the ФН's own time, which never goes back.
    #[must_use]
    pub fn shift(&self, now: Instant) -> ShiftState {
        let Some(last) = self.last else { return ShiftState::Closed { last: 0 } };
        if last.kind == RecordKind::ShiftClose {
            ShiftState::Closed { last: last.shift }
        } else if now.at.max(last.at).saturating_sub(last.since) >= SHIFT_SECONDS_MAX {
            ShiftState::Expired { number: last.shift }
        } else {
            let since = Timestamp::from_second(last.since).unwrap_or_default();
            ShiftState::Open { number: last.shift, since, receipts: last.receipts }
        }
    }

    /// Makes the document that follows; the caller stores it before it becomes `last`.
    ///
    /// # Errors
    /// [`KktError::Shift`] if the shift does not allow it, [`KktError::Failed`] if the ФД numbers are used up.
    pub fn next(
        &self,
        order: Order<'_>,
        key: ReceiptId,
        now: Instant,
        passport: &Passport,
    ) -> Result<Record, KktError> {
        let shift = self.shift(now);
        let allowed = match order {
            Order::OpenShift => matches!(shift, ShiftState::Closed { .. }),
            Order::CloseShift => !matches!(shift, ShiftState::Closed { .. }),
            Order::Receipt(_) => matches!(shift, ShiftState::Open { .. }),
        };
        if !allowed {
            return Err(KktError::Shift(shift));
        }
        let last_fd = self.last.map_or(0, |last| last.fd).max(self.floor);
        let after = |number: u32, what: &str| {
            number.checked_add(1).ok_or_else(|| KktError::Failed(format!("the {what} numbers are used up")))
        };
        let fd = after(last_fd, "ФД")?;
        let at = now.at.max(self.last.map_or(now.at, |last| last.at));
        let local = now.local.max(self.last.map_or(now.local, |last| last.local));
        let (shift, receipts, since) = self.last.map_or((0, 0, at), |l| (l.shift, l.receipts, l.since));
        let mut record =
            Record { kind: kind_of(order), key, fd, sign: 0, shift, receipts, total: 0, at, local, since };
        match order {
            Order::OpenShift => {
                record.shift = after(record.shift, "shift")?;
                record.receipts = 0;
                record.since = at;
            }
            Order::Receipt(receipt) => {
                record.receipts = after(record.receipts, "receipt")?;
                record.total = receipt.total().0;
            }
            Order::CloseShift => {}
        }
        record.sign = passport.sign(&signed_content(&record, order, passport));
        Ok(record)
    }
}

fn kind_of(order: Order<'_>) -> RecordKind {
    match order {
        Order::OpenShift => RecordKind::ShiftOpen,
        Order::CloseShift => RecordKind::ShiftClose,
        Order::Receipt(receipt) => match receipt.kind {
            ReceiptKind::Sale => RecordKind::Sale,
            ReceiptKind::Refund => RecordKind::Refund,
            ReceiptKind::Correction => RecordKind::Correction,
        },
    }
}

fn signed_content(record: &Record, order: Order<'_>, passport: &Passport) -> Vec<u8> {
    let mut content = format!(
        "{}|{}|{}|{}|{}|{}|{}|{:?}|",
        passport.fn_number,
        record.fd,
        record.local,
        record.shift,
        record.receipts,
        record.total,
        record.key,
        record.kind
    )
    .into_bytes();
    if let Order::Receipt(receipt) = order {
        content.extend(receipt.canonical());
    }
    content
}

/// The document as the driver answers it: a pure function of the record, so that `find` gives after any
/// restart what the printing gave.
#[must_use]
pub fn fiscal_doc(record: &Record, passport: &Passport, identity: &Identity) -> FiscalDoc {
    let local = civil(record.local);
    let is_shift = record.kind.is_shift();
    FiscalDoc {
        fiscal_doc_number: record.fd,
        fiscal_sign: format!("{:010}", record.sign),
        fiscal_datetime: local.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        fn_number: passport.fn_number.clone(),
        kkt_number: passport.kkt_number.clone(),
        qr_code_data: if is_shift { String::new() } else { qr(record, local, passport) },
        shift_number: record.shift,
        receipt_number: if is_shift { 0 } else { record.receipts },
        ofd_name: identity.ofd_name.clone(),
        inn: identity.inn.clone(),
        rn_kkt: identity.rn_kkt.clone(),
        total: Kopecks(record.total),
    }
}

fn civil(local: i64) -> DateTime {
    let end = if local < 0 { Timestamp::MIN } else { Timestamp::MAX };
    TimeZone::UTC.to_datetime(Timestamp::from_second(local).unwrap_or(end))
}

/// The code on the receipt: time, sum, ФН, ФД, sign, and the kind of settlement (tag 1054: 1 приход, 2 возврат
/// прихода). A correction of this contract always corrects a приход, so it carries 1.
fn qr(record: &Record, local: DateTime, passport: &Passport) -> String {
    let settlement = if record.kind == RecordKind::Refund { 2 } else { 1 };
    format!(
        "t={}&s={}&fn={}&i={}&fp={:010}&n={settlement}",
        local.strftime("%Y%m%dT%H%M"),
        Kopecks(record.total),
        passport.fn_number,
        record.fd,
        record.sign,
    )
}
