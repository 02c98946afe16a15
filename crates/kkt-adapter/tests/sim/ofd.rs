//! The network and the OFD behind it. What is sent may arrive late, also after its sender gave up or died; what the OFD
//! answers is read by the adapter's real classification. Each call is checked against what the breaker allows (P6).

use super::{
    notes::{Curse, Pause},
    scenario::Sabotage,
    world::{MachineClock, World},
};
use async_trait::async_trait;
use circuit_breaker::State as BreakerState;
use kkt_adapter::{
    domain::{
        document::{Confirmation, Outgoing},
        ids::{DeviceId, ReceiptId},
    },
    ofd::classify::{self, Answer},
    ports::{BreakerControl, Clock, OfdClient, OfdError},
    sync::Breakers,
};
use ofd_sim::core::{Core, Now, action::Delivery, call::Call};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// The longest pause that a `Retry-After` is believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// What happens at the same instant has no order that anybody could keep: a call that was let through goes out although
/// the answer to another arrives.
const TICK: Duration = Duration::from_nanos(1);

/// What the OFD does at present.
#[derive(Debug, Clone, PartialEq)]
pub enum Weather {
    Up,
    /// This share of the calls fails with this status.
    Fails(u64, u16),
    /// 429, `Retry-After` in seconds; as a date every other time.
    Busy(u64, u64),
    /// Takes everything, answers nothing; whether it counts.
    Hangs {
        stores: bool,
    },
    /// Counts, then cuts the connection, this share.
    Cuts(u64),
    /// Answers what nobody understands, this share.
    Garbage(u64),
    /// Nobody listens.
    Refuses,
    /// Answers after up to so many milliseconds.
    Slow(u64),
    /// Refuses the token of one device.
    Forbids(DeviceId),
}

/// What comes back over the network.
enum Back {
    Answer(Answer),
    Cut,
    Nothing,
}

/// The operator: outlives every process.
pub struct Operator {
    world: Arc<World>,
    core: Mutex<Core>,
    weather: Mutex<Weather>,
    /// Sent, not arrived, and nobody waits for the answer: when each arrives.
    on_the_way: Mutex<Vec<(Duration, Outgoing)>>,
}

