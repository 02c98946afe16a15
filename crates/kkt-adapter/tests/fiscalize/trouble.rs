//! The device is in trouble: nothing is lost, nothing printed twice, nobody else held up.

use super::shop::{POS, Shop, options, receipt, rouble};
use kkt_adapter::{
    domain::{entry::Actor, lifecycle::State},
    fiscalize::Options,
    kkt::virtual_kkt::{Fault, Faults, Setting},
    ports::{SaleStatus, Till, TillError},
};
use std::time::{Duration, Instant};

#[tokio::test]
async fn without_paper_receipts_wait_and_with_paper_they_are_printed_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("before", rouble()).await;
    shop.fault(POS, Faults::none().with(Fault::PaperOut));
    let mut order = Vec::new();
    for number in 0..40 {
        order.push(shop.buffered(&format!("key-{number}"), rouble()).await.id);
    }
    let view = &shop.till.devices()[0];
    assert!(view.trouble.as_deref().unwrap().contains("out of paper"), "{view:?}");
    assert_eq!((view.unprinted, view.blocked_by), (40, None));
    shop.fault(POS, Faults::none());
    shop.until("key-39", State::Printed).await;
    assert_eq!(shop.receipts(POS)[1..], order);
    shop.until_true("the trouble is over", |shop| shop.till.devices()[0].trouble.is_none()).await;
    shop.until_true("nothing waits", |shop| shop.till.devices()[0].unprinted == 0).await;
    shop.assert_sound(POS).await;
    shop.close().await;
}

#[tokio::test]
async fn a_sale_that_prints_brings_the_waiting_ones_at_once_whatever_the_pause() {
    let folder = tempfile::tempdir().unwrap();
    let hour = Duration::from_secs(3600);
    let patient = Options { retry_first: hour, retry_max: hour, tick: hour, ..options() };
    let shop = Shop::open_with(folder.path(), patient, 100).await;
    shop.fault(POS, Faults::none().times(Fault::PaperOut, 1));
    shop.buffered("a", rouble()).await;
    shop.printed("b", rouble()).await;
    shop.until("a", State::Printed).await;
    shop.assert_sound(POS).await;
}

// A failure doubles the pause once, whether a receipt or its shift is refused.
#[tokio::test(start_paused = true)]
async fn a_device_in_trouble_is_tried_again_after_one_two_four_and_eight_seconds() {
    let patient = Options {
        retry_first: Duration::from_secs(1),
        retry_max: Duration::from_secs(3_600),
        tick: Duration::from_millis(100),
        ..options()
    };
    for warm in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (shop, _) = Shop::in_memory_with(folder.path(), patient.clone()).await;
        if warm {
            shop.printed("before", rouble()).await;
        }
        shop.fault(POS, Faults::none().with(Fault::PaperOut));
        let tries = async || {
            let lines = shop.buffer.audit(None, 1_000).await.unwrap();
            lines.iter().filter(|line| line.action == "not_printed").count()
        };
        let before = tries().await;
        shop.buffered("a", rouble()).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        // At once, and 1, 3, 7 and 15 s later; what does not get as far as the receipt is written of its shift.
        let made = tries().await - before;
        assert_eq!(made, if warm { 5 } else { 6 }, "warm: {warm}");
    }
}

#[tokio::test]
async fn a_device_that_hangs_costs_a_receipt_its_time_out_and_no_second_printout() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("before", rouble()).await;
    shop.fault(POS, Faults::none().times(Fault::Hang, 1));
    let started = Instant::now();
    let sale = shop.buffered("a", rouble()).await;
    assert!(sale.message.contains("не ответила"), "{}", sale.message);
    // Far below the 30 s that a till waits; the bound itself is the sum of the two time-outs.
    assert!(started.elapsed() < Duration::from_secs(10));
    shop.until("a", State::Printed).await;
    assert_eq!(shop.receipts(POS).len(), 2);
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn a_device_that_printed_and_did_not_answer_is_asked_and_believed() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("before", rouble()).await;
    shop.fault(POS, Faults::none().times(Fault::HangAfterPrint, 1));
    assert_eq!(shop.printed("a", rouble()).await, 3);
    // The same for the opening of the shift, on a device of its own.
    shop.fault("POS-002", Faults::none().times(Fault::HangAfterPrint, 2));
    assert_eq!(shop.printed("b", receipt("POS-002", 100)).await, 2);
    shop.assert_sound(POS).await;
    shop.assert_sound("POS-002").await;
}

