//! The process ends at any instant: the till's retry under the same key gets the same document.

use super::shop::{POS, Shop, options, receipt, rouble};
use kkt_adapter::{
    domain::lifecycle::State,
    kkt::virtual_kkt::{Fault, Faults},
    ports::{SaleStatus, Till},
};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

/// Not a test: the shop as a process of its own, which sells `KKT_TEST_KEYS` and says what it was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the crash tests"]
async fn child_sells() {
    let Some(folder) = std::env::var_os("KKT_TEST_FOLDER") else { return };
    let from: u32 = std::env::var("KKT_TEST_FROM").unwrap().parse().unwrap();
    let count: u32 = std::env::var("KKT_TEST_COUNT").unwrap().parse().unwrap();
    let shop = Shop::open(Path::new(&folder)).await;
    let sales: Vec<_> = (from..from + count)
        .map(|number| {
            let till = shop.till.clone();
            tokio::spawn(async move {
                let pos = format!("POS-00{}", number % 2 + 1);
                let receipt = receipt(&pos, i64::from(number) + 1);
                let sale = till
                    .sell(
                        format!("key-{number}").parse().unwrap(),
                        receipt,
                        Vec::new(),
                        "request-1".parse().unwrap(),
                    )
                    .await;
                let sale = sale.unwrap();
                let fd = sale.fiscal.map_or(0, |fiscal| fiscal.fiscal_doc_number);
                println!("\nanswered {number} {fd}");
            })
        })
        .collect();
    for sale in sales {
        sale.await.unwrap();
    }
}

