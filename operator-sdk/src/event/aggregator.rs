//! What becomes of an occurrence: a new Event, one more of a series, or nothing. Pure: it is told the time.

use std::{sync::Arc, time::Duration};

use super::{occurrence::Happening, recent::Recent};
use crate::{clock::BootTime, object::Uid};

/// How many series, and how many objects, are remembered.
const CAPACITY: usize = 4096;
/// A series ends when nothing of it has happened for so long.
const SERIES_WINDOW: Duration = Duration::from_secs(600);
/// So many occurrences of an object may be told at once ...
const BURST: u32 = 25;
/// ... and then one in so much time.
const REFILL_PERIOD: Duration = Duration::from_secs(300);

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A new Event.
    Begin,
    /// To the Event of this name, that it has happened so often.
    Repeat { name: String, count: i32 },
    /// Nothing: the object has had too many.
    Drop,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    count: i32,
}

/// Remembers what was told of late.
#[derive(Debug)]
pub(super) struct Aggregator {
    series: Recent<Arc<Happening>, Series>,
    /// When an object may have its whole burst again; forgotten only after that time, unless there are too many.
    full_at: Recent<Uid, BootTime>,
}

impl Default for Aggregator {
    fn default() -> Self {
        let full_at = Recent::new(CAPACITY, BURST * REFILL_PERIOD);
        Self { series: Recent::new(CAPACITY, SERIES_WINDOW), full_at }
    }
}

impl Aggregator {
    /// Decides on one occurrence. A new Event is to have the name `new_name`.
    pub(super) fn decide(&mut self, happening: &Arc<Happening>, new_name: &str, now: BootTime) -> Verdict {
        let is_allowed = self.take_token(&happening.uid, now);
        match self.series.take(happening, now) {
            Some(Series { name, count }) => {
                // It has happened, told or not.
                let count = count.saturating_add(1);
                self.series.put(Arc::clone(happening), Series { name: name.clone(), count }, now);
                if is_allowed { Verdict::Repeat { name, count } } else { Verdict::Drop }
            }
            None if is_allowed => {
                self.begin(happening, new_name, now);
                Verdict::Begin
            }
            None => Verdict::Drop,
        }
    }

    /// From now on, what repeats this one belongs to the Event of this name.
    pub(super) fn begin(&mut self, happening: &Arc<Happening>, name: &str, now: BootTime) {
        self.series.put(Arc::clone(happening), Series { name: name.to_owned(), count: 1 }, now);
    }

    /// There may be no such Event: what repeats this one is new.
    pub(super) fn forget(&mut self, happening: &Arc<Happening>, now: BootTime) {
        self.series.take(happening, now);
    }