impl Operator {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        let mut core = Core::new(1_000_000);
        if world.scenario.sabotage == Some(Sabotage::NoDedup) {
            core.set_plan(Now::default(), ofd_sim::Plan::ok().dedup_off());
        }
        Arc::new(Self {
            world,
            core: Mutex::new(core),
            weather: Mutex::new(Weather::Up),
            on_the_way: Mutex::default(),
        })
    }

    pub fn set_weather(&self, weather: Weather) {
        self.world.tell("ofd", format_args!("{weather:?}"));
        *self.weather.lock().unwrap() = weather;
    }

    pub fn ledger(&self) -> Vec<ofd_sim::Document> {
        self.core.lock().unwrap().ledger().page(0, usize::MAX)
    }

    pub fn broken_rules(&self) -> Vec<String> {
        let stats = self.core.lock().unwrap().stats();
        stats.latest_violations.iter().map(|violation| format!("{violation:?}")).collect()
    }

    pub fn counted(&self) -> u64 {
        self.core.lock().unwrap().ledger().counted()
    }

    /// Packets that were under way when their sender went away arrive after all, for ever.
    pub async fn deliver_late(self: Arc<Self>) {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = self.world.now();
            let mut on_the_way = self.on_the_way.lock().unwrap();
            on_the_way.sort_by_key(|(at, document)| (*at, document.device.clone(), document.fd));
            let is_due = on_the_way.first().is_some_and(|(at, _)| *at <= now);
            let due = is_due.then(|| on_the_way.remove(0));
            drop(on_the_way);
            if let Some((_, document)) = due {
                self.world.tell("network", format_args!("{} arrives late", self.world.name(document.id)));
                self.arrive(&document);
            }
        }
    }

    /// A document arrives: when the answer goes out, and what it is.
    fn arrive(&self, document: &Outgoing) -> (Duration, Back) {
        let world = &self.world;
        let weather = self.weather.lock().unwrap().clone();
        let curse = self.curse(document);
        let slow = match weather {
            Weather::Slow(most) => world.millis(0, most),
            _ => world.millis(0, 30),
        };
        let status = |status, code: &str| {
            let body = format!("{{\"status\":\"{code}\",\"code\":14,\"detail\":\"simulated\"}}");
            Back::Answer(answer(status, body, None))
        };
        let back = match weather {
            Weather::Fails(percent, code) if world.chance(percent) => status(code, "error"),
            Weather::Busy(percent, seconds) if world.chance(percent) => busy(world, seconds),
            Weather::Forbids(device) if device == document.device => status(403, "error"),
            Weather::Hangs { stores: false } => Back::Nothing,
            Weather::Garbage(percent) if world.chance(percent) => self.garbage(document),
            _ => match curse {
                Some(Curse::Refused) => {
                    world.document(document.id, |document| document.may_be_dead = true);
                    status(422, "rejected")
                }
                Some(Curse::Fails) => status(500, "error"),
                None if world.scenario.sabotage == Some(Sabotage::LyingOfd) && world.chance(10) => {
                    Back::Answer(answer(200, "{\"status\":\"accepted\",\"ofd_id\":\"x\"}".into(), None))
                }
                None => {
                    let counted = self.count(document);
                    match weather {
                        Weather::Hangs { .. } => Back::Nothing,
                        Weather::Cuts(percent) if world.chance(percent) => Back::Cut,
                        _ => counted,
                    }
                }
            },
        };
        (slow, back)
    }

    /// Whether something is wrong with the document itself: cast once, at its first arrival.
    fn curse(&self, document: &Outgoing) -> Option<Curse> {
        let world = &self.world;
        let (curse, was_tried) =
            world.document(document.id, |d| (d.curse, std::mem::replace(&mut d.was_tried, true)));
        if was_tried || world.notes(|notes| notes.is_healed) {
            return curse;
        }
        let curse = (world.between(1, 1_000) <= world.scenario.cursed_permille)
            .then(|| *world.pick(&[Curse::Refused, Curse::Fails]));
        if let Some(curse) = curse {
            world.tell("ofd", format_args!("{} is cursed: {curse:?}", world.name(document.id)));
        }
        world.document(document.id, |document| document.curse = curse);
        curse
    }

    /// The healthy operator counts it, and checks the order (P5).
    fn count(&self, document: &Outgoing) -> Back {
        let mut core = self.core.lock().unwrap();
        let before = (core.ledger().out_of_order(), core.ledger().counted());
        let call = Call::receipt(true, Some(&document.id.to_string()), &document.wire);
        let now = Now { since_start: self.world.now(), unix_ms: 0 };
        let action = core.step(now, &call);
        core.finish();
        let after = (core.ledger().out_of_order(), core.ledger().counted());
        drop(core);
        let (world, name) = (&self.world, self.world.name(document.id));
        let again = if after.1 == before.1 { " (known)" } else { "" };
        world.tell("ofd", format_args!("counts {name}, {} ФД {}{again}", document.device, document.fd));
        if after.0 > before.0 && !world.document(document.id, |document| document.unordered) {
            world.violation(format!("P5: {name} came after later ones of {}", document.device));
        }
        match action.delivery {
            Delivery::Answer(given) => Back::Answer(answer(given.status, given.body, given.retry_after)),
            _ => Back::Cut,
        }
    }

    fn garbage(&self, document: &Outgoing) -> Back {
        // What nobody understands may have been counted.
        if self.world.chance(50) {
            self.count(document);
        }
        let forms = [
            (200, "<html><body>Welcome to Free WiFi</body></html>"),
            (200, "{\"status\":\"acc"),
            (200, "[null]"),
            (200, "{\"status\":\"accepted\",\"ofd_id\":\"1\",\"fd\":999999999}"),
            (404, "<html>not found</html>"),
            (302, ""),
            (400, "<html>a proxy</html>"),
        ];
        let (status, body) = *self.world.pick(&forms);
        Back::Answer(answer(status, body.into(), None))
    }
}

fn answer(status: u16, body: String, retry_after: Option<String>) -> Answer {
    Answer { status, retry_after, date: None, location: None, body: Ok(body.into_bytes()) }
}

