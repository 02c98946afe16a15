//! Who asks, and what the role allows (contract, «Who may what»). The routes' areas stand in `router`.

use super::{
    door::{Digest as TokenDigest, digest},
    error::ApiError,
    throttle::{Networks, Peer},
};
use crate::domain::{entry::Actor, ids::PosId};
use axum::http::{HeaderMap, Method, StatusCode, header};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// What the bearer of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receipts, shift and buffer status of its own tills; health.
    Pos,
    /// Every read.
    Reader,
    /// Everything.
    Operator,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Pos, Self::Reader, Self::Operator];

    /// The name in the API and the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pos => "pos",
            Self::Reader => "reader",
            Self::Operator => "operator",
        }
    }

    /// Whether it allows such a request.
    #[must_use]
    pub fn may(self, area: Area, method: &Method) -> bool {
        let read = matches!(*method, Method::GET | Method::HEAD);
        match (self, area) {
            (_, Area::Liveness | Area::Page) | (Self::Operator, _) => true,
            (Self::Reader, _) => read,
            (Self::Pos, Area::Till) => true,
            (Self::Pos, Area::Health) => read,
            (Self::Pos, Area::Read | Area::Control) => false,
        }
    }
}

/// A token as it is configured. `Debug` does not show the secret.
#[derive(Clone)]
pub struct TokenEntry {
    /// Who it is, for the audit.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The tills it acts for; of meaning for [`Role::Pos`] only.
    pub pos_ids: Vec<PosId>,
    /// The secret.
    pub secret: String,
    /// From then on it lets nobody in.
    pub expires: Option<Timestamp>,
}

impl fmt::Debug for TokenEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenEntry({:?}, {:?}, {:?}, ***)", self.name, self.role, self.pos_ids)
    }
}

/// The part of the API that a route belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Liveness: no token, any Host, since it is the machine's supervisor that asks.
    Liveness,
    /// The page at `/`, its files and the session: no token is needed to be told to bring one.
    Page,
    /// Receipts, shift, buffer status: a till's token for its own tills.
    Till,
    /// Health: every token.
    Health,
    /// Reads for people.
    Read,
    /// Changes for people.
    Control,
}

/// Tills that an error names; a token may have a thousand.
const TILLS_SHOWN_MAX: usize = 8;

/// Who asks, proven.
#[derive(Debug)]
pub struct Bearer {
    name: String,
    role: Role,
    pos_ids: BTreeSet<PosId>,
    networks: Arc<Networks>,
}

/// The bearer of a request.
pub type Access = Arc<Bearer>;

impl Bearer {
    /// Everybody, where no tokens are configured: who it is, is the machine that asks.
    fn anonymous(peer: Option<Peer>) -> Self {
        let machine = match peer.map(|peer| peer.0.to_canonical()) {
            Some(address) if !address.is_loopback() => address.to_string(),
            _ => "loopback".into(),
        };
        let (name, networks) = (format!("anonymous@{machine}"), Arc::default());
        Self { name, role: Role::Operator, pos_ids: BTreeSet::new(), networks }
    }

    /// The name for the audit.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor(self.name.clone())
    }

    /// Whether its token was right from this address before.
    #[must_use]
    pub fn came_from(&self, peer: Peer) -> bool {
        self.networks.has(peer)
    }

    /// Its token was right from this address.
    pub fn comes_from(&self, peer: Peer) {
        self.networks.note(peer);
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The tills it is limited to; `None`: no limit.
    #[must_use]
    pub fn tills(&self) -> Option<&BTreeSet<PosId>> {
        (self.role == Role::Pos).then_some(&self.pos_ids)
    }

    /// Holds a till's token to its own tills.
    ///
    /// # Errors
    /// 403.
    pub fn act_for(&self, pos_id: &PosId) -> Result<(), ApiError> {
        match self.tills() {
            Some(own) if !own.contains(pos_id) => {
                let shown: Vec<_> = own.iter().take(TILLS_SHOWN_MAX).map(PosId::as_str).collect();
                let more = match own.len() - shown.len() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let text =
                    format!("the token {} acts for other tills: {}{more}", self.name, shown.join(", "));
                Err(ApiError::new(StatusCode::FORBIDDEN, "foreign_till", text))
            }
            _ => Ok(()),
        }
    }

    /// Holds a request to the role.
    ///
    /// # Errors
    /// 403.
    pub fn enter(&self, area: Area, method: &Method) -> Result<(), ApiError> {
        if self.role.may(area, method) {
            return Ok(());
        }
        let enough = Role::ALL.into_iter().filter(|role| role.may(area, method)).map(Role::as_str);
        let text = format!(
            "this needs the role {}; the token {} has {}",
            enough.collect::<Vec<_>>().join(" or "),
            self.name,
            self.role.as_str()
        );
        Err(ApiError::new(StatusCode::FORBIDDEN, "role_not_enough", text))
    }
}

