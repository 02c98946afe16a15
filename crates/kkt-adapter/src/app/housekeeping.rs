//! What has to be done now and then: old bodies removed, a slice at a time.

use crate::{
    buffer::SqliteBuffer,
    config,
    ports::{Clock, SteadyWall},
};
use std::{sync::Arc, time::Duration};

/// How often retention looks for what is old enough.
const ROUND: Duration = Duration::from_secs(600);
/// Rows a slice: small, so that a receipt never waits behind it for long.
const SLICE: usize = 200;
/// Between two slices of one round.
const PAUSE: Duration = Duration::from_millis(250);

/// Removes the bodies of settled documents after their time, for ever.
pub(super) async fn run(buffer: Arc<SqliteBuffer>, clock: Arc<dyn Clock>, config: config::Buffer) {
    // A clock set ahead must not take bodies before their time (P9).
    let wall = SteadyWall::new(&*clock);
    loop {
        crate::fail_point::hit(crate::fail_point::TASK);
        match buffer.prune(wall.now(&*clock), config.retention, config.dlq_retention, SLICE).await {
            Ok(0) => tokio::time::sleep(ROUND).await,
            Ok(_) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                tracing::error!(%error, "old bodies cannot be removed");
                tokio::time::sleep(ROUND).await;
            }
        }
    }
}
