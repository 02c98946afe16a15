//! Who an emulated device is: made at its first use, then the same for ever.

use crate::{domain::ids::DeviceId, ports::KktError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fs, io::Write as _, path::Path};
use uuid::Uuid;

/// File of the device's folder that holds it.
const FILE: &str = "device.toml";

/// Serial numbers and the key of the fiscal sign.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passport {
    /// Serial number of the ФН, 16 digits; `9999` marks an emulated one.
    pub fn_number: String,
    /// Serial number of the KKT, 14 digits.
    pub kkt_number: String,
    /// Key of the fiscal sign, 64 hexadecimal digits.
    secret: String,
}

impl std::fmt::Debug for Passport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passport").field("fn_number", &self.fn_number).finish_non_exhaustive()
    }
}

impl Passport {
    /// Reads the passport of a device's folder, or makes it.
    ///
    /// # Errors
    /// [`KktError::Failed`]: it cannot be read or written; the text says what to do.
    pub fn open(folder: &Path, device: &DeviceId) -> Result<Self, KktError> {
        let path = folder.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map_err(|why| {
                KktError::Failed(format!(
                    "{} of virtual KKT {device} does not read ({why}); restore the file, or move the folder {} \
                     away to begin with a new emulated ФН",
                    path.display(),
                    folder.display(),
                ))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Self::made(device);
                made.store(folder).map_err(|error| {
                    KktError::Failed(format!("{} cannot be written: {error}", path.display()))
                })?;
                Ok(made)
            }
            Err(error) => Err(KktError::Failed(format!("{} cannot be read: {error}", path.display()))),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let read: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
        let is_secret = read.secret.len() == 64 && read.secret.bytes().all(|b| b.is_ascii_hexdigit());
        if digits(&read.fn_number, 16) && digits(&read.kkt_number, 14) && is_secret {
            Ok(read)
        } else {
            Err("fn_number has 16 digits, kkt_number 14, secret 64 hexadecimal ones".into())
        }
    }

    fn made(device: &DeviceId) -> Self {
        let mut hash = Sha256::new();
        hash.update(device.as_str());
        for _ in 0..4 {
            hash.update(Uuid::now_v7().as_bytes());
        }
        let secret = hash.finalize();
        let serial = Sha256::digest(secret);
        let mut eight = [0; 8];
        eight.copy_from_slice(&serial[..8]);
        let number = u64::from_le_bytes(eight) % 1_000_000_000_000;
        Self {
            fn_number: format!("9999{number:012}"),
            kkt_number: format!("99{number:012}"),
            secret: secret.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// Once in a device's life, so it is fsynced: the ФН keeps its number through a power cut.
    fn store(&self, folder: &Path) -> std::io::Result<()> {
        let text = toml::to_string(self).map_err(std::io::Error::other)?;
        let draft = folder.join("device.toml.new");
        let mut file = fs::File::create(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, folder.join(FILE))?;
        fs::File::open(folder)?.sync_all()
    }

    /// The fiscal sign of a document: 32 bits of a keyed hash, as the ФП of a real ФН is 4 bytes.
    #[must_use]
    pub fn sign(&self, content: &[u8]) -> u32 {
        let mut hash = Sha256::new();
        hash.update(self.secret.as_bytes());
        hash.update(content);
        let digest = hash.finalize();
        u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_keeps_its_serial_numbers_and_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let device = "POS-001".parse().unwrap();
        let made = Passport::open(folder.path(), &device).unwrap();
        let read = Passport::open(folder.path(), &device).unwrap();
        assert_eq!(read.fn_number, made.fn_number);
        assert_eq!(read.sign(b"document"), made.sign(b"document"));
        assert_ne!(read.sign(b"document"), made.sign(b"another"));
        assert_eq!(made.fn_number.len(), 16);
    }

    #[test]
    fn a_damaged_passport_says_what_to_do_and_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let device = "POS-001".parse().unwrap();
        fs::write(folder.path().join(FILE), "fn_number = \"12\"\nkkt_number=\"1\"\nsecret=\"\"").unwrap();
        let error = Passport::open(folder.path(), &device).unwrap_err().to_string();
        assert!(error.contains("device.toml") && error.contains("move the folder"), "{error}");
        assert!(fs::read_to_string(folder.path().join(FILE)).unwrap().contains("12"));
    }
}
