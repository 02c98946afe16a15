use super::{
    key::*,
    section::{section, words},
};
use tracing_subscriber::filter::LevelFilter;

words! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

section! {
    /// `[telemetry]`: the log.
    Telemetry {
        /// What is logged: a level, or levels by module, such as `info,kkt_adapter::sync=debug`.
        "telemetry.log" "KKT_TELEMETRY__LOG" log: String = "info", Kind::Text(&FILTER), reload;
        /// How log lines look, on the standard error.
        "telemetry.log_format" "KKT_TELEMETRY__LOG_FORMAT" log_format: LogFormat = "text", Kind::Choice(LogFormat::WORDS);
    }
}

/// Stricter than the filter's own parser, which takes a misspelt level for the name of a module.
static FILTER: Rule = Rule {
    name: "filter",
    words: "off, error, warn, info, debug or trace, or such levels by module: \"info,kkt_adapter::sync=debug\"",
    holds: |text| {
        text.split(',').all(|directive| match directive.trim().split_once('=') {
            None => is_level(directive.trim()),
            Some((target, level)) => {
                is_level(level)
                    && !target.is_empty()
                    && target.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-'))
            }
        })
    },
};

fn is_level(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphabetic()) && text.parse::<LevelFilter>().is_ok()
}
