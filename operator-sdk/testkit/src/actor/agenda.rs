//! What somebody has to do, and when.

use std::{collections::BTreeMap, future::pending, ops::RangeInclusive, time::Duration};

use tokio::time::{Instant, sleep_until};

/// How long something takes, from and to; the seed decides.
pub type Span = RangeInclusive<Duration>;

/// Things to do, each once, in the order of their times. An empty one costs nothing.
#[derive(Debug)]
pub struct Agenda<T> {
    due: BTreeMap<(Instant, u64), T>,
    places: BTreeMap<T, (Instant, u64)>,
    count: u64,
}

/// A length of time within a span.
pub fn pause(span: &Span) -> Duration {
    let (least, most) = (span.start().as_micros(), span.end().as_micros());
    let drawn = if least < most { rand::random_range(least..=most) } else { least };
    Duration::from_micros(u64::try_from(drawn).unwrap_or(u64::MAX))
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), places: BTreeMap::new(), count: 0 }
    }
}

impl<T: Ord + Clone> Agenda<T> {
    /// Notes something to be done within a span from now; what is noted for an earlier time stays there.
    pub fn within(&mut self, span: &Span, what: T) {
        self.at(Instant::now() + pause(span), what);
    }

    /// Notes something to be done at a time, or before.
    pub fn at(&mut self, time: Instant, what: T) {
        match self.places.get(&what) {
            Some((noted, _)) if *noted <= time => return,
            Some(place) => self.due.remove(place),
            None => None,
        };
        self.count += 1;
        let place = (time, self.count);
        self.places.insert(what.clone(), place);
        self.due.insert(place, what);
    }

    /// Strikes something off.
    pub fn forget(&mut self, what: &T) {
        if let Some(place) = self.places.remove(what) {
            self.due.remove(&place);
        }
    }

    /// Waits for the next thing to do, and strikes it off. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> T {
        let Some((time, _)) = self.due.keys().next() else { return pending().await };
        sleep_until(*time).await;
        match self.due.pop_first() {
            Some((_, what)) => {
                self.places.remove(&what);
                what
            }
            None => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_thing_comes_once_and_at_the_earliest_time_that_was_noted() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut agenda = Agenda::default();
        agenda.at(start + 3 * second, "late");
        agenda.at(start + 2 * second, "soon");
        agenda.at(start + second, "late");
        agenda.at(start + 5 * second, "soon");
        agenda.at(start, "struck off");
        agenda.forget(&"struck off");
        assert_eq!((agenda.next().await, start.elapsed()), ("late", second));
        assert_eq!((agenda.next().await, start.elapsed()), ("soon", 2 * second));
        assert!(tokio::time::timeout(1000 * second, agenda.next()).await.is_err());
    }
}