/// 429; the date of its `Retry-After` is that of the OFD's clock, whatever the machine's wall clock shows (P9).
fn busy(world: &World, seconds: u64) -> Back {
    let mut answer = answer(429, "{\"status\":\"error\"}".into(), Some(seconds.to_string()));
    if world.chance(50) {
        let http = |at: jiff::Timestamp| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let now = world.true_time();
        answer.date = Some(http(now));
        answer.retry_after = Some(http(now + Duration::from_secs(seconds)));
    }
    Back::Answer(answer)
}

/// The way to the operator from one process.
pub struct Network {
    pub world: Arc<World>,
    pub operator: Arc<Operator>,
    /// To look at the breaker as each call begins; set once the breakers are made.
    pub breakers: std::sync::OnceLock<Arc<Breakers>>,
}

/// A call in flight.
struct InFlight<'a>(&'a World, u64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.notes(|notes| notes.watch.calls.remove(&self.1));
    }
}

/// A packet under way; if its sender goes away, it may arrive all the same, so much later. That is drawn beforehand: the
/// tasks of a dead process are dropped in no certain order.
struct Packet<'a> {
    operator: &'a Operator,
    document: Option<&'a Outgoing>,
    late: Option<Duration>,
}

impl Drop for Packet<'_> {
    fn drop(&mut self) {
        if let (Some(document), Some(late)) = (self.document.take(), self.late) {
            let at = self.operator.world.now() + late;
            self.operator.on_the_way.lock().unwrap().push((at, document.clone()));
        }
    }
}

impl Network {
    /// A call begins: the breaker must allow it, and whoever asked for a pause must have had it.
    fn begin(&self, what: &str, document: Option<ReceiptId>) -> InFlight<'_> {
        let world = &self.world;
        let breakers = self.breakers.get().expect("the breakers are made before the first call");
        let now = world.now();
        let snapshot = breakers.endpoint().snapshot;
        let (state, generation, age) = (snapshot.state, snapshot.generation, snapshot.state_age);
        let (number, probes, wrong) = world.notes(|notes| {
            let watch = &mut notes.watch;
            watch.calls_made += 1;
            watch.calls.insert(watch.calls_made, (state, generation));
            let is_probe = |call: &&(BreakerState, u64)| **call == (BreakerState::HalfOpen, generation);
            let probes = watch.calls.values().filter(is_probe).count();
            let shut = matches!(state, BreakerState::Open | BreakerState::ForcedOpen);
            let early = |until: Option<Duration>| until.is_some_and(|until| now < until);
            let wrong = if shut && !age.is_zero() {
                Some("the breaker is open")
            } else if !shut && state == BreakerState::HalfOpen && early(watch.open_until) {
                Some("the breaker was to be open for longer")
            } else if watch.pauses.iter().any(|pause| {
                let is_meant = pause.of.is_none() || pause.of == document;
                is_meant && (pause.heard + TICK..pause.until).contains(&now)
            }) {
                Some("the OFD asked for a pause")
            } else {
                None
            };
            (watch.calls_made, probes, wrong)
        });
        if let Some(wrong) = wrong {
            world.violation(format!("P6: {what} is sent, and {wrong}"));
        }
        if probes > world.scenario.half_open_max_calls as usize {
            world.violation(format!("P6: {probes} probes in flight"));
        }
        InFlight(world, number)
    }

    /// There and back; never completes if nothing comes back.
    async fn exchange(&self, document: &Outgoing) -> Result<Answer, OfdError> {
        let world = &self.world;
        if *self.operator.weather.lock().unwrap() == Weather::Refuses {
            tokio::time::sleep(Duration::from_millis(1)).await;
            return Err(OfdError::Unavailable { reason: "connection refused".into(), retry_after: None });
        }
        let late = (world.scenario.late_packets && world.chance(50)).then(|| world.millis(100, 20_000));
        let mut packet = Packet { operator: &self.operator, document: Some(document), late };
        let slowest = if world.scenario.late_packets && world.chance(5) { 15_000 } else { 40 };
        tokio::time::sleep(world.millis(1, slowest)).await;
        packet.document = None;
        drop(packet);
        let (after, back) = self.operator.arrive(document);
        tokio::time::sleep(after + world.millis(1, 40)).await;
        match back {
            Back::Answer(answer) => Ok(answer),
            Back::Cut => Err(OfdError::Ambiguous("connection reset".into())),
            Back::Nothing => std::future::pending().await,
        }
    }

    /// The rule of the architecture, reckoned a second time: a failure is the document's own only if another document
    /// was accepted since its previous try.
    fn reckon(&self, document: &Outgoing, before: (u64, u64), result: &Result<Confirmation, OfdError>) {
        let world = &self.world;
        let attempts_max = world.scenario.sync.attempts_max;
        let (now, id) = (world.now(), document.id);
        world.notes(|notes| {
            if result.is_ok() {
                notes.accept(now);
            }
            let (accepted, before_now) = (notes.accepted, notes.accepted_before(now));
            let is_known = notes.last_sent.insert(document.device.clone(), id) == Some(id);
            let document = notes.of(id);
            let failed = matches!(result, Err(OfdError::Unavailable { .. } | OfdError::Ambiguous(_)));
            let last_try = document.accepted_at_last_try;
            if failed && last_try.is_some_and(|then| accepted > then) {
                document.charged += 1;
                document.may_be_dead |= document.charged >= attempts_max;
            }
            let known = last_try.filter(|_| is_known);
            let may_be_its_own = known.is_some() && accepted > document.accepted_before_last_try;
            let may_be_of_all = known.is_none_or(|then| before_now <= then);
            (document.accepted_at_last_try, document.accepted_before_last_try) = (Some(before.0), before.1);
            if let Err(OfdError::Unavailable { retry_after: Some(time), .. }) = result {
                let until = now + (*time).min(RETRY_AFTER_MAX);
                let of = may_be_its_own.then_some(id);
                notes.watch.pauses.push(Pause { heard: now, until, of, may_be_of_all });
            }
        });
    }
}