    fn take_token(&mut self, object: &Uid, now: BootTime) -> bool {
        let full_at = self.full_at.take(object, now).unwrap_or_default().max(now);
        let is_allowed = full_at + REFILL_PERIOD <= now + BURST * REFILL_PERIOD;
        let full_at = if is_allowed { full_at + REFILL_PERIOD } else { full_at };
        self.full_at.put(object.clone(), full_at, now);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Type;

    fn happening(uid: &str, note: &str) -> Arc<Happening> {
        let (uid, note) = (uid.into(), note.to_owned());
        Arc::new(Happening { uid, r#type: Type::Normal, reason: "Scaling", action: "Scale", note })
    }

    fn repeat(name: &str, count: i32) -> Verdict {
        Verdict::Repeat { name: name.to_owned(), count }
    }

    const START: BootTime = Duration::from_secs(1_000_000);
    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn what_repeats_itself_is_a_series_of_the_first() {
        let mut aggregator = Aggregator::default();
        let up = happening("u", "up");
        assert_eq!(aggregator.decide(&up, "first", START), Verdict::Begin);
        assert_eq!(aggregator.decide(&up, "second", START), repeat("first", 2));
        assert_eq!(aggregator.decide(&up, "third", START + MOMENT), repeat("first", 3));
    }

    #[test]
    fn whatever_differs_is_new() {
        let mut aggregator = Aggregator::default();
        let up = happening("u", "up");
        let others = [
            happening("v", "up"),
            happening("u", "down"),
            Arc::new(Happening { r#type: Type::Warning, ..(*up).clone() }),
            Arc::new(Happening { reason: "Other", ..(*up).clone() }),
            Arc::new(Happening { action: "Other", ..(*up).clone() }),
        ];
        assert_eq!(aggregator.decide(&up, "up", START), Verdict::Begin);
        for other in &others {
            assert_eq!(aggregator.decide(other, "other", START), Verdict::Begin, "{other:?}");
        }
        assert_eq!(aggregator.decide(&others[1], "later", START), repeat("other", 2));
        assert_eq!(aggregator.decide(&up, "later", START), repeat("up", 2));
    }

    #[test]
    fn a_series_ends_when_nothing_happens_for_ten_minutes() {
        let mut aggregator = Aggregator::default();
        let up = happening("u", "up");
        let almost = Duration::from_secs(600).saturating_sub(MOMENT);
        assert_eq!(aggregator.decide(&up, "first", START), Verdict::Begin);
        assert_eq!(aggregator.decide(&up, "second", START + almost), repeat("first", 2));
        assert_eq!(aggregator.decide(&up, "third", START + 2 * almost), repeat("first", 3));
        assert_eq!(aggregator.decide(&up, "fourth", START + 2 * almost + Duration::from_secs(600)), Verdict::Begin);
    }

    #[test]
    fn an_object_has_a_burst_and_then_one_in_a_while() {
        let mut aggregator = Aggregator::default();
        let note = |number: u32| happening("u", &number.to_string());
        for number in 0..25 {
            assert_eq!(aggregator.decide(&note(number), "name", START), Verdict::Begin, "{number}");
        }
        for number in 25..1000 {
            assert_eq!(aggregator.decide(&note(number), "name", START), Verdict::Drop, "{number}");
        }
        assert_eq!(aggregator.decide(&happening("v", "up"), "name", START), Verdict::Begin, "another object");
        let next = START + Duration::from_secs(300);
        assert_eq!(aggregator.decide(&note(25), "name", next.saturating_sub(MOMENT)), Verdict::Drop);
        assert_eq!(aggregator.decide(&note(25), "name", next), Verdict::Begin);
        assert_eq!(aggregator.decide(&note(26), "name", next), Verdict::Drop);
    }

    #[test]
    fn ten_quiet_minutes_are_no_new_burst() {
        let mut aggregator = Aggregator::default();
        let allowed = |aggregator: &mut Aggregator, now| {
            let notes = (0..100).map(|number| happening("u", &number.to_string()));
            notes.filter(|note| aggregator.decide(note, "name", now) != Verdict::Drop).count()
        };
        assert_eq!(allowed(&mut aggregator, START), 25);
        assert_eq!(allowed(&mut aggregator, START + Duration::from_secs(600)), 2);
        assert_eq!(allowed(&mut aggregator, START + Duration::from_secs(600 + 25 * 300)), 25);
    }

    #[test]
    fn a_series_counts_what_was_not_told() {
        let mut aggregator = Aggregator::default();
        let up = happening("u", "up");
        for _ in 0..25 {
            assert_ne!(aggregator.decide(&up, "name", START), Verdict::Drop);
        }
        for _ in 0..10 {
            assert_eq!(aggregator.decide(&up, "name", START), Verdict::Drop);
        }
        assert_eq!(aggregator.decide(&up, "name", START + Duration::from_secs(300)), repeat("name", 36));
    }

    #[test]
    fn of_many_series_the_least_recently_repeated_is_forgotten() {
        let mut aggregator = Aggregator::default();
        let of = |number: usize| happening(&number.to_string(), "up");
        for number in 0..4096 {
            aggregator.decide(&of(number), "old", START);
        }
        assert_eq!(aggregator.decide(&of(0), "new", START), repeat("old", 2));
        assert_eq!(aggregator.decide(&of(4096), "new", START), Verdict::Begin);
        assert_eq!(aggregator.decide(&of(0), "new", START), repeat("old", 3));
        assert_eq!(aggregator.decide(&of(1), "new", START), Verdict::Begin);
    }
}
