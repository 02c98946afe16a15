//! A disk that may lose or tear whatever was not synced.

use super::{rng::Rng, trace::Request};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What a drive writes or does not write, as a whole.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
struct File {
    /// What is on the disk for sure.
    durable: Vec<u8>,
    /// What was asked since, in order.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

/// The state of the disk after a part of the requests.
#[derive(Debug, Default)]
pub struct Disk {
    files: BTreeMap<PathBuf, File>,
    /// Names whose folder was synced since they were made.
    names: BTreeSet<PathBuf>,
    /// Names made (`true`) and removed since, in order.
    pending_names: Vec<(PathBuf, bool)>,
}

/// What the loss of power does to what is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of it is gone.
    Everything,
    /// Nothing is.
    Nothing,
    /// Each write came through or not.
    Writes,
    /// Each sector did.
    Sectors,
    /// Everything up to one write did, and some sectors of that.
    Tail,
}

impl Loss {
    pub const ALL: [Self; 5] = [Self::Everything, Self::Nothing, Self::Writes, Self::Sectors, Self::Tail];
}

impl Disk {
    /// The next request.
    pub fn take(&mut self, request: &Request) {
        match request {
            Request::Create { path } => {
                if !self.files.contains_key(path) {
                    self.files.insert(path.clone(), File::default());
                    self.pending_names.push((path.clone(), true));
                }
            }
            Request::Unlink { path } => {
                self.files.remove(path);
                self.pending_names.push((path.clone(), false));
            }
            Request::Write { path, offset, bytes } => {
                self.file(path).pending.push(Change::Write(*offset, bytes.clone()));
            }
            Request::Truncate { path, length } => self.file(path).pending.push(Change::Truncate(*length)),
            Request::Sync { path } => match self.files.get_mut(path) {
                Some(file) => {
                    for change in std::mem::take(&mut file.pending) {
                        apply(&mut file.durable, &change, |_| true);
                    }
                }
                // A folder.
                None => {
                    for (name, made) in std::mem::take(&mut self.pending_names) {
                        if made {
                            self.names.insert(name)
                        } else {
                            self.names.remove(&name)
                        };
                    }
                }
            },
            Request::Said(_) => {}
        }
    }

    fn file(&mut self, path: &Path) -> &mut File {
        self.files.get_mut(path).unwrap_or_else(|| panic!("{} was never made", path.display()))
    }

    /// Writes the files as they may be found after the power is back.
    pub fn after_power_loss(&self, loss: Loss, rng: &mut Rng, into: &Path) {
        let mut names = self.names.clone();
        // The names of a folder come through in order.
        let kept = match loss {
            Loss::Everything => 0,
            Loss::Nothing => self.pending_names.len(),
            _ => rng.between(0, self.pending_names.len() as u64) as usize,
        };
        for (name, made) in &self.pending_names[..kept] {
            if *made {
                names.insert(name.clone())
            } else {
                names.remove(name)
            };
        }
        for (path, file) in &self.files {
            if !names.contains(path) {
                continue;
            }
            let name = path.file_name().unwrap();
            // SQLite keeps its index of the WAL in shared memory; a disk never has to have it.
            if name.to_string_lossy().ends_with("-shm") {
                continue;
            }
            let mut bytes = file.durable.clone();
            let whole = rng.between(0, file.pending.len() as u64) as usize;
            for (index, change) in file.pending.iter().enumerate() {
                let keep_write = match loss {
                    Loss::Everything => false,
                    Loss::Nothing | Loss::Sectors => true,
                    Loss::Writes => rng.chance(50),
                    Loss::Tail => index <= whole,
                };
                let torn = loss == Loss::Sectors || (loss == Loss::Tail && index == whole);
                if keep_write {
                    apply(&mut bytes, change, |_| !torn || rng.chance(50));
                }
            }
            fs::write(into.join(name), bytes).unwrap();
        }
    }
}

/// Does a change to a file, of a write those sectors that `keep` says.
fn apply(bytes: &mut Vec<u8>, change: &Change, mut keep: impl FnMut(usize) -> bool) {
    match change {
        Change::Truncate(length) => {
            if keep(0) {
                bytes.resize(*length as usize, 0);
            }
        }
        Change::Write(offset, data) => {
            let (mut at, end) = (*offset as usize, *offset as usize + data.len());
            while at < end {
                let next = ((at / SECTOR + 1) * SECTOR).min(end);
                if keep(at / SECTOR) {
                    if bytes.len() < next {
                        bytes.resize(next, 0);
                    }
                    bytes[at..next].copy_from_slice(&data[at - *offset as usize..next - *offset as usize]);
                }
                at = next;
            }
        }
    }
}
