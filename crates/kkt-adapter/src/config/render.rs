//! The table of settings for people: documentation, default file, effective values.

use super::{Key, Kind, Loaded, SECTIONS, Values, error::Origin, key::Value, ofd::OfdKind};
use std::fmt::Write as _;

/// docs/configuration.md.
#[must_use]
pub fn documentation() -> String {
    let mut text = String::from(INTRODUCTION);
    for (section, keys) in SECTIONS {
        let _ = writeln!(text, "\n## `[{section}]`\n");
        table(&mut text, keys, false);
        for key in keys {
            if let Kind::Tables(items, _) = key.kind {
                let _ = writeln!(text, "\n### Each table of `{}`\n", key.path);
                table(&mut text, items(), key.reloadable);
            }
        }
    }
    text
}

const INTRODUCTION: &str = "<!-- Generated from crates/kkt-adapter/src/config; a test checks it. \
    To write it anew: UPDATE_DOCS=1 cargo test -p kkt-adapter --test config -->
# Configuration

Layer over layer, the later one wins: defaults, the TOML file (`--config FILE`), the environment, flags (`--listen`, \
`--data-dir DIR`, which means `buffer.url = \"sqlite://DIR/buffer.db\"`).

- Of the environment only `KKT_SECTION__KEY` with the double underscore is read: `KKT_BREAKER__FAILURE_THRESHOLD=5`, \
`KKT_SYNC__BACKOFF__INITIAL=5s`. Lists stand between commas, lists of tables are TOML. An empty variable counts as not \
set. A name of this form that nobody knows is refused, any other `KKT_…` name gets a warning.
- The variables of the earlier adapter are understood: `OFD_BASE_URL`, `OFD_TIMEOUT` (plain seconds), `BUFFER_DB_PATH` \
(a path), `HEARTBEAT_URL`. A new name goes before them.
- Durations are whole numbers with a unit: `\"500ms\"`, `\"60s\"`, `\"5m\"`, `\"1h\"`, `\"7d\"`; sizes likewise: \
`\"64KiB\"`, `\"1GiB\"`. Paths are relative to the working folder unless they start with `/`.
- Secrets stand in files of their own (`token_file`), one line each. A file that every user may read gets a warning.
- Unknown keys are refused with the nearest known one; all that is wrong is told at once, with its place and what is \
allowed. `kkt-adapter config check` tells without starting, `config show` prints what is in effect and where it came \
from, `config default` prints a file to start from.
- *Reload*: takes effect by SIGHUP; the others need a restart.
";

/// `reloadable`: all of them are, whatever their own rows say.
fn table(text: &mut String, keys: &[Key], reloadable: bool) {
    let variables = keys.iter().any(|key| !key.variable.is_empty());
    text.push_str(if variables {
        "| key | variable | type | default | allowed | reload | meaning |\n|---|---|---|---|---|---|---|\n"
    } else {
        "| key | type | default | allowed | reload | meaning |\n|---|---|---|---|---|---|\n"
    });
    for key in keys {
        let default = match (key.default, &key.kind) {
            ("required", _) => "required".into(),
            ("", Kind::List(..) | Kind::Tables(..)) => "`[]`".into(),
            ("", _) => "none".into(),
            (default, _) => format!("`{default}`"),
        };
        let (kind, range, doc) = (key.kind.type_name(), key.kind.range(), key.doc.trim());
        let reload = if reloadable || key.reloadable { "yes" } else { "no" };
        let _ = if variables {
            let (path, variable) = (key.path, key.variable);
            writeln!(text, "| `{path}` | `{variable}` | {kind} | {default} | {range} | {reload} | {doc} |")
        } else {
            writeln!(text, "| `{}` | {kind} | {default} | {range} | {reload} | {doc} |", key.path)
        };
    }
}

/// A file with every setting at its default, those without one commented out.
#[must_use]
pub fn default_file() -> String {
    let mut text = String::from("# Every setting of kkt-adapter at its default.\n");
    for (section, keys) in SECTIONS {
        let _ = writeln!(text, "\n[{section}]");
        for key in keys.iter().filter(|key| !super::layers::is_tables(key)) {
            comment(&mut text, key);
            let name = key.path.strip_prefix(section).map_or(key.path, |rest| &rest[1..]);
            match super::read::default(key).to_toml(&key.kind) {
                // Written out it would contradict the `base_url` that somebody adds below it.
                Some(value) if key.path == "ofd.kind" => _ = writeln!(text, "#{name} = {value}"),
                Some(value) => _ = writeln!(text, "{name} = {value}"),
                None => _ = writeln!(text, "#{name} ="),
            }
        }
        for key in keys.iter().filter(|key| super::layers::is_tables(key)) {
            let Kind::Tables(items, _) = key.kind else { continue };
            let _ = writeln!(text, "# {}\n#[[{}]]", key.doc.trim(), key.path);
            for item in items() {
                let _ = writeln!(text, "#{} =    # {}", item.path, item.doc.trim());
            }
        }
    }
    text
}

fn comment(text: &mut String, key: &Key) {
    let _ = writeln!(text, "# {} Allowed: {}.", key.doc.trim(), key.kind.range());
}

/// One effective setting.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Effective {
    /// `section.key`, in a list `list[index].key`.
    pub key: String,
    /// As TOML; `None` if there is none.
    pub value: Option<String>,
    /// Where it came from.
    pub source: String,
}

/// Every setting as it is in effect. Of secrets it has the file's path only.
#[must_use]
pub fn effective(loaded: &Loaded) -> Vec<Effective> {
    let mut rows = Vec::new();
    let keys: Vec<_> = super::keys().collect();
    collect(&mut rows, &keys, "", &loaded.values);
    for row in &mut rows {
        // The one conclusion that is drawn from another key.
        if row.key == "ofd.kind"
            && loaded.config.ofd.kind == OfdKind::Http
            && row.source == Origin::Default.to_string()
        {
            row.value = Some("\"http\"".into());
            row.source = "since ofd.base_url is set".into();
        }
    }
    rows
}

fn collect(rows: &mut Vec<Effective>, keys: &[&Key], inside: &str, values: &Values) {
    for key in keys {
        if let Kind::Tables(items, _) = key.kind {
            let items: Vec<_> = items().iter().collect();
            for (index, item) in values.tables(key.path).iter().enumerate() {
                collect(rows, &items, &format!("{inside}{}[{index}].", key.path), item);
            }
            continue;
        }
        let value: &Value = values.value(key.path);
        rows.push(Effective {
            key: format!("{inside}{}", key.path),
            value: value.to_toml(&key.kind),
            source: values.origin(key.path).to_string(),
        });
    }
}
