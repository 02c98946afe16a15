//! The virtual devices of one adapter: which till has which, made at first use.

use super::{VirtualKkt, locked};
use crate::{
    domain::{
        document::Identity,
        ids::{DeviceId, PosId},
    },
    ports::{Clock, KktDriver, KktError, KktFleet},
};
use jiff::tz::TimeZone;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// One configured device (`[[kkt.device]]`).
#[derive(Debug, Clone)]
pub struct VirtualDevice {
    /// Its name.
    pub id: DeviceId,
    /// The tills that print on it.
    pub pos_ids: Vec<PosId>,
    /// Who it is registered as.
    pub identity: Identity,
}

/// Where the devices live and who they are.
#[derive(Debug, Clone)]
pub struct VirtualOptions {
    /// Folder that holds a folder a device.
    pub folder: PathBuf,
    /// Configured devices. A till that none of them names gets a device of its own name.
    pub devices: Vec<VirtualDevice>,
    /// Who the devices made at first use are registered as.
    pub identity: Identity,
    /// How many devices there may be in all; default 10,000. Keeps a client that invents tills from filling
    /// the disk.
    pub devices_max: usize,
    /// Zone of the fiscal date and time.
    pub zone: TimeZone,
}

impl VirtualOptions {
    /// The default limit on the number of devices.
    pub const DEVICES_MAX: usize = 10_000;

    /// Devices made at first use only, in the system's time zone.
    #[must_use]
    pub fn new(folder: PathBuf, identity: Identity) -> Self {
        let zone = TimeZone::system();
        Self { folder, devices: Vec::new(), identity, devices_max: Self::DEVICES_MAX, zone }
    }
}

/// A device, opened at its first use under a lock of its own: making its folder waits for the disk, and the lock of all
/// devices must not.
type Slot = Arc<Mutex<Option<Arc<VirtualKkt>>>>;

#[derive(Default)]
struct Known {
    names: HashSet<DeviceId>,
    slots: HashMap<DeviceId, Slot>,
    /// The highest ФД number that was told of each.
    floors: HashMap<DeviceId, u32>,
}

/// All virtual devices of an adapter.
pub struct VirtualFleet {
    options: VirtualOptions,
    by_pos: BTreeMap<PosId, DeviceId>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

impl VirtualFleet {
    /// Takes note of the configured devices and of those whose state is in the folder; opens none.
    ///
    /// # Errors
    /// [`KktError::Failed`] if two devices have one name or one till.
    pub fn new(options: VirtualOptions, clock: Arc<dyn Clock>) -> Result<Self, KktError> {
        let mut by_pos = BTreeMap::new();
        let mut names = HashSet::new();
        for device in &options.devices {
            if !names.insert(device.id.clone()) {
                return Err(KktError::Failed(format!("two [[kkt.device]] have the id {}", device.id)));
            }
            for pos_id in &device.pos_ids {
                if let Some(other) = by_pos.insert(pos_id.clone(), device.id.clone()) {
                    let text = format!("till {pos_id} is named by [[kkt.device]] {other} and {}", device.id);
                    return Err(KktError::Failed(text));
                }
            }
        }
        names.extend(on_disk(&options.folder));
        let known = Mutex::new(Known { names, ..Known::default() });
        Ok(Self { options, by_pos, clock, known })
    }

    /// The device itself, for its faults and its ledger; made and opened at first use.
    ///
    /// # Errors
    /// [`KktError::Failed`] if it cannot be opened or there are too many.
    pub fn device(&self, device: &DeviceId) -> Result<Arc<VirtualKkt>, KktError> {
        let slot = {
            let mut known = locked(&self.known);
            self.room_for(&known, device)?;
            // It takes its place at once, so that devices made side by side do not pass the limit.
            known.names.insert(device.clone());
            Arc::clone(known.slots.entry(device.clone()).or_default())
        };
        let mut slot = locked(&slot);
        if let Some(open) = &*slot {
            return Ok(Arc::clone(open));
        }
        let configured = self.options.devices.iter().find(|one| one.id == *device);
        let identity = configured.map_or(&self.options.identity, |one| &one.identity).clone();
        let opened = Arc::new(VirtualKkt::open(
            device.clone(),
            self.options.folder.join(folder_name(device)),
            identity,
            Arc::clone(&self.clock),
            self.options.zone.clone(),
        )?);
        if let Some(floor) = locked(&self.known).floors.get(device) {
            opened.raise_floor(*floor);
        }
        *slot = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn room_for(&self, known: &Known, device: &DeviceId) -> Result<(), KktError> {
        if known.names.contains(device) || known.names.len() < self.options.devices_max {
            return Ok(());
        }
        Err(KktError::Failed(format!(
            "no virtual KKT is made for {device}: there are {} already, the limit; check pos_id, or name the till in a \
             [[kkt.device]]",
            self.options.devices_max
        )))
    }
}

/// A device's folder: its name, which may not begin with a point there (`..` is a valid name of a till).
fn folder_name(device: &DeviceId) -> String {
    match device.as_str().strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => device.to_string(),
    }
}

/// The devices whose state is in the folder. Where it cannot be read each device says so when it is used, and the adapter
/// takes sales all the same.
fn on_disk(folder: &Path) -> Vec<DeviceId> {
    let entries: io::Result<Vec<_>> = std::fs::read_dir(folder).and_then(Iterator::collect);
    let entries = match entries {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::error!(folder = %folder.display(), %error, "the state of the virtual KKTs cannot be read");
            Vec::new()
        }
        entries => entries.unwrap_or_default(),
    };
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().replace("%2E", ".");
    // What is no name of a device is none of ours.
    entries.into_iter().filter_map(|entry| name(entry).parse().ok()).collect()
}

impl KktFleet for VirtualFleet {
    fn fiscal(&self) -> bool {
        false
    }

    fn device_of(&self, pos_id: &PosId) -> Result<DeviceId, KktError> {
        if let Some(device) = self.by_pos.get(pos_id) {
            return Ok(device.clone());
        }
        let device: DeviceId =
            pos_id.as_str().parse().map_err(|error| KktError::Failed(format!("{error}")))?;
        if self.options.devices.iter().any(|one| one.id == device) {
            return Err(KktError::Failed(format!(
                "till {pos_id} has the name of a [[kkt.device]] that does not list it; add it to that device's pos_ids"
            )));
        }
        self.room_for(&locked(&self.known), &device)?;
        Ok(device)
    }

    fn exists(&self, device: &DeviceId) -> bool {
        // The last of its files that is made.
        self.options.folder.join(folder_name(device)).join("journal").is_file()
    }

    fn driver(&self, device: &DeviceId) -> Result<Arc<dyn KktDriver>, KktError> {
        Ok(self.device(device)?)
    }

    fn floor(&self, device: &DeviceId, last_fd: u32) {
        let slot = {
            let mut known = locked(&self.known);
            let floor = known.floors.entry(device.clone()).or_insert(0);
            *floor = last_fd.max(*floor);
            known.slots.get(device).cloned()
        };
        // One that is being opened may have looked before.
        if let Some(open) = slot.as_ref().and_then(|slot| locked(slot).clone()) {
            open.raise_floor(last_fd);
        }
    }
}
