//! People: what they free is tried at once, and a forced sync says what it did.

use super::shop::{Fate, Shop};
use circuit_breaker::State;
use kkt_adapter::{
    domain::entry::{Actor, Change},
    ports::{BreakerCommand, BreakerControl, Buffer, ListFilter, OfdError, SyncControl},
    sync::SyncOptions,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

fn olga() -> Actor {
    Actor("olga".into())
}

/// An OFD that fails, in this way, until it is mended.
fn shop_with(error: OfdError) -> (Shop, Arc<AtomicBool>) {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = mended.clone();
    let shop = Shop::new(SyncOptions::default(), move |_| {
        if is_mended.load(Ordering::SeqCst) { Fate::Accepted } else { Fate::Fails(error.clone()) }
    });
    (shop, mended)
}

fn busy(seconds: u64) -> OfdError {
    OfdError::Unavailable { reason: "HTTP 429".into(), retry_after: Some(Duration::from_secs(seconds)) }
}

async fn command(shop: &Shop, key: &str, command: BreakerCommand) {
    shop.breakers.command(key, command, olga(), "seen to".into()).await.unwrap();
}

async fn soon() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_breaker_a_person_resets_sends_at_once() {
    for by in [BreakerCommand::Reset, BreakerCommand::ForceClosed] {
        let (mut shop, mended) = shop_with(OfdError::Unauthorised("HTTP 401".into()));
        shop.print("KKT-0", 3).await;
        shop.engine.start();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(shop.breakers.breaker("device:KKT-0").unwrap().snapshot.state, State::Open);
        mended.store(true, Ordering::SeqCst);
        command(&shop, "device:KKT-0", by).await;
        soon().await;
        assert_eq!(shop.pending().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_forced_open_for_some_time_sends_when_that_is_over_or_when_it_is_released() {
    let (mut shop, mended) = shop_with(OfdError::Unauthorised("HTTP 401".into()));
    shop.print("KKT-0", 3).await;
    shop.engine.start();
    soon().await;
    mended.store(true, Ordering::SeqCst);
    let minutes = Duration::from_secs(300);
    command(&shop, "device:KKT-0", BreakerCommand::ForceOpen { for_how_long: Some(minutes) }).await;
    tokio::time::sleep(minutes - Duration::from_secs(1)).await;
    assert_eq!(shop.pending().await, 3);
    tokio::time::sleep(Duration::from_secs(1)).await;
    soon().await;
    assert_eq!(shop.pending().await, 0);

    command(&shop, "device:KKT-0", BreakerCommand::ForceOpen { for_how_long: None }).await;
    shop.print("KKT-0", 3).await;
    shop.wake("KKT-0");
    tokio::time::sleep(minutes).await;
    assert_eq!(shop.pending().await, 3);
    command(&shop, "device:KKT-0", BreakerCommand::Release).await;
    soon().await;
    assert_eq!(shop.pending().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_later_command_is_not_undone_when_the_time_of_an_earlier_one_is_over() {
    let shop = Shop::new(SyncOptions::default(), |_| Fate::Accepted);
    let minute = Duration::from_secs(60);
    command(&shop, "ofd", BreakerCommand::ForceOpen { for_how_long: Some(minute) }).await;
    tokio::time::sleep(minute / 2).await;
    command(&shop, "ofd", BreakerCommand::ForceOpen { for_how_long: None }).await;
    tokio::time::sleep(minute).await;
    assert_eq!(shop.breakers.endpoint().snapshot.state, State::ForcedOpen);
}

// A command by a person is stronger than the pause that the OFD asked for; nothing else is.
#[tokio::test(start_paused = true)]
async fn who_resets_the_breaker_of_the_ofd_has_it_tried_at_once_although_the_ofd_asked_for_a_pause() {
    let (mut shop, mended) = shop_with(busy(200));
    shop.print("KKT-0", 3).await;
    shop.engine.start();
    soon().await;
    mended.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(shop.ofd.attempts().len(), 1);
    command(&shop, "ofd", BreakerCommand::ForceOpen { for_how_long: Some(Duration::from_secs(1)) }).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(shop.ofd.attempts().len(), 1, "nobody has decided that the pause is over");
    command(&shop, "ofd", BreakerCommand::Reset).await;
    soon().await;
    assert_eq!(shop.pending().await, 0);
}

// P2
#[tokio::test(start_paused = true)]
async fn a_document_that_a_person_sets_aside_leaves_no_pause_behind() {
    let options = SyncOptions { backoff_initial: Duration::from_secs(300), ..SyncOptions::default() };
    let mut shop = Shop::new(options, |document| match (document.device.as_str(), document.fd) {
        ("KKT-0", 2) => Fate::Fails(OfdError::Ambiguous("cut".into())),
        _ => Fate::Accepted,
    });
    shop.print("KKT-0", 3).await;
    shop.engine.start();
    soon().await;
    // It fails a second time, although the OFD took another: from now on it is held back for minutes.
    shop.print("KKT-1", 1).await;
    shop.wake("KKT-1");
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (device, sent) = ("KKT-0".parse().unwrap(), shop.ofd.attempts().len());
    assert_eq!((shop.pending().await, sent), (2, 4));
    let head = shop.engine.head(&device).unwrap();
    shop.buffer.apply(head.id, Change::Park { by: olga(), why: "unreadable".into() }).await.unwrap();
    shop.engine.parked(&device, head.id);
    soon().await;
    assert_eq!(shop.pending().await, 0);
}

// A buffer that takes nothing must not keep a person from leaving the OFD alone.
#[tokio::test(start_paused = true)]
async fn a_breaker_is_commanded_although_the_audit_cannot_be_written() {
    let shop = Shop::new(SyncOptions::default(), |_| Fate::Accepted);
    shop.buffer.fail("EIO");
    command(&shop, "ofd", BreakerCommand::ForceOpen { for_how_long: None }).await;
    assert_eq!(shop.breakers.endpoint().snapshot.state, State::ForcedOpen);
}

#[tokio::test(start_paused = true)]
async fn a_forced_sync_while_the_ofd_wants_a_pause_ends_at_once_and_says_so() {
    let (mut shop, _) = shop_with(busy(300));
    shop.print("KKT-0", 3).await;
    shop.engine.start();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let report = shop.engine.sync_now().await.unwrap();
    assert_eq!((report.synced, report.skipped), (0, 3));
    assert!(report.duration < Duration::from_secs(1), "{report:?}");
    assert!(report.message.contains("pause"), "{report:?}");
    assert_eq!(shop.ofd.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forced_sync_reports_what_lanes_delivered_that_had_nothing_to_do_before() {
    let mut shop = Shop::new(SyncOptions::default(), |_| Fate::Accepted);
    shop.engine.start();
    for device in ["KKT-0", "KKT-1"] {
        shop.print(device, 1).await;
    }
    shop.until_pending(0).await;
    for device in ["KKT-0", "KKT-1"] {
        shop.print(device, 3).await;
    }
    let report = shop.engine.sync_now().await.unwrap();
    assert_eq!((report.synced, report.failed, report.skipped), (6, 0, 0));
    let all = shop.buffer.list(ListFilter { limit: 100, ..ListFilter::default() }).await.unwrap();
    assert_eq!(all.entries.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn of_a_document_that_was_set_aside_while_it_was_sent_nobody_hears_that_it_was_delivered() {
    let mut shop = Shop::new(SyncOptions::default(), |_| Fate::After(Duration::from_secs(5)));
    shop.print("KKT-0", 2).await;
    shop.engine.start();
    soon().await;
    let all =
        shop.buffer.list(ListFilter { ascending: true, limit: 1, ..ListFilter::default() }).await.unwrap();
    let first = all.entries[0].id;
    shop.buffer.apply(first, Change::Park { by: olga(), why: "unreadable".into() }).await.unwrap();
    shop.engine.parked(&"KKT-0".parse().unwrap(), first);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!((shop.pending().await, shop.told.settled()), (0, 1), "the other was delivered");
}
