//! Answers of the adapter as people read them.

use super::colour;
use serde_json::Value;

/// Longest text in a cell, in characters.
const CELL_MAX: usize = 80;

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
    let field = |name: &&str| name.split('.').try_fold(row, |value, part| value.get(part));
    names.iter().filter_map(field).find(|value| !value.is_null()).map_or(String::new(), plain)
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
        value => lines.push((path.to_owned(), plain(value))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => clean(text, CELL_MAX),
        Value::Array(items) => clean(&items.iter().map(plain).collect::<Vec<_>>().join(", "), CELL_MAX),
        other => clean(&other.to_string(), CELL_MAX),
    }
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
    fn nothing_in_an_answer_reaches_the_terminal_as_a_command() {
        let text = fields(&json!({"a": {"b": "x\u{1b}[2J\ny"}, "c": [1, 2], "d": null}));
        assert_eq!(text, "a.b  x [2J y\nc    1, 2\nd    -");
    }
}
