use super::{key::*, rules, secret::SecretFile, section::section, tls::CaFile};
use std::time::Duration;

section! {
    /// `[heartbeat]`: the sign of life to the ERP.
    Heartbeat {
        /// Where the state of buffer and breaker is posted to; no heartbeat if not given.
        "heartbeat.url" "KKT_HEARTBEAT__URL" url: Option<String> = "", Kind::Text(&rules::URL);
        /// How often.
        "heartbeat.interval" "KKT_HEARTBEAT__INTERVAL" interval: Duration = "30s", span(100, HOUR);
        /// Total time of one post; the next one is never sent before it has ended.
        "heartbeat.timeout" "KKT_HEARTBEAT__TIMEOUT" timeout: Duration = "5s", span(10, 5 * MINUTE);
        /// File with the token for the ERP, sent as `Authorization: Bearer`.
        "heartbeat.token_file" "KKT_HEARTBEAT__TOKEN_FILE" token_file: Option<SecretFile> = "", Kind::Text(&rules::PATH), reload;
        /// PEM file with the certificates that an ERP at https:// is trusted by, instead of the system's.
        "heartbeat.ca_file" "KKT_HEARTBEAT__CA_FILE" ca_file: Option<CaFile> = "", Kind::Text(&rules::PATH);
        /// What this adapter is called at the ERP; the machine's host name if not given.
        "heartbeat.name" "KKT_HEARTBEAT__NAME" name: Option<String> = "", Kind::Text(&rules::DEVICE_ID);
    }
}
