//! What the adapter tells those who run it: the log on the standard error, and the metrics page.
//!
//! Rooms report through `ports::Observer`; the names of all metrics stand in [`names`] and nowhere else.

mod docs;
mod labels;
mod log;
mod metrics;
pub mod names;
mod page;
mod scrape;

pub use docs::documentation;
pub use labels::{OTHER, TILLS_MAX};
pub use log::{LogError, LogHandle, start_log};
pub use metrics::Metrics;
pub use page::Page;
pub use scrape::{Read, scrape};
