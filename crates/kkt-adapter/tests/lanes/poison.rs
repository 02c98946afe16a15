//! A document that cannot be delivered: whatever the reason, the others are held up by one send at most.

use super::shop::{Attempt, Fate, SEND, Shop, hush};
use jiff::Timestamp;
use kkt_adapter::{
    domain::lifecycle::State,
    ports::{Buffer, ListFilter, OfdError},
    sync::SyncOptions,
    telemetry::{Metrics, Read, scrape},
};
use prometheus::TextEncoder;
use std::time::Duration;

const POISONED: (&str, u32) = ("KKT-0", 2);

fn garbage() -> Fate {
    Fate::Fails(OfdError::Ambiguous("HTTP 200: the answer is not a JSON object".into()))
}

/// One place, so whatever one waits for, all wait for.
fn options() -> SyncOptions {
    SyncOptions {
        lanes_max: 1,
        attempts_max: 5,
        retry_after: Duration::from_millis(20),
        backoff_initial: Duration::from_millis(20),
        backoff_max: Duration::from_millis(20),
        ..SyncOptions::default()
    }
}

fn shop(fate: fn() -> Fate) -> Shop {
    Shop::new(options(), move |document| {
        if (document.device.as_str(), document.fd) == POISONED { fate() } else { Fate::Accepted }
    })
}

fn is_poisoned(one: &Attempt) -> bool {
    (one.device.as_str(), one.fd) == POISONED
}

async fn a_person_sees_it(shop: &Shop) {
    let filter = ListFilter { state: Some(State::Dead), limit: 10, ..ListFilter::default() };
    let dead = shop.buffer.list(filter).await.unwrap().entries;
    assert_eq!(dead.len(), 1);
    let fd = dead[0].fiscal.as_ref().unwrap().fiscal_doc_number;
    assert_eq!((dead[0].device.as_str(), fd), POISONED);
    assert!(dead[0].last_error.is_some());
}

// P2, P5: «poison receipt», permanent rejection.
#[tokio::test(start_paused = true)]
async fn a_document_refused_for_good_costs_one_send() {
    let mut shop = shop(|| Fate::Fails(OfdError::Rejected { code: "14".into(), reason: "format".into() }));
    for n in 0..10 {
        shop.print(&format!("KKT-{n}"), 10).await;
    }
    shop.engine.start();
    shop.until_pending(0).await;
    let attempts = shop.ofd.attempts();
    assert_eq!(attempts.len(), 100);
    assert_eq!(attempts.iter().filter(|one| is_poisoned(one)).count(), 1);
    a_person_sees_it(&shop).await;
}

/// Three other tills sell in rounds; each round is as long as their sends and one more take.
async fn delays_others_by_one_send(fate: fn() -> Fate) {
    let mut shop = shop(fate);
    shop.print(POISONED.0, 3).await;
    shop.engine.start();
    shop.until_pending(2).await;
    let others = ["KKT-1", "KKT-2", "KKT-3"];
    let mut rounds = 0;
    while shop.pending().await > 0 {
        rounds += 1;
        assert!(rounds < 100, "{:?}", shop.ofd.attempts());
        for device in others {
            shop.print(device, 1).await;
            shop.wake(device);
        }
        tokio::time::sleep(SEND * (others.len() as u32 + 1) + SEND / 2).await;
        let waiting = shop.buffer.stats().await.unwrap().per_pos;
        for device in others {
            let counts = waiting[&device.parse().unwrap()];
            assert_eq!(counts.pending, 0, "{device} was delayed by more than one send in round {rounds}");
        }
    }
    let attempts = shop.ofd.attempts();
    let tries = attempts.iter().filter(|one| is_poisoned(one)).count();
    assert_eq!(tries, 6, "one that might have been the OFD's fault, and max_attempts that were not");
    a_person_sees_it(&shop).await;
    let own: Vec<u32> = attempts.iter().filter(|one| one.device == POISONED.0).map(|one| one.fd).collect();
    assert_eq!(own, [1, 2, 2, 2, 2, 2, 2, 3], "its own lane goes on behind it, in order");
}

// P2, P5: «poison receipt», garbage answer.
#[tokio::test(start_paused = true)]
async fn a_document_that_is_always_answered_with_garbage_delays_others_by_one_send() {
    delays_others_by_one_send(garbage).await;
}

// P2: none is stuck without an alarm, however many devices there are.
#[tokio::test(start_paused = true)]
async fn the_alarm_of_a_stuck_lane_does_not_end_after_a_thousand_lanes() {
    const LAST: &str = "KKT-9999";
    let mut shop = Shop::new(SyncOptions::default(), |document| match document.device.as_str() {
        LAST => Fate::Fails(OfdError::Ambiguous("HTTP 500".into())),
        _ => Fate::Accepted,
    });
    for n in 0..1_000 {
        shop.print(&format!("KKT-{n:04}"), 1).await;
    }
    shop.print(LAST, 1).await;
    shop.engine.start();
    shop.until_pending(1).await;
    tokio::time::sleep(Duration::from_secs(900)).await;
    let lanes = shop.engine.lane_views();
    assert_eq!(lanes.len(), 1_001);
    let metrics = Metrics::new();
    let (stats, store) = (shop.buffer.stats().await.unwrap(), shop.buffer.health());
    let read =
        Read { breakers: &[], devices: &[], lanes: &lanes, store: &store, started: Timestamp::UNIX_EPOCH };
    let page = TextEncoder::new().encode_to_string(&scrape(&metrics, &stats, &read, Timestamp::UNIX_EPOCH));
    let page = page.unwrap();
    let stuck: Vec<_> =
        page.lines().filter(|line| line.starts_with("kkt_lane_stuck{") && line.ends_with(" 1")).collect();
    assert_eq!(stuck, [r#"kkt_lane_stuck{device="other"} 1"#]);
}

// P2, P5: «poison receipt», worker panic.
#[tokio::test(start_paused = true)]
async fn a_document_whose_sending_panics_delays_others_by_one_send() {
    hush("a defect of the client");
    delays_others_by_one_send(|| Fate::Panics).await;
}

// P5: the OFD asks for a pause, but takes all others meanwhile.
#[tokio::test(start_paused = true)]
async fn a_document_that_is_always_answered_with_a_retry_after_holds_up_its_own_lane_only() {
    let asked = Duration::from_secs(300);
    let mut shop = shop(|| {
        let retry_after = Some(Duration::from_secs(300));
        Fate::Fails(OfdError::Unavailable { reason: "HTTP 503".into(), retry_after })
    });
    shop.print(POISONED.0, 3).await;
    shop.engine.start();
    shop.until_pending(2).await;
    // The first time it may be the OFD: everybody waits.
    tokio::time::sleep(asked * 2).await;
    for round in 0..60 {
        shop.print("KKT-1", 1).await;
        shop.wake("KKT-1");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let waiting = shop.buffer.stats().await.unwrap().per_pos;
        let pending = waiting[&"KKT-1".parse().unwrap()].pending;
        // It may be the OFD once more: nothing else was sent since.
        assert!(round < 11 || pending == 0, "KKT-1 waits in round {round}");
    }
    shop.until_pending(0).await;
    let own = shop.ofd.attempts();
    let own: Vec<_> = own.iter().filter(|one| is_poisoned(one)).map(|one| one.at).collect();
    assert!(own.windows(2).all(|two| two[1] - two[0] >= asked), "the OFD's pause is kept: {own:?}");
    a_person_sees_it(&shop).await;
}
