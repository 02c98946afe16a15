//! What a setting may be: the one table from which reading, checking, `config default` and the documentation come.

use super::{raw::Raw, units};
use std::time::Duration;

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Where it stands in the file: `section.key`, for a table of a list relative to that table.
    pub path: &'static str,
    /// Its environment variable; empty for what only stands inside a list of tables.
    pub variable: &'static str,
    /// What holds if nobody says otherwise, as a variable would say it; empty: nothing.
    pub default: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it means.
    pub doc: &'static str,
    /// Takes effect by SIGHUP; the others need a restart.
    pub reloadable: bool,
}

/// What a setting may be.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds.
    Integer(u64, u64),
    /// A decimal number within these bounds.
    Decimal(f64, f64),
    /// A duration with its unit, within these bounds.
    Span(Duration, Duration),
    /// A number of bytes, within these bounds.
    Size(u64, u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A text that holds to a rule.
    Text(&'static Rule),
    /// A list of such texts, at most so many.
    List(&'static Rule, usize),
    /// A list of tables with these keys, at most so many; in a variable, as TOML: `[{name="x"}]`.
    Tables(fn() -> &'static [Key], usize),
}

/// A rule for texts.
#[derive(Debug)]
pub struct Rule {
    /// The type's name in the documentation.
    pub name: &'static str,
    /// What is allowed, in words that end the sentence "must be".
    pub words: &'static str,
    /// Whether a text holds to it.
    pub holds: fn(&str) -> bool,
}

/// A setting's value, checked by its kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing was said and there is no default.
    None,
    /// `Flag`.
    Flag(bool),
    /// `Integer`, `Size`.
    Integer(u64),
    /// `Decimal`.
    Decimal(f64),
    /// `Span`.
    Span(Duration),
    /// `Text`, `Choice`.
    Text(String),
    /// `List`.
    List(Vec<String>),
}

/// Whole numbers.
pub(super) const fn int(min: u64, max: u64) -> Kind {
    Kind::Integer(min, max)
}

/// Durations, bounds in milliseconds.
pub(super) const fn span(min_ms: u64, max_ms: u64) -> Kind {
    Kind::Span(Duration::from_millis(min_ms), Duration::from_millis(max_ms))
}

/// Milliseconds in a second, minute, hour and day, for the bounds of durations.
pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

impl Kind {
    /// Its name in the documentation.
    #[must_use]
    pub fn type_name(&self) -> String {
        match self {
            Self::Flag => "boolean".into(),
            Self::Integer(..) => "integer".into(),
            Self::Decimal(..) => "number".into(),
            Self::Span(..) => "duration".into(),
            Self::Size(..) => "size".into(),
            Self::Choice(_) => "word".into(),
            Self::Text(rule) => rule.name.into(),
            Self::List(rule, _) => format!("list of {}", rule.name),
            Self::Tables(..) => "list of tables".into(),
        }
    }

    /// What is allowed, in words that end the sentence "must be".
    #[must_use]
    pub fn range(&self) -> String {
        match self {
            Self::Flag => "true or false".into(),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Decimal(min, max) => format!("a number from {min} to {max}"),
            Self::Span(min, max) => format!(
                "a duration with its unit (ms, s, m, h, d) from {} to {}",
                units::show_duration(*min),
                units::show_duration(*max)
            ),
            Self::Size(min, max) => format!(
                "a size (B, KiB, MiB, GiB, TiB) from {} to {}",
                units::show_size(*min),
                units::show_size(*max)
            ),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Text(rule) => rule.words.into(),
            Self::List(rule, max) => format!("a list of at most {max}, each {}", rule.words),
            Self::Tables(_, max) => format!("a list of at most {max} tables"),
        }
    }

    /// Reads a value; `None` if it is not allowed. `Tables` are not read here.
    pub(super) fn read(&self, raw: &Raw) -> Option<Value> {
        match self {
            Self::Flag => match raw {
                Raw::Bool(flag) => Some(Value::Flag(*flag)),
                Raw::Loose(text) => text.parse().ok().map(Value::Flag),
                _ => None,
            },
            Self::Integer(min, max) => match raw {
                Raw::Integer(text) | Raw::Loose(text) => {
                    let number = text.parse().ok()?;
                    (*min..=*max).contains(&number).then_some(Value::Integer(number))
                }
                _ => None,
            },
            Self::Decimal(min, max) => match raw {
                Raw::Integer(text) | Raw::Float(text) | Raw::Loose(text) => {
                    let number: f64 = text.parse().ok()?;
                    (*min..=*max).contains(&number).then_some(Value::Decimal(number))
                }
                _ => None,
            },
            Self::Span(min, max) => {
                let duration = units::parse_duration(raw.text()?)?;
                (*min..=*max).contains(&duration).then_some(Value::Span(duration))
            }
            Self::Size(min, max) => {
                let bytes = units::parse_size(raw.text()?)?;
                (*min..=*max).contains(&bytes).then_some(Value::Integer(bytes))
            }
            Self::Choice(words) => {
                let text = raw.text()?;
                words.contains(&text).then(|| Value::Text(text.into()))
            }
            Self::Text(rule) => {
                let text = raw.text()?;
                (rule.holds)(text).then(|| Value::Text(text.into()))
            }
            Self::List(rule, max) => {
                let texts = raw.texts()?;
                let good = texts.len() <= *max && texts.iter().all(|text| (rule.holds)(text));
                good.then_some(Value::List(texts))
            }
            Self::Tables(..) => None,
        }
    }
}

impl Value {
    /// As TOML; `None` if nothing was said.
    #[must_use]
    pub fn to_toml(&self, kind: &Kind) -> Option<String> {
        let quoted = |text: &str| toml::Value::String(text.into()).to_string();
        Some(match self {
            Self::None => return None,
            Self::Flag(flag) => flag.to_string(),
            Self::Integer(bytes) if matches!(kind, Kind::Size(..)) => quoted(&units::show_size(*bytes)),
            Self::Integer(number) => number.to_string(),
            Self::Decimal(number) => format!("{number:?}"),
            Self::Span(span) => quoted(&units::show_duration(*span)),
            Self::Text(text) => quoted(&super::error::shown(text)),
            Self::List(texts) => {
                let items: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", items.join(", "))
            }
        })
    }
}
