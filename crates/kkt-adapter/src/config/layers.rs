//! What was said, layer over layer: file, old variables, variables, flags; a later layer wins.

use super::{
    Sources,
    error::{Origin, Problem},
    key::{Key, Kind},
    nearest::nearest,
    raw::{Node, Raw, parse_file},
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Largest configuration file in bytes.
const FILE_MAX: u64 = 1 << 20;

/// From an old variable's text to its setting's.
type Meaning = fn(&str) -> String;

/// Variables of the adapter that shops ran before, and what each means here.
const OLD_VARIABLES: [(&str, &str, Meaning); 4] = [
    ("OFD_BASE_URL", "ofd.base_url", |text| text.into()),
    ("OFD_TIMEOUT", "ofd.timeout", |seconds| old_seconds(seconds)),
    ("BUFFER_DB_PATH", "buffer.url", |path| format!("sqlite://{path}")),
    ("HEARTBEAT_URL", "heartbeat.url", |text| text.into()),
];

/// Everything that was said, by key.
#[derive(Default)]
pub(super) struct Layers {
    pub given: BTreeMap<&'static str, Node>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<String>,
}

impl Layers {
    /// Reads all layers, lowest first.
    pub fn read(sources: &Sources) -> Self {
        let mut layers = Self::default();
        if let Some(path) = &sources.file {
            layers.read_file(path);
        }
        layers.read_variables(sources);
        let mut flag = |name: &'static str, key: &'static str, text: Option<String>| {
            if let Some(text) = text {
                layers.given.insert(key, Node { raw: Raw::Loose(text), origin: Origin::Flag(name) });
            }
        };
        flag("--listen", "server.listen", sources.listen.clone());
        let database = |folder: &String| format!("sqlite://{}/buffer.db", folder.trim_end_matches('/'));
        flag("--data-dir", "buffer.url", sources.data_dir.as_ref().map(database));
        layers
    }

    fn read_file(&mut self, path: &Path) {
        let failed = |rule: String| Problem {
            key: String::new(),
            origin: Origin::Default,
            value: None,
            rule: format!("{}: {rule}", path.display()),
        };
        let text = match read_text(path) {
            Ok(text) => text,
            Err(rule) => return self.problems.push(failed(rule)),
        };
        match parse_file(&Arc::new(path.to_path_buf()), &text) {
            Ok(entries) => {
                let keys: Vec<_> = super::keys().collect();
                flatten(entries, &keys, "", "", &mut self.given, &mut self.problems);
            }
            Err(problem) => self.problems.push(problem),
        }
    }

    fn read_variables(&mut self, sources: &Sources) {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, text) in &sources.variables {
            let (Some(name), text) = (name.to_str(), text.to_str()) else { continue };
            let old = OLD_VARIABLES.iter().any(|(old, ..)| *old == name);
            if !old && !name.starts_with("KKT_") {
                continue;
            }
            match text {
                // Compose files say NAME=${NAME:-}: an empty variable says nothing.
                Some("") => {}
                Some(text) => _ = seen.insert(name, text),
                None => self.problems.push(Problem {
                    key: name.into(),
                    origin: Origin::Variable(name.into()),
                    value: None,
                    rule: "is not UTF-8".into(),
                }),
            }
        }
        for (old, key, meaning) in OLD_VARIABLES {
            let Some(text) = seen.remove(old) else { continue };
            let new = super::keys().find(|k| k.path == key).map_or("", |k| k.variable);
            if seen.contains_key(new) {
                self.warnings.push(format!("{old} is ignored, since {new} is set too"));
            } else {
                let origin = Origin::Variable(old.into());
                self.given.insert(key, Node { raw: Raw::Loose(meaning(text)), origin });
            }
        }
        for (name, text) in seen {
            match super::keys().find(|key| key.variable == name) {
                Some(key) => {
                    let origin = Origin::Variable(name.into());
                    self.given.insert(key.path, Node { raw: Raw::Loose(text.into()), origin });
                }
                None => self.unknown_variable(name),
            }
        }
    }

    /// A slip in a name of ours would leave a setting at its default unseen, so it is refused like one in the file;
    /// what only begins alike (Kubernetes sets such names) gets a warning.
    fn unknown_variable(&mut self, name: &str) {
        let hint = match nearest(name, super::keys().map(|key| key.variable)) {
            Some(known) => format!("did you mean {known}?"),
            None => "`kkt-adapter config default` lists all settings".into(),
        };
        let ours = super::keys().any(|key| {
            key.variable
                .split_once("__")
                .is_some_and(|(section, _)| name.starts_with(&format!("{section}__")))
        });
        if ours {
            self.problems.push(Problem {
                key: name.into(),
                origin: Origin::Variable(name.into()),
                value: None,
                rule: format!("no such setting; {hint}"),
            });
        } else {
            self.warnings
                .push(format!("the variable {name} is ignored: only KKT_SECTION__KEY is read; {hint}"));
        }
    }
}

/// Sorts the entries of a table under their keys; `inside` names the table of a list (`kkt.device[0].`).
pub(super) fn flatten(
    entries: Vec<(String, Node)>,
    keys: &[&'static Key],
    inside: &str,
    section: &str,
    given: &mut BTreeMap<&'static str, Node>,
    problems: &mut Vec<Problem>,
) {
    for (name, node) in entries {
        let path = if section.is_empty() { name } else { format!("{section}.{name}") };
        if let Some(key) = keys.iter().find(|key| key.path == path) {
            given.insert(key.path, node);
            continue;
        }
        let is_section =
            keys.iter().any(|key| key.path.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.')));
        let Node { raw, origin } = node;
        let (value, rule) = match raw {
            Raw::Table(entries) if is_section => {
                flatten(entries, keys, inside, &path, given, problems);
                continue;
            }
            raw if is_section => (Some(raw.show()), format!("must be a table, [{path}]")),
            // The value of a key that nobody knows may be a secret that stands in the wrong place.
            _ => (None, format!("no such setting; {}", hint(&path, keys))),
        };
        problems.push(Problem { key: format!("{inside}{path}"), origin, value, rule });
    }
}

fn hint(path: &str, keys: &[&'static Key]) -> String {
    let sections = keys.iter().filter_map(|key| key.path.split_once('.').map(|(section, _)| section));
    match nearest(path, keys.iter().map(|key| key.path).chain(sections)) {
        Some(known) => format!("did you mean {known}?"),
        None => "`kkt-adapter config default` lists all settings".into(),
    }
}

fn read_text(path: &Path) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !meta.is_file() {
        return Err("is not a file".into());
    }
    if meta.len() > FILE_MAX {
        return Err(format!("is larger than {FILE_MAX} bytes, so it is no configuration"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
}

/// The old variable had plain seconds, with a fraction at most to the millisecond; what is none is left to be refused
/// as it stands.
fn old_seconds(text: &str) -> String {
    match text.trim().split_once('.') {
        None if !text.is_empty() && text.trim().bytes().all(|b| b.is_ascii_digit()) => {
            format!("{}s", text.trim())
        }
        Some((whole, part)) if (1..=3).contains(&part.len()) => format!("{whole}{part:0<3}ms"),
        _ => text.into(),
    }
}

/// Whether a key holds a list of tables.
pub(super) fn is_tables(key: &Key) -> bool {
    matches!(key.kind, Kind::Tables(..))
}
