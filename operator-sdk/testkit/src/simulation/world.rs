//! The world of one run: the server, the processes, what is noted of them, and what is to go wrong.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{process::Process, recorder::Recorder, user, workload};
use crate::{
    fault::{
        Effect,
        injector::{Injector, Strike},
    },
    request::{Reply, Request},
    server::Server,
    service::Network,
    store::Store,
    view::ViewId,
};

/// How long a process that has travelled into the past stays there.
const STALE_AFTER_TRAVEL: Duration = Duration::from_secs(30);

/// The world of one run. Cheap to clone.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    network: Network,
    start: Instant,
    processes: OnceLock<BTreeMap<Arc<str>, Arc<Process>>>,
    recorder: Arc<Mutex<Recorder>>,
    injector: Mutex<Injector>,
    /// When the last of the faults that take their time is over, and the last one of a set time has struck.
    busy_until: Mutex<Timestamp>,
    /// When something last changed that counts.
    changed: watch::Sender<Timestamp>,
}

impl World {
    /// A world whose time begins now.
    pub(crate) fn new(server: Server, recorder: Recorder, injector: Injector) -> Self {
        let network = Network::new(server);
        let changed = watch::Sender::new(network.now());
        let recorder = Arc::new(Mutex::new(recorder));
        let (seen, told) = (Arc::clone(&recorder), changed.clone());
        network.with(|server, _| {
            lock(&recorder).begin(server.store());
            server.observe(Box::new(move |store: &Store, commit| {
                let Some(commit) = store.commits_after(commit.revision - 1).next() else { return };
                if lock(&seen).see(commit) {
                    told.send_replace(commit.time);
                }
            }));
        });
        Self(Arc::new(Shared {
            network,
            start: Instant::now(),
            processes: OnceLock::new(),
            recorder,
            injector: Mutex::new(injector),
            busy_until: Mutex::new(Timestamp::UNIX_EPOCH),
            changed,
        }))
    }

    /// Starts all processes, and the faults whose time comes by itself.
    pub(crate) fn start(&self, processes: Vec<Arc<Process>>) {
        for process in &processes {
            tokio::spawn(Arc::clone(process).run(self.clone()));
        }
        let named = processes.into_iter().map(|process| (Arc::clone(process.name()), process)).collect();
        let _ = self.0.processes.set(named);
    }

    /// Lets the faults of set times strike from now on.
    pub(crate) fn start_faults(&self) {
        for (milliseconds, process, strike) in self.injector().timed() {
            let (world, span) = (self.clone(), Duration::from_millis(milliseconds));
            let due = Instant::now() + span;
            self.be_busy_until(self.now() + span);
            tokio::spawn(async move {
                sleep_until(due).await;
                world.strike(&process, &strike, None);
            });
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.0.network
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.network.now()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.start.elapsed()
    }

    pub(crate) fn recorder(&self) -> MutexGuard<'_, Recorder> {
        lock(&self.0.recorder)
    }

