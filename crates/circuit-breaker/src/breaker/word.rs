use crate::state::{GENERATION_BITS, Published, State};

/// What the hot paths have to know, packed into one atomic word.
///
/// ```text
///  63                                  22 21            6   5      4       3     2..0
/// ┌──────────────────────────────────────┬───────────────┬──────┬─────────┬───────┬──────┐
/// │ generation (42 bits)                 │ slack (16)    │ told │ checked │ timed │ mode │
/// └──────────────────────────────────────┴───────────────┴──────┴─────────┴───────┴──────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

const MODE_MASK: u64 = 0b111;
const TIMED: u64 = 1 << 3;
const CHECKED: u64 = 1 << 4;
const TOLD: u64 = 1 << 5;
const SLACK_SHIFT: u32 = 6;
const SLACK_MASK: u64 = 0xFFFF;
const GENERATION_SHIFT: u32 = 64 - GENERATION_BITS;
const CLOSED: u64 = State::Closed as u64;

impl Word {
    /// The state is being written: ask the core. Its mode is no state's number.
    pub(super) const BUSY: Word = Word(MODE_MASK);
    /// As slack: any number of plain successes, untold.
    const UNLIMITED: u64 = SLACK_MASK;
    pub(super) const UNLIMITED_SLACK: u32 = Self::UNLIMITED as u32;
    /// The most plain successes that can be outstanding.
    const SLACK_MAX: u32 = SLACK_MASK as u32 - 1;

    pub(super) fn new(published: &Published) -> Self {
        let slack = published.slack.map_or(Self::UNLIMITED, |slack| u64::from(slack.min(Self::SLACK_MAX)));
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        Word(
            published.generation << GENERATION_SHIFT
                | slack << SLACK_SHIFT
                | flag(published.told, TOLD)
                | flag(published.checked, CHECKED)
                | flag(published.timed, TIMED)
                | published.state as u64,
        )
    }

    #[inline]
    pub(super) fn mode(self) -> u64 {
        self.0 & MODE_MASK
    }

    #[inline]
    pub(super) fn is(self, state: State) -> bool {
        self.mode() == state as u64
    }

    #[inline]
    pub(super) fn generation(self) -> u64 {
        self.0 >> GENERATION_SHIFT
    }

    #[inline]
    pub(super) fn slack(self) -> u32 {
        (self.0 >> SLACK_SHIFT & SLACK_MASK) as u32
    }

    /// CLOSED, and a permit costs nothing: it is neither timed nor told.
    #[inline]
    pub(super) fn is_plain_closed(self) -> bool {
        self.0 & (MODE_MASK | TIMED | TOLD) == CLOSED
    }

    /// Any number of successes of this generation decides nothing, whenever they are and however long they took.
    #[inline]
    pub(super) fn absorbs_everything(self) -> bool {
        self.0 & (SLACK_MASK << SLACK_SHIFT | CHECKED | TOLD) == Self::UNLIMITED << SLACK_SHIFT
    }

    /// CLOSED or FORCED_CLOSED without the core having to hear of each call.
    #[inline]
    pub(super) fn permits_untold(self) -> bool {
        self.0 & TOLD == 0 && (self.is(State::Closed) || self.is(State::ForcedClosed))
    }

    #[inline]
    pub(super) fn is_timed(self) -> bool {
        self.0 & TIMED != 0
    }

    #[inline]
    pub(super) fn is_checked(self) -> bool {
        self.0 & CHECKED != 0
    }

    #[inline]
    pub(super) fn is_unlimited(self) -> bool {
        u64::from(self.slack()) == Self::UNLIMITED
    }

    /// This word with one plain success less to go.
    #[inline]
    pub(super) fn one_less(self) -> Word {
        Word(self.0 - (1 << SLACK_SHIFT))
    }
}
