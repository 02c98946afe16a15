use super::subscription::Queue;
use super::{Event, Subscription};
use crate::sync::{caught, lock_std};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// Events that wait for a listener, or for a cause's text.
const WAITING_MAX: usize = 1_024;

/// Delivers the events of one breaker.
#[derive(Default)]
pub(crate) struct Bus {
    state: Mutex<State>,
}

/// An event in line.
pub(crate) struct Pending {
    pub(crate) event: Event,
    /// Its cause is being formatted: it, and what is behind it, waits.
    pub(crate) awaits_cause: bool,
}

#[derive(Default)]
struct State {
    line: VecDeque<Pending>,
    queues: Vec<Arc<Queue>>,
    listeners: Vec<Listener>,
    /// For the listeners.
    inline: VecDeque<Event>,
    is_delivering: bool,
}

impl Bus {
    pub(crate) fn listen(&self, listener: Listener) {
        lock_std(&self.state).listeners.push(listener);
    }

    pub(crate) fn subscribe(&self, capacity: usize) -> Subscription {
        let (queue, subscription) = Subscription::new(capacity);
        let mut state = lock_std(&self.state);
        state.queues.retain(|queue| queue.is_read());
        state.queues.push(queue);
        subscription
    }

    /// Puts an event in line. The breaker's lock is held.
    pub(crate) fn line_up(&self, pending: Pending) {
        let mut state = lock_std(&self.state);
        if state.queues.is_empty() && state.listeners.is_empty() {
            return;
        }
        state.line.push_back(pending);
        if state.line.len() > WAITING_MAX
            && let Some(first) = state.line.front_mut()
        {
            first.awaits_cause = false;
        }
    }

    /// The text of the cause of the transition that began `generation`.
    pub(crate) fn fill_cause(&self, generation: u64, text: Arc<str>) {
        let mut state = lock_std(&self.state);
        let waiting = state.line.iter_mut().find(|p| p.awaits_cause && p.event.generation == generation);
        if let Some(pending) = waiting {
            pending.awaits_cause = false;
            if let super::EventKind::Transition(explanation) = &mut pending.event.kind {
                explanation.cause = Some(text);
            }
        }
    }

    /// Delivers what is in line. No lock is held.
    pub(crate) fn pump(&self) {
        loop {
            let mut state = lock_std(&self.state);
            let wakers = state.sort_line();
            let next = if state.is_delivering { None } else { state.inline.pop_front() };
            state.is_delivering |= next.is_some();
            let listeners = if next.is_some() { state.listeners.clone() } else { Vec::new() };
            drop(state);
            for waker in wakers {
                caught(|| waker.wake());
            }
            let Some(event) = next else { return };
            for listener in listeners {
                // A panic is the listener's own affair.
                caught(|| listener(&event));
            }
            lock_std(&self.state).is_delivering = false;
        }
    }
}

impl State {
    /// Moves what waits for nothing from the line to the queues; the wakers are to be woken outside the lock.
    fn sort_line(&mut self) -> Vec<std::task::Waker> {
        let mut wakers = Vec::new();
        while self.line.front().is_some_and(|pending| !pending.awaits_cause) {
            let Some(Pending { event, .. }) = self.line.pop_front() else { break };
            self.queues.retain(|queue| queue.is_read());
            for queue in &self.queues {
                wakers.extend(queue.push(event.clone()));
            }
            if !self.listeners.is_empty() {
                if self.inline.len() >= WAITING_MAX {
                    self.inline.pop_front();
                }
                self.inline.push_back(event);
            }
        }
        wakers
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let queues = std::mem::take(&mut lock_std(&self.state).queues);
        for waker in queues.iter().flat_map(|queue| queue.close()) {
            caught(|| waker.wake());
        }
    }
}