#[tokio::test]
async fn a_document_in_doubt_stays_in_doubt_until_the_device_can_be_asked() {
    // Once with the shift open, once with everything still to be done before the receipt.
    for warm in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::open(folder.path()).await;
        if warm {
            shop.printed("before", rouble()).await;
        } else {
            shop.till.open_shift(POS.parse().unwrap()).await.unwrap();
            shop.till.shift(POS.parse().unwrap()).await.unwrap();
        }
        // It prints, does not answer, and cannot be asked.
        shop.fault(POS, Faults::none().with(Fault::HangAfterPrint));
        let till = shop.till.clone();
        let sale = tokio::spawn(async move {
            till.sell("a".parse().unwrap(), rouble(), Vec::new(), "request-1".parse().unwrap()).await.unwrap()
        });
        let made = usize::from(warm) + 1;
        shop.until_true("the document is made", |shop| shop.receipts(POS).len() == made).await;
        shop.fault(POS, Faults::none().with(Fault::Off));
        assert_eq!(sale.await.unwrap().status, SaleStatus::Buffered);
        assert_eq!(shop.row("a").await.state, State::Printing);
        shop.buffered("b", rouble()).await;
        assert_eq!(shop.buffered("a", rouble()).await.status, SaleStatus::Buffered);
        assert_eq!(shop.row("a").await.state, State::Printing);
        assert_eq!(shop.receipts(POS).len(), made);

        shop.fault(POS, Faults::none());
        shop.until("a", State::Printed).await;
        shop.until("b", State::Printed).await;
        assert!(shop.sell("a", rouble()).await.unwrap().replayed);
        assert_eq!(shop.receipts(POS).len(), made + 1);
        shop.assert_sound(POS).await;
    }
}

#[tokio::test]
async fn a_receipt_that_waits_too_long_for_its_turn_is_buffered_and_printed_later() {
    let folder = tempfile::tempdir().unwrap();
    let slow = Options { find_timeout: Duration::from_secs(2), ..options() };
    let shop = Shop::open_with(folder.path(), slow, 1_000).await;
    shop.printed("before", rouble()).await;
    // `find` hangs as well, so the lock is held far longer than the others wait.
    shop.fault(POS, Faults::none().times(Fault::Hang, 2));
    let till = shop.till.clone();
    let first = tokio::spawn(async move {
        till.sell("a".parse().unwrap(), rouble(), Vec::new(), "request-1".parse().unwrap()).await.unwrap()
    });
    shop.until("a", State::Printing).await;
    let second = shop.buffered("b", rouble()).await;
    assert!(second.message.contains("занята") && second.message.contains("busy"), "{}", second.message);
    assert_eq!(first.await.unwrap().status, SaleStatus::Buffered);
    for key in ["a", "b"] {
        shop.until(key, State::Printed).await;
    }
    assert_eq!(shop.receipts(POS).len(), 3);
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn a_device_that_hangs_for_ever_holds_up_no_other() {
    // P5
    let folder = tempfile::tempdir().unwrap();
    let slow = Options { print_timeout: Duration::from_secs(30), ..options() };
    let shop = Shop::open_with(folder.path(), slow, 1_000).await;
    shop.printed("before", rouble()).await;
    shop.fault(POS, Faults::none().with(Fault::Hang));
    let till = shop.till.clone();
    let hangs = tokio::spawn(async move {
        till.sell("a".parse().unwrap(), rouble(), Vec::new(), "request-1".parse().unwrap()).await
    });
    shop.until("a", State::Printing).await;
    shop.fault("POS-002", Faults::none().times(Fault::PaperOut, 3));
    for number in 0..20 {
        let sale = shop.sell(&format!("key-{number}"), receipt("POS-002", 100)).await.unwrap();
        assert!(number < 3 || sale.status == SaleStatus::Printed);
    }
    for number in 0..3 {
        shop.until(&format!("key-{number}"), State::Printed).await;
    }
    assert!(!hangs.is_finished());
    assert_eq!(shop.receipts("POS-002").len(), 20);
    shop.assert_sound("POS-002").await;
}

#[tokio::test]
async fn a_device_that_cannot_be_opened_loses_no_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("virtual-kkt").join(POS);
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("device.toml"), "nonsense").unwrap();
    let shop = Shop::open(folder.path()).await;
    let sale = shop.buffered("a", rouble()).await;
    assert!(sale.message.contains("device.toml"), "{}", sale.message);
    shop.printed("b", receipt("POS-002", 100)).await;
    std::fs::remove_file(state.join("device.toml")).unwrap();
    shop.until("a", State::Printed).await;
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn a_device_that_nothing_waits_for_is_well_once_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("before", rouble()).await;
    shop.fault(POS, Faults::none().with(Fault::Off));
    let id = shop.buffered("a", rouble()).await.id;
    assert!(shop.till.devices()[0].trouble.is_some());
    loop {
        // The background may be trying to print it at this moment.
        match shop.till.cancel(id, Actor("anna".into()), "the buyer left".into()).await {
            Err(TillError::State { state: State::Printing, .. }) => {}
            cancelled => {
                cancelled.unwrap();
                break;
            }
        }
    }
    shop.fault(POS, Faults::none());
    let is_well = |shop: &Shop| shop.till.devices()[0].trouble.is_none();
    shop.until_true("it answers again", is_well).await;
    shop.close().await;

    // Off at the start, when the background looks at it for the first time.
    let off = folder.path().join("virtual-kkt").join(POS).join("faults.toml");
    std::fs::write(&off, "off = true").unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.until_true("it is off", |shop| shop.till.devices()[0].trouble.is_some()).await;
    std::fs::remove_file(off).unwrap();
    shop.until_true("it answers again", is_well).await;
}

