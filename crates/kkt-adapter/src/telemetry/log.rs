//! The log: `tracing` on the standard error, as text or one JSON object a line; its level can change while it runs.

use std::io::IsTerminal as _;
use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

/// Why the log is not as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The filter cannot be read; the log stays as it is.
    #[error(
        "the log filter {0:?} cannot be read: a level, or levels by module (\"info,kkt_adapter::sync=debug\")"
    )]
    Filter(String),
    /// This process logs already.
    #[error("the log was started twice in one process")]
    Started,
}

/// Changes the level of a running log.
#[derive(Debug, Clone)]
pub struct LogHandle(reload::Handle<Targets, Registry>);

impl LogHandle {
    /// From now on only what passes this filter is logged.
    ///
    /// # Errors
    /// [`LogError::Filter`]; the log stays as it is.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        let targets = parse(filter)?;
        // It fails only once the log is gone, at the end of the process.
        self.0.reload(targets).map_err(|_| LogError::Filter(filter.into()))
    }
}

/// Starts the log of this process: once.
///
/// # Errors
/// [`LogError`].
pub fn start_log(filter: &str, json: bool) -> Result<LogHandle, LogError> {
    let (targets, handle) = reload::Layer::new(parse(filter)?);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.boxed()
    };
    tracing_subscriber::registry().with(targets).with(lines).try_init().map_err(|_| LogError::Started)?;
    Ok(LogHandle(handle))
}

fn parse(filter: &str) -> Result<Targets, LogError> {
    filter.parse().map_err(|_| LogError::Filter(filter.into()))
}
