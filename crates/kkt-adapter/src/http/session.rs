//! Sessions of browsers: a token is exchanged for a cookie that no script can read and no other site can use.
//!
//! Invariants:
//! 1. A session holds no role of its own: it names a token, and ends when that token is taken away or replaced.
//! 2. Neither the cookie's secret nor the token is kept, only their SHA-256.
//! 3. At most [`SESSIONS_MAX`] at a time, of one token [`SESSIONS_OF_TOKEN_MAX`]; the one that was unused for longest
//!    gives way, so that nobody logs others out by logging in.
//!
//! ```text
//!  token ──POST /v1/session──► session ──unused for 12 h, 7 days old, DELETE, token gone, restart──► none
//! ```

use super::{
    auth::{Area, Role},
    body,
    door::{Digest, Now, digest},
    error::ApiError,
    gate::access,
    router::Shared,
    throttle::Peer,
    view::json,
};
use crate::{domain::validate::schema::TEXT, ports::Monotonic};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Sessions at a time.
const SESSIONS_MAX: usize = 256;
/// Sessions of one token at a time.
const SESSIONS_OF_TOKEN_MAX: usize = 16;
/// A session that is not used for so long ends.
const UNUSED_MAX: Duration = Duration::from_secs(12 * 3_600);
/// A session ends after this time, used or not.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Longest token, in characters.
const TOKEN_MAX: usize = 4_096;
/// The cookie's name.
pub const COOKIE: &str = "kkt_session";
/// Its name under TLS: by the prefix browsers keep others of the same host name, an unencrypted port among them, from
/// setting it.
pub const COOKIE_UNDER_TLS: &str = "__Host-kkt_session";

/// A session among others: SHA-256 of its cookie's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionName(Digest);

#[derive(Debug, Clone, Copy)]
struct Kept {
    token: Digest,
    began: Monotonic,
    used: Monotonic,
}

/// The sessions in force.
#[derive(Debug)]
pub struct Sessions {
    cookie: &'static str,
    all: Mutex<HashMap<SessionName, Kept>>,
}

impl Sessions {
    /// None yet; whether their cookie is for TLS only.
    #[must_use]
    pub fn new(tls: bool) -> Self {
        Self { cookie: if tls { COOKIE_UNDER_TLS } else { COOKIE }, all: Mutex::default() }
    }

    /// Begins a session of a token; the answer is the cookie's secret.
    ///
    /// # Errors
    /// 500: the machine gave no random numbers.
    fn begin(&self, token: Digest, now: Monotonic) -> Result<String, ApiError> {
        let mut random = [0_u8; 32];
        rustls::crypto::ring::default_provider().secure_random.fill(&mut random).map_err(|_| {
            tracing::error!("the system gave no random numbers; no session can begin");
            ApiError::internal()
        })?;
        let secret = random.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let mut all = self.lock();
        all.retain(|_, session| session.lives(now));
        let of_token = all.values().filter(|session| session.token == token).count();
        if of_token >= SESSIONS_OF_TOKEN_MAX {
            end_oldest(&mut all, |session| session.token == token);
        } else if all.len() >= SESSIONS_MAX {
            end_oldest(&mut all, |_| true);
        }
        all.insert(name(&secret), Kept { token, began: now, used: now });
        Ok(secret)
    }

    /// The session that a request's cookie names, and its token. It counts as used.
    #[must_use]
    pub fn token(&self, headers: &HeaderMap, now: Monotonic) -> Option<(SessionName, Digest)> {
        let name = name(self.cookie_of(headers)?);
        let mut all = self.lock();
        let session = all.get_mut(&name)?;
        if !session.lives(now) {
            all.remove(&name);
            return None;
        }
        session.used = now;
        Some((name, session.token))
    }

    /// The token of a session that has not ended. It does not count as used.
    #[must_use]
    pub fn look(&self, name: &SessionName, now: Monotonic) -> Option<Digest> {
        self.lock().get(name).filter(|session| session.lives(now)).map(|session| session.token)
    }

    fn end(&self, headers: &HeaderMap) {
        if let Some(secret) = self.cookie_of(headers) {
            self.lock().remove(&name(secret));
        }
    }

