//! The queue as a pure state machine.
//!
//! A key is absent (idle), `Ready`, `Waiting` for a time, `Running`, or `Dirty`: running, with another run owed.
//! An add may carry a mark (`M`) of the write that caused it. By that a key that failed tells the echo of its own writes,
//! which must not end its back-off, from an event that somebody else caused, which must.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::{backoff::Backoff, clock::BootTime};

/// Marks kept of events that come during one run. More of them are more than its own writes can have caused.
const MARKS_MAX: usize = 1000;

/// What a finished run asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry<M> {
    /// Nothing until the next event.
    No,
    /// A run after this long, not counted as a failure.
    After(Duration),
    /// A run after the key's back-off; counts a failure.
    Backoff {
        /// The key runs after this long at the latest, as something is due then.
        at_most: Option<Duration>,
        /// What the run wrote: the events of it end no back-off.
        written: Vec<M>,
    },
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

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place<M> {
    Ready,
    Waiting {
        until: BootTime,
        /// Events of these marks do not end the wait.
        echoes: Vec<M>,
    },
    Running {
        /// The marks of the events since it began: whether they are its own is known when it ends.
        came: Vec<M>,
    },
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
pub struct State<K, M> {
    backoff: Backoff,
    places: BTreeMap<K, Place<M>>,
    ready: VecDeque<K>,
    waiting: BTreeSet<(BootTime, K)>,
    failures: BTreeMap<K, Failures>,
    is_shut_down: bool,
}

impl<K: Clone + Ord, M: PartialEq> State<K, M> {
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

    /// Asks for a run, because of an event of this mark. Ignored after shut-down.
    pub fn add(&mut self, key: K, mark: Option<M>) {
        if self.is_shut_down {
            return;
        }
        match self.places.get_mut(&key) {
            Some(Place::Ready | Place::Dirty) => {}
            Some(Place::Waiting { echoes, .. }) if mark.as_ref().is_some_and(|mark| echoes.contains(mark)) => {}
            Some(Place::Waiting { until, .. }) => {
                let until = *until;
                self.waiting.remove(&(until, key.clone()));
                self.make_ready(key);
            }
            Some(place @ Place::Running { .. }) => match (mark, &mut *place) {
                (Some(mark), Place::Running { came }) if came.len() < MARKS_MAX => came.push(mark),
                _ => *place = Place::Dirty,
            },
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
            self.places.insert(key.clone(), Place::Running { came: Vec::new() });
            return Next::Run(key);
        }
        if self.is_shut_down {
            return Next::Ended;
        }
        Next::WaitFor(self.waiting.first().map(|(at, _)| at.saturating_sub(now)))
    }

    /// Ends a run. Returns how long the key waits, if it does.
    ///
    /// What came during the run is followed by another run at once, also if the run failed: it may have been the cure. Two
    /// things keep a key that always fails from spinning. The events of what its last run wrote, a status above all, count
    /// neither during that run nor in the wait after it, so each run takes the end of a wait or an event that somebody
    /// else caused. And a write whose answer never came, so that its event cannot be known, holds the key until there is a
    /// fresh list. An event never grows the count of failures by more than one in a window.
    pub fn done(&mut self, key: &K, retry: Retry<M>, now: BootTime, jitter: f64) -> Option<Duration> {
        let place = self.places.remove(key);
        let (delay, echoes) = match retry {
            Retry::No => {
                self.failures.remove(key);
                (None, Vec::new())
            }
            Retry::After(delay) => {
                self.failures.remove(key);
                (Some(delay), Vec::new())
            }
            Retry::Backoff { at_most, written } => {
                let backoff = self.count_failure(key, now, jitter);
                (Some(at_most.map_or(backoff, |limit| backoff.min(limit))), written)
            }
            Retry::Hold(delay) => (Some(delay), Vec::new()),
        };
        if self.is_shut_down {
            return None;
        }
        let is_owed = match place {
            Some(Place::Running { came }) => !came.iter().all(|mark| echoes.contains(mark)),
            Some(Place::Dirty) => true,
            _ => return None,
        };
        if is_owed {
            self.make_ready(key.clone());
            return None;
        }
        if let Some(delay) = delay {
            self.wait(key.clone(), now + delay, echoes);
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

    fn wait(&mut self, key: K, until: BootTime, echoes: Vec<M>) {
        self.places.insert(key.clone(), Place::Waiting { until, echoes });
        self.waiting.insert((until, key));
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

    fn state() -> State<u8, u8> {
        State::new(Backoff { base: Duration::from_secs(1), max: Duration::from_secs(100) })
    }

    /// A failed run that wrote this.
    fn failed(written: &[u8]) -> Retry<u8> {
        Retry::Backoff { at_most: None, written: written.to_vec() }
    }

    #[test]
    fn a_key_queued_twice_runs_once() {
        let mut state = state();
        state.add(1, None);
        state.add(1, None);
        assert_eq!(state.get(at(0)), Next::Run(1));
        assert_eq!(state.get(at(0)), Next::WaitFor(None));
    }

    #[test]
    fn an_add_while_running_is_followed_by_one_more_run() {
        let mut state = state();
        state.add(1, None);
        assert_eq!(state.get(at(0)), Next::Run(1));
        state.add(1, None);
        state.add(1, None);
        assert_eq!(state.get(at(0)), Next::WaitFor(None), "never two runners");
        state.done(&1, Retry::No, at(0), 0.0);
        assert_eq!(state.get(at(0)), Next::Run(1));
        state.done(&1, Retry::No, at(0), 0.0);
        assert_eq!(state.get(at(0)), Next::WaitFor(None));
    }

    #[test]
    fn a_failed_key_waits_longer_each_time_and_a_success_forgets() {
        let mut state = state();
        state.add(1, None);
        let mut now = at(0);
        for expected in [1, 2, 4, 8] {
            assert_eq!(state.get(now), Next::Run(1));
            state.done(&1, failed(&[]), now, 1.0);
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
        state.add(1, None);
        state.get(at(0));
        state.done(&1, failed(&[]), at(0), 1.0);
        for _ in 0..10 {
            state.add(1, None);
            assert_eq!(state.get(at(0)), Next::Run(1));
            state.done(&1, failed(&[]), at(0), 1.0);
        }
        assert_eq!(state.failures(&1), 1);
    }

    #[test]
    fn an_event_during_a_failing_run_is_followed_by_another_at_once() {
        let mut state = state();
        state.add(1, None);
        for _ in 0..3 {
            assert_eq!(state.get(at(0)), Next::Run(1));
            state.add(1, Some(7));
            assert_eq!(state.done(&1, failed(&[8]), at(0), 1.0), None);
        }
        assert_eq!(state.failures(&1), 1, "all in one window");
    }

    #[test]
    fn the_echo_of_a_failing_run_ends_no_back_off_whenever_it_comes() {
        let mut state = state();
        state.add(1, None);
        state.get(at(0));
        state.add(1, Some(7));
        assert_eq!(state.done(&1, failed(&[7, 8]), at(0), 1.0), Some(at(1)));
        state.add(1, Some(8));
        assert_eq!(state.get(at(0)), Next::WaitFor(Some(at(1))));
        state.add(1, Some(9));
        assert_eq!(state.get(at(0)), Next::Run(1), "somebody else's event");
    }

    #[test]
    fn the_echo_of_a_run_that_succeeded_and_of_one_that_is_held_is_an_event_like_any_other() {
        for retry in [Retry::No, Retry::After(at(9)), Retry::Hold(at(9))] {
            let mut state = state();
            state.add(1, None);
            state.get(at(0));
            state.add(1, Some(7));
            state.done(&1, retry, at(0), 1.0);
            assert_eq!(state.get(at(0)), Next::Run(1));
        }
    }

    #[test]
    fn a_failed_key_runs_again_when_something_is_due() {
        let mut state = state();
        state.add(1, None);
        let mut now = at(0);
        for expected in [1, 2, 3, 3] {
            state.get(now);
            let retry = Retry::Backoff { at_most: Some(at(3)), written: vec![] };
            assert_eq!(state.done(&1, retry, now, 1.0), Some(at(expected)));
            now += at(expected);
        }
        assert_eq!(state.failures(&1), 3, "the fourth failure came in the window of the third");
    }

    #[test]
    fn shut_down_hands_out_what_is_ready_and_drops_what_waits() {
        let mut state = state();
        state.add(1, None);
        state.get(at(0));
        state.done(&1, Retry::After(at(5)), at(0), 0.0);
        state.add(2, None);
        state.shut_down();
        state.add(3, None);
        assert_eq!(state.get(at(100)), Next::Run(2));
        assert_eq!(state.get(at(100)), Next::Ended);
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Add(u8, Option<u8>),
        Get,
        Done(u8, Retry<u8>),
        Pass(u64),
    }

    /// What happens to a key that always fails.
    #[derive(Clone, Debug)]
    enum Event {
        Own,
        Foreign,
        Pass(u64),
        /// A run begins, or ends.
        Turn,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![Just(Event::Own), Just(Event::Foreign), Just(Event::Turn), (0u64..20).prop_map(Event::Pass)]
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let retry = prop_oneof![
            Just(Retry::No),
            prop::collection::vec(0u8..3, 0..3).prop_map(|written| failed(&written)),
            (0u64..10).prop_map(|seconds| Retry::After(at(seconds)))
        ];
        prop_oneof![
            (0u8..4, prop::option::of(0u8..3)).prop_map(|(key, mark)| Operation::Add(key, mark)),
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
                    Operation::Add(key, mark) => {
                        state.add(key, mark);
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

        #[test]
        fn a_key_that_always_fails_runs_once_a_window_and_once_for_each_event_of_others(
            events in prop::collection::vec(event(), 0..200),
        ) {
            let mut state = state();
            let (mut now, mut wait_ends) = (at(0), at(0));
            let (mut runs, mut windows, mut foreign) = (0, 0, 0);
            let mut run = 0;
            let mut is_running = false;
            state.add(1, None);
            for event in events {
                match event {
                    // Each run writes once; its mark is the run's own number.
                    Event::Own => state.add(1, Some(run)),
                    Event::Foreign => {
                        foreign += 1;
                        state.add(1, None);
                    }
                    Event::Pass(seconds) => now += at(seconds),
                    Event::Turn if is_running => {
                        let delay = state.done(&1, failed(&[run]), now, 0.5);
                        wait_ends = delay.map_or(Duration::MAX, |delay| now + delay);
                        is_running = false;
                    }
                    Event::Turn => {
                        if state.get(now) == Next::Run(1) {
                            is_running = true;
                            run += 1;
                            runs += 1;
                            windows += u32::from(now >= wait_ends);
                        }
                    }
                }
                prop_assert!(runs <= windows + foreign, "{runs} runs, {windows} windows, {foreign} events of others");
            }
        }
    }
}
