//! The configuration: file and environment; token files; the breaker's own form.

use kkt_adapter::config::{self, SecretFile, Sources};
use std::{cell::LazyCell, ffi::OsStr, os::unix::ffi::OsStrExt as _, path::PathBuf};
use tempfile::TempDir;

thread_local! {
    static FOLDER: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a temporary folder"));
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.with(|folder| folder.path().join(name));
    std::fs::write(&path, bytes).expect("a temporary file can be written");
    path
}

/// The file, then after a zero byte each variable as `NAME=value`, with zero bytes between. What is accepted means the
/// same when it is written down as it is shown; what is refused says everything that is wrong.
pub fn config(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0);
    let path = file("kkt.toml", parts.next().unwrap_or_default());
    let variables = parts.take(32).filter_map(|part| {
        let at = part.iter().position(|byte| *byte == b'=')?;
        Some((OsStr::from_bytes(&part[..at]).into(), OsStr::from_bytes(&part[at + 1..]).into()))
    });
    let sources = Sources { file: Some(path), variables: variables.collect(), ..Sources::default() };
    let loaded = match config::load(&sources) {
        Ok(loaded) => loaded,
        Err(error) => {
            assert!(!error.problems.is_empty());
            assert!(error.problems.iter().all(|problem| !problem.rule.is_empty()));
            return assert!(!error.to_string().is_empty());
        }
    };
    let shown = config::effective(&loaded);
    // Lists of tables are shown entry by entry, which is no TOML key; and what is shown for people is bounded, on one
    // line and without the secrets that addresses may hold.
    let is_cut = |text: &String| text.contains(['\u{fffd}', '…']) || text.contains("***");
    if shown.iter().any(|row| row.key.contains('[') || row.value.as_ref().is_some_and(is_cut)) {
        return;
    }
    let rows = shown.iter().filter_map(|row| Some(format!("{} = {}\n", row.key, row.value.as_ref()?)));
    let written = file("written.toml", rows.collect::<String>().as_bytes());
    let again = config::load(&Sources { file: Some(written), ..Sources::default() });
    let again =
        again.unwrap_or_else(|error| panic!("what is in effect is refused when written down: {error}"));
    assert_eq!(again.config, loaded.config, "shown, written, read: the same");
}

/// A token is one line of visible ASCII, and no error repeats it.
pub fn token_file(data: &[u8]) {
    let mut secret = SecretFile::at(file("token", data));
    match secret.read() {
        Ok(_) => {
            let token = secret.expose();
            assert!((1..=4_096).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic()));
            assert!(data.starts_with(token.as_bytes()));
            assert!(format!("{secret:?}").len() < 200);
        }
        Err(rule) => {
            assert!(secret.expose().is_empty());
            // Each has the same words whatever the file holds.
            assert!(rule.starts_with("is not a token: ") && rule.len() < 100, "{rule}");
        }
    }
}

/// JSON of a breaker's configuration: what validates reads back the same.
pub fn breaker_config(data: &[u8]) {
    let Ok(config) = serde_json::from_slice::<circuit_breaker::Config>(data) else { return };
    if config.validate().is_err() {
        return;
    }
    let text = serde_json::to_string(&config).expect("a configuration is JSON");
    let again: circuit_breaker::Config = serde_json::from_str(&text).expect("its own form");
    // What stood for a default is written out, so the texts are compared.
    assert_eq!(serde_json::to_string(&again).expect("a configuration is JSON"), text);
    assert!(again.validate().is_ok());
    let breaker = circuit_breaker::CircuitBreaker::builder().config(config).build();
    breaker.expect("what validates builds").try_acquire().expect("a new breaker is closed").failure();
}
