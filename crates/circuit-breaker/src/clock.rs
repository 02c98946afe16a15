//! Time: a monotonic clock for decisions, a wall clock for people.
//!
//! Promise (B14): every deadline is reckoned on [`Clock::now`]; [`Clock::wall`] is only ever shown.
//!
//! 1. `now` never goes back.
//! 2. `coarse` is never ahead of `now`, and behind it by at most `coarse_lag`.
//! 3. A deadline is checked with `coarse` only while it is further away than `coarse_lag`, and with `now` from then on:
//!    so it is never seen early, and not late either (B6).
//!
//! The kernel's coarse clock is as of its last tick, by its own account 1 to 10 ms ago. But a tick can be held up: on a
//! virtual machine with a 4 ms tick we have seen 10 ms. So no transition depends on it.
//!
//! | what fails | what happens |
//! |---|---|
//! | the platform has no coarse clock, or one coarser than 10 ms | `coarse` reads the precise clock |
//! | the kernel's tick is held up for more than 50 ms | OPEN may be seen over by so much later |
//! | a [`ManualClock`] is advanced beyond 584 years | it stays there |
//! | the wall clock is before 1970 | stamps read 1970 |

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// A point on a monotonic clock: nanoseconds since an origin that only the clock knows. All arithmetic saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(u64);

impl Tick {
    /// The latest point there is; as a deadline it means "never".
    pub const MAX: Tick = Tick(u64::MAX);

    /// The point `nanos` nanoseconds after the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Tick(nanos)
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This point plus `nanos` nanoseconds, at most [`Tick::MAX`].
    pub const fn plus(self, nanos: u64) -> Self {
        Tick(self.0.saturating_add(nanos))
    }

    /// Nanoseconds from `earlier` to this point; zero if `earlier` is later.
    pub const fn nanos_since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Time from `earlier` to this point; zero if `earlier` is later.
    pub const fn since(self, earlier: Tick) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }
}

/// Whole nanoseconds of a duration, at most `u64::MAX` (584 years).
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Where a breaker's time comes from. The default is [`SystemClock`]; tests use [`ManualClock`].
///
/// An implementation may be called while the breaker holds its lock, so it must be quick, must not panic and must not
/// call the breaker.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The monotonic time now, precisely.
    fn now(&self) -> Tick;

    /// The monotonic time now, cheaply: never ahead of [`now`](Clock::now), behind by at most
    /// [`coarse_lag`](Clock::coarse_lag).
    fn coarse(&self) -> Tick {
        self.now()
    }

    /// How far [`coarse`](Clock::coarse) can be behind.
    fn coarse_lag(&self) -> Duration {
        Duration::ZERO
    }

    /// The wall clock, for people only: no decision is made from it.
    #[allow(clippy::disallowed_methods, reason = "this is the port that the wall clock is taken from")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that others have too.
impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Tick {
        (**self).now()
    }

    fn coarse(&self) -> Tick {
        (**self).coarse()
    }

    fn coarse_lag(&self) -> Duration {
        (**self).coarse_lag()
    }

    fn wall(&self) -> SystemTime {
        (**self).wall()
    }
}

/// The machine's clock.
///
/// `now` is CLOCK_MONOTONIC. `coarse` is CLOCK_MONOTONIC_COARSE, the same clock as of the kernel's last tick, where
/// the platform has it and it ticks at least every 10 ms (Linux, feature `coarse-clock`, on by default); elsewhere it is
/// `now`. `coarse_lag` is 50 ms, or zero. On Linux neither runs while the machine is suspended: open times are that much
/// longer then.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    has_coarse: bool,
}

/// Several ticks: one can be held up.
const COARSE_LAG_NS: u64 = 50_000_000;

impl SystemClock {
    /// The machine's clock; asks the kernel once how coarse its coarse clock is.
    pub fn new() -> Self {
        static HAS_COARSE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        SystemClock { has_coarse: *HAS_COARSE.get_or_init(platform::has_coarse) }
    }
}

impl SystemClock {
    /// The coarse time of the machine, which has one, if that is enough to tell that `deadline` has not come.
    #[inline(always)]
    pub(crate) fn coarse_before(deadline: Tick) -> Option<Tick> {
        let coarse = platform::coarse();
        (coarse.plus(COARSE_LAG_NS) < deadline).then_some(coarse)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Tick {
        platform::now()
    }

    #[inline]
    fn coarse(&self) -> Tick {
        if self.has_coarse { platform::coarse() } else { platform::now() }
    }

    #[inline]
    fn coarse_lag(&self) -> Duration {
        if self.has_coarse { Duration::from_nanos(COARSE_LAG_NS) } else { Duration::ZERO }
    }
}

#[cfg(all(target_os = "linux", feature = "coarse-clock"))]
mod platform {
    use super::Tick;
    use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

