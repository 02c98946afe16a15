//! What may be asked of the writer. The order of the queue is the order of the commits.

use super::row::{Damage, PartBytes};
use crate::{
    domain::{
        entry::{AuditEvent, Change, NewEntry, Settlement},
        ids::ReceiptId,
    },
    ports::{Appended, BufferError, Place},
};
use jiff::Timestamp;
use tokio::sync::oneshot::Sender;

/// Where an answer goes. Nobody listening any more does not take the write back.
pub(super) type Answer<T> = Sender<Result<T, BufferError>>;

/// Outcomes of a settlement that may wait for company; a lane that works off a backlog brings more.
const FEW: usize = 8;

pub(super) enum Command {
    Append {
        place: Place,
        entry: Box<NewEntry>,
        /// Made by the caller: the writer has the one thread that everybody waits for.
        body: Option<PartBytes>,
        print_now: bool,
        answer: Answer<Appended>,
    },
    Apply {
        id: ReceiptId,
        change: Change,
        answer: Answer<()>,
    },
    Settle {
        outcomes: Vec<Settlement>,
        answer: Answer<()>,
    },
    Record {
        event: AuditEvent,
        answer: Answer<()>,
    },
    Prune {
        settled_before: Timestamp,
        dead_before: Timestamp,
        slice: usize,
        answer: Answer<usize>,
    },
    /// From a reader: what it saw damaged.
    SetAside(Vec<Damage>),
    Close(Answer<()>),
}

impl Command {
    /// How many writes it is, for the bound of a batch.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Settle { outcomes, .. } => outcomes.len().max(1),
            Self::Prune { slice, .. } => (*slice).max(1),
            Self::SetAside(damage) => damage.len().max(1),
            _ => 1,
        }
    }

    /// Whether no till and no person waits for it: a lane that has just sent a few documents.
    pub(super) fn can_wait(&self) -> bool {
        matches!(self, Self::Settle { outcomes, .. } if outcomes.len() <= FEW)
    }

    /// Answers without having done it.
    pub(super) fn refuse(self, error: BufferError) {
        // Nobody listening any more is fine: see `Answer`.
        match self {
            Self::Append { place, answer, .. } => {
                drop(place);
                let _ = answer.send(Err(error));
            }
            Self::Apply { answer, .. } | Self::Settle { answer, .. } | Self::Record { answer, .. } => {
                let _ = answer.send(Err(error));
            }
            Self::Prune { answer, .. } => {
                let _ = answer.send(Err(error));
            }
            Self::SetAside(_) => {}
            Self::Close(answer) => {
                let _ = answer.send(Ok(()));
            }
        }
    }
}
