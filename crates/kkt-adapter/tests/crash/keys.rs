//! One key from many tills at once.

use super::{
    load::post,
    oracle::Asked,
    oracle::judge,
    rng::{number, seed},
    shop::Shop,
};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::task::JoinSet;

const AT_ONCE: usize = 64;

/// Posts them all at once.
async fn all_at_once(shop: &Shop, url: &str, asked: Vec<Asked>) -> Vec<(u64, u16, Value)> {
    let mut under_way = JoinSet::new();
    for one in asked {
        let (http, url) = (shop.http.clone(), url.to_owned());
        under_way.spawn(async move {
            let (status, body) = post(&http, &url, &one).await.unwrap();
            (one.kopecks, status, body)
        });
    }
    under_way.join_all().await
}

// P4: «duplicate keys».
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_posts_of_one_key_make_one_receipt_and_another_body_is_refused() {
    let base = seed("duplicate keys");
    let keys = number("CRASH_KEYS", 1_000);
    let shop = Shop::new();
    let mut life = shop.start().await;
    for n in 0..keys {
        let asked = |kopecks| Asked {
            key: format!("key-{base}-{n}"),
            pos: format!("POS-{}", n % 5 + 1),
            kopecks,
            answers: Vec::new(),
            forgotten: false,
        };
        // Every second key is sent with two bodies, half and half.
        let kopecks = |i: usize| if n % 2 == 1 && i % 2 == 1 { 20_000 + n } else { 10_000 + n };
        let answers = all_at_once(&shop, &life.url, (0..AT_ONCE).map(|i| asked(kopecks(i))).collect()).await;
        let taken: Vec<_> = answers.iter().filter(|(_, status, _)| *status == 200).collect();
        let winner = taken.first().unwrap_or_else(|| panic!("key {n}: nobody was answered: {answers:?}")).0;
        let documents: BTreeSet<String> = taken
            .iter()
            .map(|(kopecks, _, body)| {
                assert_eq!(*kopecks, winner, "key {n}: both bodies were taken");
                assert_eq!(body["status"], "printed", "{body}");
                format!("{} {}", body["receipt_id"], body["fiscal_doc"])
            })
            .collect();
        assert_eq!(documents.len(), 1, "key {n}: one document, the same in every answer");
        for (kopecks, status, body) in &answers {
            let expected = if *kopecks == winner { 200 } else { 409 };
            assert_eq!(*status, expected, "key {n}, body {kopecks}, taken {winner}: {body}");
        }
    }
    shop.drain(&life).await;
    life.kill();
    let evidence = shop.evidence();
    let verdict = judge(&evidence);
    assert!(verdict.is_clean(), "{verdict}");
    let printed: usize = evidence.paper.values().map(Vec::len).sum();
    let devices = evidence.paper.len() as u64;
    assert_eq!(printed as u64, keys + devices, "one printout a key, and each device's opening of the shift");
    let receipts = evidence.ledger.iter().filter(|document| document.document == "receipt").count();
    assert_eq!(receipts as u64, keys);
    println!("{keys} keys of {AT_ONCE} posts each");
}
