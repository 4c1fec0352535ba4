//! Which faults of a plan strike at what is happening now.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    fault::{Effect, Moment, Plan},
    record::Counted,
};

/// What a process may be counted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// It changes something.
    Write,
    /// It asks.
    Read,
    /// It is about a Lease.
    Election,
}

/// A plan under way.
#[derive(Debug, Default)]
pub(crate) struct Injector {
    plan: Plan,
    counters: BTreeMap<Arc<str>, Counters>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    requests: u32,
    writes: u32,
    elections: u32,
    notifications: u32,
}

/// A fault that strikes: its place in the plan, and what it does.
pub(crate) type Strike = (usize, Effect);

impl Injector {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan, counters: BTreeMap::new() }
    }

    /// Counts a request; returns its numbers and what strikes at it.
    pub(crate) fn request(&mut self, process: &Arc<str>, sort: Sort) -> (Counted, Vec<Strike>) {
        let counters = self.counters.entry(Arc::clone(process)).or_default();
        let mut next = |counter: fn(&mut Counters) -> &mut u32| {
            *counter(counters) += 1;
            Some(*counter(counters))
        };
        let counted = match sort {
            Sort::Election => Counted { election: next(|all| &mut all.elections), ..Counted::default() },
            Sort::Read => Counted { request: next(|all| &mut all.requests), ..Counted::default() },
            Sort::Write => {
                Counted { request: next(|all| &mut all.requests), write: next(|all| &mut all.writes), election: None }
            }
        };
        let strikes = self.strikes(process, |moment| match moment {
            Moment::Write(place) => counted.write.map(|now| (place.number, now)),
            Moment::Request(place) => counted.request.map(|now| (place.number, now)),
            Moment::Election(place) => counted.election.map(|now| (place.number, now)),
            Moment::Notification(_) | Moment::Time(_) => None,
        });
        (counted, strikes)
    }

    /// Counts a notification; returns its number and what strikes at it.
    pub(crate) fn notification(&mut self, process: &Arc<str>) -> (u32, Vec<Strike>) {
        let counters = self.counters.entry(Arc::clone(process)).or_default();
        counters.notifications += 1;
        let now = counters.notifications;
        let strikes = self.strikes(process, |moment| match moment {
            Moment::Notification(place) => Some((place.number, now)),
            _ => None,
        });
        (now, strikes)
    }

    /// Nothing strikes any more; counting goes on.
    pub(crate) fn end(&mut self) {
        self.plan = Plan::default();
    }

    /// What strikes at set times, in milliseconds, and whom.
    pub(crate) fn timed(&self) -> Vec<(u64, String, Strike)> {
        let timed = |(index, fault): (usize, &crate::fault::Fault)| match &fault.at {
            Moment::Time(time) => Some((time.milliseconds, time.process.clone(), (index, fault.effect.clone()))),
            _ => None,
        };
        self.plan.faults.iter().enumerate().filter_map(timed).collect()
    }

    /// `place` gives the number that a moment names and the one that it is now, if the moment is of that sort.
    fn strikes(&self, process: &str, place: impl Fn(&Moment) -> Option<(u32, u32)>) -> Vec<Strike> {
        let faults = self.plan.faults.iter().enumerate();
        let strikes = faults.filter(|(_, fault)| {
            fault.at.process() == process
                && place(&fault.at).is_some_and(|(named, now)| (named..named + fault.effect.times()).contains(&now))
        });
        strikes.map(|(index, fault)| (index, fault.effect.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, Times};

    #[test]
    fn each_sort_is_counted_by_itself_and_a_fault_strikes_as_often_as_it_says() {
        let race = Effect::Race(Times { times: 2 });
        let mut injector = Injector::new(Plan::of([
            Fault::new(Moment::write("a", 2), race.clone()),
            Fault::new(Moment::request("a", 2), Effect::WatchClose),
        ]));
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let mut struck = Vec::new();
        for sort in [Sort::Write, Sort::Read, Sort::Election, Sort::Write, Sort::Write, Sort::Write] {
            assert_eq!(injector.request(&b, sort).1, []);
            let (_, strikes) = injector.request(&a, sort);
            struck.push(strikes.into_iter().map(|(index, _)| index).collect::<Vec<_>>());
        }
        assert_eq!(struck, [vec![], vec![1], vec![], vec![0], vec![0], vec![]]);
    }
}
