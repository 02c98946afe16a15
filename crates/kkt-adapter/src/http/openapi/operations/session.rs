use super::{Operation, Tag, example};
use crate::http::session::{Begun, Login, Session};
use serde_json::json;

pub fn show_session() -> Operation {
    Operation::new("showSession", Tag::Session, "Who the browser is").json::<Session>(
        200,
        "The session, if there is one.",
        example!("showSession"),
    )
}

pub fn begin_session() -> Operation {
    Operation::new("beginSession", Tag::Session, "Exchange a token for a cookie")
        .text(
            "For readers and operators. It ends after 12 hours without use, after 7 days, or with its token.",
        )
        .body::<Login>(json!({ "token": "operator-0123456789abcdef" }))
        .json::<Begun>(200, "Whose session it is.", example!("beginSession"))
        .answer_header("Set-Cookie", "The session; HttpOnly, SameSite=Strict.")
        .errors(&["token_required", "role_not_enough", "too_many_failures"])
}

pub fn end_session() -> Operation {
    Operation::new("endSession", Tag::Session, "Log out")
        .empty(204, "There is no session any more.")
        .answer_header("Set-Cookie", "Takes the cookie away.")
}
