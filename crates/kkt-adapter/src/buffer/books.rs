//! How many documents stand where, by till: kept with every commit, so that taking the figures costs the same
//! whatever the number of rows.

use super::rules::Document;
use crate::{
    domain::{ids::PosId, lifecycle::State},
    ports::Counts,
};
use std::{collections::BTreeMap, sync::Arc};

/// The column of [`Counts`] that a document stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Unprinted,
    Pending,
    Synced,
    Dead,
    /// A dead letter that a person closed: counted nowhere in the port's figures, and takes up no place.
    Resolved,
    Cancelled,
}

impl Column {
    /// Where the document stands.
    pub(crate) fn of(document: &Document) -> Self {
        Self::at(document.state, document.resolved.is_some())
    }

    /// The column of a state.
    pub(crate) fn at(state: State, resolved: bool) -> Self {
        match state {
            State::Accepted | State::Printing | State::Buffered | State::PrintUnknown => Self::Unprinted,
            State::Printed => Self::Pending,
            State::Synced => Self::Synced,
            State::Dead if resolved => Self::Resolved,
            State::Dead => Self::Dead,
            State::Cancelled => Self::Cancelled,
        }
    }
}

/// The counts of one till.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub counts: Counts,
    pub resolved: u64,
}

impl Tally {
    fn column(&mut self, column: Column) -> &mut u64 {
        match column {
            Column::Unprinted => &mut self.counts.unprinted,
            Column::Pending => &mut self.counts.pending,
            Column::Synced => &mut self.counts.synced,
            Column::Dead => &mut self.counts.dead,
            Column::Cancelled => &mut self.counts.cancelled,
            Column::Resolved => &mut self.resolved,
        }
    }

    /// Adds documents to a column.
    pub(crate) fn add(&mut self, column: Column, count: u64) {
        let sum = self.column(column);
        *sum = sum.saturating_add(count);
    }

    /// Moves one document from one column to another.
    pub(crate) fn shift(&mut self, from: Option<Column>, to: Option<Column>) {
        if let Some(from) = from {
            let count = self.column(from);
            *count = count.saturating_sub(1);
        }
        if let Some(to) = to {
            self.add(to, 1);
        }
    }
}

/// A document that came, went or moved between columns in a batch.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub pos_id: PosId,
    pub from: Option<Column>,
    pub to: Option<Column>,
}

/// The counts over all tills and by till.
#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    total: Tally,
    /// Shared with whoever took the figures last; copied only if they still hold them.
    per_pos: Arc<BTreeMap<PosId, Counts>>,
}

impl Books {
    /// Starts from stored figures.
    pub(crate) fn add(&mut self, pos_id: PosId, tally: Tally) {
        let Tally { counts, resolved } = tally;
        // Figures that rotted may have any size; they are counted anew.
        for (column, count) in [
            (Column::Unprinted, counts.unprinted),
            (Column::Pending, counts.pending),
            (Column::Synced, counts.synced),
            (Column::Dead, counts.dead),
            (Column::Cancelled, counts.cancelled),
            (Column::Resolved, resolved),
        ] {
            self.total.add(column, count);
        }
        Arc::make_mut(&mut self.per_pos).insert(pos_id, counts);
    }

    /// Books what a committed batch moved.
    pub(crate) fn apply(&mut self, moves: &[Move]) {
        if moves.is_empty() {
            return;
        }
        let per_pos = Arc::make_mut(&mut self.per_pos);
        for Move { pos_id, from, to } in moves {
            self.total.shift(*from, *to);
            let counts = match per_pos.get_mut(pos_id) {
                Some(counts) => counts,
                None => per_pos.entry(pos_id.clone()).or_default(),
            };
            let mut tally = Tally { counts: *counts, resolved: u64::MAX / 2 };
            tally.shift(*from, *to);
            *counts = tally.counts;
        }
    }

    /// Rows that take up a place: unprinted, pending and dead; a dead letter that a person closed does not.
    pub(crate) fn unsettled(&self) -> u64 {
        let Counts { unprinted, pending, dead, .. } = self.total.counts;
        unprinted.saturating_add(pending).saturating_add(dead)
    }

    /// Over all tills.
    pub(crate) fn total(&self) -> Tally {
        self.total
    }

    /// By till.
    pub(crate) fn per_pos(&self) -> Arc<BTreeMap<PosId, Counts>> {
        Arc::clone(&self.per_pos)
    }
}
