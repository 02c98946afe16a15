//! What keeps web pages out (promise P10): a page in the shop's browser may send requests here, under a name of its
//! own that leads to this machine (DNS rebinding) or from its own origin. So the `Host` must be one we answer to, and a
//! change must come from no page or from our own. Reads change nothing and no page gets to see their answers; where the
//! browser says that a foreign page asks, they are refused all the same, lest it hold places of the stream of events.

use super::error::ApiError;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Characters of a foreign `Host` that are repeated; no name is longer.
const HOST_SHOWN_MAX: usize = 253;

/// The names this adapter answers to, besides the loopback ones.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// Names with a port (only that one) or without (any).
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| name.trim().trim_end_matches('.').to_ascii_lowercase()).collect())
    }

    fn allows(&self, authority: &str) -> bool {
        let Some((name, _port)) = split(authority) else { return false };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        is_loopback(&name) || {
            let authority = authority.to_ascii_lowercase();
            self.0.iter().any(|allowed| *allowed == name || *allowed == authority)
        }
    }
}

/// Name and port of an authority; `None` if it is none.
fn split(authority: &str) -> Option<(&str, &str)> {
    let (name, port) = match authority.rfind(']') {
        Some(end) => {
            (&authority[..=end], authority[end + 1..].strip_prefix(':').unwrap_or(&authority[end + 1..]))
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let valid_port = port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    (!name.is_empty() && valid_port && !name.contains('@')).then_some((name, port))
}

fn is_loopback(name: &str) -> bool {
    name == "localhost"
        || name.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()))
}

/// The authority a request is for: that of an absolute URI, else the one `Host` header.
fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    uri.authority().map_or(host, |authority| Some(authority.as_str()))
}

/// Refuses a `Host` that is not ours.
///
/// # Errors
/// 403.
pub fn check_host(allowed: &AllowedHosts, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let asked = authority(uri, headers);
    if asked.is_some_and(|asked| allowed.allows(asked)) {
        return Ok(());
    }
    let came = match asked {
        Some(asked) => format!("this one is \"{}\"", asked.chars().take(HOST_SHOWN_MAX).collect::<String>()),
        None => "there must be exactly one".into(),
    };
    let text = format!("the Host header must be a loopback name or one of server.allowed_hosts; {came}");
    Err(ApiError::new(StatusCode::FORBIDDEN, "host_not_allowed", text))
}

/// Refuses a change that a foreign page makes. With `tls` a page that came unencrypted is foreign too: anybody on its
/// way may have written it. Without, the page may have come through a proxy that speaks TLS.
///
/// # Errors
/// 403.
pub fn check_origin(uri: &Uri, headers: &HeaderMap, tls: bool) -> Result<(), ApiError> {
    let foreign =
        |what: &str| Err(foreign(format!("a change must not come from a page of another origin ({what})")));
    for origin in headers.get_all(header::ORIGIN) {
        let own = origin
            .to_str()
            .ok()
            .and_then(|origin| {
                origin
                    .strip_prefix("http://")
                    .filter(|_| !tls)
                    .map(|o| (o, "80"))
                    .or_else(|| origin.strip_prefix("https://").map(|o| (o, "443")))
            })
            .zip(authority(uri, headers))
            .is_some_and(|((origin, port), host)| same_authority(origin, host, port));
        if !own {
            return foreign("Origin");
        }
    }
    if is_of_foreign_page(headers) { foreign("Sec-Fetch-Site") } else { Ok(()) }
}

/// Refuses a read that a foreign page makes. A person who follows a link from there is let in: that is a document of its
/// own, which the page neither sees nor steers. Programs send none of these headers.
///
/// # Errors
/// 403.
pub fn check_page(headers: &HeaderMap) -> Result<(), ApiError> {
    let says = |name: &str, value: &[u8]| headers.get(name).is_some_and(|said| said.as_bytes() == value);
    let by_a_link = says("sec-fetch-mode", b"navigate") && says("sec-fetch-dest", b"document");
    if is_of_foreign_page(headers) && !by_a_link {
        return Err(foreign("a page of another origin may link here and not read (Sec-Fetch-Site)".into()));
    }
    Ok(())
}

/// Whether the browser says that a page of another origin makes this request.
fn is_of_foreign_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    !matches!(site, None | Some(b"same-origin" | b"none"))
}

fn foreign(what: String) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "foreign_origin", format!("{what}; there is no CORS"))
}

fn same_authority(a: &str, b: &str, default_port: &str) -> bool {
    let or_default = |port: &str| if port.is_empty() { default_port.to_owned() } else { port.to_owned() };
    match (split(a), split(b)) {
        (Some((a, a_port)), Some((b, b_port))) => {
            a.eq_ignore_ascii_case(b) && or_default(a_port) == or_default(b_port)
        }
        _ => false,
    }
}

/// Refuses a change whose content type a form or a script without preflight could send.
///
/// # Errors
/// 415.
pub fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let mut parts = value.split(';').map(str::trim);
        let json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
        json && parts.all(|part| match part.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
    });
    if json {
        return Ok(());
    }
    let text = "a change needs the header Content-Type: application/json (UTF-8), also without a body";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type_not_json", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_configured_names_are_ours_and_nothing_that_looks_like_them() {
        let hosts = AllowedHosts::new(["Till.Shop.local".into(), "10.0.0.5:8000".into()]);
        for name in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:80",
            "[::1]",
            "localhost.",
            "till.shop.local:9",
            "till.shop.local",
            "10.0.0.5:8000",
        ] {
            assert!(hosts.allows(name), "{name}");
        }
        for name in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.5:8001",
            "",
            ":80",
            "evil@localhost",
            "localhost:80@evil",
            "localhost:http",
            "[::2]",
            "0.0.0.0",
            "xlocalhost",
        ] {
            assert!(!hosts.allows(name), "{name}");
        }
    }

    #[test]
    fn an_origin_is_ours_only_with_the_same_name_and_port() {
        let check = |origin: &'static str, host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            headers.insert(header::HOST, host.parse().unwrap());
            [false, true].map(|tls| check_origin(&Uri::from_static("/"), &headers, tls).is_ok())
        };
        // Without TLS and with it.
        assert_eq!(check("http://localhost:8000", "localhost:8000"), [true, false]);
        assert_eq!(check("http://localhost", "localhost:80"), [true, false]);
        assert_eq!(check("http://till", "till"), [true, false]);
        assert_eq!(check("https://till", "till:443"), [true, true]);
        for (origin, host) in [
            ("http://localhost:3000", "localhost:8000"),
            ("http://127.0.0.1:8000", "localhost:8000"),
            ("null", "localhost:8000"),
            ("file://", "localhost"),
        ] {
            assert_eq!(check(origin, host), [false, false], "{origin}");
        }
    }

    #[test]
    fn only_json_in_utf_8_counts_as_json() {
        let check = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            check_content_type(&headers).is_ok()
        };
        assert!(check("application/json") && check("Application/JSON; charset=\"UTF-8\""));
        for bad in
            ["text/plain", "application/json; charset=cp1251", "application/jsonp", "", "multipart/form-data"]
        {
            assert!(!check(bad), "{bad}");
        }
        assert!(check_content_type(&HeaderMap::new()).is_err());
    }
}
