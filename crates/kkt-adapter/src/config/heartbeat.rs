use super::{key::*, rules, section::section};
use std::time::Duration;

section! {
    /// `[heartbeat]`: the sign of life to the ERP.
    Heartbeat {
        /// Where the state of buffer and breaker is posted to; no heartbeat if not given.
        "heartbeat.url" "KKT_HEARTBEAT__URL" url: Option<String> = "", Kind::Text(&rules::URL);
        /// How often.
        "heartbeat.interval" "KKT_HEARTBEAT__INTERVAL" interval: Duration = "30s", span(100, HOUR);
    }
}
