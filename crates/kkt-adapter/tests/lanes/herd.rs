//! Many adapters at one OFD.

use super::shop::{Fate, Shop};
use kkt_adapter::{ports::OfdError, sync::SyncOptions};
use std::{collections::BTreeSet, time::Duration};

/// When a shop comes back that was told to stay away for five minutes.
async fn comes_back(seed: u64) -> Duration {
    let asked = Duration::from_secs(300);
    let mut shop = Shop::new(SyncOptions { seed, ..SyncOptions::default() }, move |_| {
        let (reason, retry_after) = ("HTTP 429".into(), Some(asked));
        Fate::Fails(OfdError::Unavailable { reason, retry_after })
    });
    shop.print("KKT-0", 1).await;
    shop.engine.start();
    tokio::time::sleep(asked + asked / 5).await;
    let attempts = shop.ofd.attempts();
    shop.engine.stop(Duration::ZERO).await;
    let pause = attempts[1].at - attempts[0].at;
    assert!((asked..=asked + asked / 10 + Duration::from_secs(1)).contains(&pause), "{pause:?}");
    pause
}

#[tokio::test(start_paused = true)]
async fn shops_that_the_ofd_told_to_stay_away_do_not_come_back_all_at_once_and_none_too_early() {
    let mut instants = BTreeSet::new();
    for seed in 0..50 {
        instants.insert(comes_back(seed).await.as_secs());
    }
    assert!(instants.len() > 15, "50 shops come back in {} different seconds", instants.len());
    assert_eq!(comes_back(7).await, comes_back(7).await, "the same seed repeats");
}
