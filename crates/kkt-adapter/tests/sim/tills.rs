//! The tills: they sell, repeat themselves, give up waiting, and ask again under the same key when no answer came. Their
//! log outlives every process.

use super::{
    adapter::Adapter,
    oracle::{Answer, Asked},
    world::World,
};
use kkt_adapter::{
    domain::{
        ids::{ReceiptId, RequestId},
        money::{Kopecks, Quantity},
        receipt::{Item, Payment, PaymentKind, Receipt, ReceiptKind},
    },
    ports::{BufferError, Sale, SaleStatus, Till, TillError},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Longest time that a till may wait for an answer while nothing hinders its device: a shift to open, the others at the
/// same device, the disk. The OFD is no part of it (P7).
const PROMPT: Duration = Duration::from_secs(3);

/// What the tills know.
pub struct Log {
    asked: Mutex<BTreeMap<String, Asked>>,
    /// What each till still means to do.
    rounds: Mutex<BTreeMap<u64, u64>>,
}

impl Log {
    pub fn new(world: &World) -> Self {
        let scenario = &world.scenario;
        let rounds = scenario.selling.as_millis() as u64 / scenario.pace_ms + 2;
        Self {
            asked: Mutex::default(),
            rounds: Mutex::new((1..=scenario.tills).map(|till| (till, rounds)).collect()),
        }
    }

    pub fn all(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().values().cloned().collect()
    }

    fn take_round(&self, till: u64) -> bool {
        let mut rounds = self.rounds.lock().unwrap();
        let left = rounds.get_mut(&till).unwrap();
        *left = left.saturating_sub(1);
        *left > 0
    }

    fn of(&self, pos: &str, is_answered: bool) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        let mine = asked.values().filter(|asked| asked.pos == pos && asked.answers.is_empty() != is_answered);
        mine.filter(|asked| is_answered || !asked.forgotten).cloned().collect()
    }

    /// Sales that a till still waits for an answer to.
    pub fn unanswered(&self) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.values().filter(|asked| asked.answers.is_empty() && !asked.forgotten).cloned().collect()
    }

    pub fn new_sale(&self, world: &World, pos: &str) -> Asked {
        let mut log = self.asked.lock().unwrap();
        let asked = Asked {
            key: format!("k{:04}", log.len() + 1),
            pos: pos.into(),
            kopecks: world.between(100, 99_999),
            answers: Vec::new(),
            forgotten: world.chance(4),
        };
        log.insert(asked.key.clone(), asked.clone());
        asked
    }

    fn answered(&self, key: &str, answer: Answer) {
        self.asked.lock().unwrap().get_mut(key).unwrap().answers.push(answer);
    }

    fn give_up(&self, key: &str) {
        self.asked.lock().unwrap().get_mut(key).unwrap().forgotten = true;
    }
}

fn receipt(pos: &str, kopecks: u64) -> Receipt {
    let amount = Kopecks(kopecks as i64);
    Receipt {
        pos_id: pos.parse().unwrap(),
        kind: ReceiptKind::Sale,
        items: vec![Item {
            name: "Оправа".into(),
            price: amount,
            quantity: Quantity(1_000_000),
            total: amount,
            vat_rate: Some(20),
            subject: None,
            method: None,
        }],
        payments: vec![Payment { kind: PaymentKind::Card, amount }],
        taxation: None,
        cashier: None,
        buyer: None,
        correction: None,
    }
}

/// One till at work with one process, until it has sold all it means to.
pub async fn work(world: Arc<World>, adapter: Arc<Adapter>, log: Arc<Log>, till: u64) {
    let pos = format!("POS-{till}");
    loop {
        let pace = world.scenario.pace_ms;
        tokio::time::sleep(world.millis(pace / 2, pace * 3 / 2)).await;
        if !log.take_round(till) {
            return;
        }
        if world.scenario.nights && world.chance(2) {
            world.tell(&pos, format_args!("closes for the night"));
            tokio::time::sleep(world.millis(8 * 3_600_000, 26 * 3_600_000)).await;
        }
        let (unanswered, answered) = (log.of(&pos, false), log.of(&pos, true));
        if !unanswered.is_empty() && world.chance(60) {
            ask(&world, &adapter, &log, world.pick(&unanswered)).await;
        } else if !answered.is_empty() && world.chance(10) {
            ask(&world, &adapter, &log, world.pick(&answered)).await;
        } else if !answered.is_empty() && world.chance(3) {
            misuse(&world, &adapter, world.pick(&answered)).await;
        } else {
            let asked = log.new_sale(&world, &pos);
            let times = if world.chance(10) { world.between(2, 3) } else { 1 };
            let at_once = (0..times).map(|_| {
                let (world, adapter, log, asked) =
                    (Arc::clone(&world), Arc::clone(&adapter), Arc::clone(&log), asked.clone());
                tokio::spawn(async move { ask(&world, &adapter, &log, &asked).await })
            });
            for one in at_once.collect::<Vec<_>>() {
                one.await.unwrap();
            }
        }
    }
}

