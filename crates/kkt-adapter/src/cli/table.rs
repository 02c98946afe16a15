//! Answers of the adapter as people read them.

use super::colour;
use serde_json::Value;

/// Longest text in a cell, in characters: why the OFD fails stands at the end of a sentence.
const CELL_MAX: usize = 160;
/// Longest text of a field that has a line of its own, in characters.
const FIELD_MAX: usize = 2_000;

/// A column: its title, and the fields that hold it (`inner.field` of a nested one); the first that is there counts.
pub(super) struct Column(pub &'static str, pub &'static [&'static str]);

/// The rows of an answer: itself if it is a list, else its first list.
pub(super) fn rows(answer: &Value) -> &[Value] {
    match answer {
        Value::Array(rows) => rows,
        Value::Object(fields) => fields.values().find_map(Value::as_array).map_or(&[], Vec::as_slice),
        _ => &[],
    }
}

/// The column whose words have colours.
const STATE: &str = "STATE";

/// A table with aligned columns for the standard output; a column that is empty in every row is left out.
pub(super) fn table(rows: &[Value], columns: &[Column]) -> String {
    aligned(rows, columns, colour::wanted())
}

fn aligned(rows: &[Value], columns: &[Column], colours: bool) -> String {
    let mut cells: Vec<Vec<String>> = columns
        .iter()
        .map(|Column(title, names)| {
            let texts = rows.iter().map(|row| cell(row, names));
            std::iter::once((*title).to_owned()).chain(texts).collect()
        })
        .collect();
    cells.retain(|column| column[1..].iter().any(|text| !text.is_empty()));
    let widths: Vec<usize> = cells
        .iter()
        .map(|column| column.iter().map(|text| text.chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: usize| {
        let texts = cells.iter().zip(&widths).map(|(column, width)| {
            let text = format!("{:width$}", column[row]);
            if colours && row > 0 && column[0] == STATE { colour::state(&text) } else { text }
        });
        texts.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    (0..=rows.len()).map(line).collect::<Vec<_>>().join("\n")
}

/// The first of these fields that a row has, on one line.
pub(super) fn cell(row: &Value, names: &[&str]) -> String {
    let text = |name: &str| {
        let value = name.split('.').try_fold(row, |value, part| value.get(part))?;
        (!value.is_null()).then(|| plain(name, value, CELL_MAX))
    };
    names.iter().find_map(|name| text(name)).unwrap_or_default()
}

/// Every field of an answer on a line of its own, nested ones with their path.
pub(super) fn fields(answer: &Value) -> String {
    let mut lines = Vec::new();
    collect(&mut lines, "", answer);
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    lines.iter().map(|(name, text)| format!("{name:width$}  {text}")).collect::<Vec<_>>().join("\n")
}

fn collect(lines: &mut Vec<(String, String)>, path: &str, value: &Value) {
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| collect(lines, &inner(name), value)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| collect(lines, &inner(&index.to_string()), item));
        }
        Value::Null => lines.push((path.to_owned(), "-".into())),
        value => lines.push((path.to_owned(), plain(path, value, FIELD_MAX))),
    }
}

fn plain(path: &str, value: &Value, max: usize) -> String {
    match value {
        Value::String(text) => to_the_second(path, text).unwrap_or_else(|| clean(text, max)),
        Value::Array(items) => {
            clean(&items.iter().map(|item| plain(path, item, max)).collect::<Vec<_>>().join(", "), max)
        }
        other => clean(&other.to_string(), max),
    }
}

/// A time as people read it; `None`: it is none. Keys of tills may look like times, so the name of the field counts.
fn to_the_second(path: &str, text: &str) -> Option<String> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let names_a_time = name.ends_with("_at")
        || matches!(name, "since" | "forced_until" | "last_failure" | "last_state_change");
    let time: jiff::Timestamp = names_a_time.then(|| text.parse().ok()).flatten()?;
    Some(format!("{time:.0}"))
}

/// A text that does nothing to a terminal: no control characters, bounded.
pub(super) fn clean(text: &str, max: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max).collect();
    if text.chars().nth(max).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_aligned_and_leaves_out_what_nobody_has() {
        let rows =
            [json!({"key": "ofd", "state": "OPEN"}), json!({"key": "device:POS-001", "state": "CLOSED"})];
        let columns =
            [Column("KEY", &["key"]), Column("WHY", &["reason", "why"]), Column("STATE", &["state"])];
        let expected = "KEY             STATE\nofd             OPEN\ndevice:POS-001  CLOSED";
        assert_eq!(aligned(&rows, &columns, false), expected);
        let coloured =
            expected.replace("OPEN", "\x1b[31mOPEN  \x1b[0m").replace("CLOSED", "\x1b[32mCLOSED\x1b[0m");
        assert_eq!(aligned(&rows, &columns, true), coloured);
    }

    #[test]
    fn times_are_shown_to_the_second_and_keys_that_look_like_times_as_they_are() {
        let row = json!({"since": "2026-11-26T18:11:20.529577001Z", "key": "2026-11-26T18:11:20.529Z",
                         "printed_at": "2026-11-26T10:39:15Z", "resolved": {"at": null}});
        assert_eq!(cell(&row, &["since"]), "2026-11-26T18:11:20Z");
        assert_eq!(cell(&row, &["key"]), "2026-11-26T18:11:20.529Z");
        assert_eq!(cell(&row, &["resolved.at", "printed_at"]), "2026-11-26T10:39:15Z");
        assert!(fields(&row).contains("since        2026-11-26T18:11:20Z\n"), "{}", fields(&row));
    }

    #[test]
    fn why_the_ofd_fails_is_not_cut_off() {
        let why = "5 failures in a row (threshold 5): the OFD is not available: HTTP 503: the fault plan fails this call";
        let row = json!({"key": "ofd", "reason": why});
        assert!(aligned(std::slice::from_ref(&row), &[Column("WHY", &["reason"])], false).ends_with(why));
        assert!(
            fields(&json!({"reason": why.repeat(10)})).ends_with(why),
            "one thing asked for is shown whole"
        );
    }

    #[test]
    fn nothing_in_an_answer_reaches_the_terminal_as_a_command() {
        let text = fields(&json!({"a": {"b": "x\u{1b}[2J\ny"}, "c": [1, 2], "d": null}));
        assert_eq!(text, "a.b  x [2J y\nc    1, 2\nd    -");
    }
}
