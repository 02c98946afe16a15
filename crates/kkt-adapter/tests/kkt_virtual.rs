//! The virtual KKT by its port: numbers, shift, time, `find`, faults, and a process that is killed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use kkt_adapter::{
    domain::{
        document::Identity,
        ids::{DeviceId, PosId, ReceiptId},
        money::{Kopecks, Quantity},
        receipt::{Item, Payment, PaymentKind, Receipt, ReceiptKind, Taxation},
    },
    kkt::virtual_kkt::{Fault, Faults, Setting, VirtualDevice, VirtualFleet, VirtualKkt, VirtualOptions},
    ports::{Clock, Found, KktDriver, KktError, KktFleet, Monotonic, ShiftState},
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-23T15:30:20Z".parse().unwrap())))
    }
    fn shift_by(&self, span: jiff::Span) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(span).unwrap();
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::ZERO)
    }
    fn wall(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn identity() -> Identity {
    Identity {
        inn: "7702203276".into(),
        rn_kkt: "0000000005008570".into(),
        ofd_name: "ОФД".into(),
        taxation: Taxation::Osn,
    }
}

fn options(folder: &Path) -> VirtualOptions {
    let zone = TimeZone::fixed(jiff::tz::offset(3));
    VirtualOptions { zone, ..VirtualOptions::new(folder.join("virtual-kkt"), identity()) }
}

fn device() -> DeviceId {
    "POS-001".parse().unwrap()
}

fn open(folder: &Path, clock: &Arc<ManualClock>) -> Arc<VirtualKkt> {
    let clock: Arc<dyn Clock> = clock.clone();
    VirtualFleet::new(options(folder), clock).unwrap().device(&device()).unwrap()
}

fn receipt(kind: ReceiptKind) -> Receipt {
    Receipt {
        pos_id: "POS-001".parse().unwrap(),
        kind,
        items: vec![Item {
            name: "Оправа".into(),
            price: Kopecks(10_000),
            quantity: Quantity(2_000_000),
            total: Kopecks(20_000),
            vat_rate: Some(20),
            subject: None,
            method: None,
        }],
        payments: vec![Payment { kind: PaymentKind::Cash, amount: Kopecks(20_000) }],
        taxation: None,
        cashier: None,
        buyer: None,
        correction: None,
    }
}

#[tokio::test]
async fn a_document_carries_everything_of_the_contract_and_the_code_in_the_official_form() {
    let folder = tempfile::tempdir().unwrap();
    let kkt = open(folder.path(), &ManualClock::new());
    let report = kkt.open_shift(ReceiptId::new()).await.unwrap();
    assert_eq!((report.fiscal_doc_number, report.shift_number, report.receipt_number), (1, 1, 0));
    assert_eq!(report.qr_code_data, "");
    let sale = kkt.fiscalize(&receipt(ReceiptKind::Sale), ReceiptId::new()).await.unwrap();
    assert_eq!((sale.fiscal_doc_number, sale.shift_number, sale.receipt_number), (2, 1, 1));
    assert_eq!(sale.fiscal_datetime, "2026-11-23T18:30:20");
    assert_eq!((sale.fn_number.len(), sale.fiscal_sign.len()), (16, 10));
    assert_eq!((sale.inn.as_str(), sale.rn_kkt.as_str()), ("7702203276", "0000000005008570"));
    let expected = format!("t=20261123T1830&s=200.00&fn={}&i=2&fp={}&n=1", sale.fn_number, sale.fiscal_sign);
    assert_eq!(sale.qr_code_data, expected);
    let refund = kkt.fiscalize(&receipt(ReceiptKind::Refund), ReceiptId::new()).await.unwrap();
    assert!(refund.qr_code_data.ends_with("&n=2"));
    let correction = kkt.fiscalize(&receipt(ReceiptKind::Correction), ReceiptId::new()).await.unwrap();
    assert!(correction.qr_code_data.ends_with("&n=1"));
    assert_ne!(sale.fiscal_sign, refund.fiscal_sign);
}

#[tokio::test]
async fn numbers_shift_and_documents_are_the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let key = ReceiptId::new();
    let kkt = open(folder.path(), &clock);
    kkt.open_shift(ReceiptId::new()).await.unwrap();
    let printed = kkt.fiscalize(&receipt(ReceiptKind::Sale), key).await.unwrap();
    drop(kkt);
    let kkt = open(folder.path(), &clock);
    assert_eq!(kkt.find(key).await, Ok(Found::Printed(Box::new(printed.clone()))));
    assert_eq!(kkt.find(ReceiptId::new()).await, Ok(Found::NotPrinted));
    assert!(matches!(kkt.shift().await, Ok(ShiftState::Open { number: 1, receipts: 1, .. })));
    let next = kkt.fiscalize(&receipt(ReceiptKind::Sale), ReceiptId::new()).await.unwrap();
    assert_eq!((next.fiscal_doc_number, next.receipt_number), (3, 2));
    assert_eq!(next.fn_number, printed.fn_number);
}

