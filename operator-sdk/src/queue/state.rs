//! The queue as a pure state machine.
//!
//! A key is absent (idle), `Ready`, `Waiting` for a time, `Running`, or `Dirty`: running, with another run owed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::{backoff::Backoff, clock::BootTime};

/// What a finished run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing until the next event.
    No,
    /// A run after this long, not counted as a failure.
    After(Duration),
    /// A run after the key's back-off; counts a failure.
    Backoff,
    /// It was no run: the key waits for something, at most this long, and keeps its count of failures.
    Hold(Duration),
}

/// The answer to "what now?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<K> {
    /// Run this key.
    Run(K),
    /// Nothing is due; ask again after this long (`None`: only after a change).
    WaitFor(Option<Duration>),
    /// Shut down, and nothing is left.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ready,
    Waiting(BootTime),
    Running,
    Dirty,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// Until then a further failure belongs to the same window and is not counted again.
    window_end: BootTime,
}

/// All keys and where they stand.
#[derive(Debug)]
pub struct State<K> {
    backoff: Backoff,
    places: BTreeMap<K, Place>,
    ready: VecDeque<K>,
    waiting: BTreeSet<(BootTime, K)>,
    failures: BTreeMap<K, Failures>,
    is_shut_down: bool,
}

impl<K: Clone + Ord> State<K> {
    /// An empty queue.
    pub fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            places: BTreeMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            failures: BTreeMap::new(),
            is_shut_down: false,
        }
    }

    /// Asks for a run. Ignored after shut-down.
    pub fn add(&mut self, key: K) {
        if self.is_shut_down {
            return;
        }
        match self.places.get(&key).copied() {
            Some(Place::Ready | Place::Dirty) => {}
            Some(Place::Running) => {
                self.places.insert(key, Place::Dirty);
            }
            Some(Place::Waiting(at)) => {
                self.waiting.remove(&(at, key.clone()));
                self.make_ready(key);
            }
            None => self.make_ready(key),
        }
    }

    /// Hands out the next key that is due at `now`, first in, first out.
    pub fn get(&mut self, now: BootTime) -> Next<K> {
        while let Some((at, key)) = self.waiting.first().filter(|(at, _)| *at <= now).cloned() {
            self.waiting.remove(&(at, key.clone()));
            self.make_ready(key);
        }
        if let Some(key) = self.ready.pop_front() {
            self.places.insert(key.clone(), Place::Running);
            return Next::Run(key);
        }
        if self.is_shut_down {
            return Next::Ended;
        }
        Next::WaitFor(self.waiting.first().map(|(at, _)| at.saturating_sub(now)))
    }

    /// Ends a run. Returns how long the key waits, if it does.
    pub fn done(&mut self, key: &K, retry: Retry, now: BootTime, jitter: f64) -> Option<Duration> {
        let delay = match retry {
            Retry::No => {
                self.failures.remove(key);
                None
            }
            Retry::After(delay) => {
                self.failures.remove(key);
                Some(delay)
            }
            Retry::Backoff => Some(self.count_failure(key, now, jitter)),
            Retry::Hold(delay) => Some(delay),
        };
        match self.places.remove(key) {
            Some(Place::Dirty) if !self.is_shut_down => {
                // A failing key does not escape its back-off because somebody touched its object.
                match (retry, delay) {
                    (Retry::Backoff, Some(delay)) => self.wait(key.clone(), now + delay),
                    _ => self.make_ready(key.clone()),
                }
            }
            Some(Place::Running) if !self.is_shut_down => {
                if let Some(delay) = delay {
                    self.wait(key.clone(), now + delay);
                }
            }
            _ => {}
        }
        delay
    }

    /// How often in a row the key has failed.
    pub fn failures(&self, key: &K) -> u32 {
        self.failures.get(key).map_or(0, |failures| failures.count)
    }

    /// Keys ready or running.
    pub fn depth(&self) -> usize {
        self.places.len() - self.waiting.len()
    }

    /// Refuses further adds and drops what waits for a time; what is ready is still handed out.
    pub fn shut_down(&mut self) {
        self.is_shut_down = true;
        for (_, key) in std::mem::take(&mut self.waiting) {
            self.places.remove(&key);
        }
    }

    fn make_ready(&mut self, key: K) {
        self.places.insert(key.clone(), Place::Ready);
        self.ready.push_back(key);
    }

    fn wait(&mut self, key: K, at: BootTime) {
        self.places.insert(key.clone(), Place::Waiting(at));
        self.waiting.insert((at, key));
    }

    fn count_failure(&mut self, key: &K, now: BootTime, jitter: f64) -> Duration {
        let failures = self.failures.entry(key.clone()).or_insert(Failures { count: 0, window_end: Duration::ZERO });
        if now >= failures.window_end {
            failures.count = failures.count.saturating_add(1);
        }
        let delay = self.backoff.delay(failures.count.max(1), jitter);
        failures.window_end = now + delay;
        delay
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> BootTime {
        Duration::from_secs(seconds)
    }

    fn state() -> State<u8> {
        State::new(Backoff { base: Duration::from_secs(1), max: Duration::from_secs(100) })
    }

    #[test]
    fn a_key_queued_twice_runs_once() {
        let mut state = state();
        state.add(1);
        state.add(1);
        assert_eq!(state.get(at(0)), Next::Run(1));
        assert_eq!(state.get(at(0)), Next::WaitFor(None));
    }

    #[test]
    fn an_add_while_running_is_followed_by_one_more_run() {
        let mut state = state();
        state.add(1);
        assert_eq!(state.get(at(0)), Next::Run(1));
        state.add(1);
        state.add(1);
        assert_eq!(state.get(at(0)), Next::WaitFor(None), "never two runners");
        state.done(&1, Retry::No, at(0), 0.0);
        assert_eq!(state.get(at(0)), Next::Run(1));
        state.done(&1, Retry::No, at(0), 0.0);
        assert_eq!(state.get(at(0)), Next::WaitFor(None));
    }

    #[test]
    fn a_failed_key_waits_longer_each_time_and_a_success_forgets() {
        let mut state = state();
        state.add(1);
        let mut now = at(0);
        for expected in [1, 2, 4, 8] {
            assert_eq!(state.get(now), Next::Run(1));
            state.done(&1, Retry::Backoff, now, 1.0);
            assert_eq!(state.get(now), Next::WaitFor(Some(at(expected))));
            now += at(expected);
        }
        assert_eq!(state.get(now), Next::Run(1));
        state.done(&1, Retry::No, now, 1.0);
        assert_eq!(state.failures(&1), 0);
    }

    #[test]
    fn a_storm_of_events_on_a_failing_key_counts_one_failure_a_window() {
        let mut state = state();
        state.add(1);
        state.get(at(0));
        state.done(&1, Retry::Backoff, at(0), 1.0);
        for _ in 0..10 {
            state.add(1);
            assert_eq!(state.get(at(0)), Next::Run(1));
            state.done(&1, Retry::Backoff, at(0), 1.0);
        }
        assert_eq!(state.failures(&1), 1);
    }

    #[test]
    fn an_event_during_a_failing_run_does_not_skip_the_back_off() {
        let mut state = state();
        state.add(1);
        state.get(at(0));
        state.add(1);
        state.done(&1, Retry::Backoff, at(0), 1.0);
        assert_eq!(state.get(at(0)), Next::WaitFor(Some(at(1))));
    }

    #[test]
    fn shut_down_hands_out_what_is_ready_and_drops_what_waits() {
        let mut state = state();
        state.add(1);
        state.get(at(0));
        state.done(&1, Retry::After(at(5)), at(0), 0.0);
        state.add(2);
        state.shut_down();
        state.add(3);
        assert_eq!(state.get(at(100)), Next::Run(2));
        assert_eq!(state.get(at(100)), Next::Ended);
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Add(u8),
        Get,
        Done(u8, Retry),
        Pass(u64),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let retry = prop_oneof![
            Just(Retry::No),
            Just(Retry::Backoff),
            (0u64..10).prop_map(|seconds| Retry::After(at(seconds)))
        ];
        prop_oneof![
            (0u8..4).prop_map(Operation::Add),
            Just(Operation::Get),
            (0u8..4, retry).prop_map(|(key, retry)| Operation::Done(key, retry)),
            (0u64..20).prop_map(Operation::Pass),
        ]
    }

    proptest! {
        #[test]
        fn no_second_runner_and_no_lost_add(operations in prop::collection::vec(operation(), 0..200)) {
            let mut state = state();
            let mut now = at(0);
            let mut running = BTreeSet::new();
            let mut owed = BTreeSet::new();
            for operation in operations {
                match operation {
                    Operation::Add(key) => {
                        state.add(key);
                        owed.insert(key);
                    }
                    Operation::Get => {
                        if let Next::Run(key) = state.get(now) {
                            prop_assert!(running.insert(key), "two runners for {key}");
                            owed.remove(&key);
                        }
                    }
                    Operation::Done(key, retry) => {
                        if running.remove(&key) {
                            state.done(&key, retry, now, 0.5);
                        }
                    }
                    Operation::Pass(seconds) => now += at(seconds),
                }
            }
            for key in running {
                state.done(&key, Retry::No, now, 0.5);
            }
            now += at(1000);
            while let Next::Run(key) = state.get(now) {
                owed.remove(&key);
                state.done(&key, Retry::No, now, 0.5);
            }
            prop_assert!(owed.is_empty(), "lost {owed:?}");
            prop_assert_eq!(state.depth(), 0);
        }
    }
}