    fn cookie_of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(';')).find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == self.cookie && value.len() == 64).then_some(value)
        })
    }

    /// The header that gives the cookie, or takes it away.
    fn set_cookie(&self, secret: &str, age: Duration) -> HeaderValue {
        let secure = if self.cookie == COOKIE_UNDER_TLS { "; Secure" } else { "" };
        let (cookie, age) = (self.cookie, age.as_secs());
        let text = format!("{cookie}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}");
        HeaderValue::from_str(&text).expect("a cookie of hexadecimal digits is visible ASCII")
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionName, Kept>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_oldest(all: &mut HashMap<SessionName, Kept>, of: impl Fn(&Kept) -> bool) {
    let those = all.iter().filter(|(_, session)| of(session));
    if let Some(oldest) = those.min_by_key(|(_, session)| session.used).map(|(name, _)| *name) {
        all.remove(&oldest);
    }
}

impl Kept {
    fn lives(&self, now: Monotonic) -> bool {
        now.since(self.used) < UNUSED_MAX && now.since(self.began) < AGE_MAX
    }
}

fn name(secret: &str) -> SessionName {
    SessionName(digest(secret.as_bytes()))
}

/// A token to be exchanged.
#[derive(JsonSchema)]
pub struct Login {
    /// A reader's or an operator's.
    #[schemars(length(min = 1, max = TOKEN_MAX), regex(pattern = TEXT))]
    token: String,
}

/// Whose session began.
#[derive(Serialize, JsonSchema)]
pub struct Begun {
    /// The token's name.
    name: String,
    role: RoleWord,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum RoleWord {
    Reader,
    Operator,
}

impl RoleWord {
    /// `None`: a till's token, which opens no session.
    fn of(role: Role) -> Option<Self> {
        match role {
            Role::Pos => None,
            Role::Reader => Some(Self::Reader),
            Role::Operator => Some(Self::Operator),
        }
    }
}

/// Who the browser is.
#[derive(Serialize, JsonSchema)]
pub struct Session {
    authenticated: bool,
    /// Whether tokens are configured at all.
    tokens_required: bool,
    name: Option<String>,
    role: Option<RoleWord>,
}

/// `POST /v1/session {"token"}`: the cookie, for readers and operators.
pub async fn begin(State(app): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let Login { token } = body::form(&parts, body, &app.ports.options, |form, map| {
        let value = form.required(map, "token")?;
        Some(Login { token: form.text("token", value, TOKEN_MAX)? })
    })
    .await?;
    let (tokens, now) = (&app.ports.options.tokens, Now::of(&*app.ports.clock));
    let peer = parts.extensions.get::<Peer>().copied();
    if let Some(everybody) = tokens.anonymous(peer) {
        // There is nothing to prove and nothing to remember.
        return Ok(json(StatusCode::OK, &Begun { name: everybody.actor().0, role: RoleWord::Operator }));
    }
    let (token, bearer) = app.door.by_token(tokens, token.trim().as_bytes(), peer, now)?;
    let Some(role) = RoleWord::of(bearer.role()) else {
        let text = "a till's token opens no session; use the token of a reader or an operator";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "role_not_enough", text));
    };
    app.door.sessions.end(&parts.headers);
    let secret = app.door.sessions.begin(token, now.monotonic)?;
    let name = bearer.actor().0;
    tracing::info!(name, role = bearer.role().as_str(), "a session began");
    let mut response = json(StatusCode::OK, &Begun { name, role });
    response.headers_mut().insert(header::SET_COOKIE, app.door.sessions.set_cookie(&secret, AGE_MAX));
    Ok(response)
}

/// `GET /v1/session`: who the browser is, and whether it must bring a token.
pub async fn show(State(app): State<Shared>, request: Request) -> Response {
    let bearer =
        access(request.extensions()).ok().filter(|bearer| bearer.enter(Area::Read, request.method()).is_ok());
    let body = Session {
        authenticated: bearer.is_some(),
        tokens_required: !app.ports.options.tokens.are_none(),
        name: bearer.map(|bearer| bearer.actor().0),
        role: bearer.and_then(|bearer| RoleWord::of(bearer.role())),
    };
    json(StatusCode::OK, &body)
}