    pub(crate) fn injector(&self) -> MutexGuard<'_, Injector> {
        lock(&self.0.injector)
    }

    /// When the last of the faults that take their time is over.
    pub(crate) fn busy_until(&self) -> Timestamp {
        *lock(&self.0.busy_until)
    }

    fn be_busy_until(&self, over: Timestamp) {
        let mut busy_until = lock(&self.0.busy_until);
        *busy_until = over.max(*busy_until);
    }

    /// Follows the time of the last change that counts.
    pub(crate) fn changed(&self) -> watch::Receiver<Timestamp> {
        self.0.changed.subscribe()
    }

    pub(crate) fn process(&self, name: &str) -> Option<&Arc<Process>> {
        self.0.processes.get()?.get(name)
    }

    pub(crate) fn log(&self, is_error: bool, text: impl Display) {
        self.recorder().log(self.now(), is_error, text.to_string());
    }

    /// Asks the server on the spot, as somebody who may do anything and stands beside it.
    pub(crate) fn ask(&self, request: &Request) -> Reply {
        self.network().with(|server, now| workload::ask(server, now, request))
    }

    /// Does to a process, or to the world, what needs no request at hand; `target` is the path of the object that is
    /// being written, if there is one. Returns false if the effect is none of these.
    pub(crate) fn strike(&self, process: &str, (index, effect): &Strike, target: Option<&str>) -> bool {
        let struck = self.process(process).is_some_and(|process| self.strike_process(process, effect))
            || self.strike_world(effect, target);
        if struck {
            self.recorder().struck(*index, self.now());
            self.log(false, format!("fault of {process}: {effect}"));
        }
        struck
    }

    fn strike_process(&self, process: &Arc<Process>, effect: &Effect) -> bool {
        let Some(life) = process.life() else { return false };
        let until = |seconds: u64| Instant::now() + Duration::from_secs(seconds);
        match effect {
            Effect::CrashBefore(outage) | Effect::CrashAfter(outage) => {
                life.kill(Duration::from_secs(outage.down_seconds));
            }
            Effect::Stop => life.stop(),
            Effect::Freeze(pause) => {
                let gate = Arc::clone(&life.gate);
                gate.shut();
                tokio::spawn(reopen(until(pause.seconds), move || gate.open()));
            }
            Effect::Partition(pause) => {
                process.network.shut();
                let process = Arc::clone(process);
                tokio::spawn(reopen(until(pause.seconds), move || process.network.open()));
            }
            Effect::ClockStep(step) => process.step_clock(jiff::SignedDuration::from_secs(step.seconds)),
            Effect::StaleView(pause) => {
                let stale = self.stale_view();
                process.set_view(stale);
                self.thaw_at(stale, until(pause.seconds));
            }
            Effect::TimeTravel(pause) => {
                let (stale, departs) = (self.stale_view(), until(pause.seconds));
                self.thaw_at(stale, departs + STALE_AFTER_TRAVEL);
                let process = Arc::clone(process);
                tokio::spawn(reopen(departs, move || {
                    process.set_view(stale);
                    if let Some(life) = process.life() {
                        life.kill(Duration::from_secs(1));
                    }
                }));
            }
            _ => return false,
        }
        true
    }

    /// A view of the store as it is now, which stands still.
    fn stale_view(&self) -> ViewId {
        self.network().with(|server, _| {
            let view = server.add_view();
            server.freeze(view);
            view
        })
    }

    fn thaw_at(&self, view: ViewId, due: Instant) {
        self.be_busy_until(self.now() + due.saturating_duration_since(Instant::now()));
        let network = self.network().clone();
        tokio::spawn(reopen(due, move || network.with(|server, now| server.thaw(view, now))));
    }

    fn strike_world(&self, effect: &Effect, target: Option<&str>) -> bool {
        match effect {
            Effect::FreezeView(pause) => {
                let view = ViewId::default();
                self.network().with(|server, _| server.freeze(view));
                self.thaw_at(view, Instant::now() + Duration::from_secs(pause.seconds));
            }
            Effect::LeaseSteal => user::change_leases(self, user::steal),
            Effect::LeaseEmpty => user::change_leases(self, user::empty),
            Effect::LeaseDelete => user::delete_leases(self),
            Effect::UserEdit(edit) => return target.is_some_and(|path| user::edit(self, path, &edit.merge)),
            Effect::UserDelete => return target.is_some_and(|path| user::delete(self, path)),
            Effect::UserRecreate => return target.is_some_and(|path| user::recreate(self, path)),
            _ => return false,
        }
        true
    }

    /// A pause of up to so many milliseconds, as the seed has it.
    pub(crate) async fn latency(&self, milliseconds_max: u64) {
        sleep(Duration::from_micros(rand::random_range(0..=milliseconds_max * 1000))).await;
    }
}

async fn reopen(due: Instant, open: impl FnOnce() + Send) {
    sleep_until(due).await;
    open();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
