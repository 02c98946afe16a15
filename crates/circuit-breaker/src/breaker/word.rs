use crate::state::{GENERATION_BITS, Published, State};

/// What the hot paths have to know, packed into one atomic word.
///
/// ```text
///  63                  26 25          22 21          7     6      5      4       3     2..0
/// ┌──────────────────────┬──────────────┬─────────────┬────────┬──────┬─────────┬───────┬──────┐
/// │ generation (38 bits) │ revision (4) │ slack (15)  │ counts │ told │ checked │ timed │ mode │
/// └──────────────────────┴──────────────┴─────────────┴────────┴──────┴─────────┴───────┴──────┘
/// ```
///
/// With `counts` set (CLOSED with the consecutive rule alone) slack is UNLIMITED less the failures in a row: a failure
/// takes one off, as long as the core says that it decides nothing; a success sets it to UNLIMITED again. Otherwise slack
/// is the number of plain successes that decide nothing: each takes one off. In OPEN it is 1 where the machine's coarse
/// clock may be asked, else 0. Either way UNLIMITED means that a plain
/// success changes nothing at all.
///
/// The revision grows with each replaced configuration, which keeps the generation: without it, who has read the details
/// that belong to one configuration could find the same word under the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

const MODE_MASK: u64 = 0b111;
const TIMED: u64 = 1 << 3;
const CHECKED: u64 = 1 << 4;
const TOLD: u64 = 1 << 5;
const COUNTS: u64 = 1 << 6;
const SLACK_SHIFT: u32 = 7;
const SLACK_MASK: u64 = 0x7FFF;
const REVISION_SHIFT: u32 = 22;
const REVISION_MASK: u64 = 0xF;
const GENERATION_SHIFT: u32 = 64 - GENERATION_BITS;
const CLOSED: u64 = State::Closed as u64;

impl Word {
    /// The state is being written: ask the core. Its mode is no state's number.
    pub(super) const BUSY: Word = Word(MODE_MASK);
    /// As slack: any number of plain successes, untold.
    const UNLIMITED: u64 = SLACK_MASK;
    /// As slack, in OPEN: the machine's coarse clock may be asked.
    pub(super) const BY_COARSE: Option<u32> = Some(1);
    /// The most plain successes that can be outstanding.
    const SLACK_MAX: u32 = SLACK_MASK as u32 - 1;

    pub(super) fn new(published: &Published, revision: u64) -> Self {
        let counts = published.failures.filter(|&in_row| in_row < Self::SLACK_MAX);
        let slack = match (counts, published.slack) {
            (Some(in_row), _) => Self::UNLIMITED - u64::from(in_row),
            (None, Some(slack)) => u64::from(slack.min(Self::SLACK_MAX)),
            (None, None) => Self::UNLIMITED,
        };
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        Word(
            published.generation << GENERATION_SHIFT
                | (revision & REVISION_MASK) << REVISION_SHIFT
                | slack << SLACK_SHIFT
                | flag(counts.is_some(), COUNTS)
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

    pub(super) fn revision(self) -> u64 {
        self.0 >> REVISION_SHIFT & REVISION_MASK
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

    /// OPEN, and the machine's coarse clock may be asked.
    #[inline]
    pub(super) fn is_open_by_coarse(self) -> bool {
        self.0 & (SLACK_MASK << SLACK_SHIFT | MODE_MASK) == 1 << SLACK_SHIFT | State::Open as u64
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

    /// The failures in a row, where the word counts them.
    #[inline]
    pub(super) fn failures_in_row(self) -> Option<u32> {
        (self.0 & COUNTS != 0).then(|| Self::UNLIMITED as u32 - self.slack())
    }

    /// Whether a call may change it without the lock.
    pub(super) fn can_change(self) -> bool {
        self.0 & COUNTS != 0 || self.is(State::Closed) && self.slack() != 0 && !self.is_unlimited()
    }

    /// This word after a plain success; none if the core has to hear of it.
    #[inline]
    pub(super) fn one_more_success(self) -> Option<Word> {
        if self.0 & COUNTS != 0 {
            return Some(Word(self.0 | SLACK_MASK << SLACK_SHIFT));
        }
        (self.slack() != 0).then(|| Word(self.0 - (1 << SLACK_SHIFT)))
    }

    /// This word after a failure; none if the core has to hear of it, for it is the `limit`-th in a row.
    #[inline]
    pub(super) fn one_more_failure(self, limit: u32) -> Option<Word> {
        let in_row = self.failures_in_row()?;
        (in_row + 1 < limit && in_row + 1 < Self::SLACK_MAX).then(|| Word(self.0 - (1 << SLACK_SHIFT)))
    }
}
