//! What is posted: figures and states under the names of `GET /v1/kkt/buffer/status` and `GET /v1/health`.

use crate::ports::{BreakerView, Stats};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Tills and breakers told of one by one; an adapter with more is told of in sums.
const LISTED_MAX: usize = 1_000;

/// A report before it is written.
pub struct Report<'a> {
    /// What the adapter is called at the ERP.
    pub name: &'a str,
    /// Wall time.
    pub now: Timestamp,
    /// When to expect the next one.
    pub interval: Duration,
    /// Neither KKT nor OFD is emulated.
    pub fiscal: bool,
    /// Why a new receipt would be refused now; `None`: it would be taken.
    pub refuses: Option<&'a str>,
    /// `None`: the buffer could not give them.
    pub stats: Option<&'a Stats>,
    /// The endpoint's breaker.
    pub endpoint: &'a BreakerView,
    /// All of them.
    pub breakers: &'a [BreakerView],
}

impl Report<'_> {
    /// As JSON.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let body = json!({
            "name": self.name,
            "version": env!("CARGO_PKG_VERSION"),
            "timestamp": self.now.to_string(),
            "interval_seconds": self.interval.as_millis() as f64 / 1000.0,
            "fiscal": self.fiscal,
            "refuses": self.refuses,
            "buffer": self.stats.map(|stats| self.buffer(stats)),
            "circuit_breaker": self.breaker(),
        });
        body.to_string().into_bytes()
    }

    fn buffer(&self, stats: &Stats) -> Value {
        let per_pos: Vec<Value> = stats
            .per_pos
            .iter()
            .take(LISTED_MAX)
            .map(|(pos_id, counts)| {
                json!({
                    "pos_id": pos_id, "unprinted": counts.unprinted, "pending": counts.pending,
                    "failed": counts.dead,
                })
            })
            .collect();
        json!({
            "total_capacity": stats.capacity,
            "current_queued": stats.used,
            "percent_full": stats.percent_full(),
            "network_status": self.endpoint.network_status(),
            "buffer_percent": stats.percent_full(),
            "buffer_count": stats.used,
            "cb_state": self.endpoint.snapshot.state.as_str(),
            "unprinted": stats.total.unprinted,
            "pending": stats.total.pending,
            "synced": stats.total.synced,
            "failed": stats.total.dead,
            "dlq_size": stats.total.dead,
            "oldest_pending_seconds": stats.oldest_pending_seconds(self.now),
            "per_pos": per_pos,
        })
    }

    fn breaker(&self) -> Value {
        let state = |view: &BreakerView| view.snapshot.state.as_str();
        let breakers: Vec<Value> = self
            .breakers
            .iter()
            .take(LISTED_MAX)
            .map(|view| json!({ "key": view.key, "pos_id": view.pos_id, "state": state(view) }))
            .collect();
        json!({
            "state": state(self.endpoint),
            "reason": self.endpoint.reason,
            "since": self.endpoint.since.to_string(),
            "retry_after_seconds": self.endpoint.retry_after.map(|time| time.as_millis() as f64 / 1000.0),
            "breakers": breakers,
        })
    }
}
