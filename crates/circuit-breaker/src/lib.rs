//! circuit-breaker
/// placeholder until the library lands
#[derive(Debug, Clone)]
pub struct Snapshot;
