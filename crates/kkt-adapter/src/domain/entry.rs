//! A row of the buffer as the rest of the program sees it.

use super::{
    document::{Confirmation, DocumentKind, FiscalDoc},
    ids::{DeviceId, IdempotencyKey, PosId, ReceiptId, RequestId},
    lifecycle::{State, Step},
    receipt::{BodyHash, Receipt},
};
use jiff::Timestamp;

/// Who did something: a person by the name of the token, or the program itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(pub String);

impl Actor {
    /// The program acting by its own rules.
    #[must_use]
    pub fn system() -> Self {
        Self("system".into())
    }
}

/// A document to be taken into the buffer.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Our key.
    pub id: ReceiptId,
    /// The till's key; for documents of our own, `id` as text.
    pub key: IdempotencyKey,
    /// What it is.
    pub kind: DocumentKind,
    /// The till.
    pub pos_id: PosId,
    /// The device it is to be printed on.
    pub device: DeviceId,
    /// The receipt; `None` for shift documents.
    pub receipt: Option<Receipt>,
    /// Hash of the canonical body.
    pub hash: BodyHash,
    /// What validation had to say (a rate not in force, a kopeck moved), part of the answer's `message`.
    pub notes: Vec<String>,
    /// The request that brought it; `None` for documents of our own.
    pub request_id: Option<RequestId>,
    /// Wall time of acceptance, for people.
    pub created_at: Timestamp,
}

/// A document of the buffer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Our key.
    pub id: ReceiptId,
    /// The till's key.
    pub key: IdempotencyKey,
    /// What it is.
    pub kind: DocumentKind,
    /// The till.
    pub pos_id: PosId,
    /// The device.
    pub device: DeviceId,
    /// Where it stands.
    pub state: State,
    /// The receipt; `None` for shift documents and once retention has removed the body.
    pub receipt: Option<Receipt>,
    /// Hash of the canonical body; outlives the body.
    pub hash: BodyHash,
    /// What validation had to say.
    pub notes: Vec<String>,
    /// The request that brought it; `None` for documents of our own.
    pub request_id: Option<RequestId>,
    /// What the ФН made of it.
    pub fiscal: Option<FiscalDoc>,
    /// Attempts that were charged to it.
    pub attempts: u32,
    /// The last thing that went wrong with it, for people.
    pub last_error: Option<String>,
    /// The OFD's confirmation.
    pub confirmation: Option<Confirmation>,
    /// Wall times, for people and the law.
    pub created_at: Timestamp,
    /// When it was printed.
    pub printed_at: Option<Timestamp>,
    /// When the OFD confirmed it.
    pub synced_at: Option<Timestamp>,
    /// When a person closed it as a dead letter, and the note.
    pub resolved: Option<(Timestamp, String)>,
}

/// One change of one document. Which are allowed from where stands in `lifecycle::ALLOWED`.
#[derive(Debug, Clone)]
pub enum Change {
    /// The KKT is about to be told to print.
    StartPrinting,
    /// The ФН made this document; `wire` is what every attempt will send.
    Printed {
        /// What the ФН made.
        fiscal: Box<FiscalDoc>,
        /// The bytes for the OFD.
        wire: Vec<u8>,
        /// Who says so: the program, or the person who looked at the paper.
        by: Actor,
        /// The person's reason, for the audit; empty from the program.
        why: String,
    },
    /// Surely not printed.
    NotPrinted {
        /// Why, for people.
        reason: String,
        /// Who says so.
        by: Actor,
    },
    /// The KKT cannot say.
    PrintUnknown {
        /// Why, for people.
        reason: String,
    },
    /// Ended before it was printed.
    Cancel {
        /// By whom.
        by: Actor,
        /// Why.
        why: String,
    },
    /// Out of its lane, which it holds up, to the dead-letter queue.
    Park {
        /// By whom.
        by: Actor,
        /// Why.
        why: String,
    },
    /// Back from the dead-letter queue to its lane, attempts at zero.
    Requeue {
        /// By whom.
        by: Actor,
        /// Why.
        why: String,
    },
    /// A dead letter closed by a person.
    Resolve {
        /// By whom.
        by: Actor,
        /// What was done about it.
        note: String,
    },
}

impl Change {
    /// The step of the life cycle that it is.
    #[must_use]
    pub fn step(&self) -> Step {
        match self {
            Self::StartPrinting => Step::StartPrinting,
            Self::Printed { .. } => Step::Printed,
            Self::NotPrinted { .. } => Step::NotPrinted,
            Self::PrintUnknown { .. } => Step::PrintUnknown,
            Self::Cancel { .. } => Step::Cancel,
            Self::Park { .. } => Step::Park,
            Self::Requeue { .. } => Step::Requeue,
            Self::Resolve { .. } => Step::Resolve,
        }
    }
}

/// How a send ended, for the buffer.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which document.
    pub id: ReceiptId,
    /// How.
    pub outcome: SendOutcome,
}

/// What a send did to a document.
#[derive(Debug, Clone)]
pub enum SendOutcome {
    /// The OFD confirmed it.
    Synced(Confirmation),
    /// A failure that was the document's own: one attempt charged.
    AttemptFailed {
        /// For people.
        error: String,
    },
    /// Refused for good, or out of attempts.
    Dead {
        /// For people.
        error: String,
    },
}

impl SendOutcome {
    /// The step of the life cycle that it is.
    #[must_use]
    pub fn step(&self) -> Step {
        match self {
            Self::Synced(_) => Step::Synced,
            Self::AttemptFailed { .. } => Step::AttemptFailed,
            Self::Dead { .. } => Step::Die,
        }
    }
}

/// One line of the audit trail: what happened, who did it and why.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    /// Wall time.
    pub at: Timestamp,
    /// What it happened to: a receipt's id, `breaker:ofd`, `dlq`, …
    pub subject: String,
    /// What: a step's name, `force_open`, …
    pub action: String,
    /// Who.
    pub actor: Actor,
    /// Why, or how.
    pub detail: String,
}
