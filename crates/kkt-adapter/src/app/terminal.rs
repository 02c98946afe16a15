//! A terminal, or a pipe: a status line that is drawn over itself, or plain lines.

use std::{
    cell::RefCell,
    io::{IsTerminal, Write},
    time::Instant,
};

/// Where the demo writes.
pub(super) struct Screen {
    live: bool,
    began: Instant,
    /// The last status shown, so that a pipe gets a line only when something changed that a reader follows.
    last: RefCell<String>,
}

impl Screen {
    pub fn new(plain: bool) -> Self {
        let live = !plain && std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { live, began: Instant::now(), last: RefCell::default() }
    }

    /// A line that stays, bold.
    pub fn title(&self, text: &str) {
        self.line(&if self.live { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() });
    }

    /// A turn of the story.
    pub fn chapter(&self, text: &str) {
        let at = self.began.elapsed().as_secs_f64();
        self.title(&format!("[{at:>5.1} s] {text}"));
    }

    /// A line that stays.
    pub fn say(&self, text: &str) {
        self.line(&format!("          {text}"));
    }

    /// Where things stand: drawn over itself on a terminal; in a pipe a line a change of the last word.
    pub fn status(&self, text: &str) {
        if self.live {
            print!("\r\x1b[2K          \x1b[2m{text}\x1b[0m");
            let _ = std::io::stdout().flush();
            return;
        }
        let word = text.rsplit(' ').next().unwrap_or_default();
        if self.last.replace(word.to_owned()) != word {
            self.say(text);
        }
    }

    fn line(&self, text: &str) {
        if self.live {
            print!("\r\x1b[2K");
        }
        println!("{text}");
    }
}
