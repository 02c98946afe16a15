use super::{
    key::*,
    rules,
    secret::SecretFile,
    section::{section, words},
};
use jiff::Timestamp;

words! {
    /// What the bearer of a token may do.
    Role {
        /// Receipts, shifts and buffer status of its own tills; health.
        Pos = "pos",
        /// Every GET.
        Reader = "reader",
        /// Everything.
        Operator = "operator",
    }
}

section! {
    /// `[auth]`: who may what.
    Auth {
        /// Who is let in. Without any, only this machine is, with all roles.
        "auth.tokens" "KKT_AUTH__TOKENS" tokens: Vec<Token> = "", Kind::Tables(|| Token::KEYS, 1_000), reload;
        /// Allows to listen beyond loopback without tokens: whoever reaches the port may then do everything.
        "auth.allow_anonymous" "KKT_AUTH__ALLOW_ANONYMOUS" allow_anonymous: bool = "false", Kind::Flag;
    }
}

section! {
    /// One of `auth.tokens`.
    Token {
        /// Who it is, in the audit trail.
        "name" "" name: String = "required", Kind::Text(&rules::DEVICE_ID);
        /// What the bearer may do.
        "role" "" role: Role = "required", Kind::Choice(Role::WORDS);
        /// The tills it acts for; exactly for the role `pos`.
        "pos_ids" "" pos_ids: Vec<String> = "", Kind::List(&rules::POS_ID, 1_000);
        /// File with the token, at least 16 characters.
        "token_file" "" token_file: SecretFile = "required", Kind::Text(&rules::PATH);
        /// From then on it lets nobody in, and ends the sessions it began.
        "expires" "" expires: Option<Timestamp> = "", Kind::Text(&rules::INSTANT);
    }
}
