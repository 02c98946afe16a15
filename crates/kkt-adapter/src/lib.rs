//! The service a shop runs: takes receipts over HTTP, makes them durable, prints them on the KKT and
//! delivers them to the OFD through a circuit breaker. `ARCHITECTURE.md` is the map; `app` is where
//! the rooms are joined.

pub mod app;
pub mod buffer;
pub mod cli;
pub mod config;
pub mod domain;
pub mod fail_point;
pub mod fiscalize;
pub mod heartbeat;
pub mod http;
pub mod kkt;
pub mod ofd;
pub mod ports;
pub mod sync;
pub mod telemetry;
