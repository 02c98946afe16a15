//! What was said, before anybody asks whether it is allowed: the tree of the file with its lines, or the loose text
//! of a variable or flag.

use super::error::{Origin, Problem, shown};
use std::{path::PathBuf, sync::Arc};
use toml::{Spanned, de::DeTable, de::DeValue};

/// A value and where it was said.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub raw: Raw,
    pub origin: Origin,
}

/// A value as it was written. Numbers stay text: their kind reads them.
#[derive(Debug, Clone)]
pub(super) enum Raw {
    /// Of a variable, a flag or a default: its kind says what it is.
    Loose(String),
    String(String),
    Integer(String),
    Float(String),
    Bool(bool),
    Other(String),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

impl Raw {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Loose(text) | Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a list; loose ones stand between commas.
    pub fn texts(&self) -> Option<Vec<String>> {
        match self {
            Self::Loose(text) => {
                Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Into::into).collect())
            }
            Self::List(items) => items.iter().map(|item| item.raw.text().map(Into::into)).collect(),
            _ => None,
        }
    }

    /// As people should see it in an error.
    pub fn show(&self) -> String {
        match self {
            Self::Loose(text) | Self::String(text) => format!("\"{}\"", shown(text)),
            Self::Integer(text) | Self::Float(text) | Self::Other(text) => shown(text),
            Self::Bool(flag) => flag.to_string(),
            Self::List(items) => shown(&format!(
                "[{}]",
                items.iter().map(|item| item.raw.show()).collect::<Vec<_>>().join(", ")
            )),
            // A table of an unexpected place may hold anything, a secret as well.
            Self::Table(_) => "{…}".into(),
        }
    }
}

/// Reads a whole file.
pub(super) fn parse_file(path: &Arc<PathBuf>, text: &str) -> Result<Vec<(String, Node)>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let origin = |at: usize| Origin::File { path: path.clone(), line: line_of(text, at) };
    match DeTable::parse(text) {
        Ok(table) => Ok(table_of(table.get_ref(), &origin)),
        Err(error) => Err(Problem {
            key: String::new(),
            rule: format!(
                "{}: not TOML: {}",
                origin(error.span().map_or(0, |span| span.start)),
                error.message()
            ),
            origin: Origin::Default,
            value: None,
        }),
    }
}

/// Reads the TOML value in a variable.
pub(super) fn parse_value(text: &str, origin: &Origin) -> Option<Raw> {
    let parsed = DeValue::parse(text).ok()?;
    Some(raw_of(parsed.get_ref(), &|_| origin.clone()))
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn table_of(table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> Vec<(String, Node)> {
    table.iter().map(|(name, value)| (name.get_ref().to_string(), node_of(value, origin))).collect()
}

fn node_of(value: &Spanned<DeValue<'_>>, origin: &dyn Fn(usize) -> Origin) -> Node {
    Node { raw: raw_of(value.get_ref(), origin), origin: origin(value.span().start) }
}

fn raw_of(value: &DeValue<'_>, origin: &dyn Fn(usize) -> Origin) -> Raw {
    match value {
        DeValue::String(text) => Raw::String(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Raw::Integer(number.as_str().into()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Raw::Integer(number.to_string()),
            Err(_) => Raw::Other(number.to_string()),
        },
        DeValue::Float(number) => Raw::Float(number.as_str().into()),
        DeValue::Boolean(flag) => Raw::Bool(*flag),
        DeValue::Datetime(stamp) => Raw::Other(stamp.to_string()),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| node_of(item, origin)).collect()),
        DeValue::Table(table) => Raw::Table(table_of(table, origin)),
    }
}
