//! Names of things, each a type of its own, valid by construction.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};
use uuid::Uuid;

/// Why a text is not a name of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {rule}")]
pub struct IdError {
    /// Which name it should have been.
    pub what: &'static str,
    /// What is allowed.
    pub rule: &'static str,
}

/// Our own key of a document: a UUIDv7, so that keys grow with time. Also its idempotency key at the OFD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct ReceiptId(pub Uuid);

impl ReceiptId {
    /// A new key, later than any this process made before.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for ReceiptId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for ReceiptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReceiptId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| IdError { what: "receipt_id", rule: "a UUID as the answer to the receipt gave it" })
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $pattern:expr, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// What is allowed, in words.
            pub const RULE: &'static str = $rule;

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(IdError { what: $what, rule: $rule }) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Longest name of a till or a device.
const NAME_MAX: usize = 64;
/// Longest key of a till.
const KEY_MAX: usize = 128;

fn name_pattern() -> String {
    format!("^[A-Za-z0-9._-]{{1,{NAME_MAX}}}$")
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

text_id!(
    /// One till (contract, «Receipts»: 1–64 of `A-Za-z0-9._-`).
    PosId, "pos_id", "1 to 64 characters of A-Z a-z 0-9 . _ -", name_pattern(), is_name
);
text_id!(
    /// One KKT with its ФН. By default each till has a virtual device of its own name.
    DeviceId, "device", "1 to 64 characters of A-Z a-z 0-9 . _ -", name_pattern(), is_name
);
text_id!(
    /// What a request is known by from the till through the buffer to the OFD (`X-Request-Id`).
    RequestId, "X-Request-Id", "1 to 64 characters of A-Z a-z 0-9 . _ -", name_pattern(), is_name
);
text_id!(
    /// What a till names a receipt by, so that a retry is known as one (contract: 1–128 printable ASCII).
    IdempotencyKey, "Idempotency-Key", "1 to 128 printable ASCII characters, a UUID recommended",
    format!("^[\\x20-\\x7e]{{1,{KEY_MAX}}}$"),
    |text| (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(|b| (0x20..=0x7e).contains(&b))
);