#[tokio::test]
async fn a_shift_lasts_24_hours_and_receipts_need_an_open_one() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let kkt = open(folder.path(), &clock);
    let sale = receipt(ReceiptKind::Sale);
    let refused = |state| Err(KktError::Shift(state));
    assert_eq!(kkt.fiscalize(&sale, ReceiptId::new()).await, refused(ShiftState::Closed { last: 0 }));
    assert_eq!(kkt.close_shift(ReceiptId::new()).await, refused(ShiftState::Closed { last: 0 }));
    kkt.open_shift(ReceiptId::new()).await.unwrap();
    assert!(matches!(kkt.open_shift(ReceiptId::new()).await, Err(KktError::Shift(ShiftState::Open { .. }))));
    clock.shift_by((24 * 3600 - 1).seconds());
    kkt.fiscalize(&sale, ReceiptId::new()).await.unwrap();
    clock.shift_by(1.second());
    assert_eq!(kkt.shift().await, Ok(ShiftState::Expired { number: 1 }));
    assert_eq!(kkt.fiscalize(&sale, ReceiptId::new()).await, refused(ShiftState::Expired { number: 1 }));
    assert_eq!(kkt.close_shift(ReceiptId::new()).await.unwrap().shift_number, 1);
    assert_eq!(kkt.shift().await, Ok(ShiftState::Closed { last: 1 }));
    assert_eq!(kkt.open_shift(ReceiptId::new()).await.unwrap().shift_number, 2);
    assert_eq!(kkt.fiscalize(&sale, ReceiptId::new()).await.unwrap().receipt_number, 1);
}

#[tokio::test]
async fn its_time_never_goes_back_whatever_the_clock_does() {
    // P9
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let kkt = open(folder.path(), &clock);
    kkt.open_shift(ReceiptId::new()).await.unwrap();
    let sale = receipt(ReceiptKind::Sale);
    let first = kkt.fiscalize(&sale, ReceiptId::new()).await.unwrap();
    clock.shift_by((-10 * 365 * 24).hours());
    let second = kkt.fiscalize(&sale, ReceiptId::new()).await.unwrap();
    assert_eq!(second.fiscal_datetime, first.fiscal_datetime);
    assert_eq!(second.fiscal_doc_number, first.fiscal_doc_number + 1);
    assert!(matches!(kkt.shift().await, Ok(ShiftState::Open { number: 1, .. })));
}

#[tokio::test]
async fn numbers_never_fall_behind_what_the_buffer_knows() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = VirtualFleet::new(options(folder.path()), ManualClock::new()).unwrap();
    fleet.floor(&device(), 41);
    let kkt = fleet.device(&device()).unwrap();
    assert_eq!(kkt.open_shift(ReceiptId::new()).await.unwrap().fiscal_doc_number, 42);
    fleet.floor(&device(), 7);
    let sale = receipt(ReceiptKind::Sale);
    assert_eq!(kkt.fiscalize(&sale, ReceiptId::new()).await.unwrap().fiscal_doc_number, 43);
    fleet.floor(&device(), 99);
    assert_eq!(kkt.fiscalize(&sale, ReceiptId::new()).await.unwrap().fiscal_doc_number, 100);
}

