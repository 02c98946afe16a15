use super::CircuitBreaker;
use super::record::{Order, bounded_text};
use super::shell::Context;
use crate::snapshot::Explanation;
use crate::state::{Command, Input, Note};
use std::sync::Arc;

/// The manual commands of a breaker in the name of a person; made by [`CircuitBreaker::by`] (B15).
#[derive(Clone, Debug)]
#[must_use = "by() alone commands nothing"]
pub struct Commands {
    breaker: CircuitBreaker,
    who: Option<Arc<str>>,
}

impl CircuitBreaker {
    /// The manual commands in somebody's name, which events and explanations then carry (at most 256 bytes of it).
    pub fn by(&self, who: impl Into<String>) -> Commands {
        Commands { breaker: self.clone(), who: bounded_text(who.into()) }
    }

    /// FORCED_OPEN: rejects everything until released. Commanded again, only the reason changes.
    pub fn force_open(&self, why: impl Into<String>) {
        self.command(Command::ForceOpen, None, why.into());
    }

    /// FORCED_CLOSED: permits everything and never trips, until released. Commanded again, only the reason changes.
    pub fn force_closed(&self, why: impl Into<String>) {
        self.command(Command::ForceClosed, None, why.into());
    }

    /// METRICS_ONLY: permits everything and reports what a breaker would have done, until released. Commanded again,
    /// only the reason changes.
    pub fn metrics_only(&self, why: impl Into<String>) {
        self.command(Command::MetricsOnly, None, why.into());
    }

    /// From a manual state to CLOSED with fresh decision state. `false`: it was in none, and nothing happened.
    pub fn release(&self) -> bool {
        self.command(Command::Release, None, String::new()).1
    }

    /// To CLOSED with fresh decision state, from any state.
    pub fn reset(&self) {
        self.command(Command::Reset, None, String::new());
    }

    /// Runs a command; says why the breaker is in the state it then is in, and whether the command did anything.
    fn command(&self, command: Command, who: Option<Arc<str>>, why: String) -> (Explanation, bool) {
        let order = Order { command, who, why: bounded_text(why) };
        let context = Context { order: Some(order), ..Context::default() };
        let (_, result) = self.shell.enter(
            context,
            |_| Input::Command(command),
            |cell, effects, now| {
                let idle = effects.notes.iter().any(|note| matches!(note, Note::NothingToRelease));
                (self.explanation(cell, now), !idle)
            },
        );
        result
    }
}

impl Commands {
    /// As [`CircuitBreaker::force_open`].
    pub fn force_open(&self, why: impl Into<String>) -> Explanation {
        self.run(Command::ForceOpen, why)
    }

    /// As [`CircuitBreaker::force_closed`].
    pub fn force_closed(&self, why: impl Into<String>) -> Explanation {
        self.run(Command::ForceClosed, why)
    }

    /// As [`CircuitBreaker::metrics_only`].
    pub fn metrics_only(&self, why: impl Into<String>) -> Explanation {
        self.run(Command::MetricsOnly, why)
    }

    /// As [`CircuitBreaker::release`], with a reason. `None`: it was in no manual state, and nothing happened.
    pub fn release(&self, why: impl Into<String>) -> Option<Explanation> {
        let (explanation, done) = self.breaker.command(Command::Release, self.who.clone(), why.into());
        done.then_some(explanation)
    }

    /// As [`CircuitBreaker::reset`], with a reason.
    pub fn reset(&self, why: impl Into<String>) -> Explanation {
        self.run(Command::Reset, why)
    }

    fn run(&self, command: Command, why: impl Into<String>) -> Explanation {
        self.breaker.command(command, self.who.clone(), why.into()).0
    }
}
