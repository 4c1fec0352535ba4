//! The life of the process: HTTP, permissions, caches, election, workers; and the same backwards.

use std::{sync::Arc, time::Duration};

use futures::future::{join_all, pending};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Operator,
    command::RunOptions,
    host::{Candidacy, Host},
    metrics::Metrics,
    preflight::{self, Need, PreflightError},
};
use crate::{
    admin::{self, Admin, Check},
    cache::{AnyWatch, WentBack},
    client::{ConnectError, Connector, Fence, Writes},
    clock::Clock,
    controller::Environment,
    event::{self, Recorder, Reporter},
    leader::{Election, Heartbeat, Options, Phase, Place, TimingError},
    manifest::lease_permissions,
    permission::{Permission, Verb},
    task::of_process,
};

/// A runtime without a sign of life for so long is not alive.
const HUNG_AFTER: Duration = Duration::from_secs(30);
/// A watch that has failed for so long shows a world that may have moved on.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// How long events that wait may still be sent when the process is asked to stop.
const TELLING_LIMIT: Duration = Duration::from_millis(500);

/// Why the process ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Times that do not fit.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The address of probes and metrics is taken.
    #[error(transparent)]
    Listen(#[from] admin::ListenError),
    /// The server cannot be asked, or does not allow what the operator declares.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The machine refuses what a process needs.
    #[error("failed to start: {0}")]
    Start(#[from] std::io::Error),
    /// The cluster was put back.
    #[error(transparent)]
    WentBack(#[from] WentBack),
    /// A bug in a watch.
    #[error("a watch ended: {0}")]
    Watch(#[from] JoinError),
    /// Another process leads, or may do so soon.
    #[error("lost the leadership; another replica goes on, and this one has to be started again")]
    LostLeadership,
}

/// Runs on this machine as the command line says, until SIGTERM or SIGINT.
pub(super) async fn run(operator: Operator, options: RunOptions) -> Result<(), ProcessError> {
    // One provider for the whole process (H16); only a second call fails, which changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let timing = options.timing().check()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let candidacy = Candidacy { namespace: options.leader_election_namespace, timing, place: Place::Thread };
    let host = Host {
        listener: Some(admin::listen(options.admin_address).await?),
        connector: Connector::new(options.kubeconfig),
        clock: Clock::system(),
        pod_name: options.pod_name,
        candidacy: options.leader_elect.then_some(candidacy),
        stop: Box::pin(async move {
            tokio::select! {
                biased;
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        }),
    };
    run_on(operator, host).await
}

/// Runs until the host says stop (then `Ok`), or until the leadership is lost. Dropped, it leaves nothing behind.
pub(super) async fn run_on(operator: Operator, host: Host) -> Result<(), ProcessError> {
    let Host { connector, clock, pod_name, candidacy, listener, stop } = host;
    let client = connector.connect().await?;
    let metrics = Arc::new(Metrics::new(clock.wall().as_millisecond() as f64 / 1000.0));
    operator.controllers.iter().for_each(|controller| metrics.controllers.announce(&controller.name()));
    let heartbeat = Heartbeat::new(clock.clone());
    let mut background = JoinSet::new();
    if candidacy.is_some() || listener.is_some() {
        background.spawn(of_process(heartbeat.clone().run()));
    }
    if let Some(listener) = listener {
        let admin = probes(&operator, &heartbeat, &metrics);
        background.spawn(of_process(async move {
            if let Err(error) = admin::serve(listener, admin).await {
                warn!(%error, "the admin server ended");
            }
        }));
    }

    preflight::check(&client, needs(&operator, candidacy.as_ref())).await?;
    let mut watches: JoinSet<WentBack> =
        operator.watches.iter().map(|watch| of_process(Arc::clone(watch).run(client.clone()))).collect();

    let fence = if candidacy.is_some() { Fence::closed(clock.clone()) } else { Fence::open(clock.clone()) };
    let reporter = Reporter { controller: format!("operator-lite.dev/{}", operator.name), instance: pod_name.clone() };
    let (events, telling) = Recorder::new(client.clone(), fence.clone(), clock.clone(), reporter);
    let environment = Environment {
        events,
        writes: Writes::new(client, Arc::new(operator.permissions().into_iter().collect()), fence.clone())
            .named(operator.name),
        clock: clock.clone(),
        metrics: metrics.controllers.clone(),
        cancellation: CancellationToken::new(),
    };
    let cancellation = environment.cancellation.clone();
    let election = candidacy.map(|Candidacy { namespace, timing, place }| Options {
        namespace,
        name: operator.name.to_owned(),
        identity: format!("{pod_name}_{:016x}", rand::random::<u64>()),
        timing,
        connector,
        place,
    });
    let telling = JoinSet::from_iter([of_process(telling)]);
    let work = Work { operator, environment, telling, election, fence, heartbeat, metrics };
    let work = work.run();
    tokio::pin!(work);
    tokio::select! {
        biased;
        ended = &mut work => return ended,
        // Whatever was decided on these caches is in doubt: nothing is drained, the process begins anew.
        Some(ended) = watches.join_next() => return Err(ended?.into()),
        reason = stop => info!(reason, "stopping"),
    }
    cancellation.cancel();
    work.await
}

/// What the process is there for, and what it stands on.
struct Work {
    operator: Operator,
    environment: Environment,
    /// Sends the events; ends when all of them are sent and nobody can record more.
    telling: JoinSet<()>,
    /// `None`: this process shares its work with nobody.
    election: Option<Options>,
    fence: Fence,
    heartbeat: Heartbeat,
    metrics: Arc<Metrics>,
}

impl Work {
    /// Waits for caches and for the leadership, works, and gives the leadership back.
    async fn run(self) -> Result<(), ProcessError> {
        let Self { operator, environment, telling, election, fence, heartbeat, metrics } = self;
        let cancellation = environment.cancellation.clone();
        let watches = operator.watches.clone();
        // A standby has its caches full before it stands for election.
        tokio::select! {
            biased;
            () = all(&watches, |watch| watch.is_synced()) => info!("caches are full"),
            () = cancellation.cancelled() => return Ok(()),
        }
        let run_controllers = |environment: Environment| {
            join_all(operator.controllers.into_iter().map(move |controller| controller.run(environment.clone())))
        };
        let Some(options) = election else {
            run_controllers(environment).await;
            finish_telling(telling).await;
            return Ok(());
        };
        let lease = options.name.clone();
        metrics.set_leader(&lease, false);
        let election = Election::start(options, environment.clock.clone(), fence, heartbeat)?;
        let phase = election.phase();
        tokio::select! {
            biased;
            () = reached(phase.clone(), Phase::Leading) => {}
            () = reached(phase.clone(), Phase::Lost) => return Err(ProcessError::LostLeadership),
            () = cancellation.cancelled() => {
                election.release().await;
                return Ok(());
            }
        }
        let guarded = async {
            // The former leader's last writes must be visible before anything is decided on them.
            let lists: Vec<_> = watches.iter().map(|watch| (Arc::clone(watch), watch.relist())).collect();
            tokio::select! {
                biased;
                () = all_relisted(&lists) => {}
                () = cancellation.cancelled() => return,
            }
            metrics.set_leader(&lease, true);
            info!("workers start");
            run_controllers(environment).await;
        };
        tokio::select! {
            biased;
            // Dropping the work aborts what is under way; the fence is closed already.
            () = reached(phase, Phase::Lost) => return Err(ProcessError::LostLeadership),
            () = guarded => {}
        }
        metrics.set_leader(&lease, false);
        finish_telling(telling).await;
        election.release().await;
        Ok(())
    }
}

/// Lets the last events go out. The next leader waits for us: what is not told in time is not worth it, and nothing of it
/// may be under way later.
async fn finish_telling(mut telling: JoinSet<()>) {
    let _ = tokio::time::timeout(TELLING_LIMIT, telling.join_next()).await;
}

/// Completes once the election has come to `wanted`, or to an end that cannot lead there.
async fn reached(mut phase: watch::Receiver<Phase>, wanted: Phase) {
    if phase.wait_for(|phase| *phase == wanted).await.is_err() && wanted != Phase::Lost {
        pending::<()>().await;
    }
}

/// Completes once `question` is true of all watches.
async fn all(watches: &[Arc<dyn AnyWatch>], question: impl Fn(&dyn AnyWatch) -> bool) {
    for watch in watches {
        let mut progress = watch.progress();
        while !question(watch.as_ref()) {
            if progress.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Completes once every watch has stored the list that was asked of it.
async fn all_relisted(lists: &[(Arc<dyn AnyWatch>, u64)]) {
    for (watch, number) in lists {
        all(std::slice::from_ref(watch), |watch| watch.relisted(*number)).await;
    }
}

fn probes(operator: &Operator, heartbeat: &Heartbeat, metrics: &Arc<Metrics>) -> Admin {
    let beat = heartbeat.clone();
    let is_alive = move || match beat.age() {
        age if age < HUNG_AFTER => Ok(()),
        age => Err(format!("no sign of life for {} s", age.as_secs())),
    };
    let synced = |watch: &Arc<dyn AnyWatch>| {
        let watch = Arc::clone(watch);
        Check::new(format!("watch {}", watch.resource()), move || {
            let trouble = watch.health().trouble.filter(|trouble| trouble.lasts >= STALE_AFTER || !watch.is_synced());
            match trouble {
                Some(trouble) => Err(format!("failing for {} s: {}", trouble.lasts.as_secs(), trouble.error)),
                None => watch.is_synced().then_some(()).ok_or_else(|| "not listed yet".to_owned()),
            }
        })
    };
    let (metrics, watches) = (Arc::clone(metrics), operator.watches.clone());
    Admin {
        live: vec![Check::new("runtime", is_alive)],
        ready: operator.watches.iter().map(synced).collect(),
        metrics: Box::new(move || metrics.text(&watches)),
    }
}

fn needs(operator: &Operator, candidacy: Option<&Candidacy>) -> Vec<Need> {
    let everywhere = |permission| Need { permission, namespace: None, name: None };
    // Events are no reason not to work.
    let is_needed = |permission: &Permission| !event::permissions().contains(permission);
    let mut needs: Vec<Need> = operator.permissions().into_iter().filter(is_needed).map(everywhere).collect();
    if let Some(candidacy) = candidacy {
        needs.extend(lease_permissions().map(|permission| Need {
            name: (permission.verb != Verb::Create).then(|| operator.name.to_owned()),
            namespace: Some(candidacy.namespace.clone()),
            permission,
        }));
    }
    needs
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: RunOptions,
    }

    #[tokio::test]
    async fn a_process_may_run_operators_twice_and_has_one_crypto_provider() {
        let arguments = ["test", "--kubeconfig", "/nonexistent", "--admin-address", "127.0.0.1:0"];
        for _ in 0..2 {
            let options = Line::try_parse_from(arguments).unwrap().options;
            let ended = run(Operator::builder("test", "0"), options).await;
            assert!(matches!(ended, Err(ProcessError::Connect(_))), "{ended:?}");
            assert!(rustls::crypto::CryptoProvider::get_default().is_some());
        }
    }
}