/// Opens the shift if need be, sells, and answers the ФД number of the receipt.
async fn sells(fleet: &VirtualFleet) -> Result<u32, KktError> {
    let kkt = fleet.device(&device())?;
    if matches!(kkt.shift().await?, ShiftState::Closed { .. }) {
        kkt.open_shift(ReceiptId::new()).await?;
    }
    Ok(kkt.fiscalize(&receipt(ReceiptKind::Sale), ReceiptId::new()).await?.fiscal_doc_number)
}

// P8
#[tokio::test]
async fn whatever_is_left_of_the_journal_the_device_prints_and_uses_no_number_twice() {
    type Ruin = fn(Vec<u8>) -> Vec<u8>;
    let ruins: [(&str, Ruin, bool); 6] = [
        ("empty", |_| Vec::new(), false),
        ("a record and a half lost", |bytes| bytes[..bytes.len() - 120].to_vec(), false),
        ("a byte too many in front", |bytes| [b"x", &*bytes].concat(), true),
        ("zeros", |bytes| vec![0; bytes.len()], true),
        (
            "the last two records rotten",
            |mut bytes| {
                let end = bytes.len();
                bytes[end - 160..].fill(0xA5);
                bytes
            },
            true,
        ),
        (
            "the last record rotten",
            |mut bytes| {
                *bytes.last_mut().unwrap() ^= 1;
                bytes
            },
            false,
        ),
    ];
    for (name, ruin, is_kept) in ruins {
        let folder = tempfile::tempdir().unwrap();
        let fleet = VirtualFleet::new(options(folder.path()), ManualClock::new()).unwrap();
        let mut last = 0;
        for _ in 0..10 {
            last = sells(&fleet).await.unwrap();
        }
        let path = folder.path().join("virtual-kkt/POS-001/journal");
        let ruined = ruin(std::fs::read(&path).unwrap());
        std::fs::write(&path, &ruined).unwrap();
        let fleet = VirtualFleet::new(options(folder.path()), ManualClock::new()).unwrap();
        fleet.floor(&device(), last);
        let next = sells(&fleet).await.unwrap();
        assert!(next == last + 1 || next == last + 2, "{name}: {next} after {last}");
        let kept = std::fs::read(path.with_extension("damaged")).ok();
        assert_eq!(kept, is_kept.then_some(ruined), "{name}");
    }
}

// P8: nothing is thrown away that a person may need; sales wait, and are printed without a restart.
#[tokio::test]
async fn what_stands_in_the_place_of_its_files_is_named_and_once_it_is_gone_the_device_prints() {
    for (name, is_file) in [
        ("virtual-kkt", false),
        ("virtual-kkt/POS-001", false),
        ("virtual-kkt/POS-001/journal", true),
        ("virtual-kkt/POS-001/device.toml", true),
        ("virtual-kkt/POS-001/faults.toml", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let path = state.join(name);
        let fleet = |state: &Path| VirtualFleet::new(options(state), ManualClock::new()).unwrap();
        let last = sells(&fleet(&state)).await.unwrap();
        let aside = folder.path().join("aside");
        let was_there = std::fs::rename(&path, &aside).is_ok();
        if is_file {
            std::fs::create_dir(&path).unwrap();
        } else {
            std::fs::write(&path, "").unwrap();
        }
        let fleet = fleet(&state);
        fleet.floor(&device(), last);
        let error = sells(&fleet).await.unwrap_err().to_string();
        assert!(error.contains(state.join("virtual-kkt/POS-001").to_str().unwrap()), "{name}: {error}");
        let _ = std::fs::remove_dir(&path).or_else(|_| std::fs::remove_file(&path));
        if was_there {
            std::fs::rename(&aside, &path).unwrap();
        }
        assert_eq!(sells(&fleet).await.unwrap(), last + 1, "{name}");
    }
}

#[tokio::test]
async fn the_same_key_twice_is_a_second_document_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let kkt = open(folder.path(), &ManualClock::new());
    kkt.open_shift(ReceiptId::new()).await.unwrap();
    let key = ReceiptId::new();
    kkt.fiscalize(&receipt(ReceiptKind::Sale), key).await.unwrap();
    assert_eq!(kkt.doubles().unwrap(), 0);
    let second = kkt.fiscalize(&receipt(ReceiptKind::Sale), key).await.unwrap();
    assert_eq!(second.fiscal_doc_number, 3);
    assert_eq!(kkt.doubles().unwrap(), 1);
}

