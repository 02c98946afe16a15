//! The stored figures against the rows, at the start: what takes up places is counted from a partial index, in
//! time bounded by the capacity; only if that differs is everything counted anew.

use super::{row, store::Store};
use crate::{
    buffer::books::{Books, Column},
    domain::lifecycle::State,
};

impl Store {
    /// Compares and, if need be, repairs the figures.
    pub(super) fn verify_figures(&mut self) -> rusqlite::Result<()> {
        if self.figures_hold()? {
            return Ok(());
        }
        tracing::error!("the stored figures of the buffer do not fit its rows: they are counted anew");
        self.recount()
    }

    /// The figures as they are stored.
    pub(super) fn books(&self) -> Books {
        self.names.books()
    }

    fn figures_hold(&self) -> rusqlite::Result<bool> {
        let mut counted = [0_u64; 8];
        let mut statement = self.conn.prepare(
            "SELECT state, count(*) FROM documents INDEXED BY documents_open WHERE state <> 5 GROUP BY state",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (state, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            if let Some(slot) = usize::try_from(state).ok().and_then(|state| counted.get_mut(state)) {
                *slot = u64::try_from(count).unwrap_or(0);
            }
        }
        let tally = self.books().total();
        let rows = |states: &[State]| -> u64 {
            states
                .iter()
                .map(|state| counted.get(row::state_code(*state) as usize).copied().unwrap_or(0))
                .sum()
        };
        let pairs = [
            (
                rows(&[State::Accepted, State::Printing, State::Buffered, State::PrintUnknown]),
                tally.counts.unprinted,
            ),
            (rows(&[State::Printed]), tally.counts.pending),
            (rows(&[State::Dead]), tally.counts.dead.saturating_add(tally.resolved)),
            (rows(&[State::Cancelled]), tally.counts.cancelled),
        ];
        // Damaged rows stay in their indexes and are out of the figures.
        Ok(pairs.iter().map(|(rows, figure)| rows.abs_diff(*figure)).fold(0, u64::saturating_add)
            <= self.damaged)
    }

    /// Counts every row; its own transaction.
    pub(super) fn recount(&mut self) -> rusqlite::Result<()> {
        self.names.clear_figures();
        let mut found = Vec::new();
        {
            let mut statement = self.conn.prepare(
                "SELECT pos, state, resolved_at IS NOT NULL, count(*) FROM documents \
                 WHERE seq NOT IN (SELECT seq FROM damaged WHERE part = 'document') GROUP BY 1, 2, 3",
            )?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                found.push((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, bool>(2)?,
                    row.get::<_, i64>(3)?,
                ));
            }
        }
        for (pos, code, resolved, count) in found {
            if let Some(state) = row::state_of(code) {
                self.names.set_figures(pos, Column::at(state, resolved), u64::try_from(count).unwrap_or(0));
            }
        }
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        match self.names.flush(&self.conn) {
            Ok(()) => self.conn.execute_batch("COMMIT"),
            Err(super::store::Fault::Sql(error)) => Err(error),
            Err(super::store::Fault::Rule(_)) => self.conn.execute_batch("ROLLBACK"),
        }
    }
}
