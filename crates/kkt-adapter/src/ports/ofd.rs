//! The operator of fiscal data.

use crate::domain::document::{Confirmation, Outgoing};
use async_trait::async_trait;
use std::time::Duration;

/// Why a document was not confirmed, sorted by what the caller must do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfdError {
    /// Try again, the OFD as a whole is in trouble: connect, time-out, 5xx, 429.
    #[error("the OFD is not available: {reason}")]
    Unavailable {
        /// What was seen.
        reason: String,
        /// What the OFD asked for.
        retry_after: Option<Duration>,
    },
    /// Pause this device and raise an alarm: 401, 403.
    #[error("the OFD refuses this device's credentials: {0}")]
    Unauthorised(String),
    /// Give up: read and refused for good.
    #[error("the OFD refused the document for good (code {code}): {reason}")]
    Rejected {
        /// The OFD's code.
        code: String,
        /// The OFD's words, bounded.
        reason: String,
    },
    /// Cut after sending: it may have been counted; the same key again.
    #[error("the connection was cut after sending: {0}")]
    Ambiguous(String),
}

impl OfdError {
    /// The name in metrics.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Unauthorised(_) => "unauthorised",
            Self::Rejected { .. } => "rejected",
            Self::Ambiguous(_) => "ambiguous",
        }
    }
}

/// The way to the OFD. Every call ends by the client's own total deadline.
#[async_trait]
pub trait OfdClient: Send + Sync + 'static {
    /// Sends a document under its key.
    ///
    /// # Errors
    /// [`OfdError`].
    async fn submit(&self, document: &Outgoing) -> Result<Confirmation, OfdError>;

    /// Asks whether the OFD is there, without a document.
    ///
    /// # Errors
    /// [`OfdError`].
    async fn ping(&self) -> Result<(), OfdError>;

    /// Whether it is a real OFD; `false` while emulated.
    fn fiscal(&self) -> bool;
}
