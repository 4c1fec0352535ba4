//! What a run leaves behind: every request, every commit, every event that a process was told of, and what it logged.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    fault::Plan,
    object::Object,
    oracle,
    store::{Change, Collection, Commit, Key},
};

/// A run as it was.
#[derive(Debug, Default)]
pub struct Record {
    /// What decided all that chance decides.
    pub seed: u64,
    /// What was to go wrong.
    pub plan: Plan,
    /// The revision at which the workload begins.
    pub base: u64,
    /// Which of the plan's faults struck, and when first.
    pub struck: BTreeMap<usize, Timestamp>,
    /// Who is not on trial.
    pub actors: BTreeSet<Arc<str>>,
    /// In the order in which they got through: a partition holds back what is sent.
    pub requests: Vec<Requested>,
    /// In the store's order.
    pub commits: Vec<Arc<Commit>>,
    /// In the order of their delivery.
    pub notifications: Vec<Notified>,
    /// Warnings, errors, and what happened to processes.
    pub log: Vec<LogLine>,
    /// What was found not to hold while it happened; [`broken`](Self::broken) also has what only the whole shows.
    pub violations: Vec<Violation>,
    /// When each step of the workload had settled, and what the store held then.
    pub settled: Vec<Settled>,
    /// What each user was allowed to do and did: verb, group and resource.
    pub used_permissions: BTreeMap<String, BTreeSet<(String, String, String)>>,
    /// When it was over.
    pub end: Timestamp,
}

/// A request of a process.
#[derive(Clone, Debug)]
pub struct Requested {
    /// The server's number for it, which its commits carry.
    pub id: u64,
    /// When its process gave it away.
    pub sent: Timestamp,
    /// Who sent it.
    pub process: Arc<str>,
    /// What it is counted as.
    pub counted: Counted,
    /// As in `PATCH`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// What came of it, as the server said; `None`: it never came so far.
    pub answer: Option<Answered>,
    /// What faults made of it.
    pub faults: Vec<String>,
}

/// The numbers of a request: of its process, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Among the requests without Leases.
    pub request: Option<u32>,
    /// Among those that may change something.
    pub write: Option<u32>,
    /// Among those for Leases.
    pub election: Option<u32>,
}

/// What the server said to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP code.
    pub code: u16,
    /// As in `Conflict`; empty: it went well.
    pub reason: String,
    /// What a refusal says.
    pub message: String,
    /// Whether it changed the store.
    pub is_effective: bool,
    /// Whether a fault gave it, not the server.
    pub is_fault: bool,
}

/// An event that a process was told of.
#[derive(Clone, Debug)]
pub struct Notified {
    /// When it was due.
    pub time: Timestamp,
    /// Who.
    pub process: Arc<str>,
    /// The how-many-eth of this process, from 1.
    pub number: u32,
    /// The watch's request.
    pub request: u64,
    /// As in `ADDED`.
    pub kind: &'static str,
    /// Of which object.
    pub object: Arc<Object>,
}

/// A line of a process's log, or about it.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// When.
    pub time: Timestamp,
    /// Whether it is an error.
    pub is_error: bool,
    /// What.
    pub text: String,
}

/// A point at which nothing moved any more.
#[derive(Debug)]
pub struct Settled {
    /// When the last thing had moved.
    pub time: Timestamp,
    /// What the store held.
    pub state: State,
}

/// All objects at one revision.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The revision of the last commit.
    pub revision: u64,
    objects: BTreeMap<Collection, BTreeMap<Key, Arc<Object>>>,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which promise, as in `O2 quiescence`.
    pub oracle: &'static str,
    /// When.
    pub time: Timestamp,
    /// What is wrong, in one line or more.
    pub message: String,
}

impl Record {
    /// A digest of every request with its answer, every commit, every notification and every line of the log: two runs
    /// with equal digests are the same.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for request in &self.requests {
            digest.update(format!("{request}\n"));
        }
        for commit in &self.commits {
            digest.update(format!("{} {} {}\n", commit.time, commit.revision, commit.collection.plural));
            digest.update(commit.after.json());
        }
        for told in &self.notifications {
            digest.update(format!("{} {} {} ", told.time, told.process, told.kind));
            digest.update(told.object.json());
        }
        for line in &self.log {
            digest.update(format!("{line}\n"));
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Everything that does not hold of this run, whatever other runs come to, in the order of time.
    pub fn broken(&self) -> Vec<Violation> {
        oracle::judge(self, None, &[])
    }

    /// The requests of a process that changed the store, by their number among its writes.
    pub fn effective_writes(&self) -> impl Iterator<Item = &Requested> {
        self.requests.iter().filter(|request| request.is_effective() && request.counted.write.is_some())
    }

    /// Whether it is not one of an actor.
    pub(crate) fn is_on_trial(&self, request: &Requested) -> bool {
        !self.actors.contains(&request.process)
    }

    /// What people have asked for.
    pub(crate) fn asked(&self) -> BTreeSet<(Collection, Key)> {
        let of_people = self.commits.iter().filter(|commit| commit.request == 0);
        of_people.map(|commit| (commit.collection.clone(), commit.key.clone())).collect()
    }
}

impl Requested {
    /// Whether it changed the store.
    pub fn is_effective(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.is_effective)
    }
}

impl State {
    /// Takes in the next commit.
    pub(crate) fn apply(&mut self, commit: &Commit) {
        self.revision = commit.revision;
        let objects = self.objects.entry(commit.collection.clone()).or_default();
        match commit.change {
            Change::Deleted => objects.remove(&commit.key),
            Change::Created | Change::Updated => objects.insert(commit.key.clone(), Arc::clone(&commit.after)),
        };
    }

    /// The objects of a kind, by key.
    pub fn list(&self, group: &str, plural: &str) -> impl Iterator<Item = (&Key, &Arc<Object>)> {
        self.objects.get(&Collection::new(group, plural)).into_iter().flatten()
    }

    /// One object.
    pub fn get(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(&Collection::new(group, plural))?.get(&Key::new(namespace, name))
    }

    /// Everything, by kind and key.
    pub fn all(&self) -> impl Iterator<Item = (&Collection, &Key, &Arc<Object>)> {
        let of_kind = |(kind, objects)| BTreeMap::iter(objects).map(move |(key, object)| (kind, key, object));
        self.objects.iter().flat_map(of_kind)
    }
}

impl fmt::Display for Requested {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, process, method, path, answer, faults, .. } = self;
        let number = match self.counted {
            Counted { write: Some(number), .. } => format!("write {number}"),
            Counted { request: Some(number), .. } => format!("request {number}"),
            Counted { election: Some(number), .. } => format!("election {number}"),
            Counted { .. } => String::new(),
        };
        write!(formatter, "{} {process} {number}: {method} {path} → ", clock(*sent))?;
        match answer {
            None => write!(formatter, "no answer"),
            Some(Answered { code, reason, is_effective, .. }) => {
                let effect = if *is_effective { " (changed)" } else { "" };
                write!(formatter, "{code}{}{reason}{effect}", if reason.is_empty() { "" } else { " " })
            }
        }?;
        for fault in faults {
            write!(formatter, "  ← {fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.is_error { "ERROR" } else { "     " };
        write!(formatter, "{} {level} {}", clock(self.time), self.text)
    }
}

impl Violation {
    /// The first line of what does not hold; what follows are particulars.
    pub(crate) fn title(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}", clock(self.time), self.oracle, self.message)
    }
}

/// A time as it stands in reports: without the date, to the millisecond.
fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%S.%3f").to_string()
}
