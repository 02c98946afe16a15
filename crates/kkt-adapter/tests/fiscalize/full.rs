//! A buffer that takes no more, for good or for one batch: what it has taken is not harmed.

use super::shop::{POS, Shop, options, receipt, rouble};
use jiff::ToSpan;
use kkt_adapter::{
    buffer::MemoryBuffer,
    domain::{entry::Actor, ids::ReceiptId, lifecycle::State},
    kkt::virtual_kkt::{Fault, Faults},
    ports::{Buffer, BufferError, Found, KktDriver, SaleStatus, Till, TillError, Verdict},
};
use std::time::{Duration, Instant};

/// Waits until so many writes are held back.
async fn until_held(memory: &MemoryBuffer, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while memory.release_some(0) < count {
        assert!(Instant::now() < deadline, "{count} writes did not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn anna() -> Actor {
    Actor("anna".into())
}

// P5: the disk is full for the batch with the result of one receipt, and takes the next receipt.
#[tokio::test]
async fn behind_a_receipt_whose_result_was_refused_nothing_is_printed_until_it_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, memory) = Shop::in_memory(folder.path()).await;
    shop.printed("before", rouble()).await;
    memory.hold();
    let sell = |key: &'static str| {
        let till = shop.till.clone();
        tokio::spawn(async move {
            till.sell(key.parse().unwrap(), rouble(), Vec::new(), "request-1".parse().unwrap()).await.unwrap()
        })
    };
    let first = sell("a");
    until_held(&memory, 1).await;
    memory.release_some(1);
    until_held(&memory, 1).await;
    let second = sell("b");
    until_held(&memory, 2).await;
    // The result of the first, then the second as `printing`.
    memory.refuse(0..1);
    memory.release_some(2);
    until_held(&memory, 1).await;
    assert_eq!((shop.receipts(POS).len(), shop.row("a").await.state), (2, State::Printing));
    assert_eq!(shop.row("b").await.state, State::Printing, "the KKT was told nothing of it");
    while !(first.is_finished() && second.is_finished()) {
        memory.release_some(1);
        let lane = memory.next(&POS.parse().unwrap(), None, 1_000).await.unwrap();
        let numbers: Vec<u32> = lane.iter().map(|document| document.fd).collect();
        assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>(), "the lane may send these");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    memory.release();
    assert_eq!(second.await.unwrap().status, SaleStatus::Printed);
    shop.until("a", State::Printed).await;
    assert!(shop.sell("a", rouble()).await.unwrap().replayed);
    assert_eq!(shop.receipts(POS).len(), 3);
    shop.assert_sound(POS).await;
}

// P4: whoever is told that nothing was stored rings it up again under another key.
#[tokio::test]
async fn a_till_that_may_hold_the_paper_is_not_told_that_nothing_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, memory) = Shop::in_memory(folder.path()).await;
    shop.printed("before", rouble()).await;
    memory.refuse(1..2);
    let sale = shop.buffered("a", rouble()).await;
    assert!(
        sale.message.contains("не пробивайте") && sale.message.contains("look at the paper"),
        "{}",
        sale.message
    );
    assert!(!sale.message.contains("nothing was stored"), "{}", sale.message);
    let (russian, english) = sale.message.split_once(" / ").unwrap();
    assert!(
        russian.contains("(диск заполнен)") && english.contains("(the disk is full)"),
        "{}",
        sale.message
    );
    assert!(!russian.contains("disk") && !english.contains("диск"), "{}", sale.message);
    shop.until("a", State::Printed).await;
    let again = shop.sell("a", rouble()).await.unwrap();
    assert_eq!((again.replayed, again.id), (true, sale.id));
    assert_eq!(shop.receipts(POS).len(), 2);
    shop.assert_sound(POS).await;
}

// P4: a receipt that was acknowledged already.
#[tokio::test]
async fn a_retry_that_finds_the_disk_full_is_told_that_its_receipt_is_safe() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, memory) = Shop::in_memory(folder.path()).await;
    shop.printed("before", rouble()).await;
    shop.fault(POS, Faults::none().with(Fault::PaperOut));
    let first = shop.buffered("a", rouble()).await;
    memory.refuse(0..1_000);
    assert_eq!(shop.buffered("a", rouble()).await.id, first.id);
    memory.refuse(0..0);
    shop.fault(POS, Faults::none());
    shop.until("a", State::Printed).await;
    shop.assert_sound(POS).await;
}

// P2: the shift was closed at the device; that the receipt was not printed could not be written.
#[tokio::test]
async fn a_receipt_whose_taking_back_was_refused_is_printed_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, memory) = Shop::in_memory(folder.path()).await;
    shop.printed("before", rouble()).await;
    shop.kkt(POS).close_shift(ReceiptId::new()).await.unwrap();
    memory.refuse(1..2);
    let message = shop.buffered("a", rouble()).await.message;
    assert!(message.contains("is safe but not printed") && !message.contains("paper"), "{message}");
    shop.until("a", State::Printed).await;
    assert_eq!((shop.receipts(POS).len(), shop.kkt(POS).doubles().unwrap()), (2, 0));
}

