//! Chance and people: the weather of the OFD, troubles of the KKTs and the disk, an administrator at the clock, and
//! those who look after dead letters, doubtful printouts and breakers.

use super::{
    adapter::Adapter,
    disk::Disk,
    kkt::{Fleet, TROUBLES},
    ofd::{Operator, Weather},
    rng::Rng,
    world::World,
};
use jiff::SignedDuration;
use kkt_adapter::{
    domain::{
        entry::{Actor, Change, Entry},
        lifecycle::State,
    },
    ports::{BreakerCommand, BreakerControl, BufferError, ListFilter, SyncControl, Till, Verdict},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// What the OFD does, changing now and then, for ever.
pub async fn weather(world: Arc<World>, operator: Arc<Operator>, fleet: Arc<Fleet>) {
    loop {
        tokio::time::sleep(world.millis(1_000, 40_000) * world.scenario.leisure()).await;
        let share = world.between(10, 100);
        let weather = match world.between(0, 10) {
            0..=2 => Weather::Up,
            3 => Weather::Fails(share, *world.pick(&[500, 502, 503, 504, 408])),
            4 => Weather::Busy(share, *world.pick(&[0, 1, 7, 45, 86_400])),
            5 => Weather::Hangs { stores: world.chance(50) },
            6 => Weather::Cuts(share),
            7 => Weather::Garbage(share),
            8 => Weather::Refuses,
            9 => Weather::Slow(*world.pick(&[500, 3_000, 20_000])),
            _ => {
                let devices: Vec<_> = fleet.devices.keys().cloned().collect();
                Weather::Forbids(world.pick(&devices).clone())
            }
        };
        operator.set_weather(weather);
        world.count("OFD weather");
    }
}

/// What the OFD does, as a test says.
pub async fn forecast(operator: Arc<Operator>, forecast: Vec<(Duration, Weather)>) {
    for (lasting, weather) in forecast {
        operator.set_weather(weather);
        tokio::time::sleep(lasting).await;
    }
}

/// Troubles of the devices, for ever.
pub async fn kkt_troubles(world: Arc<World>, fleet: Arc<Fleet>) {
    let devices: Vec<_> = fleet.devices.values().cloned().collect();
    loop {
        tokio::time::sleep(world.millis(2_000, 60_000) * world.scenario.leisure()).await;
        let lasting = world.millis(200, 40_000);
        world.pick(&devices).set_trouble(*world.pick(TROUBLES), lasting);
        world.count("KKT trouble");
    }
}

/// An administrator at the wall clock. He has a chance of his own, so that the rest of the run is the same with him and
/// without.
pub async fn clock_jumps(world: Arc<World>, chance: Arc<Mutex<Rng>>) {
    let hours = SignedDuration::from_hours;
    let jumps = [SignedDuration::from_secs(1), hours(1), hours(24 * 3_652)];
    loop {
        let (pause, by, is_back) = {
            let mut chance = chance.lock().unwrap();
            (chance.between(500, 40_000), *chance.pick(&jumps), chance.chance(50))
        };
        tokio::time::sleep(Duration::from_millis(pause) * world.scenario.leisure()).await;
        if world.scenario.jumps {
            world.jump(if is_back { -by } else { by });
            world.count("clock jump");
        }
    }
}

/// The disk breaks once in a while; some time later somebody restarts the adapter.
pub async fn disk_breaks(world: Arc<World>, disk: Arc<Disk>) {
    loop {
        tokio::time::sleep(world.millis(10_000, 60_000)).await;
        if world.chance(40) {
            disk.breaks();
            world.count("disk broke");
            tokio::time::sleep(world.millis(100, 20_000)).await;
            return;
        }
    }
}

/// People who look after things, for ever.
pub async fn support(world: Arc<World>, adapter: Arc<Adapter>, fleet: Arc<Fleet>) {
    loop {
        tokio::time::sleep(world.millis(3_000, 40_000) * world.scenario.leisure()).await;
        // A disk that fails is somebody else's business.
        let _ = look_at_paper(&world, &adapter, &fleet).await;
        if world.scenario.people {
            let _ = look_after_dead_letters(&world, &adapter, 40).await;
            let _ = cancel_some(&world, &adapter).await;
            command(&world, &adapter).await;
        }
    }
}

async fn in_state(adapter: &Adapter, state: State) -> Result<Vec<Entry>, BufferError> {
    let filter = ListFilter { state: Some(state), ascending: true, limit: 1_000, ..ListFilter::default() };
    Ok(adapter.buffer.list(filter).await?.entries)
}

/// Documents of which nobody knows whether they were printed: a person looks.
pub async fn look_at_paper(world: &World, adapter: &Adapter, fleet: &Fleet) -> Result<(), BufferError> {
    for entry in in_state(adapter, State::PrintUnknown).await? {
        let Ok(seen) = fleet.devices[&entry.device].look(entry.id) else { continue };
        let name = world.name(entry.id);
        world.count("print_unknown decided");
        world.tell("person", format_args!("{name} was printed: {}", seen.is_some()));
        let verdict = seen.map_or(Verdict::NotPrinted, |doc| Verdict::Printed(Box::new(doc)));
        let _ = adapter.till.decide(entry.id, verdict, person(), "looked at the paper".into()).await;
    }
    Ok(())
}

/// This share of the dead letters is seen to: mended and sent again, sent again as it is, or closed.
pub async fn look_after_dead_letters(
    world: &World,
    adapter: &Adapter,
    percent: u64,
) -> Result<(), BufferError> {
    for entry in in_state(adapter, State::Dead).await? {
        if !world.chance(percent) {
            continue;
        }
        let name = world.name(entry.id);
        if world.chance(25) {
            world.tell("person", format_args!("closes {name}"));
            let change = Change::Resolve { by: person(), note: "settled by hand".into() };
            let _ = adapter.buffer.apply(entry.id, change).await;
            adapter.engine.wake(&entry.device);
            continue;
        }
        if world.chance(70) {
            world.document(entry.id, |document| document.curse = None);
        }
        world.count("requeued");
        world.tell("person", format_args!("sends {name} again"));
        let change = Change::Requeue { by: person(), why: "mended".into() };
        if adapter.buffer.apply(entry.id, change).await.is_ok() {
            adapter.engine.wake(&entry.device);
        }
    }
    Ok(())
}

async fn cancel_some(world: &World, adapter: &Adapter) -> Result<(), BufferError> {
    for entry in in_state(adapter, State::Buffered).await? {
        if world.chance(15) {
            // Written down first: a crash may come between the cancelling and its answer.
            world.document(entry.id, |document| document.cancelled = true);
            let ended = adapter.till.cancel(entry.id, person(), "the customer left".into()).await;
            world.tell("person", format_args!("cancels {}: {}", world.name(entry.id), ended.is_ok()));
            world.count("cancelled");
        }
    }
    Ok(())
}

async fn command(world: &World, adapter: &Adapter) {
    if world.chance(20) {
        let report = adapter.engine.sync_now().await;
        world.tell("person", format_args!("forces a sync: {:?}", report.map(|report| report.synced)));
    }
    if !world.chance(25) {
        return;
    }
    let keys: Vec<String> = adapter.breakers.breakers().into_iter().map(|view| view.key).collect();
    let key = if world.chance(60) { "ofd" } else { world.pick(&keys) };
    let command = match world.between(0, 4) {
        0 => BreakerCommand::ForceOpen { for_how_long: Some(world.millis(500, 60_000)) },
        1 => BreakerCommand::ForceOpen { for_how_long: None },
        2 => BreakerCommand::ForceClosed,
        3 => BreakerCommand::Release,
        _ => BreakerCommand::Reset,
    };
    world.tell("person", format_args!("{key}: {command:?}"));
    world.count("breaker command");
    let _ = adapter.breakers.command(key, command, person(), "by hand".into()).await;
}

/// Every breaker is left to itself again.
pub async fn release_breakers(adapter: &Adapter) {
    for view in adapter.breakers.breakers() {
        let _ = adapter.breakers.command(&view.key, BreakerCommand::Release, person(), "enough".into()).await;
    }
}

fn person() -> Actor {
    Actor("olga".into())
}
