//! Who asks: by a token in `Authorization`, or by the cookie of a browser that has shown one.

use super::{
    auth::{Access, Tokens, bearer_token},
    error::ApiError,
    session::{SessionName, Sessions},
    throttle::{Peer, Throttle},
};
use crate::ports::{Clock, Monotonic};
use axum::http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// The clocks at a request: time-outs take the one, dates that people named the other.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic.
    pub monotonic: Monotonic,
    /// Wall.
    pub wall: Timestamp,
}

impl Now {
    /// Both clocks at once.
    #[must_use]
    pub fn of(clock: &dyn Clock) -> Self {
        Self { monotonic: clock.monotonic(), wall: clock.wall() }
    }
}

/// SHA-256 of a secret.
pub type Digest = [u8; 32];

/// The digest of a secret.
#[must_use]
pub fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}

/// By what a request was let in: asked again while its answer goes on.
#[derive(Debug, Clone, Copy)]
pub enum Pass {
    /// No tokens are configured.
    Everybody,
    /// A token.
    Token(Digest),
    /// A session.
    Session(SessionName),
}

/// What is remembered about those who ask.
#[derive(Debug)]
pub struct Door {
    /// Browsers that have shown a token.
    pub sessions: Sessions,
    throttle: Throttle,
}

impl Door {
    /// Nobody is known yet; an address may send so many wrong tokens in a row, and cookies may insist on TLS.
    #[must_use]
    pub fn new(wrong_tokens_max: u32, tls: bool) -> Self {
        Self { sessions: Sessions::new(tls), throttle: Throttle::new(wrong_tokens_max) }
    }

    /// Who asks, and by what. A token counts before a cookie.
    ///
    /// # Errors
    /// 401: neither, or none of ours; 429: too many wrong tokens from there.
    pub fn who(
        &self,
        tokens: &Tokens,
        headers: &HeaderMap,
        peer: Option<Peer>,
        now: Now,
    ) -> Result<(Pass, Access), ApiError> {
        if let Some(everybody) = tokens.anonymous(peer) {
            return Ok((Pass::Everybody, everybody));
        }
        if headers.contains_key(header::AUTHORIZATION) {
            let token = bearer_token(headers).ok_or_else(unauthorized)?;
            let (digest, access) = self.by_token(tokens, token, peer, now)?;
            return Ok((Pass::Token(digest), access));
        }
        let (name, token) = self.sessions.token(headers, now.monotonic).ok_or_else(unauthorized)?;
        let access = tokens.by_digest(&token, now.wall).ok_or_else(unauthorized)?;
        Ok((Pass::Session(name), access))
    }

    /// Whose pass it still is; `None`: it was taken away, has expired or was logged out. Asking keeps no session alive.
    #[must_use]
    pub fn still(&self, tokens: &Tokens, pass: &Pass, now: Now) -> Option<Access> {
        match pass {
            Pass::Everybody => tokens.anonymous(None),
            Pass::Token(digest) => tokens.by_digest(digest, now.wall),
            Pass::Session(name) => tokens.by_digest(&self.sessions.look(name, now.monotonic)?, now.wall),
        }
    }

    /// The bearer of a token, and the token's digest.
    ///
    /// # Errors
    /// 401, 429.
    pub fn by_token(
        &self,
        tokens: &Tokens,
        token: &[u8],
        peer: Option<Peer>,
        now: Now,
    ) -> Result<(Digest, Access), ApiError> {
        let found = tokens.find(token, now.wall);
        let Some(peer) = peer else { return found.ok_or_else(unauthorized) };
        if let Some((_, bearer)) = &found
            && bearer.came_from(peer)
        {
            return found.ok_or_else(unauthorized);
        }
        if let Some(wait) = self.throttle.wait(peer, now.monotonic) {
            return Err(ApiError::too_many("too many wrong tokens came from this address; wait", wait));
        }
        match found {
            Some((digest, bearer)) => {
                bearer.comes_from(peer);
                Ok((digest, bearer))
            }
            None => {
                if self.throttle.failed(peer, &digest(token), now.monotonic) {
                    tracing::warn!(peer = %peer.0, "a wrong token");
                }
                Err(unauthorized())
            }
        }
    }
}

/// No token, or none of ours: the text does not tell which.
pub fn unauthorized() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "token_required",
        "a valid token is needed: Authorization: Bearer <token>",
    )
}
