//! One life of the process: a runtime of its own, which is dropped with everything in it when the process dies.

use super::{
    adapter::Adapter, kkt::Trouble, notes::Document, ofd::Weather, people, run::Run, scenario::Sabotage,
    tills,
};
use kkt_adapter::{domain::lifecycle::State, ports::OfdClient};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;

/// Everything must have come to rest so long after the last fault.
const DRAIN_MAX: Duration = Duration::from_secs(4 * 3_600);

/// How a life is to end.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// Killed after so long.
    Killed(Duration),
    /// SIGTERM after so long.
    Stopped(Duration),
    /// By itself, once all is sold and delivered.
    Drained,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There must be another life.
    Early,
    /// All is sold and at rest, or does not come to rest.
    Last,
}

/// Lives.
pub async fn live(run: &Run, end: End) -> Ended {
    let world = &run.world;
    world.begin_life();
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&run.disk).run());
    let ended = match tokio::time::timeout(lasting(end), at_work(run, end, &mut tasks)).await {
        Ok(ended) => ended,
        Err(_) => {
            world.count("killed");
            world.tell("adapter", format_args!("is killed"));
            Ended::Early
        }
    };
    world.end_life(world.millis(0, if world.chance(10) { 120_000 } else { 3_000 }));
    ended
}

fn lasting(end: End) -> Duration {
    match end {
        End::Killed(after) => after,
        _ => Duration::from_secs(400 * 86_400),
    }
}

async fn at_work(run: &Run, end: End, tasks: &mut JoinSet<()>) -> Ended {
    let world = &run.world;
    let adapter = match Adapter::start(world, &run.disk, &run.fleet, &run.operator).await {
        Ok(adapter) => Arc::new(adapter),
        Err(error) => {
            world.violation(format!("P8: it does not start: {error}"));
            return Ended::Last;
        }
    };
    let scenario = &world.scenario;
    let mut chance = JoinSet::new();
    if scenario.ofd_faults {
        chance.spawn(people::weather(Arc::clone(world), Arc::clone(&run.operator), Arc::clone(&run.fleet)));
    }
    if !run.forecast.is_empty() {
        chance.spawn(people::forecast(Arc::clone(&run.operator), run.forecast.clone()));
    }
    if scenario.kkt_faults {
        chance.spawn(people::kkt_troubles(Arc::clone(world), Arc::clone(&run.fleet)));
    }
    chance.spawn(people::clock_jumps(Arc::clone(world), Arc::clone(&run.jumps)));
    chance.spawn(people::support(Arc::clone(world), Arc::clone(&adapter), Arc::clone(&run.fleet)));
    if scenario.late_packets {
        tasks.spawn(Arc::clone(&run.operator).deliver_late());
    }
    if scenario.sabotage == Some(Sabotage::NoBreaker) {
        let network = Arc::clone(&adapter.network);
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = network.ping().await;
            }
        });
    }
    let mut selling = JoinSet::new();
    for till in 1..=scenario.tills {
        selling.spawn(tills::work(Arc::clone(world), Arc::clone(&adapter), Arc::clone(&run.log), till));
    }
    let all_sold = async { while selling.join_next().await.is_some() {} };
    let breaks = async {
        if scenario.disk_faults {
            people::disk_breaks(Arc::clone(world), Arc::clone(&run.disk)).await;
        } else {
            std::future::pending().await
        }
    };
    let stop = async {
        match end {
            End::Stopped(after) => tokio::time::sleep(after).await,
            _ => std::future::pending().await,
        }
    };
    // A life that is to be stopped goes on when all is sold, with nothing to do or little.
    let is_stopped = async {
        if matches!(end, End::Stopped(_)) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = async { all_sold.await; is_stopped.await } => {}
        () = breaks => return Ended::Early,
        () = stop => {
            adapter.stop(world).await;
            world.count("stopped");
            return Ended::Early;
        }
    }
    if matches!(end, End::Drained) && adapter.buffer.health().ok {
        chance.shutdown().await;
        drain(run, &adapter).await;
        return Ended::Last;
    }
    if adapter.buffer.health().ok {
        // It is killed while it has nothing to do, or little.
        std::future::pending::<()>().await;
    }
    Ended::Early
}

/// All faults end; everything must come to rest.
async fn drain(run: &Run, adapter: &Arc<Adapter>) {
    let world = &run.world;
    world.tell("world", format_args!("heals"));
    run.operator.set_weather(Weather::Up);
    run.fleet.devices.values().for_each(|kkt| kkt.set_trouble(Trouble::None, Duration::ZERO));
    world.notes(|notes| notes.heal());
    people::release_breakers(adapter).await;
    let deadline = world.now() + DRAIN_MAX;
    loop {
        for asked in run.log.unanswered() {
            tills::ask(world, adapter, &run.log, &asked).await;
        }
        let _ = people::look_at_paper(world, adapter, &run.fleet).await;
        let _ = people::look_after_dead_letters(world, adapter, 100).await;
        let at_rest = run.log.unanswered().is_empty()
            && !world.notes(|notes| notes.all().any(|(_, d)| is_under_way(d)));
        if at_rest || world.now() > deadline {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // What is still on its way arrives, and must change nothing.
    tokio::time::sleep(Duration::from_secs(30)).await;
}

fn is_under_way(document: &Document) -> bool {
    matches!(document.state, Some(State::Printing | State::Buffered | State::Printed | State::PrintUnknown))
}