/// Asks under the key, and writes down what came.
pub async fn ask(world: &World, adapter: &Adapter, log: &Log, asked: &Asked) {
    let began = world.now();
    let (pos, key) = (&asked.pos, &asked.key);
    world.tell(pos, format_args!("asks {key}"));
    let sale = adapter.till.sell(key.parse().unwrap(), receipt(pos, asked.kopecks), Vec::new(), request_id());
    let sale = if world.chance(4) {
        match tokio::time::timeout(world.millis(1, 8_000), sale).await {
            Ok(sale) => sale,
            Err(_) => return world.tell(pos, format_args!("{key}: does not wait any longer")),
        }
    } else {
        sale.await
    };
    let took = world.now() - began;
    if world.scenario.is_till_unhindered() && took > PROMPT {
        world.violation(format!("P7: {key} took {took:?} although nothing was wrong with the device"));
    }
    match sale {
        Ok(sale) => {
            told(world, pos, key, &sale);
            log.answered(key, read(&sale));
        }
        Err(TillError::Cancelled(id)) if is_cancelled(world, id) => {
            world.tell(pos, format_args!("{key}: cancelled"));
            log.give_up(key);
        }
        Err(TillError::KeyReused(_) | TillError::Cancelled(_) | TillError::NotFound) => {
            world.violation(format!("P4: {key} was refused: {sale:?}"));
        }
        Err(TillError::Buffer(BufferError::Full { .. })) => {
            world.count("refused, buffer full");
            world.tell(pos, format_args!("{key}: the buffer is full"));
            if world.scenario.capacity > 1_000 && !world.scenario.disk_refuses {
                world.violation(format!("P7: {key} was refused by a buffer that has room"));
            }
        }
        Err(error) => world.tell(pos, format_args!("{key}: {}", error_name(&error))),
    }
}

/// The same key with another receipt: refused, nothing changed (P4).
async fn misuse(world: &World, adapter: &Adapter, asked: &Asked) {
    let (pos, key) = (&asked.pos, &asked.key);
    let sale = adapter
        .till
        .sell(key.parse().unwrap(), receipt(pos, asked.kopecks + 1), Vec::new(), request_id())
        .await;
    world.tell(pos, format_args!("{key} with another receipt: refused: {}", sale.is_err()));
    if let Ok(sale) = sale {
        world.violation(format!("P4: {key} was taken for another receipt: {sale:?}"));
    }
}

fn is_cancelled(world: &World, id: ReceiptId) -> bool {
    // Unasked only what nobody was answered about, and only by age, which the disk checks.
    world.document(id, |document| document.cancelled || document.state == Some(super::notes::CANCELLED))
}

fn told(world: &World, pos: &str, key: &str, sale: &Sale) {
    let again = if sale.replayed { " (again)" } else { "" };
    match &sale.fiscal {
        Some(fiscal) => {
            world.tell(pos, format_args!("{key}: printed as ФД {}{again}", fiscal.fiscal_doc_number));
        }
        None => world.tell(pos, format_args!("{key}: buffered")),
    }
}

fn read(sale: &Sale) -> Answer {
    Answer {
        printed: sale.status == SaleStatus::Printed,
        receipt_id: sale.id.to_string(),
        document: sale.fiscal.as_ref().map(|doc| (doc.fn_number.clone(), doc.fiscal_doc_number)),
    }
}

fn error_name(error: &TillError) -> &'static str {
    match error {
        TillError::Stopping => "the adapter is stopping",
        TillError::Unprinted { .. } => "stored, and not printed before it is sent again",
        TillError::Buffer(_) => "the buffer has failed",
        _ => "an error",
    }
}

fn request_id() -> RequestId {
    "sim".parse().expect("a name")
}
