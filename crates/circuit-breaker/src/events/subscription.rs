use super::Event;
use crate::sync::lock_std;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The most events that one subscription can hold.
const CAPACITY_MAX: usize = 65_536;

/// A bounded queue of a breaker's events. Dropping it ends it.
///
/// A subscriber that does not keep up loses the oldest events; [`Delivery::lost`] says how many.
#[derive(Debug)]
#[must_use = "a subscription that is dropped ends"]
pub struct Subscription {
    queue: Arc<Queue>,
}

/// An event, and how many were lost before it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// The event.
    pub event: Event,
    /// Events lost between the previous delivery and this one, because the queue was full.
    pub lost: u64,
}

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    lost: u64,
    waker: Option<Waker>,
    is_closed: bool,
    is_read: bool,
}

impl Queue {
    pub(super) fn push(&self, event: Event) -> Option<Waker> {
        let mut state = lock_std(&self.state);
        if state.events.len() >= self.capacity {
            state.events.pop_front();
            state.lost += 1;
        }
        state.events.push_back(event);
        self.arrived.notify_all();
        state.waker.take()
    }

    pub(super) fn close(&self) -> Option<Waker> {
        let mut state = lock_std(&self.state);
        state.is_closed = true;
        self.arrived.notify_all();
        state.waker.take()
    }

    pub(super) fn is_read(&self) -> bool {
        lock_std(&self.state).is_read
    }
}

impl Subscription {
    pub(super) fn new(capacity: usize) -> (Arc<Queue>, Subscription) {
        let queue = Arc::new(Queue {
            state: Mutex::new(State { is_read: true, ..State::default() }),
            arrived: Condvar::new(),
            capacity: capacity.clamp(1, CAPACITY_MAX),
        });
        (Arc::clone(&queue), Subscription { queue })
    }

    /// The next event, if one is there.
    pub fn try_recv(&mut self) -> Option<Delivery> {
        take(&mut lock_std(&self.queue.state))
    }

    /// Waits for the next event by blocking the thread; `None` after `timeout`, or when the breaker is gone.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Delivery> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = lock_std(&self.queue.state);
        loop {
            if let Some(delivery) = take(&mut state) {
                return Some(delivery);
            }
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(3_600),
            };
            if state.is_closed || left.is_zero() {
                return None;
            }
            let woken = self.queue.arrived.wait_timeout(state, left);
            state = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Waits for the next event; `None` when the breaker is gone. Cancel-safe: a dropped wait loses nothing.
    pub async fn recv(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`recv`](Subscription::recv), for hand-written futures and streams.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let mut state = lock_std(&self.queue.state);
        if let Some(delivery) = take(&mut state) {
            return Poll::Ready(Some(delivery));
        }
        if state.is_closed {
            return Poll::Ready(None);
        }
        let before = state.waker.replace(context.waker().clone());
        drop(state);
        drop(before); // A waker's drop is foreign code: outside the lock.
        Poll::Pending
    }
}

fn take(state: &mut State) -> Option<Delivery> {
    let event = state.events.pop_front()?;
    Some(Delivery { event, lost: std::mem::take(&mut state.lost) })
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let (events, waker) = {
            let mut state = lock_std(&self.queue.state);
            state.is_read = false;
            (std::mem::take(&mut state.events), state.waker.take())
        };
        drop((events, waker));
    }
}
