//! A bounded map that forgets: what has not been used for long, and what was used least recently when it is full.

use std::{collections::BTreeMap, time::Duration};

use crate::clock::BootTime;

/// When an entry was used, and a number that orders uses at the same time.
type Use = (BootTime, u64);

#[derive(Debug)]
pub(super) struct Recent<K, V> {
    capacity: usize,
    forgotten_after: Duration,
    entries: BTreeMap<K, (Use, V)>,
    order: BTreeMap<Use, K>,
    uses: u64,
}

impl<K: Ord + Clone, V> Recent<K, V> {
    pub(super) fn new(capacity: usize, forgotten_after: Duration) -> Self {
        Self { capacity, forgotten_after, entries: BTreeMap::new(), order: BTreeMap::new(), uses: 0 }
    }

    /// Takes out what is remembered under `key`.
    pub(super) fn take(&mut self, key: &K, now: BootTime) -> Option<V> {
        while let Some(oldest) = self.order.first_entry()
            && now.saturating_sub(oldest.key().0) >= self.forgotten_after
        {
            self.entries.remove(&oldest.remove());
        }
        let (used, value) = self.entries.remove(key)?;
        self.order.remove(&used);
        Some(value)
    }

    /// Remembers `value` under `key`, as used now.
    pub(super) fn put(&mut self, key: K, value: V, now: BootTime) {
        self.take(&key, now);
        while self.entries.len() >= self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.uses += 1;
        let used = (now, self.uses);
        self.order.insert(used, key.clone());
        self.entries.insert(key, (used, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_forgets_what_was_used_least_recently() {
        let mut recent = Recent::new(2, Duration::from_secs(600));
        recent.put('a', 1, Duration::ZERO);
        recent.put('b', 2, Duration::ZERO);
        let value = recent.take(&'a', Duration::ZERO).unwrap();
        recent.put('a', value, Duration::ZERO);
        recent.put('c', 3, Duration::ZERO);
        assert_eq!(recent.take(&'b', Duration::ZERO), None);
        assert_eq!(recent.take(&'a', Duration::ZERO), Some(1));
        assert_eq!(recent.take(&'c', Duration::ZERO), Some(3));
    }

    #[test]
    fn nothing_is_kept_that_is_forgotten() {
        let mut recent = Recent::new(100, Duration::from_secs(10));
        for key in 0..1000_u32 {
            recent.put(key, (), Duration::from_secs(key.into()));
            assert_eq!(recent.entries.len(), recent.order.len());
            assert!(recent.entries.len() <= 10, "{} at {key}", recent.entries.len());
        }
    }
}
