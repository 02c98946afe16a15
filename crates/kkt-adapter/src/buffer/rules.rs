//! What a write does to a document, apart from any storage: pure, so every implementation obeys the same life
//! cycle (`lifecycle::ALLOWED`) and writes the same audit.

use crate::{
    domain::{
        document::{Confirmation, DocumentKind, FiscalDoc},
        entry::{Actor, AuditEvent, Change, Entry, NewEntry, SendOutcome},
        ids::{DeviceId, IdempotencyKey, PosId, ReceiptId, RequestId},
        lifecycle::{self, State, Step},
        receipt::{BodyHash, Receipt},
    },
    ports::BufferError,
};
use jiff::Timestamp;

/// A document without its body: what every step needs to read and write. It stays for ever; the body goes with
/// the retention.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub id: ReceiptId,
    pub key: IdempotencyKey,
    pub kind: DocumentKind,
    pub pos_id: PosId,
    pub device: DeviceId,
    pub state: State,
    pub hash: BodyHash,
    pub notes: Vec<String>,
    pub request_id: Option<RequestId>,
    pub fiscal: Option<FiscalDoc>,
    pub attempts: u32,
    pub last_error: Option<String>,
    pub confirmation: Option<Confirmation>,
    pub created_at: Timestamp,
    pub printed_at: Option<Timestamp>,
    /// When it came to `synced`, `dead` or `cancelled`; retention counts from it.
    pub ended_at: Option<Timestamp>,
    pub resolved: Option<(Timestamp, String)>,
    /// Whether the body and the wire bytes are still stored.
    pub kept: bool,
}

/// What the audit calls the taking of a document; the other lines bear the names of the steps.
pub(crate) const ACCEPTED: &str = "accepted";

/// The highest ФД number that counts as a device's last one: a ФН holds some 250,000 documents. An emulated ФН goes on from
/// there, and after a number at the end of the range it could print nothing for ever.
pub(crate) const FD_MAX: u32 = u32::MAX / 2;

/// What a change leaves to be stored beside the document.
#[derive(Debug)]
pub(crate) struct Changed {
    pub audit: AuditEvent,
    pub wire: Option<Vec<u8>>,
}

/// What a settlement does.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The document changed.
    Changed(AuditEvent),
    /// Only the audit tells of it (a confirmation of a dead document).
    AuditOnly(AuditEvent),
    /// A person was quicker: nothing.
    Skipped,
}

/// Whole microseconds: what the storage keeps of a time. Of the last second that there is jiff reads none back.
pub(crate) fn stamp(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond())
        .or_else(|_| Timestamp::from_second(at.as_second()))
        .expect("a timestamp's seconds are in range")
}

/// Takes a document in, as `accepted` or straight as `printing`, with its lines of the audit.
pub(crate) fn accept(
    new: NewEntry,
    print_now: bool,
    now: Timestamp,
) -> (Document, Option<Receipt>, Vec<AuditEvent>) {
    let mut document = Document {
        id: new.id,
        key: new.key,
        kind: new.kind,
        pos_id: new.pos_id,
        device: new.device,
        state: State::Accepted,
        hash: new.hash,
        notes: new.notes,
        request_id: new.request_id,
        fiscal: None,
        attempts: 0,
        last_error: None,
        confirmation: None,
        created_at: stamp(new.created_at),
        printed_at: None,
        ended_at: None,
        resolved: None,
        kept: true,
    };
    let mut audit = vec![line(new.id, now, ACCEPTED, Actor::system(), String::new())];
    if print_now {
        let changed =
            change(&mut document, Change::StartPrinting, now).expect("accepted allows start_printing");
        audit.push(changed.audit);
    }
    (document, new.receipt, audit)
}