/// `DELETE /v1/session`: ends it, whoever asks.
pub async fn end(State(app): State<Shared>, headers: HeaderMap) -> Response {
    app.door.sessions.end(&headers);
    let no_cookie = app.door.sessions.set_cookie("", Duration::ZERO);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, no_cookie)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u64) -> Monotonic {
        Monotonic(Duration::from_secs(hours * 3_600))
    }

    fn with(secret: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("a=b; {COOKIE}={secret}; c=d").parse().unwrap());
        headers
    }

    fn token(sessions: &Sessions, secret: &str, now: Monotonic) -> Option<Digest> {
        sessions.token(&with(secret), now).map(|(_, token)| token)
    }

    #[test]
    fn a_session_ends_when_it_is_unused_or_old_or_ended() {
        let sessions = Sessions::new(false);
        let secret = sessions.begin([7; 32], at(0)).unwrap();
        assert_eq!(token(&sessions, &secret, at(11)), Some([7; 32]));
        assert_eq!(token(&sessions, &secret, at(22)), Some([7; 32]), "use keeps it alive");
        assert_eq!(sessions.look(&name(&secret), at(33)), Some([7; 32]), "a look does not");
        assert_eq!(sessions.look(&name(&secret), at(34)), None);
        assert_eq!(token(&sessions, &secret, at(34)), None, "unused for 12 hours");

        let secret = sessions.begin([7; 32], at(0)).unwrap();
        for hour in (0..168).step_by(8) {
            assert!(token(&sessions, &secret, at(hour)).is_some(), "{hour}");
        }
        assert_eq!(token(&sessions, &secret, at(168)), None, "seven days old");

        let secret = sessions.begin([7; 32], at(0)).unwrap();
        sessions.end(&with(&secret));
        assert_eq!(token(&sessions, &secret, at(0)), None);
        assert_eq!(token(&sessions, &"0".repeat(64), at(0)), None, "a cookie nobody gave");
        assert!(sessions.token(&HeaderMap::new(), at(0)).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_the_one_in_use_stays() {
        let sessions = Sessions::new(false);
        let mine = sessions.begin([1; 32], at(0)).unwrap();
        for number in 0..SESSIONS_MAX * 2 {
            assert!(token(&sessions, &mine, at(2)).is_some());
            let mut other = [2; 32];
            other[..8].copy_from_slice(&number.to_le_bytes());
            sessions.begin(other, at(1)).unwrap();
        }
        assert!(sessions.lock().len() <= SESSIONS_MAX);
        assert!(token(&sessions, &mine, at(2)).is_some());
    }

    #[test]
    fn who_logs_in_again_and_again_ends_sessions_of_his_own_token_only() {
        let sessions = Sessions::new(false);
        let mine = sessions.begin([1; 32], at(0)).unwrap();
        for _ in 0..SESSIONS_MAX * 2 {
            sessions.begin([2; 32], at(1)).unwrap();
        }
        assert_eq!(sessions.lock().len(), 1 + SESSIONS_OF_TOKEN_MAX);
        assert!(token(&sessions, &mine, at(2)).is_some(), "although it is the one unused for longest");
    }

    #[test]
    fn under_tls_the_cookie_is_one_that_nobody_else_of_the_host_can_set() {
        let sessions = Sessions::new(true);
        let secret = sessions.begin([1; 32], at(0)).unwrap();
        let line = sessions.set_cookie(&secret, AGE_MAX);
        let line = line.to_str().unwrap();
        // What a browser asks of this prefix: Secure, the whole path, no Domain.
        assert!(line.starts_with("__Host-kkt_session=") && line.contains("; Path=/;"), "{line}");
        assert!(line.ends_with("; Secure") && !line.contains("Domain"), "{line}");
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, line.split(';').next().unwrap().parse().unwrap());
        assert!(sessions.token(&headers, at(0)).is_some());
        assert!(sessions.token(&with(&secret), at(0)).is_none(), "one without the prefix may be another's");
    }
}
