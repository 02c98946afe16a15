//! A shop with one till: a document that always fails looks like an OFD that is down.

use super::{
    adapter::Adapter,
    notes::Curse,
    ofd::Weather,
    run::{Forecast, Run, calm},
    tills,
};
use kkt_adapter::{
    domain::{
        entry::{Actor, Change},
        ids::{DeviceId, ReceiptId},
        lifecycle::State,
    },
    ports::SyncControl,
    sync::OnRejected,
};
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

/// A shop with one till in which a document holds up the lane.
struct Held {
    run: Run,
    adapter: Adapter,
    device: DeviceId,
    id: ReceiptId,
}

impl Held {
    /// The head has failed once, and the OFD will never take it; nothing else was sold.
    async fn open(on_rejected: OnRejected) -> Self {
        let mut scenario = calm(1, Duration::from_secs(60));
        scenario.sync.on_rejected = on_rejected;
        let run = Run::new(scenario, 2, false, Forecast::new());
        run.world.begin_life();
        tokio::spawn(Arc::clone(&run.disk).run());
        let adapter = Adapter::start(&run.world, &run.disk, &run.fleet, &run.operator).await.unwrap();
        let device = "kkt-1".parse().unwrap();
        let mut held = Self { run, adapter, device, id: ReceiptId::new() };
        held.sell().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(held.adapter.engine.head(&held.device).is_none(), "all is well");
        // The OFD fails only until the document that it cannot take is there.
        held.run.operator.set_weather(Weather::Fails(100, 500));
        held.sell().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let head = held.adapter.engine.head(&held.device).unwrap();
        assert_eq!((head.fd, head.is_stuck), (3, false));
        held.id = head.id;
        held.run.operator.set_weather(Weather::Up);
        held.run.world.document(held.id, |document| document.curse = Some(Curse::Fails));
        held
    }

    async fn sell(&self) {
        let sale = self.run.log.new_sale(&self.run.world, "POS-1");
        tills::ask(&self.run.world, &self.adapter, &self.run.log, &sale).await;
    }

    fn in_state(&self, state: State) -> usize {
        self.run.world.notes(|notes| notes.all().filter(|(_, d)| d.state == Some(state)).count())
    }

    /// A person does what the adapter may not.
    async fn park(&self) {
        self.run.world.document(self.id, |document| document.may_be_dead = true);
        let change = Change::Park { by: Actor("anna".into()), why: "the OFD cannot read it".into() };
        self.adapter.buffer.apply(self.id, change).await.unwrap();
    }

    fn end(&self) {
        self.run.world.end_life(Duration::ZERO);
        assert_eq!(self.run.world.violations(), Vec::<String>::new());
    }
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

// P2: the lever of the one who was told. P5: what is set aside leaves the order, the rest keeps it.
#[test]
fn where_a_person_sets_aside_what_holds_up_the_lane_the_rest_is_delivered_and_it_can_be_sent_again() {
    paused().block_on(async {
        let held = Held::open(OnRejected::Park).await;
        held.sell().await;
        tokio::time::sleep(Duration::from_secs(15 * 60)).await;
        assert_eq!(
            (held.in_state(State::Printed), held.in_state(State::Synced)),
            (2, 2),
            "one holds up the other"
        );
        let engine = &held.adapter.engine;
        assert_eq!(engine.stuck().len(), 1);

        held.park().await;
        engine.parked(&held.device, held.id);
        assert!(engine.stuck().is_empty(), "at once");
        tokio::time::sleep(Duration::from_secs(3 * 60)).await;
        assert_eq!((held.in_state(State::Dead), held.in_state(State::Synced)), (1, 3));

        held.run.world.document(held.id, |document| document.curse = None);
        let change = Change::Requeue { by: Actor("anna".into()), why: "mended".into() };
        held.adapter.buffer.apply(held.id, change).await.unwrap();
        engine.wake(&held.device);
        tokio::time::sleep(Duration::from_secs(3 * 60)).await;
        assert_eq!(held.in_state(State::Synced), 4);
        held.end();
    });
}

// P2: an alarm about a document that is no longer there would never end.
#[test]
fn a_lane_whose_only_document_was_set_aside_while_it_was_sent_forgets_it() {
    paused().block_on(async {
        let held = Held::open(OnRejected::Park).await;
        held.park().await;
        // Nobody tells the lane: as if the answer to a send had come after it was told.
        held.adapter.engine.wake(&held.device);
        tokio::time::sleep(Duration::from_secs(15 * 60)).await;
        assert!(held.adapter.engine.head(&held.device).is_none());
        held.end();
    });
}

#[test]
fn a_lane_that_stops_at_dead_letters_goes_on_once_the_one_set_aside_is_closed() {
    paused().block_on(async {
        let held = Held::open(OnRejected::Stop).await;
        held.sell().await;
        tokio::time::sleep(Duration::from_secs(15 * 60)).await;
        held.park().await;
        let engine = &held.adapter.engine;
        engine.parked(&held.device, held.id);
        tokio::time::sleep(Duration::from_secs(3 * 60)).await;
        assert_eq!((engine.stuck()[0].state, held.in_state(State::Synced)), ("stopped", 2));
        let change = Change::Resolve { by: Actor("anna".into()), note: "sent by hand".into() };
        held.adapter.buffer.apply(held.id, change).await.unwrap();
        engine.wake(&held.device);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(held.in_state(State::Synced), 3);
        held.end();
    });
}
