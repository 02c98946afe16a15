//! One process of the adapter, joined as `app` joins it, out of the real rooms.

use super::{
    disk::Disk,
    kkt::Fleet,
    ofd::{Network, Operator},
    world::{MachineClock, Watcher, World},
};
use kkt_adapter::{
    fiscalize::Fiscalizer,
    ports::{Buffer, Clock, Observer, SyncControl},
    sync::{Breakers, SyncEngine},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

pub struct Adapter {
    pub buffer: Arc<dyn Buffer>,
    pub till: Fiscalizer,
    pub engine: Arc<SyncEngine>,
    pub breakers: Arc<Breakers>,
    pub network: Arc<Network>,
}

impl Adapter {
    /// Starts it; when this returns, it serves. `Err`: the disk does not let it.
    pub async fn start(
        world: &Arc<World>,
        disk: &Arc<Disk>,
        fleet: &Arc<Fleet>,
        operator: &Arc<Operator>,
    ) -> Result<Self, kkt_adapter::ports::BufferError> {
        let clock: Arc<dyn Clock> = Arc::new(MachineClock(Arc::clone(world)));
        let observer: Arc<dyn Observer> = Arc::new(Watcher(Arc::clone(world)));
        let buffer: Arc<dyn Buffer> = Arc::clone(disk) as Arc<dyn Buffer>;
        let breakers = Breakers::new(
            world.scenario.breaker.clone(),
            BTreeMap::new(),
            Arc::clone(&buffer),
            Arc::clone(&clock),
            Arc::clone(&observer),
        )
        .unwrap();
        let network = Arc::new(Network {
            world: Arc::clone(world),
            operator: Arc::clone(operator),
            breakers: OnceLock::new(),
        });
        let _ = network.breakers.set(Arc::clone(&breakers));
        let engine = SyncEngine::new(
            world.scenario.sync.clone(),
            Arc::clone(&buffer),
            Arc::clone(&network) as Arc<_>,
            Arc::clone(&breakers),
            Arc::clone(&clock),
            Arc::clone(&observer),
        );
        let till = Fiscalizer::new(
            Arc::clone(&buffer),
            Arc::clone(fleet) as Arc<_>,
            clock,
            observer,
            world.scenario.fiscalize.clone(),
        );
        let lanes = Arc::clone(&engine);
        till.on_printed(Arc::new(move |device| SyncControl::wake(&lanes, device)));
        let recovered = till.recover().await?;
        world.tell("adapter", format_args!("starts: {recovered:?}"));
        till.start();
        engine.start();
        Ok(Self { buffer, till, engine, breakers, network })
    }

    /// Stops it in good order, as SIGTERM does.
    pub async fn stop(&self, world: &World) {
        world.tell("adapter", format_args!("stops"));
        let is_done = self.till.stop(Duration::from_secs(4)).await;
        self.engine.stop(Duration::from_secs(2)).await;
        let _ = tokio::time::timeout(Duration::from_secs(2), self.buffer.close()).await;
        world.tell("adapter", format_args!("stopped, all done: {is_done}"));
    }
}
