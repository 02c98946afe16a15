//! The configuration: read once, checked as a whole, then plain values.
//!
//! Promises:
//! 1. What `load` gives is valid: every value in its range, every cross check held, every secret read.
//! 2. What is wrong is told all at once; each problem names setting, place, value and what is allowed.
//! 3. A setting stands in one table ([`keys`]), from which reading, `config default` and docs/configuration.md come.
//! 4. No secret is in an error, a warning, `config show` or a `Debug`.
//!
//! ```text
//! default ◄ file ◄ old variables ◄ KKT_SECTION__KEY ◄ flags        (the right one wins)
//!    └─ layers: what was said ─► read: each key by its kind ─► structs ─► checks: between keys, secrets
//! ```
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | file missing, not a file, too large, not UTF-8, not TOML | refused with the file and the line |
//! | a key nobody knows, in the file or as `KKT_SECTION__…` | refused with the nearest known one, value not shown |
//! | another `KKT_…` variable | a warning (Kubernetes sets such names for its services) |
//! | an empty variable | counts as not set |
//! | a value out of range | refused; its default stands in while the rest is checked |
//! | a token or key file that everybody may read | a warning (the default in containers); one that cannot be read: refused |
//! | a certificate that cannot be used, a key that is not its own | refused |
//! | a token that has expired | a warning: it lets nobody in |

mod auth;
mod breaker;
mod buffer;
mod checks;
mod error;
mod heartbeat;
mod key;
mod kkt;
mod layers;
mod nearest;
mod ofd;
mod raw;
mod read;
mod render;
mod rules;
mod secret;
mod section;
mod server;
mod sync;
mod telemetry;
mod tls;
pub mod units;
mod values;

pub use auth::{Auth, Role, Token};
pub use breaker::{Backoff, BackoffKind, Breaker};
pub use buffer::Buffer;
pub use error::{ConfigError, Origin, Problem};
pub use heartbeat::Heartbeat;
pub use key::{Key, Kind, Rule, Value};
pub use kkt::{Device, Driver, Kkt, TaxationWord};
pub use ofd::{Ofd, OfdKind};
pub use render::{Effective, default_file, documentation, effective};
pub use secret::{Secret, SecretFile};
pub use server::Server;
pub use sync::{OnRejected, Sync};
pub use telemetry::{LogFormat, Telemetry};
pub use tls::{CaFile, Tls, TlsIdentity, TlsProblem};
pub use values::Values;

use std::{ffi::OsString, path::PathBuf};

/// Where the configuration is read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The environment.
    pub variables: Vec<(OsString, OsString)>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--data-dir`.
    pub data_dir: Option<String>,
}

/// The configuration of a running adapter; valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[auth]`
    pub auth: Auth,
    /// `[buffer]`
    pub buffer: Buffer,
    /// `[breaker]`
    pub breaker: Breaker,
    /// `[sync]`
    pub sync: Sync,
    /// `[ofd]`
    pub ofd: Ofd,
    /// `[kkt]`
    pub kkt: Kkt,
    /// `[heartbeat]`
    pub heartbeat: Heartbeat,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// What `[server.tls]` names, read; `None`: the port speaks plain HTTP.
    pub tls: Option<Tls>,
}

/// A configuration, what people should know of it, and where each value came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is allowed but looks like a slip.
    pub warnings: Vec<String>,
    /// The values with their origins, for `config show`.
    pub values: Values,
}

impl Loaded {
    /// Settings that differ from those at the start and take effect by a restart only; of files of certificates what
    /// stands in them counts.
    pub fn needing_restart<'a>(&'a self, at_start: &'a Self) -> impl Iterator<Item = &'static str> + 'a {
        let same = |key: &Key| {
            self.values.agree(&at_start.values, key) && self.ca_file(key.path) == at_start.ca_file(key.path)
        };
        keys().filter(move |key| !key.reloadable && !same(key)).map(|key| key.path)
    }

    fn ca_file(&self, key: &str) -> Option<&CaFile> {
        match key {
            "ofd.ca_file" => self.config.ofd.ca_file.as_ref(),
            "heartbeat.ca_file" => self.config.heartbeat.ca_file.as_ref(),
            _ => None,
        }
    }
}

/// The sections in the order of the documentation.
const SECTIONS: [(&str, &[Key]); 9] = [
    ("server", Server::KEYS),
    ("auth", Auth::KEYS),
    ("buffer", Buffer::KEYS),
    ("breaker", Breaker::KEYS),
    ("sync", Sync::KEYS),
    ("ofd", Ofd::KEYS),
    ("kkt", Kkt::KEYS),
    ("heartbeat", Heartbeat::KEYS),
    ("telemetry", Telemetry::KEYS),
];

/// The table of all settings, in the order of the documentation; those inside lists of tables are found by their
/// kind.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    SECTIONS.into_iter().flat_map(|(_, keys)| keys)
}

/// Reads and checks the configuration.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let layers::Layers { given, mut problems, mut warnings } = layers::Layers::read(sources);
    let table: Vec<&'static Key> = keys().collect();
    let values = read::read(&table, "", &given, &Origin::Default, &mut problems)
        .expect("no key outside of lists is required");
    let mut config = Config {
        server: Server::read(&values),
        auth: Auth::read(&values),
        buffer: Buffer::read(&values),
        breaker: Breaker::read(&values),
        sync: Sync::read(&values),
        ofd: Ofd::read(&values),
        kkt: Kkt::read(&values),
        heartbeat: Heartbeat::read(&values),
        telemetry: Telemetry::read(&values),
        tls: None,
    };
    checks::Checks { values: &values, problems: &mut problems, warnings: &mut warnings }.run(&mut config);
    if problems.is_empty() { Ok(Loaded { config, warnings, values }) } else { Err(ConfigError { problems }) }
}

impl Default for Config {
    /// The defaults of the table, as `config default` prints them.
    fn default() -> Self {
        load(&Sources::default()).expect("the defaults are valid, as a test checks").config
    }
}
