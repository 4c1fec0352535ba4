//! The LiteReplicaSet controller: as many pods of one template as are asked for.

mod act;
mod build;
mod core;
mod observe;
mod observed;
mod plan;
mod status;

use k8s_openapi::api::core::v1::Pod;
use operator_sdk::{
    Result, Watch,
    plan::{Plan, Planner, Results},
    reconcile::Context,
};

pub use self::{observed::Observed, plan::Step};
use crate::api::{LiteReplicaSet, LiteReplicaSetStatus};

/// Reconciles LiteReplicaSets.
#[derive(Debug)]
pub struct ReplicaSetPlanner {
    pods: Watch<Pod>,
}

impl ReplicaSetPlanner {
    /// A planner that reads pods from this cache.
    pub fn new(pods: Watch<Pod>) -> Self {
        Self { pods }
    }
}

impl Planner for ReplicaSetPlanner {
    type Object = LiteReplicaSet;
    type Observed = Observed;
    type Step = Step;
    type Output = ();
    type Status = LiteReplicaSetStatus;

    async fn observe(&self, context: &Context<LiteReplicaSet>) -> Result<Observed> {
        observe::observe(context, &self.pods)
    }

    fn plan(&self, observed: &Observed) -> Plan<Step> {
        core::plan(observed)
    }

    async fn act(&self, context: &Context<LiteReplicaSet>, step: &Step) -> Result<()> {
        act::act(context, step).await
    }

    fn status(&self, observed: &Observed, _: &Plan<Step>, _: &Results<Step, ()>) -> LiteReplicaSetStatus {
        status::status(observed)
    }
}
