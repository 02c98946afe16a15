use serde_json::{Map, Value, json};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A plan that cannot be taken: which field, why, and what is allowed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {msg}", .loc.iter().map(loc_text).collect::<Vec<_>>().join("."))]
pub struct PlanError {
    /// Path of the field: names and indices, beginning with `body`.
    pub loc: Vec<Value>,
    /// Machine code, such as `unknown_field`.
    pub kind: &'static str,
    /// What is wrong and what is allowed.
    pub msg: String,
    /// What was given.
    pub input: Box<Value>,
}

fn loc_text(part: &Value) -> String {
    part.as_str().map_or_else(|| part.to_string(), str::to_owned)
}

impl PlanError {
    /// The error as one element of a 422's `detail`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"type": self.kind, "loc": self.loc, "msg": self.msg, "input": self.input})
    }
}

/// A JSON object being read: every getter checks type and range and names the field when it complains.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    loc: Vec<Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(value: &'a Value, loc: Vec<Value>) -> Result<Self, PlanError> {
        match value {
            Value::Object(map) => Ok(Self { map, loc }),
            other => Err(PlanError {
                loc,
                kind: "type",
                msg: "must be a JSON object".into(),
                input: Box::new(shortened(other)),
            }),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|v| !v.is_null())
    }

    pub(super) fn loc(&self, name: &str) -> Vec<Value> {
        let mut loc = self.loc.clone();
        loc.push(json!(name));
        loc
    }

    pub(super) fn error(&self, name: &str, kind: &'static str, msg: String) -> PlanError {
        let input = Box::new(self.map.get(name).map_or(Value::Null, shortened));
        PlanError { loc: self.loc(name), kind, msg, input }
    }

    /// Refuses fields that are in none of the lists.
    pub(super) fn allow(&self, about: &str, lists: &[&[&str]]) -> Result<(), PlanError> {
        for name in self.map.keys() {
            if !lists.iter().any(|list| list.contains(&name.as_str())) {
                let allowed = lists.concat().join(", ");
                let msg = format!("unknown field of {about}; allowed: {allowed}");
                return Err(self.error(name, "unknown_field", msg));
            }
        }
        Ok(())
    }

    pub(super) fn integer(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, PlanError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64() {
            Some(n) if range.contains(&n) => Ok(Some(n)),
            _ => {
                let msg = format!("must be a whole number from {} to {}", range.start(), range.end());
                Err(self.error(name, "range", msg))
            }
        }
    }

    pub(super) fn status(&self, name: &str, default: u16) -> Result<u16, PlanError> {
        let status = self.integer(name, 400..=599)?.unwrap_or(u64::from(default));
        Ok(u16::try_from(status).expect("a status of at most 599 fits"))
    }

    pub(super) fn millis(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<Duration>, PlanError> {
        Ok(self.integer(name, range)?.map(Duration::from_millis))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, PlanError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(s)) if s.len() <= 1024 => Ok(Some(s.clone())),
            Some(_) => Err(self.error(name, "type", "must be a string of at most 1024 bytes".into())),
        }
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, PlanError> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(_) => Err(self.error(name, "type", "must be true or false".into())),
        }
    }

    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, PlanError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let found = value.as_str().and_then(|s| choices.iter().find(|(n, _)| *n == s));
        found.map(|(_, choice)| Some(*choice)).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(n, _)| *n).collect();
            self.error(name, "unknown_value", format!("must be one of {}", names.join(", ")))
        })
    }
}

/// The value, if it is short enough to be repeated in an error.
fn shortened(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= 200 { value.clone() } else { json!(text.chars().take(200).collect::<String>()) }
}
