//! The ReplicaSet controller: as many pods of one template as are asked for.

mod act;
mod build;
mod core;
mod observe;
mod observed;
mod plan;
mod status;

use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use operator_sdk::{
    Result, Watch,
    plan::{Declared, Plan, Planner, Results},
    reconcile::Context,
};

pub use self::{observed::Observed, plan::Step};
pub(crate) use self::{observed::has_ended, status::REPLICA_FAILURE};
use crate::api::{Api, Form};

/// Reconciles ReplicaSets of either form.
#[derive(Debug)]
pub struct ReplicaSetPlanner<A: Api> {
    replica_sets: Watch<A::ReplicaSet>,
    pods: Watch<Pod>,
}

impl<A: Api> ReplicaSetPlanner<A> {
    /// A planner that reads from these caches.
    pub fn new(replica_sets: Watch<A::ReplicaSet>, pods: Watch<Pod>) -> Self {
        Self { replica_sets, pods }
    }
}

impl<A: Api> Planner for ReplicaSetPlanner<A> {
    type Object = A::ReplicaSet;
    type Observed = Observed;
    type Step = Step;
    type Output = ();
    type Status = <A::ReplicaSet as Form<ReplicaSet>>::Status;

    async fn observe(&self, context: &Context<A::ReplicaSet>) -> Result<Observed> {
        observe::observe::<A>(context, &self.replica_sets, &self.pods)
    }

    fn plan(&self, observed: &Observed) -> Plan<Step> {
        core::plan(observed)
    }

    async fn act(&self, context: &Context<A::ReplicaSet>, step: &Step) -> Result<()> {
        act::act::<A>(context, step).await
    }

    fn permissions(&self) -> Declared {
        plan::permissions::<A>()
    }

    fn status(&self, observed: &Observed, plan: &Plan<Step>, results: &Results<Step, ()>) -> Self::Status {
        A::ReplicaSet::report(&observed.spec.selector, status::status(observed, plan, results))
    }
}
