//! Control runs: the oracle sees a loss, a doubling, a disorder and a changed answer when there is one.

use super::{
    load::{retry, sell},
    oracle::{Answer, Asked, Evidence, judge},
    points::LOAD,
    rng::Rng,
    shop::Shop,
};
use ofd_sim::Plan;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A run of the real thing under a plan of the OFD.
async fn run(plan: Plan) -> Evidence {
    let shop = Shop::new();
    shop.sim.set_faults(plan);
    let mut life = shop.start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let tills = tokio::spawn(sell(
        shop.http.clone(),
        life.url.clone(),
        shop.log.clone(),
        LOAD,
        Rng::new(1),
        stop.clone(),
    ));
    while shop.sim.stats().documents < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::Relaxed);
    tills.await.unwrap();
    retry(&shop.http, &life.url, &shop.log).await;
    shop.drain(&life).await;
    life.kill();
    shop.evidence()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oracle_sees_a_loss_a_disorder_a_second_printout_and_a_changed_answer() {
    let truth = run(Plan::ok()).await;
    assert!(judge(&truth).is_clean(), "{}", judge(&truth));

    let mut invented = truth.clone();
    let answer = Answer { printed: true, receipt_id: "none".into(), document: Some(("1".into(), 1)) };
    invented.asked.push(Asked {
        key: "never-stored".into(),
        pos: "POS-1".into(),
        kopecks: 1,
        answers: vec![answer],
        forgotten: false,
    });
    assert_eq!(judge(&invented).lost.len(), 1, "an acknowledgement that nothing stands behind");

    let mut undelivered = truth.clone();
    undelivered.ledger.pop();
    assert!(!judge(&undelivered).lost.is_empty(), "synced and not in the OFD's ledger");

    let mut given_up = truth.clone();
    given_up.rows[0].state = "dead".into();
    assert!(!judge(&given_up).lost.is_empty(), "a dead letter that nobody refused");

    let mut swapped = truth.clone();
    let fn_number = swapped.ledger.iter().find(|document| document.fd == 2).unwrap().fn_number.clone();
    let mut same: Vec<_> =
        swapped.ledger.iter_mut().filter(|document| document.fn_number == fn_number).collect();
    let (first, last) = (same[0].first_seq, same[same.len() - 1].first_seq);
    same[0].first_seq = last;
    same.last_mut().unwrap().first_seq = first;
    assert!(!judge(&swapped).disordered.is_empty(), "ФД order");

    let mut printed_twice = truth.clone();
    let paper = printed_twice.paper.values_mut().next().unwrap();
    let (key, fd) = paper.last().unwrap().clone();
    paper.push((key, fd + 1));
    assert_eq!(judge(&printed_twice).doubled.len(), 1, "two printouts under one key");

    let mut changed = truth.clone();
    // On a busy machine a first answer may be «buffered», without a document.
    let (answered, mut other) = changed
        .asked
        .iter_mut()
        .find_map(|asked| {
            let printed = asked.answers.iter().find(|answer| answer.document.is_some())?.clone();
            Some((asked, printed))
        })
        .unwrap();
    other.document.as_mut().unwrap().1 += 1;
    answered.answers.push(other);
    assert_eq!(judge(&changed).changed.len(), 1, "another document for the same key");

    let mut stuck = truth;
    stuck.rows[0].state = "printed".into();
    assert!(!judge(&stuck).stuck.is_empty(), "still on its way");
}

// P3: the doubles are there for the OFD to count; only the key keeps them from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_ofd_that_does_not_deduplicate_the_oracle_sees_the_doubles() {
    let verdict = judge(&run(Plan::lost_acknowledgements().dedup_off()).await);
    assert!(verdict.doubled.len() >= 3, "{verdict}");
    assert!(verdict.lost.is_empty() && verdict.disordered.is_empty(), "{verdict}");
}