/// Makes one change, or refuses it and leaves the document as it was.
pub(crate) fn change(
    document: &mut Document,
    change: Change,
    now: Timestamp,
) -> Result<Changed, BufferError> {
    let now = stamp(now);
    let step = change.step();
    let state = lifecycle::after(document.state, step)
        .ok_or(BufferError::NotAllowed { state: document.state, step })?;
    if step == Step::Requeue && (document.fiscal.is_none() || !document.kept) {
        return Err(BufferError::NothingToSend);
    }
    let mut wire_bytes = None;
    let (actor, detail) = match change {
        Change::StartPrinting => (Actor::system(), String::new()),
        Change::Printed { fiscal, wire, by, why } => {
            let mut detail = format!("ФН {} ФД {}", fiscal.fn_number, fiscal.fiscal_doc_number);
            if !why.is_empty() {
                detail.push_str(": ");
                detail.push_str(&why);
            }
            document.fiscal = Some(*fiscal);
            document.printed_at = Some(now);
            wire_bytes = Some(wire);
            (by, detail)
        }
        Change::NotPrinted { reason, by } => {
            document.last_error = Some(reason.clone());
            (by, reason)
        }
        Change::PrintUnknown { reason } => {
            document.last_error = Some(reason.clone());
            (Actor::system(), reason)
        }
        Change::Cancel { by, why } => {
            document.ended_at = Some(now);
            (by, why)
        }
        // What the OFD last said stays in the audit; the dead letter says why it is one.
        Change::Park { by, why } => {
            document.ended_at = Some(now);
            document.last_error = Some(format!("set aside by {}: {why}", by.0));
            (by, why)
        }
        Change::Requeue { by, why } => {
            document.attempts = 0;
            document.ended_at = None;
            document.resolved = None;
            (by, why)
        }
        Change::Resolve { by, note } => {
            document.resolved = Some((now, note.clone()));
            (by, note)
        }
    };
    document.state = state;
    Ok(Changed { audit: line(document.id, now, step.as_str(), actor, detail), wire: wire_bytes })
}

/// Makes durable what a send did, if the document still waits for it.
pub(crate) fn settle(document: &mut Document, outcome: SendOutcome, now: Timestamp) -> Settled {
    let now = stamp(now);
    let step = outcome.step();
    let Some(state) = lifecycle::after(document.state, step) else {
        return match outcome {
            SendOutcome::Synced(confirmation) if document.state == State::Dead => Settled::AuditOnly(line(
                document.id,
                now,
                "synced_while_dead",
                Actor::system(),
                format!("the OFD has it: {}", confirmation.ofd_id),
            )),
            _ => Settled::Skipped,
        };
    };
    let detail = match outcome {
        SendOutcome::Synced(confirmation) => {
            document.ended_at = Some(now);
            let detail = confirmation.ofd_id.clone();
            document.confirmation = Some(confirmation);
            detail
        }
        SendOutcome::AttemptFailed { error } => {
            document.attempts = document.attempts.saturating_add(1);
            document.last_error = Some(error.clone());
            error
        }
        SendOutcome::Dead { error } => {
            document.ended_at = Some(now);
            document.last_error = Some(error.clone());
            error
        }
    };
    document.state = state;
    Settled::Changed(line(document.id, now, step.as_str(), Actor::system(), detail))
}

fn line(id: ReceiptId, at: Timestamp, action: &str, actor: Actor, detail: String) -> AuditEvent {
    AuditEvent { at: stamp(at), subject: id.to_string(), action: action.into(), actor, detail }
}

impl Document {
    /// The whole as the rest of the program sees it.
    pub(crate) fn into_entry(self, receipt: Option<Receipt>) -> Entry {
        Entry {
            id: self.id,
            key: self.key,
            kind: self.kind,
            pos_id: self.pos_id,
            device: self.device,
            state: self.state,
            receipt,
            hash: self.hash,
            notes: self.notes,
            request_id: self.request_id,
            fiscal: self.fiscal,
            attempts: self.attempts,
            last_error: self.last_error,
            confirmation: self.confirmation,
            created_at: self.created_at,
            printed_at: self.printed_at,
            synced_at: self.ended_at.filter(|_| self.state == State::Synced),
            resolved: self.resolved,
        }
    }

    /// The place in the lane, once printed.
    pub(crate) fn fd(&self) -> Option<u32> {
        self.fiscal.as_ref().map(|fiscal| fiscal.fiscal_doc_number)
    }

    /// Whether the OFD owes a confirmation and no person has closed the matter.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        match self.state {
            State::Printed => true,
            State::Dead => self.resolved.is_none(),
            _ => false,
        }
    }

    /// Whether the retention takes its body: settled before `settled_before`, or closed by a person as a dead
    /// letter before `dead_before`. A dead letter nobody has closed keeps what a requeue would send.
    pub(crate) fn is_prunable(&self, settled_before: Timestamp, dead_before: Timestamp) -> bool {
        let before = |limit| self.ended_at.is_some_and(|at| at < limit);
        self.kept
            && match self.state {
                State::Synced | State::Cancelled => before(settled_before),
                State::Dead => self.resolved.is_some() && before(dead_before),
                _ => false,
            }
    }
}
