//! What the virtual KKT finds in its folder.

use crate::house::{Still, identity};
use kkt_adapter::{
    domain::{ids::ReceiptId, receipt::Receipt},
    kkt::virtual_kkt::{Faults, VirtualFleet, VirtualKkt, VirtualOptions},
    ports::{Found, KktDriver as _, KktError, KktFleet as _, ShiftState},
};
use sha2::{Digest as _, Sha256};
use std::{cell::RefCell, collections::BTreeSet, path::Path, sync::Arc};
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Runtime},
    time::{Duration, timeout},
};
use uuid::Uuid;

const RECORD: usize = 80;
const COVERED: usize = 72;

/// A passport, so that not every input costs the fsync of a new one.
const PASSPORT: &str = "fn_number = \"9999000000000001\"\nkkt_number = \"99000000000001\"\n\
    secret = \"0000000000000000000000000000000000000000000000000000000000000000\"\n";

thread_local! {
    static PLACE: RefCell<(TempDir, Runtime)> = RefCell::new((
        tempfile::tempdir().expect("a temporary folder"),
        Builder::new_current_thread().enable_all().build().expect("a runtime"),
    ));
}

fn in_folder(name: &str, bytes: &[u8], check: impl FnOnce(&Path, &Runtime)) {
    PLACE.with_borrow(|(folder, runtime)| {
        let device = folder.path().join("POS-001");
        std::fs::create_dir_all(&device).expect("a folder");
        for (file, bytes) in [("device.toml", PASSPORT.as_bytes()), ("journal", b""), ("faults.toml", b"")] {
            std::fs::write(device.join(file), bytes).expect("a temporary file can be written");
        }
        std::fs::write(device.join(name), bytes).expect("a temporary file can be written");
        check(folder.path(), runtime);
    });
}

/// `floor`: the highest ФД number that the buffer knows.
fn open(folder: &Path, floor: u32) -> Result<Arc<VirtualKkt>, KktError> {
    let fleet = VirtualFleet::new(VirtualOptions::new(folder.into(), identity()), Arc::new(Still))?;
    let device = "POS-001".parse().expect("a device");
    fleet.floor(&device, floor);
    fleet.device(&device)
}

/// Bytes as the journal; the first byte's bits say which of the first records get a right checksum, which no fuzzer
/// finds by itself, and what the buffer knows. It opens and sells: the numbers grow past both, what was made is found,
/// opening again changes nothing.
pub fn journal(data: &[u8]) {
    let Some((right, data)) = data.split_first() else { return };
    let mut bytes = data.to_vec();
    for (n, record) in bytes.chunks_exact_mut(RECORD).enumerate() {
        if n >= 8 || right & (1 << n) != 0 {
            let sum = Sha256::digest(&record[..COVERED]);
            record[COVERED..].copy_from_slice(&sum[..8]);
        }
    }
    let floor = u32::from(*right) << 8;
    in_folder("journal", &bytes, |folder, runtime| {
        let kkt = open(folder, floor).expect("a journal never keeps a device from opening");
        let before = kkt.ledger().expect("it reads");
        let again = open(folder, floor).expect("as before").ledger().expect("it reads");
        assert_eq!(again, before, "opening changes nothing");
        let last = before.last();
        // At the end of its numbers it may refuse, as a full ФН does.
        let is_full = last.is_some_and(|last| {
            let numbers = [last.fd, last.shift, last.receipts];
            numbers.into_iter().any(|number| number > u32::MAX - SALE_STEPS)
        });
        let known = last.map_or(0, |last| last.fd).max(floor);
        match runtime.block_on(sells(&kkt, known)) {
            Ok(made) => assert_eq!(kkt.ledger().expect("it reads").len(), before.len() + made),
            Err(error) => assert!(is_full, "P8: it opens and does not print: {error}"),
        }
    });
}

/// Documents that a sale may need: the shift is closed, opened, then the receipt.
const SALE_STEPS: u32 = 3;

/// Sells, whatever the shift; answers how many documents that took. Each has the number after `known` or a higher one, and
/// is found.
async fn sells(kkt: &VirtualKkt, mut known: u32) -> Result<usize, KktError> {
    for step in 1..=SALE_STEPS {
        let key = ReceiptId(Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0000 + u128::from(step)));
        let (document, is_sold) = match kkt.shift().await? {
            ShiftState::Closed { .. } => (kkt.open_shift(key).await?, false),
            ShiftState::Expired { .. } => (kkt.close_shift(key).await?, false),
            ShiftState::Open { .. } => (kkt.fiscalize(&a_receipt(), key).await?, true),
        };
        assert!(document.fiscal_doc_number > known, "{} after {known}", document.fiscal_doc_number);
        known = document.fiscal_doc_number;
        let found = kkt.find(key).await?;
        assert!(matches!(found, Found::Printed(found) if *found == document));
        if is_sold {
            return Ok(step as usize);
        }
    }
    panic!("P8: the shift does not open")
}

fn a_receipt() -> Receipt {
    serde_json::from_str(
        r#"{"pos_id":"POS-001","type":"sale","items":[{"name":"x","price":1.00,"quantity":1,"total":1.00,
        "vat_rate":null}],"payments":[{"type":"cash","amount":1.00}]}"#,
    )
    .expect("a receipt")
}

/// Text as the file of faults: read or refused in words, counted down into a file that reads again.
pub fn faults(data: &[u8]) {
    let parsed = std::str::from_utf8(data).ok().map(Faults::parse);
    in_folder("faults.toml", data, |folder, runtime| {
        let kkt = open(folder, 0).expect("faults do not keep a device from opening");
        let asked = runtime.block_on(async {
            // A fault may be to hang.
            timeout(Duration::ZERO, async { kkt.shift().await }).await
        });
        let text = std::fs::read_to_string(folder.join("POS-001/faults.toml")).unwrap_or_default();
        match parsed {
            Some(Ok(_)) => {
                Faults::parse(&text).expect("what was counted down reads again");
            }
            Some(Err(why)) => {
                assert!(!why.is_empty());
                assert!(matches!(asked, Ok(Err(KktError::Failed(_)))), "{asked:?}");
            }
            None => assert!(matches!(asked, Ok(Err(KktError::Failed(_)))), "{asked:?}"),
        }
    });
}

/// Text as the passport: a device of proper numbers that sells, or words that say what to do; the file is never changed.
pub fn passport(data: &[u8]) {
    in_folder("device.toml", data, |folder, runtime| {
        match open(folder, 0) {
            Ok(kkt) => {
                assert!(kkt.fn_number().len() == 16 && kkt.fn_number().bytes().all(|b| b.is_ascii_digit()));
                runtime.block_on(sells(&kkt, 0)).expect("P8: it opens and does not print");
            }
            Err(error) => assert!(error.to_string().contains("device.toml"), "{error}"),
        }
        assert_eq!(std::fs::read(folder.join("POS-001/device.toml")).expect("it is there"), data);
        let names: BTreeSet<_> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names.len(), 1, "no other device was made");
    });
}