struct Holder {
    digest: TokenDigest,
    expires: Option<Timestamp>,
    bearer: Access,
}

/// The tokens in force. Secrets are kept as SHA-256 only, so that no dump of memory or state shows one; comparing
/// digests also takes the same time wherever a guess goes wrong.
pub struct Tokens {
    current: RwLock<Arc<State>>,
}

struct State {
    holders: Vec<Holder>,
    /// No tokens were configured at the start.
    open: bool,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} of them)", self.state().holders.len())
    }
}

impl Tokens {
    /// The tokens at start. None at all: everybody who reaches the port is an operator, which `app` allows on
    /// loopback only.
    #[must_use]
    pub fn new(entries: Vec<TokenEntry>) -> Self {
        let open = entries.is_empty();
        Self { current: RwLock::new(Arc::new(State { holders: holders(entries, &[]), open })) }
    }

    /// Puts others into force, from the next request on. Taking the last one away lets nobody in, it does not open
    /// the door: that takes a start without tokens. Where a token was right from stays known as long as it is the same.
    pub fn replace(&self, entries: Vec<TokenEntry>) {
        let before = self.state();
        let open = before.open && entries.is_empty();
        let next = Arc::new(State { holders: holders(entries, &before.holders), open });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether everybody is let in: no tokens were configured at the start.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.state().open
    }

    /// Whoever asks from there, if no tokens were configured at the start.
    #[must_use]
    pub fn anonymous(&self, peer: Option<Peer>) -> Option<Access> {
        self.are_none().then(|| Arc::new(Bearer::anonymous(peer)))
    }

    /// Whose token it is, and its digest. `now` is the wall clock's: a token expires on a day that people named.
    #[must_use]
    pub fn find(&self, token: &[u8], now: Timestamp) -> Option<(TokenDigest, Access)> {
        let digest = digest(token);
        self.by_digest(&digest, now).filter(|_| !token.is_empty()).map(|bearer| (digest, bearer))
    }

    /// Whose token has this digest, if it has not expired.
    #[must_use]
    pub fn by_digest(&self, digest: &TokenDigest, now: Timestamp) -> Option<Access> {
        // Every holder is looked at, so the time does not tell which one matched.
        let mut found = None;
        for holder in &self.state().holders {
            if same(&holder.digest, digest) && holder.expires.is_none_or(|end| now < end) {
                found = Some(Arc::clone(&holder.bearer));
            }
        }
        found
    }
}

/// The token of the one `Authorization` header.
pub fn bearer_token(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    match (given.next(), given.next()) {
        (Some(value), None) => value
            .as_bytes()
            .split_at_checked(7)
            .and_then(|(scheme, token)| scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())),
        _ => None,
    }
}

fn holders(entries: Vec<TokenEntry>, before: &[Holder]) -> Vec<Holder> {
    let known: HashMap<&TokenDigest, &Arc<Networks>> =
        before.iter().map(|holder| (&holder.digest, &holder.bearer.networks)).collect();
    entries
        .into_iter()
        .filter(|entry| !entry.secret.is_empty())
        .map(|entry| {
            let digest = digest(entry.secret.as_bytes());
            let bearer = Bearer {
                name: entry.name,
                role: entry.role,
                pos_ids: entry.pos_ids.into_iter().collect(),
                networks: known.get(&digest).map_or_else(Arc::default, |networks| Arc::clone(networks)),
            };
            Holder { digest, expires: entry.expires, bearer: Arc::new(bearer) }
        })
        .collect()
}

