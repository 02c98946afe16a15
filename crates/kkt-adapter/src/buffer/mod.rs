//! The durable buffer: two implementations of one port.
//!
//! * [`sqlite`] is what a shop runs: one file, one writer, group commit.
//! * [`memory`] is the model: the same rules without a disk, for tests and for the simulation.
//!
//! `rules` says what a write does to a document and is shared by both; `books` counts; `gate` hands out places.

mod books;
mod gate;
pub mod memory;
mod rules;
pub mod sqlite;

pub use memory::MemoryBuffer;
pub use sqlite::{SqliteBuffer, SqliteOptions};
