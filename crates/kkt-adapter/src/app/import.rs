//! What the Python adapter left, into the configured buffer.

use super::{clock::SystemClock, convert};
use crate::{
    buffer::{
        SqliteOptions,
        sqlite::{self, ImportError, ImportReport},
    },
    config::Config,
    domain::ids::{DeviceId, PosId},
};
use std::path::Path;

/// Takes over the `buffer.db` of the Python adapter; `dry_run` only reports. No adapter may run on the folder.
///
/// # Errors
/// [`ImportError`]; rows that cannot be read are no error, they stand in the report.
pub fn import(config: &Config, old: &Path, dry_run: bool) -> Result<ImportReport, ImportError> {
    let device = |pos_id: &PosId| -> DeviceId {
        let has = |device: &&crate::config::Device| device.pos_ids.iter().any(|name| name == pos_id.as_str());
        match config.kkt.device.iter().find(has) {
            Some(device) => convert::device_id(device),
            None => pos_id.as_str().parse().expect("a till's name is a device's name"),
        }
    };
    sqlite::import(old, &SqliteOptions::new(config.buffer.path()), &device, &SystemClock::new(), dry_run)
}
