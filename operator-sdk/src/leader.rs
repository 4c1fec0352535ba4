//! Leader election by a `coordination.k8s.io` Lease: at most one process of an operator writes at a time.
//!
//! The rules are pure ([`election`]); this module sends the requests. It runs on a thread of its own with a connection
//! of its own, so that busy workers cannot starve the renewal; and it renews only while the workers' runtime shows signs
//! of life, so that a hung leader loses its lease.
//!
//! # Guarantees
//! A foreign lease counts as expired only after its own duration has passed unchanged on *this* machine's clock; the
//! own one counts from the moment the request was sent. So two processes never both believe that they lead, however
//! their wall clocks differ, as long as their clocks run at the same speed.

pub mod election;
mod lease;
mod task;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

pub use election::{Timing, TimingError};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};

use crate::{
    client::{Connector, Fence},
    clock::{BootTime, Clock},
    task::of_process,
};

/// Where a process stands. Goes from the first to the last, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Another process leads, or none yet.
    Standby,
    /// This process leads.
    Leading,
    /// This process led, and no longer does; it must end.
    Lost,
}

/// What an election needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name: the operator's.
    pub name: String,
    /// Who this process is: `<pod name>_<random>`, never used by another.
    pub identity: String,
    /// How long everything takes.
    pub timing: Timing,
    /// The way to the cluster, on which the election has a connection of its own.
    pub connector: Connector,
    /// Where it runs.
    pub place: Place,
}

/// Where an election runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a thread of its own, so that busy workers do not starve it.
    Thread,
    /// Beside the workers, for a runtime in which nothing is ever busy: that of a simulation.
    Task,
}

/// Signs of life from the workers' runtime. Clones share it.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    last: Arc<AtomicU64>,
    clock: Clock,
}

impl Heartbeat {
    /// Alive now.
    pub fn new(clock: Clock) -> Self {
        let heartbeat = Self { last: Arc::new(AtomicU64::new(0)), clock };
        heartbeat.beat();
        heartbeat
    }

    /// Alive now.
    pub fn beat(&self) {
        let now = u64::try_from(self.clock.boot().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::SeqCst);
    }

    /// Beats once a second for as long as the runtime that polls it turns.
    pub async fn run(self) {
        loop {
            self.beat();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Time since the last sign of life.
    pub fn age(&self) -> Duration {
        let last: BootTime = Duration::from_millis(self.last.load(Ordering::SeqCst));
        self.clock.boot().saturating_sub(last)
    }
}

/// A running election.
#[derive(Debug)]
pub struct Election {
    phase: watch::Receiver<Phase>,
    release: Option<oneshot::Sender<()>>,
    voter: Voter,
}

#[derive(Debug)]
enum Voter {
    Thread(thread::JoinHandle<()>),
    /// Ends when it is dropped.
    Task(JoinSet<()>),
}

impl Election {
    /// Stands for election; opens `fence` while this process leads.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(options: Options, clock: Clock, fence: Fence, heartbeat: Heartbeat) -> std::io::Result<Self> {
        let (phase_sender, phase) = watch::channel(Phase::Standby);
        let (release, released) = oneshot::channel();
        let place = options.place;
        let task = task::Task { options, clock, fence, heartbeat, phase: phase_sender }.run(released);
        let voter = match place {
            Place::Thread => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let thread = thread::Builder::new().name("leader-election".to_owned());
                Voter::Thread(thread.spawn(move || runtime.block_on(task))?)
            }
            Place::Task => Voter::Task(JoinSet::from_iter([of_process(task)])),
        };
        Ok(Self { phase, release: Some(release), voter })
    }

    /// Follows where this process stands.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.clone()
    }

    /// Gives the lease up, so that another process can take it at once. Call it only when all guarded work has ended.
    pub async fn release(mut self) {
        if let Some(release) = self.release.take() {
            let _ = release.send(());
        }
        match self.voter {
            Voter::Thread(thread) => {
                let _ = tokio::task::spawn_blocking(move || thread.join()).await;
            }
            Voter::Task(mut task) => {
                task.join_next().await;
            }
        }
    }
}
