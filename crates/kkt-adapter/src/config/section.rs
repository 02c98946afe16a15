//! The macro that writes a section's struct, its rows of the table of keys and its reader from one list, so that they
//! cannot differ.

/// `/// doc` `"section.key" "KKT_VARIABLE" field: Type = "default", kind [, reload];` makes a public field, whose own
/// doc names key, variable, default and range, and a row of `KEYS`.
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $doc:literal])+ $path:literal $variable:literal $field:ident: $type:ty =
            $default:literal, $kind:expr $(, $reload:ident)?;)+
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                ///
                #[doc = concat!("Key `", $path, "`, variable `", $variable, "`, default `", $default,
                    "`, range `", stringify!($kind), "`.")]
                pub $field: $type,
            )+
        }

        impl $name {
            /// The rows of the table of keys.
            pub const KEYS: &'static [$crate::config::Key] = &[$($crate::config::Key {
                path: $path,
                variable: $variable,
                default: $default,
                kind: $kind,
                doc: concat!($($doc),+),
                reloadable: section!(@reload $($reload)?),
            }),+];

            pub(super) fn read(values: &super::values::Values) -> Self {
                Self { $($field: super::values::Field::take(values, $path)),+ }
            }
        }
    };
    (@reload reload) => { true };
    (@reload) => { false };
}

/// An enum whose words are what the configuration says.
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[doc = $doc])+ $variant),+ }

        impl $name {
            /// All words.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl super::values::FromValue for $name {
            fn from_value(value: &super::key::Value) -> Self {
                match value {
                    $(super::key::Value::Text(word) if word == $word => Self::$variant,)+
                    other => super::values::wrong_kind(other, stringify!($name)),
                }
            }
        }
    };
}

pub(super) use {section, words};
