//! Colours, which only repeat what the words say: on a terminal, and not if `NO_COLOR` is set (no-color.org) or the
//! terminal is a dumb one.

use std::{env, io::IsTerminal as _};

/// Whether the standard output takes colours.
pub(super) fn wanted() -> bool {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    std::io::stdout().is_terminal()
        && set("NO_COLOR").is_none()
        && set("TERM").is_none_or(|term| term != "dumb")
}

/// A state, which may stand in blanks, in its colour.
pub(super) fn state(text: &str) -> String {
    let colour = match text.trim() {
        "CLOSED" => 32,
        "OPEN" => 31,
        "HALF_OPEN" => 33,
        "FORCED_OPEN" | "FORCED_CLOSED" | "METRICS_ONLY" => 35,
        _ => return text.to_owned(),
    };
    format!("\x1b[{colour}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_state_is_coloured_and_its_word_stays() {
        assert_eq!(state("OPEN   "), "\x1b[31mOPEN   \x1b[0m");
        assert_eq!(state("STATE"), "STATE");
    }
}
