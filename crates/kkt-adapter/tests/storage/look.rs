//! Opens a store as a restart would, and compares it with what had been acknowledged.

use crate::fixture::*;
use kkt_adapter::{
    buffer::{SqliteBuffer, SqliteOptions},
    domain::lifecycle::State,
    ports::{Buffer, ListFilter, Silent},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a restart finds.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub states: BTreeMap<String, State>,
    pub damaged: u64,
    /// What health shows a person.
    pub notice: Option<String>,
}

/// Opens and reads everything.
pub fn look(folder: &Path) -> Result<Found, String> {
    let options = SqliteOptions { readers: 1, ..options(folder) };
    let buffer =
        SqliteBuffer::open(options, ManualClock::new(), Arc::new(Silent)).map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut states, mut documents, mut cursor) = (BTreeMap::new(), BTreeSet::new(), None);
        loop {
            let filter = ListFilter { ascending: true, cursor, limit: 1_000, ..ListFilter::default() };
            let page = buffer.list(filter).await.map_err(|error| error.to_string())?;
            for entry in page.entries {
                if let Some(fiscal) = &entry.fiscal
                    && !documents.insert((entry.device.to_string(), fiscal.fiscal_doc_number))
                {
                    return Err(format!("ФД {} of {} twice", fiscal.fiscal_doc_number, entry.device));
                }
                if entry.fiscal.is_some() != matches!(entry.state, State::Printed | State::Synced) {
                    return Err(format!("half of a transaction: {entry:?}"));
                }
                states.insert(entry.key.to_string(), entry.state);
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let damaged = buffer.stats().await.map_err(|error| error.to_string())?.damaged;
        Ok(Found { states, damaged, notice: buffer.health().error })
    })
}

fn rank(state: State) -> u8 {
    match state {
        State::Printing => 1,
        State::Printed => 2,
        State::Synced => 3,
        _ => 0,
    }
}

/// Every acknowledged step is there, and nothing had to be set aside.
pub fn nothing_lost(found: &Found, acknowledged: &BTreeMap<String, State>) -> Result<(), String> {
    for (key, state) in acknowledged {
        match found.states.get(key) {
            None => return Err(format!("{key} was acknowledged as {state:?} and is lost")),
            Some(is) if rank(*is) < rank(*state) => {
                return Err(format!("{key} was acknowledged as {state:?} and is {is:?}"));
            }
            Some(_) => {}
        }
    }
    if found.damaged > 0 || found.notice.is_some() {
        return Err(format!("{} damaged, {:?}", found.damaged, found.notice));
    }
    Ok(())
}

/// A folder for many small disks: in memory where there is such a place, since the disk is modelled.
pub fn workbench() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}
