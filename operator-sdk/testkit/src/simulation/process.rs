//! A process: an identity, a body that is started again after each end, and what can be done to it from outside.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, task::JoinSet};

use super::{latch::Latch, wire::Wire, world::World};
use crate::{request::User, view::ViewId};

/// How long the kubelet takes to start a container again that ended by itself: at first, if it soon ended again, and at most.
const RESTART_AFTER: Duration = Duration::from_secs(1);
const CRASH_LOOP_AFTER: Duration = Duration::from_secs(10);
const CRASH_LOOP_AFTER_MAX: Duration = Duration::from_secs(300);
/// Who ran for so long is taken to be well.
const WELL_AFTER: Duration = Duration::from_secs(600);

/// What a process does, from its start to its end.
pub(crate) type Body = Arc<dyn Fn(Environment) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// How to make a process.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) name: Arc<str>,
    pub(crate) user: User,
    /// Whether it belongs to the world, and is not on trial.
    pub(crate) is_actor: bool,
    pub(crate) body: Body,
}

/// A process over all its lives.
pub(crate) struct Process {
    pub(crate) definition: Definition,
    /// Shut: nothing gets through between it and the server.
    pub(crate) network: Latch,
    view: AtomicU32,
    clock_offset: Mutex<SignedDuration>,
    life: Mutex<Option<Arc<Life>>>,
}

/// One life of a process, from a start to the end.
pub(crate) struct Life {
    pub(crate) incarnation: u32,
    /// Shut: no task of it takes a step.
    pub(crate) gate: Arc<Latch>,
    is_dead: AtomicBool,
    /// How long to stay down, once it is killed.
    killed: watch::Sender<Option<Duration>>,
    /// Whether it is to end in good order.
    stopping: watch::Sender<bool>,
}

/// What a process finds itself in: its name, its time, its ways to the server.
#[derive(Clone)]
pub struct Environment {
    world: World,
    process: Arc<Process>,
    life: Arc<Life>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Environment").field(&self.name()).finish()
    }
}

impl Environment {
    /// The process's name.
    pub fn name(&self) -> &str {
        &self.process.definition.name
    }

    /// How often it was started before.
    pub fn restarts(&self) -> u32 {
        self.life.incarnation
    }

    /// A new connection. To be called within the process.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.wire(), "default")
    }

    /// A way to the server for requests as they are, without the cost of a client.
    pub fn wire(&self) -> Wire {
        Wire::new(self.world.clone(), Arc::clone(&self.process), Arc::clone(&self.life))
    }

    /// What the wall clock of this process shows, which may be wrong.
    pub fn wall(&self) -> Timestamp {
        self.world.now() + self.process.clock_offset()
    }

    /// Time since the beginning, as every clock measures it.
    pub fn elapsed(&self) -> Duration {
        self.world.elapsed()
    }

    /// Completes when the process is asked to end in good order.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.life.stopping.subscribe();
        async move {
            // The sender lives as long as the process does.
            let _ = stopping.wait_for(|is_asked| *is_asked).await;
        }
    }

    /// The door through which each task of this process is to go, so that it can be held still.
    #[cfg(feature = "sdk")]
    pub(crate) fn gate(&self) -> Arc<Latch> {
        Arc::clone(&self.life.gate)
    }

    /// This process's time, as an operator takes it.
    #[cfg(feature = "sdk")]
    pub fn clock(&self) -> operator_sdk::clock::Clock {
        operator_sdk::clock::Clock::new(self.clone())
    }
}

#[cfg(feature = "sdk")]
impl operator_sdk::clock::Source for Environment {
    fn wall(&self) -> Timestamp {
        Self::wall(self)
    }

    fn boot(&self) -> operator_sdk::clock::BootTime {
        self.elapsed()
    }
}

impl Process {
    pub(crate) fn new(definition: Definition) -> Arc<Self> {
        Arc::new(Self {
            definition,
            network: Latch::default(),
            view: AtomicU32::new(ViewId::default().0),
            clock_offset: Mutex::default(),
            life: Mutex::default(),
        })
    }

    /// Starts it, and starts it again whenever it has ended, for as long as it is polled.
    pub(crate) async fn run(self: Arc<Self>, world: World) {
        let mut ends_in_a_row = 0;
        for incarnation in 0.. {
            let started = tokio::time::Instant::now();
            let life = Arc::new(Life::new(incarnation));
            *lock(&self.life) = Some(Arc::clone(&life));
            let environment = Environment { world: world.clone(), process: Arc::clone(&self), life: Arc::clone(&life) };
            let body = (self.definition.body)(environment);
            let gate = Arc::clone(&life.gate);
            let mut root = JoinSet::new();
            root.spawn(async move { gate.hold(body).await });
            let down = tokio::select! {
                biased;
                down = life.wait_for_kill() => down,
                Some(ended) = root.join_next() => {
                    life.end();
                    match ended {
                        Ok(Ok(())) if *life.stopping.borrow() => world.log(false, format!("{} stopped", self.name())),
                        Ok(Ok(())) => {
                            let way_out = "is to run until it is stopped, awaiting `Environment::stopped` if all is done";
                            world.log(true, format!("{} ended, and {way_out}", self.name()));
                        }
                        Ok(Err(error)) => world.log(true, format!("{} ended: {error}", self.name())),
                        Err(panic) => world.log(true, format!("{} panicked: {panic}", self.name())),
                    }
                    ends_in_a_row = if started.elapsed() < WELL_AFTER { ends_in_a_row + 1 } else { 1 };
                    restart_after(ends_in_a_row)
                }
            };
            drop(root);
            tokio::time::sleep(down).await;
            world.log(false, format!("{} starts again", self.name()));
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.definition.name
    }

    pub(crate) fn view(&self) -> ViewId {
        ViewId(self.view.load(Ordering::SeqCst))
    }

    pub(crate) fn set_view(&self, view: ViewId) {
        self.view.store(view.0, Ordering::SeqCst);
    }

    /// Its present life, or the last one.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        lock(&self.life).clone()
    }

    pub(crate) fn clock_offset(&self) -> SignedDuration {
        *lock(&self.clock_offset)
    }

    pub(crate) fn step_clock(&self, step: SignedDuration) {
        *lock(&self.clock_offset) += step;
    }
}

impl Life {
    fn new(incarnation: u32) -> Self {
        Self {
            incarnation,
            gate: Arc::default(),
            is_dead: AtomicBool::new(false),
            killed: watch::Sender::new(None),
            stopping: watch::Sender::new(false),
        }
    }

    /// Ends the process where it stands; it is started again after so long.
    pub(crate) fn kill(&self, down: Duration) {
        self.end();
        self.killed.send_replace(Some(down));
    }

    /// Asks the process to end in good order.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    /// Nothing of it takes a step any more; its tasks are dropped in a moment.
    fn end(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        self.gate.shut();
    }

    async fn wait_for_kill(&self) -> Duration {
        let mut killed = self.killed.subscribe();
        let down = killed.wait_for(Option::is_some).await.ok().and_then(|down| *down);
        match down {
            Some(down) => down,
            None => futures::future::pending().await,
        }
    }
}

/// How long the kubelet waits after a container has ended by itself so often in a row.
fn restart_after(ends_in_a_row: u32) -> Duration {
    match ends_in_a_row {
        0 | 1 => RESTART_AFTER,
        more => (CRASH_LOOP_AFTER * (1 << (more - 2).min(5))).min(CRASH_LOOP_AFTER_MAX),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