/// Compares in a time that does not depend on the content.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0_u8, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(secret: &str, role: Role) -> TokenEntry {
        TokenEntry {
            name: format!("{role:?}"),
            role,
            pos_ids: vec!["P1".parse().unwrap()],
            secret: secret.into(),
            expires: None,
        }
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn ask(tokens: &Tokens, value: &str) -> Option<Role> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        bearer_token(&headers).and_then(|token| tokens.find(token, NOW)).map(|(_, access)| access.role())
    }

    #[test]
    fn only_the_whole_secret_lets_in() {
        let tokens = Tokens::new(vec![entry("alpha", Role::Pos), entry("omega", Role::Operator)]);
        assert_eq!(ask(&tokens, "Bearer omega"), Some(Role::Operator));
        assert_eq!(ask(&tokens, "bearer alpha"), Some(Role::Pos));
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer omeg",
            "Bearer omegaa",
            "Basic omega",
            "omega",
            "Bearer alpha omega",
        ] {
            assert_eq!(ask(&tokens, bad), None, "{bad}");
        }
        assert!(bearer_token(&HeaderMap::new()).is_none() && tokens.anonymous(None).is_none());
    }

    #[test]
    fn a_token_lets_in_until_the_instant_it_expires() {
        let expires = Some(NOW + std::time::Duration::from_secs(10));
        let tokens = Tokens::new(vec![TokenEntry { expires, ..entry("alpha", Role::Reader) }]);
        let at = |nanos| tokens.find(b"alpha", NOW + std::time::Duration::from_nanos(nanos)).is_some();
        assert_eq!([at(0), at(9_999_999_999), at(10_000_000_000)], [true, true, false]);
        let (digest, _) = tokens.find(b"alpha", NOW).unwrap();
        assert!(tokens.by_digest(&digest, NOW + std::time::Duration::from_secs(10)).is_none());
    }

    #[test]
    fn tokens_change_at_run_time_and_taking_all_away_opens_nothing() {
        let tokens = Tokens::new(vec![entry("old", Role::Reader)]);
        tokens.replace(vec![entry("new", Role::Reader)]);
        assert_eq!((ask(&tokens, "Bearer old"), ask(&tokens, "Bearer new")), (None, Some(Role::Reader)));
        tokens.replace(Vec::new());
        assert_eq!(ask(&tokens, "Bearer new"), None);
        assert!(tokens.anonymous(None).is_none());
    }

    fn peer(text: &str) -> Peer {
        Peer(text.parse().unwrap())
    }

    #[test]
    fn where_a_token_was_right_from_stays_known_while_others_are_replaced_and_is_forgotten_with_it() {
        let tokens = Tokens::new(vec![entry("till", Role::Pos), entry("old", Role::Reader)]);
        let knows = |secret: &str| tokens.find(secret.as_bytes(), NOW).unwrap().1.came_from(peer("10.0.0.1"));
        for secret in ["till", "old"] {
            assert!(!knows(secret));
            tokens.find(secret.as_bytes(), NOW).unwrap().1.comes_from(peer("10.0.0.1"));
        }
        tokens.replace(vec![entry("new", Role::Reader), entry("till", Role::Pos)]);
        assert!(knows("till") && !knows("new"));
    }

    #[test]
    fn without_tokens_the_audit_names_the_machine_that_asked() {
        let tokens = Tokens::new(Vec::new());
        let name = |from: Option<&str>| tokens.anonymous(from.map(peer)).unwrap().actor().0;
        assert_eq!(name(None), "anonymous@loopback");
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(name(Some(here)), "anonymous@loopback", "{here}");
        }
        assert_eq!(name(Some("::ffff:10.0.0.7")), "anonymous@10.0.0.7");
        assert_eq!(name(Some("2001:db8::7")), "anonymous@2001:db8::7");
    }

    #[test]
    fn no_text_shows_a_secret() {
        let tokens = vec![entry("hush-hush", Role::Pos)];
        assert!(!format!("{tokens:?} {:?}", Tokens::new(tokens.clone())).contains("hush"));
    }
}
