//! The tills: they sell, write down every answer, and ask again under the same key when none came.

use super::{
    oracle::{Answer, Asked},
    rng::Rng,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

impl Answer {
    fn read(body: &Value) -> Self {
        let fiscal = &body["fiscal_doc"];
        let document = fiscal["fn_number"].as_str().map(|fn_number| {
            (fn_number.to_owned(), u32::try_from(fiscal["fiscal_doc_number"].as_u64().unwrap()).unwrap())
        });
        Self {
            printed: body["status"] == "printed",
            receipt_id: body["receipt_id"].as_str().unwrap().to_owned(),
            document,
        }
    }
}

/// The tills' log.
#[derive(Debug, Default)]
pub struct Log(Mutex<BTreeMap<String, Asked>>);

impl Log {
    pub fn all(&self) -> Vec<Asked> {
        self.0.lock().unwrap().values().cloned().collect()
    }

    pub fn acknowledged(&self) -> usize {
        self.0.lock().unwrap().values().filter(|asked| !asked.answers.is_empty()).count()
    }

    fn unanswered(&self) -> Vec<Asked> {
        let log = self.0.lock().unwrap();
        log.values().filter(|asked| asked.answers.is_empty() && !asked.forgotten).cloned().collect()
    }

    fn note(&self, asked: &Asked, answer: Option<Answer>) {
        let mut log = self.0.lock().unwrap();
        let entry = log.entry(asked.key.clone()).or_insert_with(|| asked.clone());
        entry.answers.extend(answer);
    }
}

/// A sale as JSON.
pub fn sale(pos: &str, kopecks: u64) -> Value {
    let total = format!("{}.{:02}", kopecks / 100, kopecks % 100);
    json!({
        "pos_id": pos, "type": "sale",
        "items": [{"name": "Оправа", "price": total, "quantity": 1, "total": total, "vat_rate": 20}],
        "payments": [{"type": "cash", "amount": total}],
    })
}

/// Posts it once: status and body, or that the connection broke.
pub async fn post(http: &reqwest::Client, url: &str, asked: &Asked) -> reqwest::Result<(u16, Value)> {
    let request = http.post(format!("{url}/v1/kkt/receipt")).header("Idempotency-Key", &asked.key);
    let answer = request.json(&sale(&asked.pos, asked.kopecks)).send().await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

async fn ask(http: &reqwest::Client, url: &str, log: &Log, asked: &Asked) {
    // Written down before it is sent: a till knows what it asked.
    log.note(asked, None);
    if let Ok((200, body)) = post(http, url, asked).await {
        log.note(asked, Some(Answer::read(&body)));
    }
}

/// What the tills do.
#[derive(Debug, Clone)]
pub struct Load {
    pub tills: u64,
    pub per_second: u64,
    /// Sales of which the till sends the same request twice at once, percent.
    pub twice_percent: u64,
    /// Sales that the till gives up if no answer came, percent.
    pub forgotten_percent: u64,
}

/// Sells at a rate, whatever the answers do, until told to stop; then waits for what is under way.
pub async fn sell(
    http: reqwest::Client,
    url: String,
    log: Arc<Log>,
    load: Load,
    mut rng: Rng,
    stop: Arc<AtomicBool>,
) {
    let mut under_way = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / load.per_second));
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= 256 {
            continue;
        }
        let asked = Asked {
            key: format!("key-{:016x}", rng.next()),
            pos: format!("POS-{}", rng.between(1, load.tills)),
            kopecks: rng.between(100, 99_999),
            answers: Vec::new(),
            forgotten: rng.chance(load.forgotten_percent),
        };
        for _ in 0..=u64::from(rng.chance(load.twice_percent)) {
            let (http, url, log, asked) = (http.clone(), url.clone(), log.clone(), asked.clone());
            under_way.spawn(async move { ask(&http, &url, &log, &asked).await });
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// Asks again for everything that was not answered; says how many are answered now.
pub async fn retry(http: &reqwest::Client, url: &str, log: &Arc<Log>) {
    let mut under_way = JoinSet::new();
    for asked in log.unanswered() {
        let (http, url, log) = (http.clone(), url.to_owned(), log.clone());
        under_way.spawn(async move { ask(&http, &url, &log, &asked).await });
    }
    while under_way.join_next().await.is_some() {}
}

/// Asks again for some that were answered: the answer must be the same.
pub async fn replay(http: &reqwest::Client, url: &str, log: &Arc<Log>, rng: &mut Rng, count: usize) {
    let answered: Vec<_> = log.all().into_iter().filter(|asked| !asked.answers.is_empty()).collect();
    if answered.is_empty() {
        return;
    }
    let mut under_way = JoinSet::new();
    for _ in 0..count {
        let (http, url, log, asked) =
            (http.clone(), url.to_owned(), log.clone(), rng.pick(&answered).clone());
        under_way.spawn(async move { ask(&http, &url, &log, &asked).await });
    }
    while under_way.join_next().await.is_some() {}
}
