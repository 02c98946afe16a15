//! A second configuration fed with the same outcomes (B19d).

use crate::clock::Tick;
use crate::config::Config;
use crate::state::{Core, Effects, Grant, Input, Note, Reason, State};
use std::sync::Arc;

/// The shadow of a breaker: the same core under another configuration. It sees every call that the breaker permits, and
/// decides nothing.
#[derive(Clone, Debug)]
pub(crate) struct Shadow {
    core: Core,
    rejected: u64,
}

/// What a breaker under the shadow configuration would have done (B19d).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ShadowView {
    /// The state that it would be in.
    pub state: State,
    /// Why its circuit last opened.
    pub opened_by: Reason,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Times it would have opened.
    pub opens: u64,
    /// Calls that were made and that it would have rejected. It learns nothing from them.
    pub rejected: u64,
}

impl Shadow {
    pub(crate) fn new(config: Arc<Config>, now: Tick, seed: u64) -> Self {
        Shadow { core: Core::new(config, now, seed), rejected: 0 }
    }

    /// Takes one step of the breaker and lets its shadow follow.
    pub(crate) fn step(&mut self, core: &mut Core, now: Tick, input: Input) -> Effects {
        let shadowed = match &input {
            Input::Finish(grant, outcome, elapsed_ns) => {
                grant.shadow(self.core.generation()).map(|grant| Input::Finish(grant, *outcome, *elapsed_ns))
            }
            Input::Cancel(grant) => grant.shadow(self.core.generation()).map(Input::Cancel),
            Input::Look | Input::Acquire | Input::Command(_) | Input::Configure(_) => None,
        };
        let mut effects = core.step(now, input);
        let followed = match &mut effects.admission {
            Some(Ok(grant)) => self.admit(now, grant),
            _ => self.core.step(now, shadowed.unwrap_or(Input::Look)),
        };
        effects.notes.extend(followed.notes.into_iter().filter_map(|note| match note {
            Note::Change(change) => Some(Note::Shadow(change)),
            _ => None,
        }));
        effects
    }

    fn admit(&mut self, now: Tick, grant: &mut Grant) -> Effects {
        let followed = self.core.step(now, Input::Acquire);
        match followed.admission {
            Some(Ok(shadow)) => grant.set_shadow(shadow),
            _ => self.rejected += 1,
        }
        followed
    }

    pub(crate) fn view(&self) -> ShadowView {
        let view = self.core.view();
        ShadowView {
            state: view.state,
            opened_by: view.opened_by,
            consecutive_failures: view.consecutive_failures,
            opens: view.counts.opens,
            rejected: self.rejected,
        }
    }
}
