//! The LiteDeployment controller: one LiteReplicaSet for each template, sized so that a change of template is a rolling
//! update.

mod act;
mod build;
mod core;
mod observe;
mod observed;
mod plan;
mod status;

use operator_sdk::{
    Result, Watch,
    plan::{Plan, Planner, Results},
    reconcile::Context,
};

pub use self::{observed::Observed, plan::Step};
use crate::api::{LiteDeployment, LiteDeploymentStatus, LiteReplicaSet};

/// Reconciles LiteDeployments.
#[derive(Debug)]
pub struct DeploymentPlanner {
    replica_sets: Watch<LiteReplicaSet>,
}

impl DeploymentPlanner {
    /// A planner that reads LiteReplicaSets from this cache.
    pub fn new(replica_sets: Watch<LiteReplicaSet>) -> Self {
        Self { replica_sets }
    }
}

impl Planner for DeploymentPlanner {
    type Object = LiteDeployment;
    type Observed = Observed;
    type Step = Step;
    type Output = ();
    type Status = LiteDeploymentStatus;

    async fn observe(&self, context: &Context<LiteDeployment>) -> Result<Observed> {
        observe::observe(context, &self.replica_sets)
    }

    fn plan(&self, observed: &Observed) -> Plan<Step> {
        core::plan(observed)
    }

    async fn act(&self, context: &Context<LiteDeployment>, step: &Step) -> Result<()> {
        act::act(context, step).await
    }

    fn status(&self, observed: &Observed, _: &Plan<Step>, results: &Results<Step, ()>) -> LiteDeploymentStatus {
        status::status(observed, results)
    }
}
