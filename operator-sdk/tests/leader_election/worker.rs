//! Work that only one may do at a time: a number is raised, step by step.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::ConfigMap;
use operator_sdk::{
    Controller, Operator, Target,
    permission::{Permission, Verb},
    reconcile::{Context, Failure, Outcome, Reconciler},
};
use operator_testkit::simulation::{Limits, Manifest, Simulation};
use serde_json::json;

/// How far the number is raised.
pub(crate) const GOAL: u64 = 60;
/// Time between two steps.
pub(crate) const STEP: Duration = Duration::from_millis(1500);

/// When the last step was made, by the boot clock.
#[derive(Default)]
struct Worker(Mutex<Option<Duration>>);

impl Reconciler for Worker {
    type Object = ConfigMap;

    async fn reconcile(&self, context: &Context<ConfigMap>) -> Result<Outcome, Failure> {
        let map = context.object.as_ref();
        let number = number(map);
        if map.metadata.name.as_deref() != Some("work") || number >= GOAL {
            return Ok(Outcome::Done);
        }
        let now = context.clock.boot();
        let due = self.0.lock().unwrap_or_else(PoisonError::into_inner).map_or(now, |last| last + STEP);
        if now < due {
            return Ok(Outcome::RequeueAfter(due - now));
        }
        let patch = json!({"data": {"number": (number + 1).to_string()}});
        context.client.patch::<ConfigMap>(&Target::of(map)?, patch).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(Outcome::RequeueAfter(STEP))
    }

    fn permissions(&self) -> Vec<Permission> {
        vec![Permission::of::<ConfigMap>(Verb::Patch)]
    }
}

pub(crate) fn operator() -> Operator {
    let mut operator = Operator::builder("worker", "0");
    let maps = operator.watch::<ConfigMap>();
    operator.controller(Controller::new(Worker::default(), &maps));
    operator
}

/// A world with this work in it.
pub(crate) fn at(simulation: Simulation) -> Simulation {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "work"}, "data": {"number": "0"}});
    let quarter = Duration::from_secs(900);
    let limits = Limits { settles_within: quarter, stays_quiet_for: Duration::from_secs(60), ..Limits::default() };
    simulation.with(Manifest::from(map)).limits(limits)
}

pub(crate) fn number(map: &ConfigMap) -> u64 {
    map.data.as_ref().and_then(|data| data.get("number")?.parse().ok()).unwrap_or(0)
}
