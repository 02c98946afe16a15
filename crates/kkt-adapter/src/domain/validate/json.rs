//! From bytes to a JSON value that means one thing only: numbers keep their text, a name stands once in an object.

use super::problem::{FieldError, Loc, clip};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::{collections::HashSet, fmt};

/// Why bytes are not such a value.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonError {
    /// Not UTF-8; the offset of the first bad byte.
    NotUtf8(usize),
    /// Malformed, nested too deep, or ambiguous.
    Invalid(Box<FieldError>),
}

/// Reads a body. Nesting is limited to 128 (serde_json), `NaN` and `Infinity` are not JSON (RFC 8259), and a name
/// that stands twice is refused, since readers differ in which one counts. A byte order mark is skipped.
///
/// # Errors
/// [`JsonError`].
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::NotUtf8(error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut path = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let unique = Unique { path: &mut path }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match unique {
        Ok(()) => serde_json::from_str(text).map_err(|error| malformed(text, &error)),
        Err(error) if error.is_data() && !path.is_empty() => Err(duplicate(path)),
        Err(error) => Err(match bare_word(text, &error) {
            Some(word) => not_finite(path, word),
            None => malformed(text, &error),
        }),
    }
}

/// How many bytes of the text were read before the error.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    lines.map(str::len).sum::<usize>().saturating_add(error.column())
}

/// The word that other writers have for what is no number, if that is where reading ended.
fn bare_word(text: &str, error: &serde_json::Error) -> Option<&'static str> {
    let (before, at) = text.split_at_checked(offset(text, error).checked_sub(1)?)?;
    let before = before.trim_end_matches('-').trim_end();
    let value_begins = before.is_empty() || before.ends_with([':', '[', ',']);
    ["NaN", "Infinity"].into_iter().find(|word| value_begins && at.starts_with(word))
}

fn not_finite(mut path: Vec<Loc>, word: &'static str) -> JsonError {
    path.push("body".into());
    path.reverse();
    JsonError::Invalid(Box::new(FieldError {
        kind: "finite_number",
        loc: path,
        msg: "must be a finite number; NaN and Infinity are not JSON".into(),
        input: word.into(),
    }))
}

fn malformed(text: &str, error: &serde_json::Error) -> JsonError {
    let offset = offset(text, error);
    let msg = format!("malformed JSON: {error}; NaN and Infinity are not JSON numbers");
    JsonError::Invalid(Box::new(FieldError {
        kind: "json_invalid",
        loc: vec!["body".into(), offset.into()],
        msg,
        input: Value::Object(serde_json::Map::new()),
    }))
}

fn duplicate(mut path: Vec<Loc>) -> JsonError {
    path.push("body".into());
    path.reverse();
    let msg = "this field stands more than once in its object; send it once";
    JsonError::Invalid(Box::new(FieldError {
        kind: "duplicate_field",
        loc: path,
        msg: msg.into(),
        input: Value::Null,
    }))
}

/// Walks over a value and fails at the first name that stands twice, or where the text is malformed; `path` then holds
/// the way to it, backwards.
struct Unique<'a> {
    path: &'a mut Vec<Loc>,
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            match list.next_element_seed(Unique { path: &mut *self.path }) {
                Ok(Some(())) => index += 1,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.path.push(index.into());
                    return Err(error);
                }
            }
        }
    }

    /// Objects; and numbers too, which serde_json hands over as an object of one field so that they keep their text.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if seen.contains(&name) {
                self.path.push(clip(&name).into());
                return Err(A::Error::custom("a name stands twice"));
            }
            if let Err(error) = map.next_value_seed(Unique { path: &mut *self.path }) {
                self.path.push(clip(&name).into());
                return Err(error);
            }
            seen.insert(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> FieldError {
        match parse(text.as_bytes()) {
            Err(JsonError::Invalid(error)) => *error,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn numbers_keep_their_text() {
        let value = parse(br#"{"a":100.10,"b":12345678901234567890.123,"c":[1]}"#).unwrap();
        assert_eq!(value["a"].to_string(), "100.10");
        assert_eq!(value["b"].to_string(), "12345678901234567890.123");
    }

    #[test]
    fn nan_and_infinity_as_bare_words_are_refused_at_their_field() {
        for word in ["NaN", "Infinity", "-Infinity"] {
            let error = error(&format!("{{\n \"я\": 1, \"a\":[{{}},{{\"b\": {word} }}]}}"));
            assert_eq!(error.kind, "finite_number", "{word}");
            let loc: [Loc; 4] = ["body".into(), "a".into(), 1.into(), "b".into()];
            assert_eq!(error.loc, loc, "{word}");
        }
        assert_eq!(error("NaN").loc, ["body".into()]);
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for text in [r#"{"a":nan}"#, r#"{"a":1NaN}"#, "", "{", "{'a':1}", "{} {}", r#"{"a":1 NaN"#] {
            assert_eq!(error(text).kind, "json_invalid", "{text}");
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_with_its_path() {
        let error = error(r#"{"items":[{"price":1},{"price":1,"x":{"y":2},"price":2}]}"#);
        assert_eq!(error.kind, "duplicate_field");
        let loc: [Loc; 4] = ["body".into(), "items".into(), 1.into(), "price".into()];
        assert_eq!(error.loc, loc);
        // The escaped form is the same name.
        assert!(parse(br#"{"a":1,"\u0061":2}"#).is_err());
        assert!(parse(br#"{"a":{"b":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn a_depth_bomb_is_malformed_and_costs_no_stack() {
        assert_eq!(error(&"[".repeat(1_000_000)).kind, "json_invalid");
        assert_eq!(error(&"{\"a\":".repeat(300_000)).kind, "json_invalid");
    }

    #[test]
    fn bytes_that_are_no_text_are_told_from_malformed_json() {
        assert_eq!(parse(b"{\"a\":\"\xff\"}"), Err(JsonError::NotUtf8(6)));
        assert!(parse("\u{feff}{}".as_bytes()).is_ok());
        assert!(parse(br#"{"a":"\ud800"}"#).is_err(), "a lone surrogate is no text");
    }
}
