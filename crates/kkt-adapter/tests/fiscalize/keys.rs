//! P4: one key, one receipt, one printout.

use super::shop::{POS, Shop, options, receipt, rouble};
use kkt_adapter::{
    domain::lifecycle::State,
    kkt::virtual_kkt::{Fault, Faults, Setting},
    ports::{BufferError, SaleStatus, Till, TillError},
};
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

#[tokio::test]
async fn a_receipt_is_printed_and_answered_with_its_document() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let notes = vec!["the rate of 18 % is not in force".to_owned()];
    let sale = shop
        .till
        .sell("a".parse().unwrap(), rouble(), notes.clone(), "request-1".parse().unwrap())
        .await
        .unwrap();
    assert_eq!((sale.status, sale.replayed), (SaleStatus::Printed, false));
    assert_eq!(sale.message, notes[0]);
    let fiscal = sale.fiscal.unwrap();
    assert_eq!((fiscal.fiscal_doc_number, fiscal.receipt_number, fiscal.total.0), (2, 1, 100));
    let row = shop.row("a").await;
    assert_eq!((row.state, row.id, row.fiscal), (State::Printed, sale.id, Some(fiscal)));
    assert_eq!(shop.in_state(State::Printed).await.len(), 2, "the shift's opening is a document of its own");
    shop.until_true("the lane is woken", |shop| *shop.woken.lock().unwrap() == vec![POS.parse().unwrap(); 2])
        .await;
    assert!(!shop.till.fiscal());
    shop.assert_sound(POS).await;
    shop.close().await;
}

#[tokio::test]
async fn a_receipt_with_nothing_in_its_way_costs_two_commits() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("first", rouble()).await;
    for key in ["a", "b", "c"] {
        let before = shop.seen.commits.load(SeqCst);
        shop.printed(key, rouble()).await;
        assert_eq!(shop.seen.commits.load(SeqCst) - before, 2);
    }
}

