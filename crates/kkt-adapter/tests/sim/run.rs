//! A run: lives one after the other until all is sold and at rest; then the books are compared.

use super::{
    disk::Disk,
    kkt::Fleet,
    life::{End, Ended, live},
    ofd::{Operator, Weather},
    oracle::{Evidence, Row, Verdict, judge},
    rng::Rng,
    scenario::Scenario,
    tills::Log,
    world::{MachineClock, World},
};
use kkt_adapter::{buffer::MemoryBuffer, domain::entry::Entry};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Everything that outlives a process.
pub struct Run {
    pub world: Arc<World>,
    pub disk: Arc<Disk>,
    pub fleet: Arc<Fleet>,
    pub operator: Arc<Operator>,
    pub log: Arc<Log>,
    pub jumps: Arc<Mutex<Rng>>,
    /// The weather, where a test makes it.
    pub forecast: Forecast,
}

/// For how long the OFD does what, one after the other.
pub type Forecast = Vec<(Duration, Weather)>;

/// How a run went.
pub struct Outcome {
    pub verdict: Verdict,
    pub violations: Vec<String>,
    pub trace: String,
    pub figures: BTreeMap<&'static str, u64>,
}

impl Outcome {
    pub fn is_clean(&self) -> bool {
        self.verdict.is_clean() && self.violations.is_empty()
    }

    pub fn wrong(&self) -> String {
        format!("{}\nviolations: {:#?}", self.verdict, self.violations)
    }
}

/// Runs a scenario from a seed.
pub fn run(scenario: Scenario, seed: u64, traced: bool) -> Outcome {
    run_under(scenario, seed, traced, Forecast::new())
}

/// The same under a given weather.
pub fn run_under(scenario: Scenario, seed: u64, traced: bool, forecast: Forecast) -> Outcome {
    let run = Run::new(scenario, seed, traced, forecast);
    let world = Arc::clone(&run.world);
    let mut lives = if world.scenario.crashes { world.between(1, 6) } else { 0 };
    loop {
        let after = world.millis(20, *world.pick(&[2_000, 60_000]));
        let end = match lives {
            0 => End::Drained,
            _ if world.chance(25) => End::Stopped(after),
            _ => End::Killed(after),
        };
        lives = lives.saturating_sub(1);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let ended = runtime.block_on(live(&run, end));
        // Here everything of that life is dropped, wherever it stood.
        drop(runtime);
        run.disk.crash();
        world.notes(|notes| notes.forget_life());
        if ended == Ended::Last {
            return run.judge();
        }
    }
}

impl Run {
    pub fn new(scenario: Scenario, seed: u64, traced: bool, forecast: Forecast) -> Self {
        let world = World::new(scenario, seed, traced);
        let clock = Arc::new(MachineClock(Arc::clone(&world)));
        let memory = MemoryBuffer::new(world.scenario.capacity, clock);
        Self {
            disk: Disk::new(Arc::clone(&world), memory),
            fleet: Fleet::new(&world),
            operator: Operator::new(Arc::clone(&world)),
            log: Arc::new(Log::new(&world)),
            jumps: Arc::new(Mutex::new(Rng::new(!seed))),
            world,
            forecast,
        }
    }

    fn judge(&self) -> Outcome {
        let world = &self.world;
        let entries = self.disk.entries();
        for entry in &entries {
            let noted = world.document(entry.id, |document| document.state);
            if noted != Some(entry.state) {
                let name = world.name(entry.id);
                world
                    .violation(format!("the buffer has {name} as {:?}, it was to be {noted:?}", entry.state));
            }
        }
        let ids = |of: fn(&super::notes::Document) -> bool| world.notes(|notes| notes.ids(of));
        let paper = self.fleet.devices.values().map(|kkt| (kkt.id.to_string(), kkt.paper())).collect();
        let evidence = Evidence {
            asked: self.log.all(),
            rows: entries.into_iter().map(row).collect(),
            ledger: self.operator.ledger(),
            violations: self.operator.broken_rules(),
            paper,
            damage: 0,
            unordered: ids(|document| document.unordered),
            refused: ids(|document| document.may_be_dead),
            cancelled: ids(|document| document.cancelled),
        };
        let mut figures = world.notes(|notes| std::mem::take(&mut notes.tally));
        let answered = evidence.asked.iter().filter(|asked| !asked.answers.is_empty()).count();
        let in_state = |state: &str| evidence.rows.iter().filter(|row| row.state == state).count() as u64;
        figures.extend([
            ("acknowledged", answered as u64),
            ("delivered", self.operator.counted()),
            ("sent to the OFD", world.notes(|notes| notes.watch.calls_made)),
            ("dead at the end", in_state("dead")),
            ("virtual seconds", world.now().as_secs()),
        ]);
        Outcome {
            verdict: judge(&evidence),
            violations: world.violations(),
            trace: world.take_trace(),
            figures,
        }
    }
}

fn row(entry: Entry) -> Row {
    Row {
        receipt_id: entry.id.to_string(),
        key: entry.key.to_string(),
        state: entry.state.as_str().into(),
        document: entry.fiscal.map(|doc| (doc.fn_number, doc.fiscal_doc_number)),
    }
}

/// A plain scenario for tests that make their own weather: nothing goes wrong by itself.
pub fn calm(tills: u64, selling: Duration) -> Scenario {
    Scenario {
        tills,
        devices: tills,
        selling,
        pace_ms: 2_000,
        capacity: 300_000,
        ofd_faults: false,
        cursed_permille: 0,
        kkt_faults: false,
        crashes: false,
        disk_faults: false,
        disk_refuses: false,
        slow_disk: false,
        late_packets: false,
        people: false,
        nights: false,
        jumps: false,
        ..Scenario::draw(0)
    }
}
