//! Retention: the bodies and wire bytes go, keys, hashes, fiscal documents and the audit stay.

use super::{
    row::{self, select},
    store::{Fault, Store},
};
use crate::{buffer::rules::Document, domain::lifecycle::State};
use jiff::Timestamp;
use rusqlite::params;

impl Store {
    /// Removes the bodies and wire bytes of at most `slice` documents that ended before the limits; says how
    /// many it took, those that it found damaged and set aside included: 0 means that nothing is left.
    pub(super) fn prune(
        &mut self,
        settled_before: Timestamp,
        dead_before: Timestamp,
        slice: usize,
    ) -> Result<usize, Fault> {
        let mut pruned = 0;
        for (state, limit) in
            [(State::Synced, settled_before), (State::Cancelled, settled_before), (State::Dead, dead_before)]
        {
            let sql = select!(; "FROM documents d INDEXED BY documents_prunable \
                 WHERE d.state = ?1 AND d.kept = 1 AND d.ended_at IS NOT NULL AND d.ended_at < ?2 \
                 AND (d.state <> 6 OR d.resolved_at IS NOT NULL) \
                 AND d.seq NOT IN (SELECT seq FROM damaged WHERE part = 'document') \
                 ORDER BY d.ended_at LIMIT ?3");
            let mut found = Vec::new();
            {
                let mut statement = self.conn.prepare_cached(sql)?;
                let mut rows = statement.query(params![
                    row::state_code(state),
                    limit.as_microsecond(),
                    (slice - pruned) as i64
                ])?;
                while let Some(row) = rows.next()? {
                    found.push(row::read(row)?);
                }
            }
            for read in found {
                match read {
                    Ok((seq, document)) if document.is_prunable(settled_before, dead_before) => {
                        self.remove_parts(seq, document)?;
                        pruned += 1;
                    }
                    Ok(_) => {}
                    // It stays where it is and is passed over from now on.
                    Err(damage) => {
                        self.set_aside(damage)?;
                        pruned += 1;
                    }
                }
            }
        }
        Ok(pruned)
    }

    fn remove_parts(&mut self, seq: i64, mut document: Document) -> Result<(), Fault> {
        document.kept = false;
        self.update(seq, &document)?;
        self.conn.prepare_cached("DELETE FROM bodies WHERE seq = ?")?.execute([seq])?;
        self.conn.prepare_cached("DELETE FROM wires WHERE seq = ?")?.execute([seq])?;
        Ok(())
    }
}