#[tokio::test]
async fn the_same_key_again_gives_the_same_answer_and_no_second_printout() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let first = shop.sell("a", rouble()).await.unwrap();
    let again = shop.sell("a", rouble()).await.unwrap();
    assert_eq!((again.status, again.replayed, again.id), (SaleStatus::Printed, true, first.id));
    assert_eq!(again.fiscal, first.fiscal);
    assert_eq!(shop.receipts(POS), vec![first.id]);
    assert_eq!(*shop.seen.answers.lock().unwrap(), vec!["printed", "replayed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_requests_of_one_key_at_once_make_one_printout_and_ten_equal_answers() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let lasting = Some(Duration::from_millis(20));
    shop.fault(POS, Faults::none().set(Fault::PrintDelay, Setting { times: None, lasting }));
    let sales: Vec<_> = (0..10)
        .map(|_| {
            let till = shop.till.clone();
            tokio::spawn(async move {
                till.sell("a".parse().unwrap(), rouble(), Vec::new(), "request-1".parse().unwrap())
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut answers = Vec::new();
    for sale in sales {
        answers.push(sale.await.unwrap());
    }
    assert!(answers.iter().all(|sale| sale.id == answers[0].id && sale.fiscal == answers[0].fiscal));
    assert!(answers.iter().all(|sale| sale.status == SaleStatus::Printed));
    assert_eq!(answers.iter().filter(|sale| !sale.replayed).count(), 1);
    assert_eq!(shop.receipts(POS).len(), 1);
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn the_same_key_with_another_receipt_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let first = shop.sell("a", rouble()).await.unwrap();
    for other in [receipt(POS, 101), receipt("POS-002", 100)] {
        let refused = shop.sell("a", other).await;
        assert!(matches!(refused, Err(TillError::KeyReused(id)) if id == first.id), "{refused:?}");
    }
    assert_eq!(shop.receipts(POS).len(), 1);
    assert_eq!(shop.receipts("POS-002").len(), 0);
    assert_eq!(shop.row("a").await.fiscal, first.fiscal);

    shop.fault(POS, Faults::none().with(Fault::PaperOut));
    shop.buffered("b", rouble()).await;
    assert!(matches!(shop.sell("b", receipt(POS, 101)).await, Err(TillError::KeyReused(_))));
}

#[tokio::test]
async fn a_retry_of_a_buffered_key_prints_it() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::closed(folder.path(), options(), 100).await;
    shop.fault(POS, Faults::none().with(Fault::PaperOut));
    let waiting = shop.buffered("a", rouble()).await;
    assert!(waiting.message.contains("нет бумаги") && waiting.message.contains("out of paper"));
    let still = shop.buffered("a", rouble()).await;
    assert_eq!(still.id, waiting.id);
    shop.fault(POS, Faults::none());
    let sale = shop.sell("a", rouble()).await.unwrap();
    assert_eq!((sale.status, sale.replayed, sale.id), (SaleStatus::Printed, false, waiting.id));
    assert!(shop.sell("a", rouble()).await.unwrap().replayed);
    assert_eq!(shop.receipts(POS), vec![waiting.id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_receipts_at_once_on_one_device_are_each_printed_once_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let slow = kkt_adapter::fiscalize::Options { print_timeout: Duration::from_secs(20), ..options() };
    let shop = Shop::open_with(folder.path(), slow, 1_000).await;
    let sales: Vec<_> = (0..64)
        .map(|number| {
            let till = shop.till.clone();
            tokio::spawn(async move {
                let key = format!("key-{number}").parse().unwrap();
                till.sell(key, receipt(POS, 100 + number), Vec::new(), "request-1".parse().unwrap())
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for sale in sales {
        let sale = sale.await.unwrap();
        assert_eq!(sale.status, SaleStatus::Printed, "{}", sale.message);
        numbers.push(sale.fiscal.unwrap().fiscal_doc_number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=65).collect::<Vec<_>>());
    assert_eq!(shop.till.devices()[0].unprinted, 0);
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn a_full_buffer_refuses_the_new_and_still_answers_what_it_has() {
    // P7: the shift's opening and one receipt fill it.
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open_with(folder.path(), options(), 2).await;
    let first = shop.printed("a", rouble()).await;
    let full = shop.sell("b", rouble()).await;
    assert!(matches!(full, Err(TillError::Buffer(BufferError::Full { .. }))), "{full:?}");
    assert_eq!(shop.printed("a", rouble()).await, first);
    assert!(matches!(shop.sell("a", receipt(POS, 7)).await, Err(TillError::KeyReused(_))));
    assert_eq!(shop.receipts(POS).len(), 1);
}

#[tokio::test]
async fn a_till_that_goes_away_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let lasting = Some(Duration::from_millis(50));
    shop.fault(POS, Faults::none().set(Fault::PrintDelay, Setting { times: None, lasting }));
    let gone = tokio::time::timeout(Duration::from_millis(5), shop.sell("a", rouble())).await;
    assert!(gone.is_err());
    let row = shop.until_taken("a").await;
    assert_eq!(shop.printed("a", rouble()).await, 2);
    assert_eq!(shop.row("a").await.id, row.id);
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn too_many_receipts_at_once_are_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let narrow = kkt_adapter::fiscalize::Options { in_flight_max: 1, ..options() };
    let shop = Shop::closed(folder.path(), narrow, 100).await;
    shop.fault(POS, Faults::none().times(Fault::Hang, 1));
    let till = shop.till.clone();
    let first = tokio::spawn(async move {
        till.sell("a".parse().unwrap(), rouble(), Vec::new(), "request-1".parse().unwrap()).await
    });
    shop.until_taken("a").await;
    let refused = shop.sell("b", rouble()).await;
    assert!(matches!(refused, Err(TillError::Buffer(BufferError::Full { .. }))), "{refused:?}");
    first.await.unwrap().unwrap();
}
