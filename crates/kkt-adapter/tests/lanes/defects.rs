//! Defects of the program: what dies is made anew, or said to have died.

use super::shop::{Fate, Shop, WANTED_PANIC, hush};
use kkt_adapter::{ports::SyncControl, sync::SyncOptions};
use std::{sync::atomic::Ordering, time::Duration};

// P2, P5
#[tokio::test(start_paused = true)]
async fn a_lane_that_dies_is_made_anew_and_its_place_is_given_to_others_at_once() {
    hush(WANTED_PANIC);
    let mut shop = Shop::new(SyncOptions { lanes_max: 1, ..SyncOptions::default() }, |_| Fate::Accepted);
    shop.pages.panicking_pages.store(1, Ordering::SeqCst);
    for device in ["KKT-0", "KKT-1", "KKT-2"] {
        shop.print(device, 3).await;
    }
    shop.engine.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(shop.pending().await, 3, "the others were delivered");
    let stuck = shop.engine.stuck();
    assert_eq!((stuck.len(), stuck[0].device.as_str(), stuck[0].state), (1, "KKT-0", "failed"));
    let why = stuck[0].last_error.as_deref().unwrap();
    assert!(why.contains(WANTED_PANIC), "{why}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(shop.pending().await, 0, "it was made anew");
    assert!(shop.engine.stuck().is_empty());
}

// P3
#[tokio::test(start_paused = true)]
async fn what_a_lane_had_sent_when_it_died_is_not_sent_again() {
    hush(WANTED_PANIC);
    let mut shop = Shop::new(SyncOptions::default(), |_| Fate::Accepted);
    shop.pages.panicking_settles.store(1, Ordering::SeqCst);
    shop.print("KKT-0", 3).await;
    shop.engine.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((shop.pending().await, shop.engine.stuck().len()), (3, 1));
    shop.until_pending(0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((shop.ofd.attempts().len(), shop.told.settled()), (3, 3));
    assert_eq!(shop.engine.lane_views()[0].last_error, None, "it was made anew and is well");
}

// P2: the process is to be started anew, and says so.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_task_without_which_nothing_is_sent_is_noticed() {
    hush(WANTED_PANIC);
    let shop = Shop::new(SyncOptions::default(), |_| Fate::Accepted);
    shop.engine.start();
    let minute = Duration::from_secs(60);
    assert!(tokio::time::timeout(minute, shop.engine.ended()).await.is_err(), "all is well");
    shop.pages.panicking_net.store(true, Ordering::SeqCst);
    let ended = tokio::time::timeout(minute, shop.engine.ended()).await;
    assert_eq!(ended, Ok("sync interval"));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_can_have_no_lane_needs_a_person() {
    let shop = Shop::new(SyncOptions::default(), |_| Fate::Accepted);
    shop.engine.start();
    for n in 0..10_000 {
        shop.wake(&format!("KKT-{n}"));
    }
    assert!(shop.engine.stuck().is_empty());
    shop.wake("ONE-TOO-MANY");
    let stuck = shop.engine.stuck();
    assert_eq!((stuck.len(), stuck[0].device.as_str()), (1, "ONE-TOO-MANY"));
    assert!(stuck[0].last_error.as_deref().unwrap().contains("10000"), "{stuck:?}");
}
