//! Thousands of tills, few places.

use super::shop::{Attempt, Fate, Shop};
use kkt_adapter::{ports::OfdError, sync::SyncOptions};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const LANES_MAX: usize = 8;
/// Documents of one turn while others wait.
const TURN: usize = 8;

fn options() -> SyncOptions {
    SyncOptions { lanes_max: LANES_MAX, ..SyncOptions::default() }
}

// P5: «fairness over thousands of tills».
#[tokio::test(start_paused = true)]
async fn two_thousand_devices_are_served_in_turn_whatever_one_of_them_has_waiting() {
    let mut shop = Shop::new(options(), |_| Fate::Accepted);
    shop.print("BIG", 300).await;
    for n in 0..2_000 {
        shop.print(&format!("KKT-{n}"), 2).await;
    }
    shop.engine.start();
    shop.until_pending(0).await;

    let attempts = shop.ofd.attempts();
    assert_eq!(attempts.len(), 300 + 4_000, "each document once");
    assert!(shop.ofd.most() <= LANES_MAX, "{} at once", shop.ofd.most());
    let mut next: BTreeMap<&str, u32> = BTreeMap::new();
    for Attempt { device, fd, .. } in &attempts {
        let expected = next.entry(device).or_insert(1);
        assert_eq!(fd, expected, "{device}: ФД order");
        *expected += 1;
    }
    // Nobody gets a second turn before everybody had a first one.
    let first_of_all = attempts.iter().rposition(|one| one.fd == 1).unwrap();
    let big_by_then = attempts[..first_of_all].iter().filter(|one| one.device == "BIG").count();
    assert!(
        (1..=TURN).contains(&big_by_then),
        "BIG was served {big_by_then} times before the last one was served once"
    );
}

// P5: one device's trouble never delays another.
#[tokio::test(start_paused = true)]
async fn a_device_whose_sends_hang_holds_one_place_and_nobody_else() {
    let hours = Duration::from_secs(7_200);
    let mut shop = Shop::new(options(), move |document| match document.device.as_str() {
        "SLOW" => Fate::After(hours),
        _ => Fate::Accepted,
    });
    shop.print("SLOW", 5).await;
    for n in 0..200 {
        shop.print(&format!("KKT-{n}"), 10).await;
    }
    let began = tokio::time::Instant::now();
    shop.engine.start();
    shop.wake("SLOW");
    shop.until_pending(5).await;
    let attempts = shop.ofd.attempts();
    assert_eq!(attempts.iter().filter(|one| one.device == "SLOW").count(), 1, "its first still hangs");
    // 2,000 sends of 10 ms on seven places; as long again for what lies between them.
    let fair = Duration::from_millis(2_000 * 10 / (LANES_MAX as u64 - 1));
    assert!(began.elapsed() < fair * 2, "{:?} for what takes {fair:?}", began.elapsed());
}

// P7: «bounded memory whatever the backlog».
#[tokio::test(start_paused = true)]
async fn only_lanes_that_send_hold_documents_and_a_page_of_them_at_most() {
    let mut shop = Shop::new(options(), |_| Fate::After(Duration::from_secs(7_200)));
    for n in 0..100 {
        shop.print(&format!("KKT-{n}"), 300).await;
    }
    shop.engine.start();
    while shop.ofd.attempts().len() < LANES_MAX {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Long enough for the safety net to have woken every lane more than once; all sends still hang.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = shop.pages.asked();
    let pages: Vec<_> = asked.iter().filter(|limit| **limit > 1).collect();
    assert_eq!(pages.len(), LANES_MAX, "a page for each lane that sends, none for the 92 that wait");
    assert!(pages.iter().all(|limit| **limit <= 64), "{pages:?} of 300 that wait on each device");
    assert_eq!(shop.ofd.attempts().len(), LANES_MAX);
}

/// The largest document that the form allows comes to about so many bytes of the OFD's protocol.
const LARGEST: usize = 80 * 1_024;

// P7: «bounded memory», whatever the documents are like.
#[tokio::test(start_paused = true)]
async fn a_page_of_the_largest_documents_is_short_and_all_of_them_are_sent() {
    let mut shop = Shop::new(options(), |_| Fate::Accepted);
    shop.print_long("BIG", 40, LARGEST).await;
    shop.engine.start();
    shop.until_pending(0).await;
    assert_eq!(shop.ofd.attempts().len(), 40);
    let most = 128 * 1_024 + LARGEST;
    assert!(shop.pages.biggest() <= most, "{} bytes in one page", shop.pages.biggest());
}

// P5
#[tokio::test(start_paused = true)]
async fn a_device_whose_send_failed_once_has_its_turn_as_if_it_had_not() {
    for failure in [
        OfdError::Unavailable { reason: "one lost connection".into(), retry_after: None },
        OfdError::Rejected { code: "14".into(), reason: "format".into() },
    ] {
        let failed = AtomicBool::new(false);
        let options = SyncOptions { retry_after: Duration::from_millis(100), ..options() };
        let mut shop = Shop::new(options, move |document| {
            let is_unlucky = document.device.as_str() == "UNLUCKY" && !failed.swap(true, Ordering::SeqCst);
            if is_unlucky { Fate::Fails(failure.clone()) } else { Fate::Accepted }
        });
        shop.print("UNLUCKY", 3).await;
        for n in 0..40 {
            shop.print(&format!("KKT-{n}"), 40).await;
        }
        shop.engine.start();
        shop.until_pending(0).await;
        let attempts = shop.ofd.attempts();
        let of_it: Vec<usize> = (0..attempts.len()).filter(|n| attempts[*n].device == "UNLUCKY").collect();
        // A round is a turn of each: its first one, a part of one while it pauses, and the one in which it sends the rest.
        let others = attempts[..*of_it.last().unwrap()].iter().filter(|one| one.device == "KKT-0").count();
        assert!(others <= 3 * TURN, "it waited while KKT-0 sent {others} of its 40");
    }
}