#[tokio::test]
async fn each_fault_does_what_its_name_says() {
    let folder = tempfile::tempdir().unwrap();
    let kkt = open(folder.path(), &ManualClock::new());
    kkt.open_shift(ReceiptId::new()).await.unwrap();
    let sale = receipt(ReceiptKind::Sale);
    let print = |key| kkt.fiscalize(&sale, key);
    let patience = Duration::from_millis(50);

    for fault in [Fault::PaperOut, Fault::Off, Fault::Fail] {
        kkt.set_faults(Faults::none().times(fault, 1));
        let key = ReceiptId::new();
        assert!(matches!(print(key).await, Err(KktError::NotPrinted(_))), "{fault:?}");
        assert_eq!(kkt.find(key).await, Ok(Found::NotPrinted), "{fault:?}");
        print(key).await.unwrap();
    }
    kkt.set_faults(Faults::none().with(Fault::Off));
    assert!(kkt.find(ReceiptId::new()).await.is_err());
    assert!(kkt.shift().await.is_err());

    kkt.set_faults(Faults::none().times(Fault::Hang, 1));
    let key = ReceiptId::new();
    assert!(tokio::time::timeout(patience, print(key)).await.is_err());
    assert_eq!(kkt.find(key).await, Ok(Found::NotPrinted));

    kkt.set_faults(Faults::none().times(Fault::HangAfterPrint, 1));
    assert!(tokio::time::timeout(patience, print(key)).await.is_err());
    assert!(matches!(kkt.find(key).await, Ok(Found::Printed(_))));

    let lasting = Some(Duration::from_millis(30));
    kkt.set_faults(Faults::none().set(Fault::PrintDelay, Setting { times: None, lasting }));
    let started = std::time::Instant::now();
    print(ReceiptId::new()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(30));

    kkt.set_faults(Faults::none().with(Fault::LoseFind));
    assert_eq!(kkt.find(key).await, Ok(Found::Unknown));
}

#[tokio::test]
async fn a_file_beside_the_state_injects_faults_and_a_bad_one_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let kkt = open(folder.path(), &ManualClock::new());
    kkt.open_shift(ReceiptId::new()).await.unwrap();
    let sale = receipt(ReceiptKind::Sale);
    let file = folder.path().join("virtual-kkt/POS-001/faults.toml");
    std::fs::write(&file, "paper_out = 1").unwrap();
    let refused = kkt.fiscalize(&sale, ReceiptId::new()).await.unwrap_err().to_string();
    assert!(refused.contains("нет бумаги") && refused.contains("out of paper"), "{refused}");
    kkt.fiscalize(&sale, ReceiptId::new()).await.unwrap();
    std::fs::write(&file, "paper = true").unwrap();
    let refused = kkt.fiscalize(&sale, ReceiptId::new()).await.unwrap_err().to_string();
    assert!(refused.contains("faults.toml") && refused.contains("paper_out"), "{refused}");
    std::fs::remove_file(&file).unwrap();
    kkt.fiscalize(&sale, ReceiptId::new()).await.unwrap();
}