    /// The longest tick there is: 100 a second.
    const COARSEST_NS: u64 = 10_000_000;

    #[inline(always)]
    fn tick(time: Timespec) -> Tick {
        // Both parts of a monotonic time are never negative.
        Tick((time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64))
    }

    pub(super) fn has_coarse() -> bool {
        tick(clock_getres(ClockId::MonotonicCoarse)).as_nanos() <= COARSEST_NS
    }

    #[inline]
    pub(super) fn now() -> Tick {
        tick(clock_gettime(ClockId::Monotonic))
    }

    #[inline]
    pub(super) fn coarse() -> Tick {
        tick(clock_gettime(ClockId::MonotonicCoarse))
    }
}

#[cfg(not(all(target_os = "linux", feature = "coarse-clock")))]
mod platform {
    use super::{Tick, nanos};
    use std::sync::OnceLock;
    use std::time::Instant;

    pub(super) fn has_coarse() -> bool {
        false
    }

    pub(super) fn now() -> Tick {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        Tick(nanos(ORIGIN.get_or_init(Instant::now).elapsed()))
    }

    pub(super) fn coarse() -> Tick {
        now()
    }
}

/// A clock that stands still until it is told to move: for tests and simulations, exact to the nanosecond.
///
/// Clones share the time.
///
/// ```
/// use circuit_breaker::{Clock, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(start), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    time: Arc<ManualTime>,
}

#[derive(Debug, Default)]
struct ManualTime {
    monotonic_ns: AtomicU64,
    wall_ns: AtomicU64,
}

impl ManualClock {
    /// A clock at its origin; its wall clock is at 1970-01-01.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let by_ns = nanos(by);
        for clock in [&self.time.monotonic_ns, &self.time.wall_ns] {
            let _ =
                clock.fetch_update(Ordering::AcqRel, Ordering::Acquire, |t| Some(t.saturating_add(by_ns)));
        }
    }

    /// Sets the wall clock alone, forward or back, as an administrator would.
    pub fn set_wall(&self, wall: SystemTime) {
        let since_epoch = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.time.wall_ns.store(nanos(since_epoch), Ordering::Release);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Tick {
        Tick(self.time.monotonic_ns.load(Ordering::Acquire))
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.time.wall_ns.load(Ordering::Acquire))
    }
}

#[inline(always)]
fn near<C: Clock + ?Sized>(clock: &C, deadline: Tick) -> Tick {
    let (coarse, lag) = (clock.coarse(), clock.coarse_lag());
    if lag.is_zero() || coarse.plus(nanos(lag)) < deadline { coarse } else { clock.now() }
}

/// The clock of one breaker: the machine's without an indirect call, or any other.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    System(SystemClock),
    Other(Foreign),
}

/// A user's clock.
#[derive(Clone, Debug)]
pub(crate) struct Foreign(pub(crate) Arc<dyn Clock>);

// What a panic could leave half done in it is its own: the breaker keeps R1's promise either way.
impl std::panic::UnwindSafe for Foreign {}
impl std::panic::RefUnwindSafe for Foreign {}

impl Source {
    #[inline]
    pub(crate) fn now(&self) -> Tick {
        match self {
            Source::System(clock) => clock.now(),
            Source::Other(clock) => clock.0.now(),
        }
    }

    #[inline]
    pub(crate) fn coarse(&self) -> Tick {
        match self {
            Source::System(clock) => clock.coarse(),
            Source::Other(clock) => clock.0.coarse(),
        }
    }

    /// Whether it is the machine's, and that has a coarse one.
    pub(crate) fn has_coarse(&self) -> bool {
        matches!(self, Source::System(clock) if clock.has_coarse)
    }

    /// Now, well enough to compare with `deadline`: the coarse time while that is far away, the precise one from then
    /// on.
    #[inline]
    pub(crate) fn now_against(&self, deadline: Tick) -> Tick {
        match self {
            // Each for itself, so that the system clock's lag is a constant.
            Source::System(clock) => near(clock, deadline),
            Source::Other(clock) => near(&*clock.0, deadline),
        }
    }

    /// The wall time that corresponds to `at`, given that it is `now` now.
    pub(crate) fn wall_at(&self, at: Tick, now: Tick) -> SystemTime {
        let wall = match self {
            Source::System(clock) => clock.wall(),
            Source::Other(clock) => clock.0.wall(),
        };
        wall.checked_sub(now.since(at)).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}
