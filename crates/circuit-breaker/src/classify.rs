use crate::breaker::CircuitBreaker;
use crate::rejected::CallError;
use std::fmt;
use std::time::Duration;

/// What a result means to the breaker (B20).
#[derive(Debug, Default)]
#[must_use = "a verdict counts once a call is ended by it"]
#[non_exhaustive]
pub enum Verdict {
    /// The other side works.
    #[default]
    Success,
    /// The other side does not work.
    Failure {
        /// How long it asked to be left alone (B13).
        retry_after: Option<Duration>,
        /// What [`explain`](CircuitBreaker::explain) shall say, should this failure open the circuit.
        cause: Option<Cause>,
    },
    /// Says nothing about the other side.
    Ignored,
}

impl Verdict {
    /// A failure without more to say.
    pub const fn failure() -> Self {
        Verdict::Failure { retry_after: None, cause: None }
    }

    /// Adds to a failure how long the other side asked to be left alone.
    pub fn retry_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        if let Verdict::Failure { retry_after, .. } = &mut self {
            *retry_after = time.into();
        }
        self
    }

    /// Adds to a failure what it came from.
    pub fn cause(mut self, text: impl Into<Cause>) -> Self {
        if let Verdict::Failure { cause, .. } = &mut self {
            *cause = Some(text.into());
        }
        self
    }
}

/// What a failure came from. It is formatted only if the failure makes a transition (B19c), and cut at 256 bytes.
pub struct Cause(Kind);

enum Kind {
    Text(&'static str),
    Lazy(Box<dyn fmt::Display + Send>),
}

impl Cause {
    /// Anything that can be shown; shown only if it is needed.
    pub fn display(value: impl fmt::Display + Send + 'static) -> Self {
        Cause(Kind::Lazy(Box::new(value)))
    }
}

impl From<&'static str> for Cause {
    fn from(text: &'static str) -> Self {
        Cause(Kind::Text(text))
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Cause::display(text)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Text(text) => f.write_str(text),
            Kind::Lazy(value) => value.fmt(f),
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not formatted unless it makes a transition.
        f.write_str("Cause")
    }
}

/// A breaker together with what its results mean to one kind of call (B20). Made by
/// [`CircuitBreaker::with_classifier`].
#[derive(Clone, Debug)]
pub struct Classified<C> {
    pub(crate) breaker: CircuitBreaker,
    pub(crate) classifier: C,
}

impl<C> Classified<C> {
    /// Runs `op` if the breaker permits it; the classifier says what its result means.
    ///
    /// # Errors
    /// [`CallError::Rejected`] without running `op`, or the error of `op`.
    pub fn call<T, E>(&self, op: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>>
    where
        C: Fn(&Result<T, E>, Duration) -> Verdict,
    {
        self.breaker.run(op, &self.classifier)
    }

    /// The same for a future; see [`CircuitBreaker::call_async`].
    ///
    /// # Errors
    /// [`CallError::Rejected`] without polling `op`, or the error of `op`.
    pub async fn call_async<T, E, F>(&self, op: F) -> Result<T, CallError<E>>
    where
        C: Fn(&Result<T, E>, Duration) -> Verdict,
        F: Future<Output = Result<T, E>>,
    {
        self.breaker.run_async(op, &self.classifier).await
    }

    /// The breaker behind.
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }
}
