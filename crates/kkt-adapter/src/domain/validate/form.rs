//! Reading an object field by field: every error is kept, every field that nobody asked for is named.

use super::problem::{FieldError, Loc, clip, redacted};
use crate::domain::money::{DecimalError, KOPECKS_MAX, Kopecks, parse_scaled};
use serde_json::{Map, Value};

/// Most errors that one answer lists.
pub const ERRORS_MAX: usize = 100;
/// Most ignored fields that one answer names.
pub const IGNORED_MAX: usize = 32;

/// What was found on the way through a body.
#[derive(Debug)]
pub struct Form {
    path: Vec<Loc>,
    errors: Vec<FieldError>,
    ignored: Vec<String>,
    /// The values here are about a person: errors do not repeat them.
    personal: bool,
}

impl Form {
    /// A form whose errors begin with `root` (`body`).
    #[must_use]
    pub fn new(root: &'static str) -> Self {
        Self { path: vec![root.into()], errors: Vec::new(), ignored: Vec::new(), personal: false }
    }

    /// Whether nothing was wrong so far.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// The errors and the names of the ignored fields.
    #[must_use]
    pub fn finish(self) -> (Vec<FieldError>, Vec<String>) {
        (self.errors, self.ignored)
    }

    /// Notes an error at `field` of where we are; `None`: of the object itself.
    pub fn fail(&mut self, field: Option<Loc>, kind: &'static str, msg: impl Into<String>, input: &Value) {
        if self.errors.len() >= ERRORS_MAX {
            return;
        }
        let mut loc = self.path.clone();
        loc.extend(field);
        let mut error = FieldError::new(kind, loc, msg, input);
        if self.personal {
            error.input = redacted(input);
        }
        self.errors.push(error);
    }

    /// Reads what stands at `step`.
    pub fn within<T>(&mut self, step: impl Into<Loc>, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.into());
        let result = read(self);
        self.path.pop();
        result
    }

    /// As `within`, where errors must not repeat the input.
    pub fn within_personal<T>(&mut self, step: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.personal, true);
        let result = self.within(step, read);
        self.personal = before;
        result
    }

    /// The value as an object.
    pub fn object(&mut self, value: Value) -> Option<Map<String, Value>> {
        match value {
            Value::Object(map) => Some(map),
            other => {
                self.fail(None, "object_type", "must be a JSON object", &other);
                None
            }
        }
    }

    /// Takes a field that must be there.
    pub fn required(&mut self, map: &mut Map<String, Value>, field: &'static str) -> Option<Value> {
        let value = map.swap_remove(field);
        if value.is_none() {
            self.fail(Some(field.into()), "missing", "this field is required", &Value::Null);
        }
        value
    }

    /// Takes a field that may be missing or null.
    pub fn optional(&mut self, map: &mut Map<String, Value>, field: &'static str) -> Option<Value> {
        map.swap_remove(field).filter(|value| !value.is_null())
    }

    /// Names what nobody asked for.
    pub fn ignore_rest(&mut self, map: &Map<String, Value>) {
        for name in map.keys() {
            if self.ignored.len() > IGNORED_MAX {
                return;
            }
            if self.ignored.len() == IGNORED_MAX {
                self.ignored.push("…".into());
                return;
            }
            let mut full = String::new();
            for step in &self.path[1..] {
                match step {
                    Loc::Name(name) => full.push_str(name),
                    Loc::Index(index) => full.push_str(&index.to_string()),
                }
                full.push('.');
            }
            full.push_str(&clip(name));
            self.ignored.push(full);
        }
    }

    /// A text of `min` to `max` characters. Tabs and line ends, which tills send in names, become spaces; other
    /// control characters, which could command a printer, are refused.
    pub fn text(&mut self, field: &'static str, value: Value, max: usize) -> Option<String> {
        let Value::String(mut text) = value else {
            self.fail(Some(field.into()), "string_type", "must be a string", &value);
            return None;
        };
        let length = text.chars().take(max + 1).count();
        let problem = if length > max {
            Some(("string_too_long", format!("must have at most {max} characters")))
        } else if text.trim().is_empty() {
            Some(("string_too_short", format!("must have 1 to {max} characters that are not all blank")))
        } else if text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
            Some(("string_control_characters", "must not contain control characters".to_owned()))
        } else {
            None
        };
        if let Some((kind, msg)) = problem {
            self.fail(Some(field.into()), kind, msg, &Value::String(text));
            return None;
        }
        if text.contains(['\t', '\n', '\r']) {
            text = text.replace("\r\n", " ").replace(['\t', '\n', '\r'], " ");
        }
        Some(text)
    }

    /// One of the given words.
    pub fn choice<T: Copy>(&mut self, field: &'static str, value: &Value, words: &[(&str, T)]) -> Option<T> {
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.fail(Some(field.into()), "enum", format!("must be one of {}", names.join(", ")), value);
        }
        found.map(|(_, choice)| *choice)
    }

    /// A decimal, as a JSON number or a string with one, scaled by `10^decimals`; never rounded.
    pub fn decimal(&mut self, field: &'static str, value: &Value, decimals: u32) -> Option<i64> {
        let text = match value {
            Value::Number(number) => number.as_str(),
            Value::String(text) => text,
            other => {
                let msg = "must be a number, or a string with one";
                self.fail(Some(field.into()), "decimal_type", msg, other);
                return None;
            }
        };
        let (kind, msg) = match parse_scaled(text, decimals) {
            Ok(scaled) => return Some(scaled),
            Err(DecimalError::Malformed) => {
                ("decimal_parsing", "must be a decimal number such as 100 or \"99.90\"".to_owned())
            }
            Err(DecimalError::TooPrecise { max }) => (
                "decimal_max_places",
                format!("must have at most {max} digits after the point; it is never rounded"),
            ),
            Err(DecimalError::OutOfRange) if text.starts_with('-') => {
                ("greater_than", "must be greater than 0".to_owned())
            }
            Err(DecimalError::OutOfRange) => ("less_than_equal", "is too large".to_owned()),
        };
        self.fail(Some(field.into()), kind, msg, value);
        None
    }

    /// An amount of money of at least `min` kopecks, 10,000,000,000.00 at most.
    pub fn money(&mut self, field: &'static str, value: &Value, min: i64) -> Option<Kopecks> {
        let amount = Kopecks(self.decimal(field, value, 2)?);
        if amount.0 < min {
            let (kind, rule) =
                if min > 0 { ("greater_than", "greater than") } else { ("greater_than_equal", "at least") };
            self.fail(Some(field.into()), kind, format!("must be {rule} 0"), value);
            None
        } else if amount.0 > KOPECKS_MAX {
            let msg = format!("must be at most {}", Kopecks(KOPECKS_MAX));
            self.fail(Some(field.into()), "less_than_equal", msg, value);
            None
        } else {
            Some(amount)
        }
    }

    /// A whole number within bounds.
    pub fn whole(&mut self, field: &'static str, value: &Value, min: i64, max: i64) -> Option<i64> {
        let number = self.decimal(field, value, 0)?;
        if (min..=max).contains(&number) {
            return Some(number);
        }
        self.fail(
            Some(field.into()),
            "out_of_range",
            format!("must be a whole number from {min} to {max}"),
            value,
        );
        None
    }
}
