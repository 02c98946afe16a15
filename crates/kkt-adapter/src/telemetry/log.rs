//! The log: `tracing` on the standard error, as text or one JSON object a line; its level can change while it runs.

use std::io::IsTerminal as _;
use tracing::Subscriber;
use tracing_subscriber::{
    Layer as _, Registry,
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    reload,
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
    let colours = std::io::stderr().is_terminal();
    let (log, handle) = subscriber(filter, json, colours, std::io::stderr)?;
    log.try_init().map_err(|_| LogError::Started)?;
    Ok(handle)
}

fn subscriber<W>(
    filter: &str,
    json: bool,
    colours: bool,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync + 'static, LogHandle), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (targets, handle) = reload::Layer::new(parse(filter)?);
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.boxed()
    };
    Ok((tracing_subscriber::registry().with(targets).with(lines), LogHandle(handle)))
}

fn parse(filter: &str) -> Result<Targets, LogError> {
    filter.parse().map_err(|_| LogError::Filter(filter.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_level_changes_while_it_runs_and_a_bad_filter_changes_nothing() {
        let lines = Lines::default();
        let writer = lines.clone();
        let (log, handle) = subscriber("info", false, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(log, || {
            tracing::debug!("one");
            handle.set_filter("warn,kkt_adapter::telemetry=debug").unwrap();
            tracing::debug!("two");
            assert!(handle.set_filter("kkt_adapter=loud").is_err());
            tracing::debug!("three");
            handle.set_filter("off").unwrap();
            tracing::error!("four");
        });
        let text = lines.text();
        let seen = ["one", "two", "three", "four"].map(|word| text.contains(word));
        assert_eq!(seen, [false, true, true, false], "{text}");
    }

    #[test]
    fn json_is_one_object_a_line_with_its_fields() {
        let lines = Lines::default();
        let writer = lines.clone();
        let (log, _handle) = subscriber("info", true, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(log, || tracing::info!(key = "ofd", "line\nbreak"));
        let text = lines.text();
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(
            (text.lines().count(), &line["key"], &line["message"]),
            (1, &"ofd".into(), &"line\nbreak".into())
        );
    }
}
