//! A shop with one till: a document that always fails looks like an OFD that is down.

use super::{
    adapter::Adapter,
    ofd::Weather,
    run::{Forecast, Run, calm},
    tills,
};
use kkt_adapter::{domain::lifecycle::State, ports::SyncControl};
use std::{sync::Arc, time::Duration};

// P2: nothing is given up, and a person is told which document it is.
#[test]
fn where_nothing_else_is_sent_a_document_that_always_fails_stays_first_and_is_named() {
    let run = Run::new(calm(1, Duration::from_secs(60)), 1, false, Forecast::new());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = &run.world;
        world.begin_life();
        tokio::spawn(Arc::clone(&run.disk).run());
        let adapter = Adapter::start(world, &run.disk, &run.fleet, &run.operator).await.unwrap();
        let sell = async || tills::ask(world, &adapter, &run.log, &run.log.new_sale(world, "POS-1")).await;
        let states = |state| world.notes(|notes| notes.all().filter(|(_, d)| d.state == Some(state)).count());
        sell().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(states(State::Synced), 2, "the shift and the receipt");

        run.operator.set_weather(Weather::Fails(100, 500));
        sell().await;
        sell().await;
        tokio::time::sleep(Duration::from_secs(9 * 60)).await;
        assert!(adapter.engine.stuck().is_empty(), "an outage of minutes is the breaker's business");
        // Ten minutes after its first failure, seen at the next try.
        tokio::time::sleep(Duration::from_secs(3 * 60)).await;
        let stuck = adapter.engine.stuck();
        let head = stuck[0].head.unwrap();
        assert_eq!((stuck.len(), stuck[0].device.as_str(), head.fd), (1, "kkt-1", 3));
        assert!(head.failing_for >= Duration::from_secs(600) && head.tries > 5, "{head:?}");
        assert_eq!((states(State::Printed), states(State::Dead)), (2, 0), "nothing is given up");

        run.operator.set_weather(Weather::Up);
        tokio::time::sleep(Duration::from_secs(15 * 60)).await;
        assert_eq!(states(State::Synced), 4);
        assert!(adapter.engine.stuck().is_empty());
        world.end_life(Duration::ZERO);
    });
    assert_eq!(run.world.violations(), Vec::<String>::new());
}
