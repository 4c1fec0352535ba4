//! The rule of client-go's leader election, from its documented behaviour, in the place of ours.
//!
//! A lease counts from when the *answer* to its renewal came; a leader renews every RetryPeriod and gives up when it has
//! tried for RenewDeadline in vain; what it does meanwhile is not fenced. Standbys ask every RetryPeriod.

#![allow(clippy::disallowed_methods, reason = "it shows what comes of writes that are not fenced")]

use std::time::Duration;

use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::ConfigMap,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use operator_testkit::{
    request::User,
    simulation::{Environment, Simulation},
};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::worker::{self, GOAL, STEP};

const LEASE_DURATION: Duration = Duration::from_secs(15);
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// So many replicas of the same work under that rule.
pub(crate) fn replicas(count: u32) -> Simulation {
    (0..count).fold(Simulation::new(), |simulation, number| {
        simulation.process(&format!("worker-{number}"), User::administrator(), replica)
    })
}

async fn replica(environment: Environment) -> Result<(), String> {
    let identity = format!("{}_{}", environment.name(), environment.restarts());
    let leases = Api::<Lease>::namespaced(environment.client(), "default");
    let mut candidate = Candidate { environment: environment.clone(), leases, identity, seen: None };
    while !candidate.try_acquire_or_renew().await {
        sleep(RETRY_PERIOD.mul_f64(1.0 + 1.2 * rand::random::<f64>())).await;
    }
    tokio::select! {
        biased;
        () = work(&environment) => Err("the work ended".to_owned()),
        () = candidate.renew() => Err("leader election lost".to_owned()),
    }
}

/// What a leader does until it is told that it leads no more.
async fn work(environment: &Environment) {
    let maps = Api::<ConfigMap>::namespaced(environment.client(), "default");
    loop {
        sleep(STEP).await;
        let Ok(map) = maps.get("work").await else { continue };
        let number = worker::number(&map);
        if number < GOAL {
            let metadata = json!({"resourceVersion": map.metadata.resource_version});
            let patch = json!({"metadata": metadata, "data": {"number": (number + 1).to_string()}});
            // A conflict is found out in the next round.
            let _ = maps.patch("work", &PatchParams::default(), &Patch::Merge(patch)).await;
        }
    }
}

struct Candidate {
    environment: Environment,
    leases: Api<Lease>,
    identity: String,
    /// The Lease as last seen, and when that was learnt.
    seen: Option<(LeaseSpec, Duration)>,
}

impl Candidate {
    /// Renews until it has tried for too long.
    async fn renew(&mut self) {
        loop {
            sleep(RETRY_PERIOD).await;
            let renewed = timeout(RENEW_DEADLINE, async {
                while !self.try_acquire_or_renew().await {
                    sleep(RETRY_PERIOD).await;
                }
            });
            if renewed.await.is_err() {
                return;
            }
        }
    }

    async fn try_acquire_or_renew(&mut self) -> bool {
        let wall = MicroTime(self.environment.wall());
        let wanted = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(15),
            acquire_time: Some(wall.clone()),
            renew_time: Some(wall),
            ..LeaseSpec::default()
        };
        let held = match self.leases.get_opt("worker").await {
            Ok(held) => held,
            Err(_) => return false,
        };
        let parameters = PostParams::default();
        let written = match held {
            None => {
                let mut lease = Lease { spec: Some(wanted), ..Lease::default() };
                lease.metadata.name = Some("worker".to_owned());
                self.leases.create(&parameters, &lease).await
            }
            Some(mut lease) => {
                let spec = lease.spec.clone().unwrap_or_default();
                if self.seen.as_ref().is_none_or(|(seen, _)| *seen != spec) {
                    self.seen = Some((spec.clone(), self.environment.elapsed()));
                }
                let holder = spec.holder_identity.unwrap_or_default();
                let learnt = self.seen.as_ref().map_or(Duration::ZERO, |(_, learnt)| *learnt);
                if !holder.is_empty() && holder != self.identity && learnt + LEASE_DURATION > self.environment.elapsed()
                {
                    return false;
                }
                lease.spec = Some(wanted);
                self.leases.replace("worker", &parameters, &lease).await
            }
        };
        match written {
            Ok(lease) => {
                self.seen = Some((lease.spec.unwrap_or_default(), self.environment.elapsed()));
                true
            }
            Err(_) => false,
        }
    }
}
