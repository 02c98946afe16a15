//! What is wrong with a body, field by field, in the form that clients of the API already read.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// Longest text of an input that an error repeats, in characters.
const INPUT_CHARS_MAX: usize = 64;

/// One step of the way to a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Loc {
    /// A field, or where the value stood (`body`, `header`, `query`, `path`).
    Name(Cow<'static, str>),
    /// A place in a list.
    Index(usize),
}

impl From<&'static str> for Loc {
    fn from(name: &'static str) -> Self {
        Self::Name(Cow::Borrowed(name))
    }
}

impl From<String> for Loc {
    fn from(name: String) -> Self {
        Self::Name(Cow::Owned(name))
    }
}

impl From<usize> for Loc {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FieldError {
    /// For programs: `missing`, `decimal_parsing`, `greater_than`, ….
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where.
    pub loc: Vec<Loc>,
    /// What is wrong and what is allowed, for people.
    pub msg: String,
    /// What was sent, shortened.
    pub input: Value,
}

impl FieldError {
    /// An error at `loc`; the input is shortened here.
    #[must_use]
    pub fn new(kind: &'static str, loc: Vec<Loc>, msg: impl Into<String>, input: &Value) -> Self {
        Self { kind, loc, msg: msg.into(), input: shorten(input) }
    }
}

/// The input as an error may repeat it: small values as they are, others by their size.
fn shorten(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(number) if number.as_str().len() <= INPUT_CHARS_MAX => value.clone(),
        Value::Number(number) => Value::String(clip(number.as_str())),
        Value::String(text) => Value::String(clip(text)),
        Value::Array(list) => Value::String(format!("<list of {}>", list.len())),
        Value::Object(map) => Value::String(format!("<object of {} fields>", map.len())),
    }
}

/// Cuts a text for an error or a header; the cut is visible.
#[must_use]
pub fn clip(text: &str) -> String {
    match text.char_indices().nth(INPUT_CHARS_MAX) {
        Some((end, _)) => format!("{}… <{} bytes>", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// The input where it is about a person: its size alone.
#[must_use]
pub fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(format!("<{} characters, not shown>", text.chars().count())),
        Value::Null | Value::Bool(_) => value.clone(),
        _ => Value::String("<not shown>".into()),
    }
}
