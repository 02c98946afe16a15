//! Checked values by key, each with its origin, and how the structs take them.

use super::rules;
use super::{
    auth::Token,
    error::Origin,
    key::{Key, Kind, Value},
    kkt::Device,
    secret::SecretFile,
    tls::CaFile,
};
use jiff::Timestamp;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

/// The checked values of a section or of one table of a list. Every key of its table of keys is in it.
#[derive(Debug, Clone, Default)]
pub struct Values {
    pub(super) by_key: BTreeMap<&'static str, (Value, Origin)>,
    /// The tables of the lists, by the list's key.
    pub(super) tables: BTreeMap<&'static str, Vec<Values>>,
    /// Where the table of a list began; `None` for a section.
    pub(super) place: Option<Origin>,
}

impl Values {
    /// A key's value.
    ///
    /// # Panics
    /// If the table of keys has no such key.
    #[must_use]
    pub fn value(&self, key: &str) -> &Value {
        &self.by_key.get(key).unwrap_or_else(|| panic!("{key} is not in the table of keys")).0
    }

    /// Where a key's value came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.by_key.get(key).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// Where to look for a key of a table: its own place, or that of the table where nobody said it.
    #[must_use]
    pub fn place(&self, key: &str) -> Origin {
        match (self.origin(key), &self.place) {
            (Origin::Default, Some(table)) => table.clone(),
            (origin, _) => origin,
        }
    }

    /// Whether a key has the same value in both, wherever it came from; of a list of tables, what needs a restart.
    #[must_use]
    pub fn agree(&self, other: &Self, key: &Key) -> bool {
        let (mine, theirs) = (self.tables(key.path), other.tables(key.path));
        let items = if let Kind::Tables(items, _) = key.kind { items() } else { &[] };
        self.value(key.path) == other.value(key.path)
            && mine.len() == theirs.len()
            && mine
                .iter()
                .zip(theirs)
                .all(|(a, b)| items.iter().filter(|item| !item.reloadable).all(|item| a.agree(b, item)))
    }

    /// The tables of a list.
    #[must_use]
    pub fn tables(&self, key: &str) -> &[Values] {
        self.tables.get(key).map_or(&[], Vec::as_slice)
    }
}

/// How a field takes what stands under its key.
pub(super) trait Field {
    fn take(values: &Values, key: &str) -> Self;
}

impl<T: FromValue> Field for T {
    fn take(values: &Values, key: &str) -> Self {
        T::from_value(values.value(key))
    }
}

impl Field for Vec<Token> {
    fn take(values: &Values, key: &str) -> Self {
        values.tables(key).iter().map(Token::read).collect()
    }
}

impl Field for Vec<Device> {
    fn take(values: &Values, key: &str) -> Self {
        values.tables(key).iter().map(Device::read).collect()
    }
}

/// How a field's type takes a value. The kind of the key has checked it, so there is nothing to refuse.
pub(super) trait FromValue {
    fn from_value(value: &Value) -> Self;
}

/// The key's kind does not fit the field's type: a slip in the table of keys, found by the test of the defaults.
pub(super) fn wrong_kind(value: &Value, wanted: &str) -> ! {
    panic!("the table of keys gives {value:?} where the field is {wanted}")
}

macro_rules! from_value {
    ($($type:ty: $pattern:pat => $value:expr;)+) => {
        $(impl FromValue for $type {
            fn from_value(value: &Value) -> Self {
                match value {
                    $pattern => $value,
                    other => wrong_kind(other, stringify!($type)),
                }
            }
        })+
    };
}

from_value! {
    bool: Value::Flag(flag) => *flag;
    u64: Value::Integer(number) => *number;
    u32: Value::Integer(number) => u32::try_from(*number).expect("the key's range fits the field");
    usize: Value::Integer(number) => usize::try_from(*number).expect("the key's range fits the field");
    f64: Value::Decimal(number) => *number;
    Duration: Value::Span(duration) => *duration;
    String: Value::Text(text) => text.clone();
    SocketAddr: Value::Text(text) => text.parse().expect("the key's rule is this type's own");
    Vec<String>: Value::List(texts) => texts.clone();
    PathBuf: Value::Text(path) => PathBuf::from(path);
    SecretFile: Value::Text(path) => SecretFile::at(PathBuf::from(path));
    CaFile: Value::Text(path) => CaFile::at(PathBuf::from(path));
    Timestamp: Value::Text(text) => rules::instant(text).expect("the key's rule is this type's own");
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Self {
        match value {
            Value::None => None,
            value => Some(T::from_value(value)),
        }
    }
}