fn child(folder: &Path, from: u32, count: u32) -> (Child, std::io::Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "crashes::child_sells"])
        .env("KKT_TEST_FOLDER", folder)
        .env("KKT_TEST_FROM", from.to_string())
        .env("KKT_TEST_COUNT", count.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// Lets the child sell one receipt with a fault in the file; the child must crash.
async fn crash(folder: &Path, fault: &str) {
    let state = folder.join("virtual-kkt").join(POS);
    let shop = Shop::open(folder).await;
    shop.printed("before", receipt(POS, 1)).await;
    shop.close().await;
    std::fs::write(state.join("faults.toml"), format!("{fault} = 1")).unwrap();
    let (mut child, lines) = child(folder, 0, 1);
    assert_eq!(lines.map_while(Result::ok).filter(|line| line.starts_with("answered")).count(), 0);
    assert!(!child.wait().unwrap().success());
}

#[tokio::test]
async fn a_crash_after_the_print_and_the_same_key_again_give_the_same_document() {
    // P4
    let folder = tempfile::tempdir().unwrap();
    crash(folder.path(), "crash_after_print").await;
    let shop = Shop::open(folder.path()).await;
    assert_eq!((shop.recovered.printing, shop.recovered.unsettled), (1, 0));
    let made = shop.receipts(POS);
    assert_eq!(made.len(), 2);
    let sale = shop.sell("key-0", receipt(POS, 1)).await.unwrap();
    assert_eq!((sale.status, sale.replayed, sale.id), (SaleStatus::Printed, true, made[1]));
    assert_eq!(sale.fiscal.unwrap().fiscal_doc_number, 3);
    assert_eq!(shop.printed("next", receipt(POS, 2)).await, 4, "numbers go on");
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn a_crash_before_the_print_leaves_a_receipt_that_is_printed_once() {
    let folder = tempfile::tempdir().unwrap();
    crash(folder.path(), "crash_before_print").await;
    let shop = Shop::open(folder.path()).await;
    assert_eq!((shop.recovered.printing, shop.receipts(POS).len()), (1, 1));
    shop.until("key-0", State::Printed).await;
    assert!(shop.sell("key-0", receipt(POS, 1)).await.unwrap().replayed);
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn at_the_start_a_device_that_cannot_be_asked_prints_nothing_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    crash(folder.path(), "crash_after_print").await;
    std::fs::write(folder.path().join("virtual-kkt").join(POS).join("faults.toml"), "off = true").unwrap();
    let shop = Shop::open(folder.path()).await;
    assert_eq!((shop.recovered.printing, shop.recovered.unsettled), (1, 1));
    shop.buffered("next", receipt(POS, 2)).await;
    assert_eq!(shop.row("key-0").await.state, State::Printing);
    std::fs::remove_file(folder.path().join("virtual-kkt").join(POS).join("faults.toml")).unwrap();
    shop.until("key-0", State::Printed).await;
    shop.until("next", State::Printed).await;
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn at_the_start_a_device_that_does_not_know_is_blocked() {
    let folder = tempfile::tempdir().unwrap();
    crash(folder.path(), "crash_after_print").await;
    std::fs::write(folder.path().join("virtual-kkt").join(POS).join("faults.toml"), "lose_find = 1").unwrap();
    let shop = Shop::open(folder.path()).await;
    assert_eq!((shop.recovered.printing, shop.recovered.print_unknown), (1, 1));
    assert_eq!(shop.till.devices()[0].blocked_by, Some(shop.row("key-0").await.id));
    assert_eq!(shop.row("key-0").await.state, State::PrintUnknown);
}

#[tokio::test]
async fn a_process_killed_at_any_instant_loses_no_receipt_and_prints_none_twice() {
    // P1, P4
    let folder = tempfile::tempdir().unwrap();
    let mut answered: BTreeMap<u32, u32> = BTreeMap::new();
    let (rounds, count) = (8, 60);
    for round in 0..rounds {
        let (mut child, lines) = child(folder.path(), round * count, count);
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            if let ["answered", number, fd] = line.split(' ').collect::<Vec<_>>()[..] {
                answered.insert(number.parse().unwrap(), fd.parse().unwrap());
                seen += 1;
                if seen == 1 + round * 5 {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
    }
    assert!(answered.len() >= rounds as usize);

    let shop = Shop::open(folder.path()).await;
    for number in 0..rounds * count {
        let receipt = receipt(&format!("POS-00{}", number % 2 + 1), i64::from(number) + 1);
        let key = format!("key-{number}");
        match answered.get(&number) {
            // What was answered as printed is the same document still; what was only taken gets printed.
            Some(fd @ 1..) => assert_eq!(shop.printed(&key, receipt).await, *fd, "{key}"),
            Some(0) => _ = shop.until(&key, State::Printed).await,
            None => _ = shop.printed(&key, receipt).await,
        }
    }
    shop.until_true("all is printed", |shop| shop.till.devices().iter().all(|d| d.unprinted == 0)).await;
    let made = shop.receipts("POS-001").len() + shop.receipts("POS-002").len();
    assert_eq!(made, (rounds * count) as usize);
    for device in ["POS-001", "POS-002"] {
        shop.assert_sound(device).await;
    }
    shop.close().await;
}

#[tokio::test]
async fn the_numbers_go_on_above_the_buffers_when_the_device_lost_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    for key in ["a", "b", "c"] {
        shop.printed(key, rouble()).await;
    }
    shop.close().await;
    std::fs::remove_file(folder.path().join("virtual-kkt").join(POS).join("journal")).unwrap();
    let shop = Shop::open(folder.path()).await;
    // The shift's opening is 5.
    assert_eq!(shop.printed("d", rouble()).await, 6);
    assert!(shop.sell("a", rouble()).await.unwrap().replayed);
}

#[tokio::test]
async fn the_numbers_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for (round, key) in (0..).zip(["a", "b", "c"]) {
        let shop = Shop::open(folder.path()).await;
        assert_eq!(shop.printed(key, rouble()).await, 2 + round);
        shop.close().await;
    }
    let shop = Shop::open(folder.path()).await;
    shop.fault(POS, Faults::none().with(Fault::PaperOut));
    shop.buffered("d", rouble()).await;
    shop.close().await;
    let shop = Shop::closed(folder.path(), options(), 100).await;
    assert_eq!((shop.recovered.buffered, shop.till.devices()[0].unprinted), (1, 1));
    shop.till.start();
    assert_eq!(shop.until("d", State::Printed).await.fiscal.unwrap().fiscal_doc_number, 5);
    shop.assert_sound(POS).await;
}
