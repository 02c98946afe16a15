//! The targets, one file a kind of outside bytes.

mod config;
mod http;
mod kkt;
mod numbers;
mod ofd;
mod receipt;
mod sim;
mod store;

/// A name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them, and the control, which must be found to fail.
pub const ALL: &[Target] = &[
    ("receipt", receipt::receipt),
    ("numbers", numbers::numbers),
    ("http", http::http),
    ("config", config::config),
    ("token_file", config::token_file),
    ("breaker_config", config::breaker_config),
    ("ofd_answer", ofd::answer),
    ("sim_plan", sim::plan),
    ("sim_journal", sim::journal),
    ("kkt_journal", kkt::journal),
    ("kkt_faults", kkt::faults),
    ("kkt_passport", kkt::passport),
    ("stored_row", store::row),
    ("stored_parts", store::parts),
    ("database", store::database),
    ("control", control),
];

/// A fault that only an input of four certain bytes meets: random bytes would need four billion tries.
fn control(data: &[u8]) {
    if data.first() == Some(&b'K') && data.get(1) == Some(&b'K') && data.get(2) == Some(&b'T') {
        assert_ne!(data.get(3), Some(&b'!'), "the planted fault");
    }
}
