//! Shifts open by themselves, by call, and are changed before 24 hours.

use super::shop::{POS, Shop, options, rouble};
use jiff::ToSpan;
use kkt_adapter::{
    domain::{document::DocumentKind, lifecycle::State},
    kkt::virtual_kkt::{Fault, Faults, RecordKind},
    ports::{ShiftState, Till, TillError},
};

const OPEN: RecordKind = RecordKind::ShiftOpen;
const CLOSE: RecordKind = RecordKind::ShiftClose;

#[tokio::test]
async fn the_first_sale_opens_the_shift_and_the_report_travels_in_the_lane() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("a", rouble()).await;
    shop.printed("b", rouble()).await;
    assert_eq!(shop.shift_documents(POS), vec![OPEN]);
    let lane = shop.in_state(State::Printed).await;
    let kinds: Vec<_> = lane.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == DocumentKind::ShiftOpen).count(), 1);
    let (device, shift) = shop.till.shift(POS.parse().unwrap()).await.unwrap();
    assert_eq!(device.as_str(), POS);
    assert!(matches!(shift, ShiftState::Open { number: 1, receipts: 2, .. }));
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn a_sale_after_the_shift_has_grown_old_is_made_in_a_new_one() {
    // The clock jumps, and the sale comes before the background has looked.
    for hours in [24, 24 * 365] {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::closed(folder.path(), options(), 100).await;
        shop.printed("a", rouble()).await;
        shop.clock.pass(23.hours());
        shop.printed("b", rouble()).await;
        assert_eq!(shop.shift_documents(POS), vec![OPEN]);
        shop.clock.pass(hours.hours());
        let sale = shop.sell("c", rouble()).await.unwrap().fiscal.unwrap();
        assert_eq!((sale.shift_number, sale.receipt_number), (2, 1));
        assert_eq!(shop.shift_documents(POS), vec![OPEN, CLOSE, OPEN]);
        shop.assert_sound(POS).await;
    }
}

#[tokio::test]
async fn a_shift_is_changed_by_itself_before_24_hours_when_nobody_sells() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("a", rouble()).await;
    shop.clock.pass(23.hours().minutes(29));
    shop.printed("b", rouble()).await;
    shop.clock.pass(1.minute());
    shop.until_true("the new shift", |shop| shop.shift_documents(POS) == vec![OPEN, CLOSE, OPEN]).await;
    // Its turn at the print lock comes after the background's work is done.
    assert!(shop.till.open_shift(POS.parse().unwrap()).await.is_err());
    // Nothing was sold in the second one: it is closed, and the next sale opens the third.
    shop.clock.pass(24.hours());
    shop.until_true("the close", |shop| shop.shift_documents(POS) == vec![OPEN, CLOSE, OPEN, CLOSE]).await;
    shop.clock.pass(48.hours());
    let sale = shop.sell("c", rouble()).await.unwrap().fiscal.unwrap();
    assert_eq!(sale.shift_number, 3);
    shop.assert_sound(POS).await;
    shop.close().await;
}

#[tokio::test]
async fn a_shift_left_open_by_an_earlier_run_is_closed_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("a", rouble()).await;
    shop.close().await;
    let shop = Shop::closed(folder.path(), options(), 100).await;
    shop.clock.pass(30.hours());
    shop.till.start();
    shop.until_true("the new shift", |shop| shop.shift_documents(POS) == vec![OPEN, CLOSE, OPEN]).await;
    shop.close().await;
}

#[tokio::test]
async fn a_shift_opened_by_call_is_closed_in_time_although_nothing_was_sold_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("a", rouble()).await;
    shop.close().await;
    let shop = Shop::closed(folder.path(), options(), 100).await;
    shop.clock.pass(30.hours());
    shop.till.start();
    shop.until_true("the new shift", |shop| shop.shift_documents(POS) == vec![OPEN, CLOSE, OPEN]).await;
    shop.till.close_shift(POS.parse().unwrap()).await.unwrap();
    shop.till.open_shift(POS.parse().unwrap()).await.unwrap();
    shop.clock.pass(23.hours().minutes(31));
    shop.until_true("the close", |shop| {
        shop.shift_documents(POS) == vec![OPEN, CLOSE, OPEN, CLOSE, OPEN, CLOSE]
    })
    .await;
}

#[tokio::test]
async fn a_shift_is_opened_and_closed_by_call_and_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let pos = || POS.parse().unwrap();
    let none = shop.till.close_shift(pos()).await;
    assert!(matches!(none, Err(TillError::Shift(_))), "{none:?}");
    let opened = shop.till.open_shift(pos()).await.unwrap();
    assert_eq!(opened.fiscal.unwrap().fiscal_doc_number, 1);
    let again = shop.till.open_shift(pos()).await;
    assert!(matches!(&again, Err(TillError::Shift(words)) if words.contains("уже открыта")), "{again:?}");
    shop.printed("a", rouble()).await;
    let closed = shop.till.close_shift(pos()).await.unwrap();
    assert_eq!(closed.fiscal.unwrap().shift_number, 1);
    assert_eq!(shop.till.shift(pos()).await.unwrap().1, ShiftState::Closed { last: 1 });
    // The next sale opens the next.
    assert_eq!(shop.printed("b", rouble()).await, 5);
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn a_shift_that_does_not_open_leaves_the_receipt_waiting_and_no_document_hanging() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.fault(POS, Faults::none().times(Fault::PaperOut, 2));
    let refused = shop.till.open_shift(POS.parse().unwrap()).await;
    assert!(matches!(refused, Err(TillError::Kkt(_))), "{refused:?}");
    shop.buffered("a", rouble()).await;
    shop.until("a", State::Printed).await;
    assert_eq!(shop.in_state(State::Cancelled).await.len(), 2, "the shift documents that were not made");
    shop.until_true("nothing waits", |shop| shop.till.devices()[0].unprinted == 0).await;
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn a_shift_closed_at_the_device_itself_is_opened_again_for_the_receipt() {
    use kkt_adapter::{domain::ids::ReceiptId, ports::KktDriver};
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("a", rouble()).await;
    shop.kkt(POS).close_shift(ReceiptId::new()).await.unwrap();
    let sale = shop.sell("b", rouble()).await.unwrap().fiscal.unwrap();
    assert_eq!((sale.shift_number, sale.receipt_number), (2, 1));
    assert_eq!(shop.kkt(POS).doubles().unwrap(), 0);
}