#[tokio::test]
async fn tills_have_the_device_that_names_them_or_one_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let pos = |text: &str| text.parse::<PosId>().unwrap();
    let shared = VirtualDevice {
        id: "kkt-1".parse().unwrap(),
        pos_ids: vec![pos("POS-001"), pos("POS-002")],
        identity: Identity { inn: "5003052454".into(), ..identity() },
    };
    let options = VirtualOptions { devices: vec![shared.clone()], devices_max: 3, ..options(folder.path()) };
    let fleet = VirtualFleet::new(options.clone(), ManualClock::new()).unwrap();
    assert_eq!(fleet.device_of(&pos("POS-001")).unwrap().as_str(), "kkt-1");
    assert_eq!(fleet.device_of(&pos("POS-002")).unwrap().as_str(), "kkt-1");
    let report = fleet.device(&shared.id).unwrap().open_shift(ReceiptId::new()).await.unwrap();
    assert_eq!(report.inn, "5003052454");
    let stolen = fleet.device_of(&pos("kkt-1")).unwrap_err().to_string();
    assert!(stolen.contains("pos_ids"), "{stolen}");

    // `..` is a valid name of a till and must not lead out of the folder.
    let dots = fleet.device_of(&pos("..")).unwrap();
    fleet.driver(&dots).unwrap();
    assert!(!folder.path().join("device.toml").exists());
    fleet.driver(&fleet.device_of(&pos("POS-003")).unwrap()).unwrap();
    for fleet in [fleet, VirtualFleet::new(options.clone(), ManualClock::new()).unwrap()] {
        let full = fleet.device_of(&pos("POS-004")).unwrap_err().to_string();
        assert!(full.contains("POS-004") && full.contains('3'), "{full}");
        assert_eq!(fleet.device_of(&pos("POS-003")).unwrap().as_str(), "POS-003");
        assert_eq!(fleet.device_of(&pos("..")).unwrap(), dots);
    }
    let twice = VirtualOptions { devices: vec![shared.clone(), shared], ..options };
    assert!(VirtualFleet::new(twice, ManualClock::new()).is_err());
}

/// Not a test: prints until it is killed, telling each key and its ФД number once it has the answer.
#[tokio::test]
#[ignore = "the child of the kill test"]
async fn child_prints_until_it_is_killed() {
    let Some(folder) = std::env::var_os("KKT_TEST_FOLDER") else { return };
    let kkt = open(Path::new(&folder), &ManualClock::new());
    if matches!(kkt.shift().await, Ok(ShiftState::Closed { .. })) {
        kkt.open_shift(ReceiptId::new()).await.unwrap();
    }
    loop {
        let key = ReceiptId::new();
        println!("\nnext {key}");
        let doc = kkt.fiscalize(&receipt(ReceiptKind::Sale), key).await.unwrap();
        println!("\ndone {key} {}", doc.fiscal_doc_number);
    }
}

#[tokio::test]
async fn a_killed_process_loses_no_document_and_no_number() {
    // P4
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=5_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "child_prints_until_it_is_killed"])
            .env("KKT_TEST_FOLDER", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut done = Vec::new();
        let mut asked = None;
        let mut killed = false;
        while let Some(Ok(line)) = lines.next() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["next", key] => asked = key.parse::<ReceiptId>().ok().or(asked),
                ["done", key, fd] => {
                    done.push((key.parse::<ReceiptId>().unwrap(), fd.parse::<u32>().unwrap()))
                }
                _ => {}
            }
            if done.len() == 20 * round as usize && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        let kkt = open(folder.path(), &ManualClock::new());
        for (key, fd) in &done {
            match kkt.find(*key).await {
                Ok(Found::Printed(doc)) => assert_eq!(doc.fiscal_doc_number, *fd),
                other => panic!("ФД {fd} was answered, find says {other:?}"),
            }
        }
        assert_ne!(kkt.find(asked.unwrap()).await, Ok(Found::Unknown));
        let numbers: Vec<u32> = kkt.ledger().unwrap().iter().map(|record| record.fd).collect();
        assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>());
        assert_eq!(kkt.doubles().unwrap(), 0);
    }
}
