//! What becomes of a document that failed its checksum (promise P8).

use super::{
    row::{self, Damage, Part},
    store::{Fault, Store},
};
use crate::{
    buffer::books::Column,
    domain::{
        entry::{Actor, AuditEvent},
        ids::PosId,
    },
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

/// The line of the audit about a damaged document or part.
pub(super) fn line(damage: &Damage, at: Timestamp) -> AuditEvent {
    AuditEvent {
        at,
        subject: "buffer".into(),
        action: "set_aside".into(),
        actor: Actor::system(),
        detail: format!("row {}: {} damaged", damage.seq, damage.part.as_str()),
    }
}

impl Store {
    /// Notes a damaged document or part: counted, reported, and its name stays taken. Once for each.
    pub(super) fn set_aside(&mut self, damage: Damage) -> Result<(), Fault> {
        let now = self.now;
        let inserted = self
            .conn
            .prepare_cached(
                "INSERT OR IGNORE INTO damaged (seq, part, id, key_hash, key, state, found_at) \
                 SELECT seq, ?2, id, key_hash, key, state, ?3 FROM documents WHERE seq = ?1",
            )?
            .execute(params![damage.seq, damage.part.as_str(), now.as_microsecond()])?;
        if inserted == 0 {
            return Ok(());
        }
        self.damaged += 1;
        // One of them may be the damaged one.
        self.printing.clear();
        tracing::error!(
            row = damage.seq,
            part = damage.part.as_str(),
            "a stored document failed its checksum and is set aside; run `kkt-adapter buffer verify`"
        );
        self.record(&line(&damage, now))?;
        if damage.part == Part::Document {
            self.leave_books(damage.seq)?;
        }
        Ok(())
    }

    /// Takes a damaged row out of the figures, by what it claims to be.
    fn leave_books(&mut self, seq: i64) -> Result<(), Fault> {
        let claim = self
            .conn
            .prepare_cached(
                "SELECT (SELECT name FROM names WHERE n = d.pos), d.state, d.resolved_at IS NOT NULL \
                 FROM documents d WHERE d.seq = ?",
            )?
            .query_row([seq], |row| {
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?))
            })
            .optional()?;
        if let Some((Some(pos), code, resolved)) = claim
            && let (Ok(pos_id), Some(state)) = (pos.parse::<PosId>(), row::state_of(code))
        {
            self.moved(&pos_id, Some(Column::at(state, resolved)), None);
        }
        Ok(())
    }
}
