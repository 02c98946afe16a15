//! The rules for texts that several sections share.

use super::key::Rule;
use crate::domain::ids::{DeviceId, PosId};
use jiff::Timestamp;
use std::net::SocketAddr;

/// Address and port to listen on.
pub(super) static ADDRESS: Rule = Rule {
    name: "address",
    words: "an IP address and a port, such as \"127.0.0.1:8000\" or \"[::1]:8000\"",
    holds: |text| text.parse::<SocketAddr>().is_ok(),
};

/// A path of the file system.
pub(super) static PATH: Rule = Rule {
    name: "path",
    words: "a path, relative to the working folder unless it starts with /",
    holds: |text| !text.is_empty() && !text.contains('\0'),
};

/// An instant.
pub(super) static INSTANT: Rule = Rule {
    name: "instant",
    words: "a date and time with its offset, such as \"2027-01-31T00:00:00+03:00\"",
    holds: |text| instant(text).is_some(),
};

/// The instant of a text that holds to [`INSTANT`].
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// The base of an HTTP service, to which paths are added.
pub(super) static BASE_URL: Rule = Rule {
    name: "url",
    words: "an http:// or https:// address without user, password, query or fragment",
    holds: |text| http_url(text).is_some_and(|url| url.query().is_none()),
};

/// A full HTTP address.
pub(super) static URL: Rule = Rule {
    name: "url",
    words: "an http:// or https:// address without user, password or fragment",
    holds: |text| http_url(text).is_some(),
};

/// Where the buffer is.
pub(super) static BUFFER_URL: Rule = Rule {
    name: "url",
    words: "\"sqlite://\" and the path of a file without options, relative to the working folder unless the path \
            starts with / (\"sqlite:///var/lib/kkt-adapter/buffer.db\")",
    holds: |text| {
        text.strip_prefix("sqlite://").is_some_and(|path| {
            !path.is_empty() && !path.ends_with('/') && !path.contains(['?', '#', '\0']) && path != ".."
        })
    },
};

/// A till.
pub(super) static POS_ID: Rule =
    Rule { name: "pos_id", words: PosId::RULE, holds: |text| text.parse::<PosId>().is_ok() };

/// A device.
pub(super) static DEVICE_ID: Rule =
    Rule { name: "name", words: DeviceId::RULE, holds: |text| text.parse::<DeviceId>().is_ok() };

/// The value of a `Host` header.
pub(super) static HOST: Rule = Rule {
    name: "host",
    words: "a host name or address as browsers send it, with its port if it is not 80 or 443, \
            such as \"till.shop.local:8000\"",
    holds: |text| {
        (1..=255).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
    },
};

fn http_url(text: &str) -> Option<reqwest::Url> {
    let url = reqwest::Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}
