//! What people decide: cancel, and whether a document is on paper.

use super::shop::{POS, Shop, options, receipt, rouble};
use jiff::ToSpan;
use kkt_adapter::{
    domain::{
        document::{DocumentKind, FiscalDoc},
        entry::{Actor, NewEntry},
        ids::ReceiptId,
        lifecycle::State,
    },
    fiscalize::Options,
    kkt::virtual_kkt::{Fault, Faults},
    ports::{Appended, Found, KktDriver, SaleStatus, Till, TillError, Verdict},
};
use std::time::Duration;

fn anna() -> Actor {
    Actor("anna".into())
}

/// A sale of which the device will say that it does not know; it was in truth not printed.
async fn block(shop: &Shop, key: &str) -> ReceiptId {
    shop.printed(&format!("before {key}"), rouble()).await;
    shop.fault(POS, Faults::none().times(Fault::Hang, 1).with(Fault::LoseFind));
    let sale = shop.buffered(key, rouble()).await;
    assert!(sale.message.contains("посмотрите на бумагу"), "{}", sale.message);
    assert_eq!(shop.row(key).await.state, State::PrintUnknown);
    shop.fault(POS, Faults::none());
    sale.id
}

#[tokio::test]
async fn a_document_nobody_knows_of_blocks_its_device_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let id = block(&shop, "a").await;
    let waiting = shop.buffered("b", rouble()).await;
    assert!(waiting.message.contains(&id.to_string()) && waiting.message.contains("остановлена"));
    assert_eq!(shop.buffered("a", rouble()).await.id, id);
    shop.printed("other", receipt("POS-002", 100)).await;
    let views = shop.till.devices();
    assert_eq!((views[0].blocked_by, views[0].unprinted), (Some(id), 2));
    assert!(views[0].trouble.is_some());
    assert_eq!((views[1].blocked_by, &views[1].trouble, views[1].unprinted), (None, &None, 0));
    shop.close().await;

    // It is blocked after a restart as well.
    let shop = Shop::open(folder.path()).await;
    assert_eq!((shop.recovered.print_unknown, shop.recovered.buffered), (1, 1));
    shop.buffered("c", rouble()).await;
    assert_eq!(shop.till.devices()[0].blocked_by, Some(id));
    assert_eq!(shop.receipts(POS).len(), 1);
}

#[tokio::test]
async fn decided_not_printed_it_is_printed_and_the_others_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let id = block(&shop, "a").await;
    shop.buffered("b", rouble()).await;
    shop.buffered("c", rouble()).await;
    let row = shop.till.decide(id, Verdict::NotPrinted, anna(), "no paper came".into()).await.unwrap();
    assert!(matches!(row.state, State::Buffered | State::Printing | State::Printed), "{:?}", row.state);
    let mut order = Vec::new();
    for key in ["a", "b", "c"] {
        order.push(shop.until(key, State::Printed).await.id);
    }
    assert_eq!(shop.receipts(POS)[1..], order);
    let twice = shop.till.decide(id, Verdict::NotPrinted, anna(), String::new()).await;
    assert!(matches!(twice, Err(TillError::State { state: State::Printed, .. })), "{twice:?}");
    let audit = shop.buffer.audit(Some(id.to_string()), 20).await.unwrap();
    assert!(audit.iter().any(|event| event.actor == anna() && event.detail.contains("no paper came")));
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn decided_printed_it_has_the_document_of_the_paper_and_the_device_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("before", rouble()).await;
    shop.fault(POS, Faults::none().times(Fault::HangAfterPrint, 1).with(Fault::LoseFind));
    let id = shop.buffered("a", rouble()).await.id;
    shop.fault(POS, Faults::none());
    let on_paper = match shop.kkt(POS).find(id).await.unwrap() {
        kkt_adapter::ports::Found::Printed(doc) => doc,
        other => panic!("{other:?}"),
    };
    let row = shop.till.decide(id, Verdict::Printed(on_paper.clone()), anna(), "seen".into()).await.unwrap();
    assert_eq!((row.state, row.fiscal), (State::Printed, Some(*on_paper.clone())));
    assert_eq!(shop.woken.lock().unwrap().last(), Some(&POS.parse().unwrap()));
    let again = shop.sell("a", rouble()).await.unwrap();
    assert_eq!((again.status, again.replayed), (SaleStatus::Printed, true));
    assert_eq!(shop.printed("b", rouble()).await, on_paper.fiscal_doc_number + 1);
    shop.assert_sound(POS).await;
}

#[tokio::test]
async fn what_was_never_printed_can_be_cancelled_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let printed = shop.sell("printed", rouble()).await.unwrap().id;
    shop.fault(POS, Faults::none().with(Fault::PaperOut));
    let id = shop.buffered("a", rouble()).await.id;
    assert_eq!(shop.till.devices()[0].unprinted, 1);
    let row = loop {
        // The background may be trying to print it at this moment.
        match shop.till.cancel(id, anna(), "the buyer left".into()).await {
            Err(TillError::State { state: State::Printing, .. }) => {}
            row => break row.unwrap(),
        }
    };
    assert_eq!(row.state, State::Cancelled);
    assert_eq!(shop.till.cancel(id, anna(), "again".into()).await.unwrap().state, State::Cancelled);
    assert_eq!(shop.till.devices()[0].unprinted, 0);
    let reused = shop.sell("a", rouble()).await;
    assert!(matches!(reused, Err(TillError::Cancelled(cancelled)) if cancelled == id), "{reused:?}");
    let refused = shop.till.cancel(printed, anna(), String::new()).await;
    assert!(matches!(refused, Err(TillError::State { state: State::Printed, .. })), "{refused:?}");
    assert!(matches!(
        shop.till.cancel(ReceiptId::new(), anna(), String::new()).await,
        Err(TillError::NotFound)
    ));
    shop.fault(POS, Faults::none());
    shop.printed("b", rouble()).await;
    assert_eq!(shop.receipts(POS).len(), 2, "the cancelled one is not printed");
    shop.assert_sound(POS).await;
}