#[tokio::test]
async fn the_stop_takes_no_new_work_and_finishes_what_is_being_printed() {
    // P11
    let folder = tempfile::tempdir().unwrap();
    let slow = Options { print_timeout: Duration::from_secs(20), ..options() };
    let shop = Shop::open_with(folder.path(), slow, 100).await;
    shop.printed("before", rouble()).await;
    let lasting = Some(Duration::from_millis(300));
    shop.fault(POS, Faults::none().set(Fault::PrintDelay, Setting { times: None, lasting }));
    let sell = |key: &'static str| {
        let till = shop.till.clone();
        tokio::spawn(async move {
            till.sell(key.parse().unwrap(), rouble(), Vec::new(), "request-1".parse().unwrap()).await.unwrap()
        })
    };
    let printing = sell("a");
    shop.until("a", State::Printing).await;
    let waiting = sell("b");
    shop.until_taken("b").await;
    let till = shop.till.clone();
    let stop = tokio::spawn(async move { till.stop(Duration::from_secs(10)).await });
    // What waits for its turn is answered at once, what is being printed to its end.
    assert_eq!(waiting.await.unwrap().status, SaleStatus::Buffered);
    assert!(matches!(shop.sell("c", rouble()).await, Err(TillError::Stopping)));
    assert_eq!(printing.await.unwrap().status, SaleStatus::Printed);
    assert!(stop.await.unwrap());
    assert_eq!(shop.row("b").await.state, State::Buffered);
    shop.buffer_closed().await;
    let shop = Shop::open(folder.path()).await;
    assert_eq!(shop.recovered.buffered, 1);
    shop.until("b", State::Printed).await;
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn the_stop_gives_up_on_what_hangs_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let slow = Options { print_timeout: Duration::from_secs(60), ..options() };
    let shop = Shop::open_with(folder.path(), slow, 100).await;
    shop.printed("before", rouble()).await;
    shop.fault(POS, Faults::none().with(Fault::Hang));
    let till = shop.till.clone();
    let hangs = tokio::spawn(async move {
        till.sell("a".parse().unwrap(), rouble(), Vec::new(), "request-1".parse().unwrap()).await
    });
    shop.until("a", State::Printing).await;
    assert!(!shop.till.stop(Duration::from_millis(50)).await);
    hangs.abort();
}
