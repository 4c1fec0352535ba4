//! Read-your-writes by holding: a key is not reconciled before its caches show what it wrote last.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{cache::AnyWatch, client::Written, clock::BootTime, object::Key};

/// After this long without the event, the watch is asked for a fresh list, which ends the wait for certain.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon to look again for a list that has been asked for.
const LIST_CHECK: Duration = Duration::from_millis(50);

/// Whether a key may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// Not yet; look again after this long, or at the next event of the key.
    Hold(Duration),
}

/// What a key waits for.
struct Hold {
    since: BootTime,
    unseen: Vec<Written>,
    /// Lists asked for: a watch, and the number of the list. Empty until the patience ends.
    lists: Vec<(usize, u64)>,
}

/// The holds of one controller.
pub(super) struct Holds {
    watches: Vec<Arc<dyn AnyWatch>>,
    by_key: BTreeMap<Key, Hold>,
}

impl Holds {
    pub(super) fn new(watches: Vec<Arc<dyn AnyWatch>>) -> Self {
        Self {
            watches,
            by_key: BTreeMap::new(),
        }
    }

    /// Notes what a run wrote.
    pub(super) fn note(&mut self, key: &Key, written: Vec<Written>, now: BootTime) {
        if written.is_empty() {
            return;
        }
        let mut hold = Hold {
            since: now,
            unseen: written,
            lists: Vec::new(),
        };
        // A write without an answer shows in no particular event: only a list that begins later tells.
        if hold.unseen.iter().any(|written| matches!(written, Written::Unknown { .. })) {
            self.ask_for_lists(&mut hold);
        }
        self.by_key.insert(key.clone(), hold);
    }

    /// Whether the caches show everything that `key` wrote.
    pub(super) fn look(&mut self, key: &Key, now: BootTime) -> Verdict {
        let Some(mut hold) = self.by_key.remove(key) else { return Verdict::Go };
        if !hold.lists.is_empty() {
            if hold.lists.iter().all(|(watch, number)| self.watches[*watch].relisted(*number)) {
                return Verdict::Go;
            }
            self.by_key.insert(key.clone(), hold);
            return Verdict::Hold(LIST_CHECK);
        }
        hold.unseen.retain(|written| self.watches.iter().any(|watch| watch.has_seen(written) == Some(false)));
        if hold.unseen.is_empty() {
            return Verdict::Go;
        }
        let waited = now.saturating_sub(hold.since);
        let verdict = if waited >= PATIENCE {
            self.ask_for_lists(&mut hold);
            Verdict::Hold(LIST_CHECK)
        } else {
            Verdict::Hold(PATIENCE - waited)
        };
        self.by_key.insert(key.clone(), hold);
        verdict
    }

    fn ask_for_lists(&self, hold: &mut Hold) {
        let concerned = self.watches.iter().enumerate().filter(|(_, watch)| {
            let is_unseen = |written| watch.has_seen(written) == Some(false);
            hold.unseen.iter().any(is_unseen)
        });
        hold.lists = concerned.map(|(index, watch)| (index, watch.relist())).collect();
    }
}
