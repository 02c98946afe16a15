//! Holds the walls of ARCHITECTURE.md: who may know whom, and how large a file may be.

use crate::run::root;
use anyhow::{Context, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rooms of the adapter and the rooms each may know beside itself.
const WALLS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("ports", &["domain"]),
    ("buffer", &["ports", "domain"]),
    ("kkt", &["ports", "domain"]),
    ("ofd", &["ports", "domain"]),
    ("fiscalize", &["ports", "domain"]),
    ("heartbeat", &["ports", "domain"]),
    ("http", &["ports", "domain"]),
    ("sync", &["ports", "domain"]),
    ("telemetry", &["ports", "domain"]),
    ("config", &["domain"]),
    ("cli", &["app", "config", "buffer", "telemetry"]),
    (
        "app",
        &[
            "domain",
            "ports",
            "buffer",
            "kkt",
            "ofd",
            "fiscalize",
            "heartbeat",
            "http",
            "sync",
            "telemetry",
            "config",
        ],
    ),
];

/// Longest source file outside tests, in lines.
const LINES_MAX: usize = 600;
/// Largest median over all source files.
const LINES_MEDIAN_MAX: usize = 150;

/// Checks everything and reports all faults at once.
///
/// # Errors
/// Every line that looks through a wall, every file that is too long.
pub fn run() -> anyhow::Result<()> {
    let mut faults = Vec::new();
    let adapter = root().join("crates/kkt-adapter/src");
    for (room, may_know) in WALLS {
        check_room(&adapter, room, may_know, &mut faults)?;
    }
    for entry in fs::read_dir(&adapter)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".rs") && !WALLS.iter().any(|(room, _)| *room == name) {
            faults.push(format!("crates/kkt-adapter/src/{name}: a room that no wall is drawn for"));
        }
    }
    for file in sources(&root().join("crates/circuit-breaker"))? {
        let text = fs::read_to_string(&file)?;
        if text.contains("kkt_adapter") || text.contains("ofd_sim") {
            faults.push(format!("{}: the breaker knows the adapter", shown(&file)));
        }
    }
    check_sizes(&mut faults)?;
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

fn check_room(adapter: &Path, room: &str, may_know: &[&str], faults: &mut Vec<String>) -> anyhow::Result<()> {
    let folder = adapter.join(room);
    if !folder.exists() {
        return Ok(());
    }
    for file in sources(&folder)? {
        let text = fs::read_to_string(&file)?;
        // What stands below the tests' module is the tests' own business.
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (known, line) in rooms_named(text) {
            if known != room && !may_know.contains(&known.as_str()) {
                faults.push(format!("{}:{line}: {room} may not know {known}", shown(&file)));
            }
        }
    }
    Ok(())
}

/// Rooms that a text names by `crate::room` or `use crate::{room::…, room::…}`, with the line of each.
fn rooms_named(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        if text[line_start..at].trim_start().starts_with("//") {
            continue;
        }
        let line = text[..at].matches('\n').count() + 1;
        let rest = &text[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0_i32;
            let mut name = String::new();
            let mut reading = true;
            for letter in list.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        found.push((std::mem::take(&mut name), line));
                        reading = true;
                    }
                    _ if depth == 0 && reading && (letter.is_alphanumeric() || letter == '_') => {
                        name.push(letter)
                    }
                    ':' => reading = false,
                    _ => {}
                }
            }
            found.push((name, line));
        } else {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((name, line));
        }
    }
    found.retain(|(name, _)| WALLS.iter().any(|(room, _)| room == name));
    found
}

fn check_sizes(faults: &mut Vec<String>) -> anyhow::Result<()> {
    let mut sizes = Vec::new();
    for krate in fs::read_dir(root().join("crates"))? {
        for file in sources(&krate?.path().join("src"))? {
            let lines = fs::read_to_string(&file)?.lines().count();
            if lines > LINES_MAX {
                faults.push(format!("{}: {lines} lines, at most {LINES_MAX}", shown(&file)));
            }
            sizes.push(lines);
        }
    }
    sizes.sort_unstable();
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
    if median > LINES_MEDIAN_MAX {
        faults.push(format!("the median source file has {median} lines, at most {LINES_MEDIAN_MAX}"));
    }
    Ok(())
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::rooms_named;

    #[test]
    fn rooms_are_found_in_single_nested_and_inline_paths() {
        let text = "use crate::ports::Buffer;\nuse crate::{\n    domain::{ids::PosId, money},\n    buffer::sqlite,\n};\n\
                    fn f() { crate::http::serve() }\n// crate::app is only spoken of\n";
        let names: Vec<String> = rooms_named(text).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["ports", "domain", "buffer", "http"]);
    }
}
