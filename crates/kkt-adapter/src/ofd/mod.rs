//! The way to the OFD: [`HttpOfd`] sends, [`classify`] says what the answer means.

pub mod classify;
mod http;
mod retry_after;

pub use http::{ANSWER_MAX, HttpOfd, HttpOfdError, HttpOfdOptions, OfdTokens};
