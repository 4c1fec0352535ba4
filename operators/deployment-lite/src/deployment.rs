//! The Deployment controller: one ReplicaSet for each template, sized so that a change of template is a rolling update.

mod act;
mod build;
mod core;
mod observe;
mod observed;
mod plan;
mod status;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use operator_sdk::{
    Result, Watch,
    plan::{Declared, Plan, Planner, Results},
    reconcile::Context,
};

pub(crate) use self::observe::waits_for;
pub use self::{
    observed::{Observed, Set},
    plan::Step,
};
use crate::api::{Api, Form};

/// Reconciles Deployments of either form.
#[derive(Debug)]
pub struct DeploymentPlanner<A: Api> {
    replica_sets: Watch<A::ReplicaSet>,
    pods: Watch<Pod>,
}

impl<A: Api> DeploymentPlanner<A> {
    /// A planner that reads from these caches.
    pub fn new(replica_sets: Watch<A::ReplicaSet>, pods: Watch<Pod>) -> Self {
        Self { replica_sets, pods }
    }
}

impl<A: Api> Planner for DeploymentPlanner<A> {
    type Object = A::Deployment;
    type Observed = Observed;
    type Step = Step;
    type Output = ();
    type Status = <A::Deployment as Form<Deployment>>::Status;

    async fn observe(&self, context: &Context<A::Deployment>) -> Result<Observed> {
        observe::observe::<A>(context, &self.replica_sets, &self.pods)
    }

    fn plan(&self, observed: &Observed) -> Plan<Step> {
        core::plan(observed)
    }

    async fn act(&self, context: &Context<A::Deployment>, step: &Step) -> Result<()> {
        act::act::<A>(context, step).await
    }

    fn permissions(&self) -> Declared {
        plan::permissions::<A>()
    }

    fn status(&self, observed: &Observed, plan: &Plan<Step>, results: &Results<Step, ()>) -> Self::Status {
        A::Deployment::report(&observed.spec.selector, status::status(observed, plan, results))
    }
}
