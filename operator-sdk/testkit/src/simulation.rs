//! A whole world in one thread: a server, processes, actors and people, under virtual time, decided by a seed.
//!
//! Every run has a thread and a runtime of its own. Its clock stands still while anybody has something to do, and jumps to
//! the next time at which somebody has; so hours pass in milliseconds, and what happens follows from the seed: the order of
//! tasks, of hash maps, the time that each message takes.
//!
//! What a seed does not decide: the branch that `tokio::select!` looks at first, unless it is `biased` or the program is
//! built with `--cfg tokio_unstable`; and what a process shares between threads, such as the keys of `ahash`.

mod latch;
mod logs;
#[cfg(feature = "sdk")]
mod operator;
pub(crate) mod place;
mod process;
mod quiet;
mod recorder;
mod run;
mod tap;
#[cfg(test)]
mod tests;
mod user;
mod watched;
mod wire;
mod workload;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;

use self::process::Definition;
pub(crate) use self::user::{MARK, own_mark};
pub use self::{
    process::Environment,
    wire::Wire,
    workload::{Act, Manifest, Step, act, apply, delete},
};
use crate::{
    actor::Actor,
    fault::Plan,
    oracle::{Judge, reference::Reference},
    record::Record,
    request::User,
    server::Server,
    service::START,
};

/// A world, ready to be run as often as one likes.
#[derive(Clone)]
pub struct Simulation {
    installed: Manifest,
    processes: Vec<Definition>,
    workload: Vec<Step>,
    judges: Vec<NewJudge>,
    limits: Limits,
    /// A server with what is installed, made once for all runs; and what it refused.
    template: Arc<OnceLock<(Mutex<Server>, Option<String>)>>,
    /// What users were given, to be compared with what they need.
    declared: BTreeMap<String, BTreeSet<Right>>,
}

/// Verb, group and resource.
pub(crate) type Right = (String, String, String);

/// A server with what is installed, and what of it was refused.
type Installed = (Server, Option<String>);

type NewJudge = Arc<dyn Fn() -> Box<dyn Judge> + Send + Sync>;

/// How long a run takes, in its own time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// After so long without a change everything counts as settled. Default 2 minutes.
    pub settles_after: Duration,
    /// Within so long after the last fault, or the last thing that people did, everything has to settle. Default 1 hour.
    pub settles_within: Duration,
    /// For so long, at the end, nothing may change. Default 1 hour.
    pub stays_quiet_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self { settles_after: Duration::from_secs(120), settles_within: hour, stays_quiet_for: hour }
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.processes.iter().map(|process| &*process.name).collect();
        formatter.debug_struct("Simulation").field("processes", &names).field("workload", &self.workload).finish()
    }
}

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulation {
    /// A server with nobody there.
    pub fn new() -> Self {
        Self {
            installed: Manifest::default(),
            processes: Vec::new(),
            workload: Vec::new(),
            judges: Vec::new(),
            limits: Limits::default(),
            template: Arc::default(),
            declared: BTreeMap::new(),
        }
    }

    /// What is there before anything else: definitions, roles, nodes.
    #[must_use]
    pub fn installed(mut self, manifest: Manifest) -> Self {
        self.installed = self.installed.objects().iter().chain(manifest.objects()).cloned().collect();
        self.template = Arc::default();
        self
    }

    /// One more process, under this name and with the rights of this user. It is to run until it is stopped
    /// ([`Environment::stopped`]): one that ends of itself is started again, and where nothing went wrong it is found broken.
    #[must_use]
    pub fn process<F>(self, name: &str, user: User, body: impl Fn(Environment) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.boxed_process(name, user, move |environment| -> BoxFuture<'static, _> { Box::pin(body(environment)) })
    }

    /// One more actor. It may do anything.
    #[must_use]
    pub fn actor(self, actor: impl Actor) -> Self {
        let actor = Arc::new(actor);
        let name = actor.name().to_owned();
        let mut simulation = self.boxed_process(&name, User::administrator(), move |environment| {
            let acting = actor.run(environment);
            Box::pin(async move {
                acting.await;
                // One that has done what it wanted stays away.
                futures::future::pending().await
            })
        });
        if let Some(process) = simulation.processes.last_mut() {
            process.is_actor = true;
        }
        simulation
    }

    /// What people ask for first.
    #[must_use]
    pub fn with(self, manifest: Manifest) -> Self {
        self.then(apply(manifest))
    }

    /// What people do next, once all has settled.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.workload.push(step);
        self
    }

    /// Has every commit judged by somebody, who is made anew for each run.
    #[must_use]
    pub fn judged_by<J: Judge + 'static>(mut self, judge: impl Fn() -> J + Send + Sync + 'static) -> Self {
        self.judges.push(Arc::new(move || Box::new(judge())));
        self
    }

    /// Other times than by default.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Runs once, with nothing going wrong.
    pub fn run(&self, seed: u64) -> Record {
        self.run_with(seed, &Plan::default())
    }

    /// Runs once, with this going wrong.
    pub fn run_with(&self, seed: u64, plan: &Plan) -> Record {
        self.run_once(seed, plan, None)
    }

    pub(crate) fn run_once(&self, seed: u64, plan: &Plan, reference: Option<&Reference>) -> Record {
        run::run(self, seed, plan, reference)
    }

    /// The same, but that only a long silence counts as settled: for runs of which nobody knows what they come to.
    pub(crate) fn patient(&self) -> Self {
        self.clone().limits(Limits { settles_after: self.limits.settles_within / 2, ..self.limits })
    }

    /// A server of this seed with what is installed.
    fn server(&self, seed: u64) -> Installed {
        let (server, refused) = self.template.get_or_init(|| {
            let mut server = Server::new(0);
            let refused = workload::install(&mut server, START, &self.installed).err();
            (Mutex::new(server), refused)
        });
        (server.lock().unwrap_or_else(PoisonError::into_inner).fork(seed), refused.clone())
    }

    fn actors(&self) -> impl Iterator<Item = &str> {
        self.processes.iter().filter(|process| process.is_actor).map(|process| &*process.name)
    }

    /// Rights that users were given and did not use in any of these runs.
    pub(crate) fn unused_rights(&self, used: &BTreeMap<String, BTreeSet<Right>>) -> BTreeSet<Right> {
        let unused = self.declared.iter().map(|(user, declared)| match used.get(user) {
            Some(used) => declared - used,
            None => declared.clone(),
        });
        unused.flatten().collect()
    }

    /// The processes that are on trial, actors aside.
    pub(crate) fn process_names(&self) -> impl Iterator<Item = &str> {
        self.processes.iter().filter(|process| !process.is_actor).map(|process| &*process.name)
    }

    fn boxed_process(
        mut self,
        name: &str,
        user: User,
        body: impl Fn(Environment) -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) -> Self {
        self.processes.push(Definition { name: name.into(), user, is_actor: false, body: Arc::new(body) });
        self
    }
}
