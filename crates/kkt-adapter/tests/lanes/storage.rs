//! A buffer that cannot write, or not yet.

use super::shop::{Fate, Shop};
use kkt_adapter::sync::SyncOptions;
use std::{sync::atomic::Ordering, time::Duration};

// P3: a document may be sent more than once, but not for ever.
#[tokio::test(start_paused = true)]
async fn while_the_buffer_refuses_what_was_sent_nothing_more_is_sent_and_nothing_again() {
    let mut shop = Shop::new(SyncOptions::default(), |_| Fate::Accepted);
    shop.pages.refuse_settles.store(100, Ordering::SeqCst);
    shop.print("KKT-0", 70).await;
    shop.engine.start();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(shop.pending().await, 70);
    let sent = shop.ofd.attempts().len();
    assert!(sent <= 64, "{sent} sends, no more than one page may be at risk");
    assert_eq!(shop.told.settled(), 0, "nobody is told of what is not durable");
    shop.until_pending(0).await;
    assert_eq!(shop.ofd.attempts().len(), 70, "each was sent once");
    assert_eq!(shop.told.settled(), 70);
}

// P3
#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_the_storage_has_failed() {
    let mut shop = Shop::new(SyncOptions::default(), |_| Fate::Accepted);
    shop.print("KKT-0", 70).await;
    shop.buffer.fail("EIO");
    shop.engine.start();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(shop.ofd.attempts().len(), 0);
}

// P3, P11: what the OFD has confirmed is not sent again after a stop in good order.
#[tokio::test(start_paused = true)]
async fn a_stop_while_a_send_hangs_keeps_what_the_sends_before_it_did() {
    let mut shop = Shop::new(SyncOptions::default(), |document| match document.fd {
        3 => Fate::After(Duration::from_secs(3_600)),
        _ => Fate::Accepted,
    });
    shop.print("KKT-0", 5).await;
    shop.engine.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = tokio::time::Instant::now();
    shop.engine.stop(Duration::from_secs(2)).await;
    assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((shop.ofd.attempts().len(), shop.pending().await), (3, 3));
}

// P3, P11
#[tokio::test(start_paused = true)]
async fn what_the_buffer_refuses_after_a_stop_has_cut_the_wait_for_it_is_handed_to_it_again() {
    let mut shop = Shop::new(SyncOptions::default(), |_| Fate::Accepted);
    shop.pages.refuse_settles.store(1, Ordering::SeqCst);
    *shop.pages.refusals_take.lock().unwrap() = Duration::from_secs(1);
    shop.print("KKT-0", 3).await;
    shop.engine.start();
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!((shop.ofd.attempts().len(), shop.pending().await), (3, 3), "the buffer has not answered yet");
    shop.engine.stop(Duration::ZERO).await;
    assert_eq!((shop.pending().await, shop.told.settled()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_lane_is_over_once_the_buffer_answers_again() {
    let mut shop = Shop::new(SyncOptions::default(), |_| Fate::Accepted);
    shop.pages.refuse_settles.store(1, Ordering::SeqCst);
    shop.print("KKT-0", 3).await;
    shop.engine.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let error = || shop.engine.lane_views().remove(0).last_error;
    assert!(error().is_some_and(|error| error.contains("the disk is full")), "{:?}", error());
    shop.until_pending(0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((error(), shop.ofd.attempts().len()), (None, 3));
}
