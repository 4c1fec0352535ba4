//! Notes what happens in a run, and has it judged as it happens.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use jiff::Timestamp;

use super::watched::Guarantees;
use crate::{
    fault::Plan,
    oracle::Judge,
    record::{Answered, LogLine, Notified, Record, Requested, State, Violation},
    request::Request,
    store::{Commit, Store},
    watch::WatchEvent,
};

/// More lines of log than this are not kept: something logs without end.
const LOG_MAX: usize = 10_000;

/// What a run has been so far.
pub(crate) struct Recorder {
    record: Record,
    state: State,
    judges: Vec<Box<dyn Judge>>,
    /// Where each request stands in the record, by its id.
    places: BTreeMap<u64, usize>,
    last_struck: Option<Timestamp>,
    pub(crate) guarantees: Guarantees,
}

impl Recorder {
    pub(crate) fn new(seed: u64, plan: Plan, mut judges: Vec<Box<dyn Judge>>) -> Self {
        judges.iter_mut().for_each(|judge| judge.begin(&plan));
        Self {
            record: Record { seed, plan, ..Record::default() },
            state: State::default(),
            judges,
            places: BTreeMap::new(),
            last_struck: None,
            guarantees: Guarantees::default(),
        }
    }

    /// Takes in what a new server holds.
    pub(crate) fn begin(&mut self, store: &Store) {
        store.commits_after(0).for_each(|commit| self.state.apply(commit));
    }

    /// Notes a commit, and has it judged; true if it says that something moves.
    pub(crate) fn see(&mut self, commit: &Arc<Commit>) -> bool {
        self.state.apply(commit);
        for judge in &mut self.judges {
            for message in said(|| judge.see(commit, &self.state)) {
                self.record.violations.push(Violation { oracle: "O4 invariant", time: commit.time, message });
            }
        }
        self.record.commits.push(Arc::clone(commit));
        !commit.collection.is_chatter()
    }

    /// Asks the judges what does not hold now that nothing moves.
    pub(crate) fn judge_settled(&mut self, now: Timestamp) {
        for judge in &mut self.judges {
            for message in said(|| judge.settled(now, &self.state)) {
                self.record.violations.push(Violation { oracle: "O4 invariant, settled", time: now, message });
            }
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    /// The record of a run that is over.
    pub(crate) fn finish(&mut self, end: Timestamp) -> Record {
        self.record.end = end;
        std::mem::take(&mut self.record)
    }

    pub(crate) fn requested(&mut self, requested: Requested) {
        self.places.insert(requested.id, self.record.requests.len());
        self.record.requests.push(requested);
    }

    /// Has an event of a watch judged.
    pub(crate) fn check_event(&mut self, request: &Request, event: &WatchEvent, now: Timestamp) {
        if let Err(broken) = self.guarantees.check(request.id, event, &self.record.commits) {
            let message = format!("request {} ({}): {broken}", request.id, request.path);
            self.violate("watch guarantee", now, message);
        }
    }

    /// Notes what the server said to a request; whether it changed anything shows in the commits that carry its id.
    pub(crate) fn answered(&mut self, request: u64, mut answered: Answered) {
        answered.is_effective = self.record.commits.last().is_some_and(|commit| commit.request == request);
        if let Some(requested) = self.requested_mut(request) {
            requested.answer = Some(answered);
        }
    }

    pub(crate) fn fault(&mut self, request: u64, text: String) {
        if let Some(requested) = self.requested_mut(request) {
            requested.faults.push(text);
        }
    }

    pub(crate) fn struck(&mut self, index: usize, time: Timestamp) {
        self.record.struck.entry(index).or_insert(time);
        self.last_struck = Some(time);
    }

    /// When a fault struck last, be it the same once more.
    pub(crate) fn last_struck(&self) -> Option<Timestamp> {
        self.last_struck
    }

    pub(crate) fn notified(&mut self, notified: Notified) {
        self.record.notifications.push(notified);
    }

    pub(crate) fn violate(&mut self, oracle: &'static str, time: Timestamp, message: String) {
        self.record.violations.push(Violation { oracle, time, message });
    }

    pub(crate) fn log(&mut self, time: Timestamp, is_error: bool, text: String) {
        if self.record.log.len() < LOG_MAX {
            self.record.log.push(LogLine { time, is_error, text });
        }
    }

    /// Who sent a request; `None`: no process did.
    pub(crate) fn sender(&self, request: u64) -> Option<&str> {
        let place = self.places.get(&request)?;
        self.record.requests.get(*place).map(|requested| &*requested.process)
    }

    fn requested_mut(&mut self, request: u64) -> Option<&mut Requested> {
        self.places.get(&request).and_then(|place| self.record.requests.get_mut(*place))
    }
}

/// What a judge says, be it by a panic: in the task of a process it would be heard by nobody.
fn said(judge: impl FnOnce() -> Vec<String>) -> Vec<String> {
    let text = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        format!("the judge panicked: {}", text.unwrap_or("without words"))
    };
    catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|panic| vec![text(panic)])
}