// P4: its till would ring it up again under another key, or wait for a printout that never comes.
#[tokio::test]
async fn a_receipt_that_nothing_more_could_be_written_of_is_stored_and_printed_when_it_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, memory) = Shop::in_memory(folder.path()).await;
    // The receipt and the shift's opening with its result are written; that it is printed, or waits, is not.
    memory.refuse(3..5);
    let refused = shop.sell("a", rouble()).await.unwrap_err();
    let TillError::Unprinted { id, .. } = refused else { panic!("{refused:?}") };
    let text = refused.to_string();
    assert!(text.contains("is stored") && !text.contains("nothing was stored"), "{text}");
    assert_eq!((shop.row("a").await.state, shop.receipts(POS).len()), (State::Accepted, 0));
    let again = shop.sell("a", rouble()).await.unwrap();
    assert_eq!((again.status, again.id), (SaleStatus::Printed, id));
    assert_eq!(shop.receipts(POS).len(), 1);
    shop.assert_sound(POS).await;
}

// P2: the decision is written, and what would follow it is refused.
#[tokio::test]
async fn a_decision_lets_the_device_go_on_whatever_the_next_write_does() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, memory) = Shop::in_memory(folder.path()).await;
    shop.printed("before", rouble()).await;
    shop.fault(POS, Faults::none().times(Fault::HangAfterPrint, 1).with(Fault::LoseFind));
    let id = shop.buffered("a", rouble()).await.id;
    shop.fault(POS, Faults::none());
    let Found::Printed(on_paper) = shop.kkt(POS).find(id).await.unwrap() else { panic!("not on paper") };
    memory.refuse(1..2);
    let row = shop.till.decide(id, Verdict::Printed(on_paper), anna(), "seen".into()).await.unwrap();
    memory.refuse(0..0);
    assert_eq!((row.state, shop.till.devices()[0].blocked_by), (State::Printed, None));
    // P: one transition with its audit event, the reason in it.
    let audit = memory.audit(Some(id.to_string()), 1).await.unwrap().remove(0);
    assert_eq!((audit.action.as_str(), audit.actor), ("printed", anna()));
    assert!(audit.detail.contains("ФД 3") && audit.detail.contains("seen"), "{}", audit.detail);
    shop.printed("b", rouble()).await;
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn a_shift_document_that_a_person_denied_is_ended_although_the_write_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, memory) = Shop::in_memory(folder.path()).await;
    shop.fault(POS, Faults::none().times(Fault::HangAfterPrint, 1).with(Fault::LoseFind));
    shop.till.open_shift(POS.parse().unwrap()).await.unwrap_err();
    let id = shop.till.devices()[0].blocked_by.unwrap();
    shop.fault(POS, Faults::none());
    memory.refuse(1..2);
    shop.till.decide(id, Verdict::NotPrinted, anna(), "no paper came".into()).await.unwrap();
    memory.refuse(0..0);
    shop.printed("a", rouble()).await;
    shop.until_true("nothing waits", |shop| shop.till.devices()[0].unprinted == 0).await;
    assert_eq!(shop.in_state(State::Cancelled).await[0].id, id);
}

// P7: nothing already taken is harmed.
#[tokio::test]
async fn in_a_full_buffer_shifts_are_changed_and_what_waits_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open_with(folder.path(), options(), 3).await;
    shop.printed("a", rouble()).await;
    shop.fault(POS, Faults::none().with(Fault::PaperOut));
    shop.buffered("b", rouble()).await;
    let refused = shop.sell("c", rouble()).await;
    assert!(matches!(refused, Err(TillError::Buffer(BufferError::Full { .. }))), "{refused:?}");
    shop.clock.pass(24.hours());
    shop.fault(POS, Faults::none());
    shop.until("b", State::Printed).await;
    shop.till.close_shift(POS.parse().unwrap()).await.unwrap();
    assert!(matches!(shop.sell("c", rouble()).await, Err(TillError::Buffer(BufferError::Full { .. }))));
    assert_eq!(shop.buffer.stats().await.unwrap().percent_full(), 100.0);
    shop.assert_sound(POS).await;
}

// P7: places come free by printing only, and printing needs a shift.
#[tokio::test]
async fn a_buffer_full_of_receipts_that_were_never_printed_empties_itself() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::closed(folder.path(), options(), 2).await;
    shop.fault(POS, Faults::none().with(Fault::Off));
    for key in ["a", "b"] {
        shop.buffered(key, rouble()).await;
    }
    shop.fault(POS, Faults::none());
    shop.till.start();
    for key in ["a", "b"] {
        shop.until(key, State::Printed).await;
    }
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn a_name_that_a_till_invents_is_no_device_before_anything_of_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open_with(folder.path(), options(), 2).await;
    shop.printed("a", rouble()).await;
    shop.sell("b", receipt("POS-INVENTED", 100)).await.unwrap_err();
    assert_eq!(shop.till.devices().len(), 1);
}
