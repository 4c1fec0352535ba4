//! Two replicas, one of which leads; one that has slept through the end of its lease goes on where it was.
//!
//! So did all that ask "am I the leader?" once for each reconcile: client-go says itself that its election does not fence.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::{
    coordination::v1::{Lease, LeaseSpec},
    core::v1::ConfigMap,
};
use kube::{
    Api,
    api::{ListParams, ObjectMeta, PostParams},
};
use operator_testkit::{
    actor::GarbageCollector,
    request::User,
    simulation::{Environment, Limits, Simulation},
};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::{
    controller::{Cache, Controller, Outcome},
    judge::{Twin, assert_caught, assert_passes, empty_world},
    model::{Database, database, is_of},
};

/// Who has not renewed the Lease for so long has lost it.
const LEASE: Duration = Duration::from_secs(9);
const RENEWED_EVERY: Duration = Duration::from_secs(3);
/// An election costs requests for as long as it goes on: longer than anything that a replica does by itself.
const SHORT: Duration = Duration::from_secs(20);
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(300);
/// So long may a request take.
const PATIENCE: Duration = Duration::from_secs(4);

struct Replica {
    twin: Twin,
    environment: Environment,
    databases: Cache<Database>,
    members: Api<ConfigMap>,
    leases: Api<Lease>,
    /// Until when it leads, by the clock that no one sets.
    leads_until: Mutex<Duration>,
}

impl Replica {
    /// Renews the Lease, or takes it if it has not been renewed for its time.
    async fn elect(&self) {
        let mut seen = ("nothing yet".to_owned(), Duration::ZERO);
        loop {
            let sent = self.environment.elapsed();
            match timeout(PATIENCE, self.campaign(&mut seen)).await {
                Ok(Ok(true)) => *self.leads_until.lock().unwrap() = sent + LEASE,
                Ok(Ok(false)) => *self.leads_until.lock().unwrap() = Duration::ZERO,
                // It leads for as long as it may yet.
                failed => tracing::warn!(?failed, "failed to renew"),
            }
            sleep(RENEWED_EVERY).await;
        }
    }

    /// `seen` is the version of the Lease that was seen last, and when it was new.
    async fn campaign(&self, seen: &mut (String, Duration)) -> kube::Result<bool> {
        let me = Some(self.environment.name().to_owned());
        let lease = self.leases.get_opt("databases").await?;
        let version = lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone()).unwrap_or_default();
        if seen.0 != version {
            *seen = (version, self.environment.elapsed());
        }
        let may_have_a_holder = self.environment.elapsed() < seen.1 + LEASE;
        let Some(mut lease) = lease else {
            // Somebody may have led by one that was deleted.
            if may_have_a_holder {
                return Ok(false);
            }
            let metadata = ObjectMeta { name: Some("databases".to_owned()), ..ObjectMeta::default() };
            let spec = Some(LeaseSpec { holder_identity: me, ..LeaseSpec::default() });
            self.leases.create(&PostParams::default(), &Lease { metadata, spec }).await?;
            // It leads by a Lease that it finds again: this one may be gone before anybody has seen it.
            return Ok(false);
        };
        let spec = lease.spec.get_or_insert_default();
        let is_mine = spec.holder_identity == me;
        if !is_mine && may_have_a_holder {
            return Ok(false);
        }
        spec.holder_identity = me;
        // Each renewal is to be seen.
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
        match self.leases.replace("databases", &PostParams::default(), &lease).await {
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(false),
            replaced => replaced.map(|_| true),
        }
    }

    fn leads_for(&self, span: Duration) -> bool {
        self.environment.elapsed() + span < *self.leads_until.lock().unwrap()
    }

    async fn reconcile(self: Arc<Self>, name: String) -> Outcome {
        if !self.leads_for(Duration::ZERO) {
            return Ok(Some(RENEWED_EVERY));
        }
        let Some(database) = self.databases.get(&name) else { return Ok(None) };
        let members = timed(self.members.list(&ListParams::default())).await?.items;
        let count = members.iter().filter(|member| is_of(&member.metadata, &database)).count();
        for _ in count..database.spec.members {
            // What is sent now has come to the server or to nothing before anybody else can lead.
            if self.twin == Twin::Correct && !self.leads_for(PATIENCE) {
                return Ok(Some(RENEWED_EVERY));
            }
            let member = ConfigMap { metadata: database.child_of_any_name(), ..ConfigMap::default() };
            timed(self.members.create(&PostParams::default(), &member)).await?;
        }
        Ok(None)
    }
}

async fn timed<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    timeout(PATIENCE, request).await.unwrap_or_else(|elapsed| Err(kube::Error::Service(elapsed.into())))
}

async fn run(environment: Environment, twin: Twin) -> Result<(), String> {
    let mut controller = Controller::new(&environment);
    // Each request has a limit of its own. One for all would end what a frozen replica was about when it wakes.
    controller.patience = Duration::MAX;
    let members = Api::default_namespaced(controller.client.clone());
    let leases = Api::default_namespaced(controller.client.clone());
    let databases = controller.namespaced();
    let _held: Cache<ConfigMap> = controller.namespaced();
    let this = Arc::new(Replica { twin, environment, databases, members, leases, leads_until: Mutex::default() });
    let reconciling = {
        let this = Arc::clone(&this);
        controller.reconcile(move |name| Arc::clone(&this).reconcile(name))
    };
    let (ended, ()) = futures::join!(reconciling, this.elect());
    ended
}

fn simulation(twin: Twin) -> Simulation {
    let replica = move |environment| run(environment, twin);
    let limits = Limits { settles_after: SHORT, settles_within: LONG, stays_quiet_for: SHORT };
    empty_world()
        .limits(limits)
        .process("replica-0", User::administrator(), replica)
        .process("replica-1", User::administrator(), replica)
        .actor(GarbageCollector::default())
        .with(database(json!({"members": 2})))
}

#[test]
fn who_writes_after_another_has_taken_over_is_caught() {
    let more = ["configmaps/default/a-* was created", "2 times if nothing goes wrong"];
    assert_caught(&simulation(Twin::Broken), "O3 summary", &more, "freeze");
}

#[test]
fn who_looks_at_its_lease_before_each_write_passes() {
    assert_passes(&simulation(Twin::Correct));
}
