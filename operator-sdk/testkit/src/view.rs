//! One API server's sight of the store: its watch cache, which may lie behind.

use std::time::Duration;

use jiff::Timestamp;

use crate::store::Store;

/// How long a watch cache keeps an event at least.
pub const HISTORY_WINDOW: Duration = Duration::from_secs(75);

/// Which API server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewId(pub u32);

/// What one API server's watch cache has seen.
#[derive(Clone, Debug)]
pub struct View {
    /// The last revision seen.
    pub revision: u64,
    /// Whether it sees nothing new.
    pub is_frozen: bool,
    /// How long after a commit it sees it.
    pub lag: Duration,
    /// Events up to this revision are out of its history.
    pub forgotten: u64,
    /// Whether it keeps the last 100 events of a kind whatever their age, as the real one does; `false`: only those of the
    /// last 75 seconds.
    pub keeps_last: bool,
}

impl View {
    /// A view that sees all at once.
    pub fn new(revision: u64) -> Self {
        Self { revision, is_frozen: false, lag: Duration::ZERO, forgotten: 0, keeps_last: true }
    }

    /// Sees what is to be seen by now; whether there was something new.
    pub(crate) fn advance(&mut self, store: &Store, now: Timestamp) -> bool {
        if self.is_frozen {
            return false;
        }
        let due = match self.lag.is_zero() {
            true => store.revision(),
            false => {
                let seen = store.commits_after(self.revision).take_while(|commit| commit.time + self.lag <= now);
                seen.last().map_or(self.revision, |commit| commit.revision)
            }
        };
        let is_new = due > self.revision;
        self.revision = self.revision.max(due);
        is_new
    }

    /// When a lagging view will see something new; `None`: it has seen all, or is frozen.
    pub(crate) fn next_due(&self, store: &Store) -> Option<Timestamp> {
        let is_behind = !self.is_frozen && self.revision < store.revision();
        let next = is_behind.then(|| store.commits_after(self.revision).next()).flatten();
        next.map(|commit| commit.time + self.lag)
    }
}
