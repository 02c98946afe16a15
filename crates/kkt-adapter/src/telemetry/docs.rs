//! docs/metrics.md.

use super::{
    labels::{OTHER, TILLS_MAX},
    names,
};
use std::fmt::Write as _;

/// docs/metrics.md, from the table of names.
#[must_use]
pub fn documentation() -> String {
    let mut text = format!(
        "<!-- Generated from crates/kkt-adapter/src/telemetry/names.rs; a test checks it. \
         To write it anew: UPDATE_DOCS=1 cargo test -p kkt-adapter --test metrics -->\n# Metrics\n\n\
         `GET /metrics` (roles reader and operator), text exposition format 0.0.4. Counters and histograms start at \
         zero with the process; gauges and the breakers' counters are read at the scrape.\n\n\
         Labels are bounded: the first {TILLS_MAX} tills and devices have labels of their own, all others together \
         are `{OTHER}`, so that sums stay right; the state of `{OTHER}` breakers is OPEN if one of them is OPEN, else \
         that of one that is not CLOSED, else CLOSED. `key` is `ofd` for the endpoint and `device:<id>` for a device; \
         `pos_id` is empty for the endpoint and for devices of several tills.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n"
    );
    for metric in names::ALL {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, labels, help) = (metric.name, metric.kind.as_str(), labels.join(", "), metric.help);
        let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help} |");
    }
    text
}