#[async_trait]
impl OfdClient for Network {
    async fn submit(&self, document: &Outgoing) -> Result<Confirmation, OfdError> {
        let world = &self.world;
        let name = world.name(document.id);
        let in_flight = self.begin(&name, Some(document.id));
        world.tell("lane", format_args!("{} sends {name}, ФД {}", document.device, document.fd));
        let now = world.now();
        let accepted_before = world.notes(|notes| (notes.accepted, notes.accepted_before(now)));
        let timeout = world.scenario.ofd_timeout;
        let result = match tokio::time::timeout(timeout, self.exchange(document)).await {
            Ok(Ok(answer)) => classify::submitted(document, &answer, MachineClock(Arc::clone(world)).wall()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(OfdError::Unavailable { reason: "no answer in time".into(), retry_after: None }),
        };
        drop(in_flight);
        self.reckon(document, accepted_before, &result);
        match &result {
            Ok(_) => world.tell("lane", format_args!("{name} accepted")),
            Err(error) => world.tell("lane", format_args!("{name} {}: {error}", error.outcome())),
        }
        result
    }

    async fn ping(&self) -> Result<(), OfdError> {
        let world = &self.world;
        let in_flight = self.begin("a ping", None);
        tokio::time::sleep(world.millis(2, 80)).await;
        let weather = self.operator.weather.lock().unwrap().clone();
        let failed = |reason: &str| OfdError::Unavailable { reason: reason.into(), retry_after: None };
        let result = match weather {
            Weather::Hangs { .. } => {
                tokio::time::sleep(world.scenario.ofd_timeout).await;
                Err(failed("no answer in time"))
            }
            Weather::Refuses => Err(failed("connection refused")),
            Weather::Fails(percent, _) | Weather::Garbage(percent) if world.chance(percent) => {
                Err(failed("HTTP 503"))
            }
            _ => Ok(()),
        };
        drop(in_flight);
        world.tell(
            "gate",
            format_args!("ping: {}", result.as_ref().map_or_else(OfdError::outcome, |()| "ok")),
        );
        result
    }

    fn fiscal(&self) -> bool {
        false
    }
}