// P2: «it will be printed by itself» would be said of what nobody prints.
#[tokio::test]
async fn a_receipt_cancelled_while_it_waited_for_its_turn_is_answered_as_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let slow = Options { find_timeout: Duration::from_secs(2), ..options() };
    let shop = Shop::open_with(folder.path(), slow, 1_000).await;
    shop.printed("before", rouble()).await;
    // `find` hangs as well, so the lock is held far longer than the other waits.
    shop.fault(POS, Faults::none().times(Fault::Hang, 2));
    let sell = |key: &'static str| {
        let till = shop.till.clone();
        tokio::spawn(async move {
            till.sell(key.parse().unwrap(), rouble(), Vec::new(), "request-1".parse().unwrap()).await
        })
    };
    let first = sell("a");
    shop.until("a", State::Printing).await;
    let second = sell("b");
    let id = shop.until_taken("b").await.id;
    shop.till.cancel(id, anna(), "the buyer left".into()).await.unwrap();
    let answer = second.await.unwrap();
    assert!(matches!(answer, Err(TillError::Cancelled(cancelled)) if cancelled == id), "{answer:?}");
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_number_that_cannot_be_the_documents_is_no_decision() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    shop.printed("before", rouble()).await;
    shop.fault(POS, Faults::none().times(Fault::HangAfterPrint, 1).with(Fault::LoseFind));
    let id = shop.buffered("a", rouble()).await.id;
    shop.fault(POS, Faults::none());
    let Found::Printed(paper) = shop.kkt(POS).find(id).await.unwrap() else { panic!("not on paper") };
    let decide = async |number: u32| {
        let doc = FiscalDoc { fiscal_doc_number: number, ..(*paper).clone() };
        shop.till.decide(id, Verdict::Printed(Box::new(doc)), anna(), "seen".into()).await
    };
    // Of the receipt before; a slip of the pen; far from all that is known.
    for (wrong, why) in [(2, "is document"), (3_333, "from 1 to 1002"), (u32::MAX, "from 1 to 1002")] {
        let refused = decide(wrong).await;
        assert!(
            matches!(&refused, Err(TillError::FiscalNumber { why: told, .. }) if told.contains(why)),
            "{refused:?}"
        );
        assert_eq!(shop.row("a").await.state, State::PrintUnknown);
    }
    // Another ФН counts for itself.
    let other = FiscalDoc { fn_number: "9999078900009999".into(), fiscal_doc_number: 2, ..(*paper).clone() };
    let row =
        shop.till.decide(id, Verdict::Printed(Box::new(other)), anna(), "a new ФН".into()).await.unwrap();
    assert_eq!(row.state, State::Printed);
}

/// A row as a crash before the answer and before the print leaves it.
async fn accepted(shop: &Shop, key: &str) -> ReceiptId {
    let id = ReceiptId::new();
    let receipt = rouble();
    let entry = NewEntry {
        id,
        key: key.parse().unwrap(),
        kind: DocumentKind::Receipt,
        pos_id: receipt.pos_id.clone(),
        device: POS.parse().unwrap(),
        hash: receipt.hash(),
        receipt: Some(receipt),
        notes: Vec::new(),
        request_id: None,
        created_at: kkt_adapter::ports::Clock::wall(&*shop.clock),
    };
    let stored = shop.buffer.append(shop.buffer.reserve().unwrap(), entry, false).await.unwrap();
    assert!(matches!(stored, Appended::Stored));
    id
}

#[tokio::test]
async fn what_was_accepted_and_never_answered_waits_for_its_till_and_is_cancelled_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::closed(folder.path(), options(), 100).await;
    let comes_back = accepted(&shop, "comes back").await;
    accepted(&shop, "stays away").await;
    shop.close().await;

    let shop = Shop::open(folder.path()).await;
    assert_eq!((shop.recovered.accepted, shop.till.devices()[0].unprinted), (2, 2));
    shop.printed("other", rouble()).await;
    assert_eq!(shop.row("comes back").await.state, State::Accepted, "never printed unasked");
    let sale = shop.sell("comes back", rouble()).await.unwrap();
    assert_eq!((sale.status, sale.id, sale.replayed), (SaleStatus::Printed, comes_back, false));
    shop.close().await;

    let shop = Shop::closed(folder.path(), options(), 100).await;
    shop.clock.pass(23.hours());
    shop.till.start();
    shop.printed("another", rouble()).await;
    assert_eq!(shop.row("stays away").await.state, State::Accepted);
    shop.close().await;
    // P9: set ahead, the clock makes nothing old.
    let shop = Shop::open(folder.path()).await;
    // The background is at work by then.
    shop.printed("a third", rouble()).await;
    shop.clock.set_wall(10.hours() * 8_766);
    shop.until_true("it was looked for them several times", |shop| {
        shop.clock.began.elapsed().as_millis() > 200
    })
    .await;
    assert_eq!(shop.row("stays away").await.state, State::Accepted);
    shop.clock.set_wall(-10.hours() * 8_766);
    shop.close().await;
    let shop = Shop::closed(folder.path(), options(), 100).await;
    shop.clock.pass(25.hours());
    shop.till.start();
    shop.until("stays away", State::Cancelled).await;
    assert_eq!(shop.receipts(POS).len(), 4);
    assert!(matches!(shop.sell("stays away", rouble()).await, Err(TillError::Cancelled(_))));
}
