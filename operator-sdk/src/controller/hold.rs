//! Read-your-writes by holding: a key is not reconciled before its caches show what it wrote last.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    cache::AnyWatch,
    client::{REQUEST_TIMEOUT, Written},
    clock::BootTime,
    object::Key,
};

/// After this long without the event, the watch is asked for a fresh list, which ends the wait.
///
/// It is also how long a write without an answer is given to take effect: a list that begins sooner could miss it.
const PATIENCE: Duration = REQUEST_TIMEOUT;
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
        Self { watches, by_key: BTreeMap::new() }
    }

    /// Notes what a run wrote.
    pub(super) fn note(&mut self, key: &Key, written: Vec<Written>, now: BootTime) {
        if written.is_empty() {
            return;
        }
        self.by_key.insert(key.clone(), Hold { since: now, unseen: written, lists: Vec::new() });
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

#[cfg(test)]
mod tests {
    use std::{
        any::TypeId,
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
    };

    use futures::future::BoxFuture;
    use tokio::sync::watch;

    use super::*;
    use crate::{
        cache::{Health, WentBack},
        object::Revision,
        permission::Permission,
    };

    /// A watch that has seen what a test says, and counts the lists asked of it.
    #[derive(Default)]
    struct FakeWatch {
        has_seen: AtomicBool,
        asked: AtomicU64,
        stored: AtomicU64,
    }

    impl AnyWatch for FakeWatch {
        fn resource(&self) -> String {
            "pods".to_owned()
        }
        fn is_synced(&self) -> bool {
            true
        }
        fn has_seen(&self, _: &Written) -> Option<bool> {
            Some(self.has_seen.load(Ordering::SeqCst))
        }
        fn relist(&self) -> u64 {
            self.asked.fetch_add(1, Ordering::SeqCst) + 1
        }
        fn relisted(&self, number: u64) -> bool {
            self.stored.load(Ordering::SeqCst) >= number
        }
        fn permissions(&self) -> Vec<Permission> {
            Vec::new()
        }
        fn health(&self) -> Health {
            Health { restarts: 0, unreadable: 0, trouble: None }
        }
        fn run(self: Arc<Self>, _: kube::Client) -> BoxFuture<'static, WentBack> {
            Box::pin(std::future::pending())
        }
        fn progress(&self) -> watch::Receiver<u64> {
            watch::channel(0).1
        }
    }

    fn at(seconds: u64) -> BootTime {
        Duration::from_secs(seconds)
    }

    fn setup() -> (Arc<FakeWatch>, Holds, Key) {
        let watch = Arc::new(FakeWatch::default());
        let holds = Holds::new(vec![Arc::clone(&watch) as Arc<dyn AnyWatch>]);
        (watch, holds, Key::namespaced("default", "web"))
    }

    fn write() -> Vec<Written> {
        vec![Written::Revision { kind: TypeId::of::<()>(), revision: Revision::default() }]
    }

    #[test]
    fn a_key_waits_until_its_own_write_is_visible() {
        let (watch, mut holds, key) = setup();
        assert_eq!(holds.look(&key, at(0)), Verdict::Go);
        holds.note(&key, write(), at(0));
        assert_eq!(holds.look(&key, at(1)), Verdict::Hold(at(4)));
        watch.has_seen.store(true, Ordering::SeqCst);
        assert_eq!(holds.look(&key, at(2)), Verdict::Go);
    }

    #[test]
    fn a_wait_that_lasts_too_long_ends_with_a_fresh_list() {
        let (watch, mut holds, key) = setup();
        holds.note(&key, write(), at(0));
        assert_eq!(holds.look(&key, at(5)), Verdict::Hold(LIST_CHECK));
        assert_eq!(watch.asked.load(Ordering::SeqCst), 1);
        assert_eq!(holds.look(&key, at(6)), Verdict::Hold(LIST_CHECK), "asked once, not again");
        assert_eq!(watch.asked.load(Ordering::SeqCst), 1);
        watch.stored.store(1, Ordering::SeqCst);
        assert_eq!(holds.look(&key, at(7)), Verdict::Go);
    }
}
