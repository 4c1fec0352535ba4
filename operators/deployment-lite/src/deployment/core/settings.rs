//! What the present ReplicaSet takes over from its Deployment without another one being made (D25).

use operator_sdk::{Target, plan::Plan};

use super::version;
use crate::deployment::{Observed, Step};

/// Adds a step if the present ReplicaSet has another `minReadySeconds` than is asked for.
pub(super) fn plan(observed: &Observed, plan: &mut Plan<Step>) {
    let wanted = observed.spec.min_ready_seconds.unwrap_or(0);
    let Some(set) = version::current(observed) else { return };
    if set.spec.min_ready_seconds.unwrap_or(0) == wanted {
        return;
    }
    if let Ok(target) = Target::of_metadata(&set.metadata) {
        plan.step(Step::SetMinReadySeconds { target, to: wanted }, "minReadySeconds has changed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::core::fixture::{deployment, observed, ready_set, replica_set};

    #[test]
    fn only_the_present_set_follows_and_only_if_it_differs() {
        let mut deployment = deployment(3, "1", "0");
        deployment.spec.min_ready_seconds = Some(5);
        let old = replica_set(&deployment, "old", "other:1", 1, 1);
        let mut new = ready_set(&deployment, "new", 3);
        let steps = |new: &k8s_openapi::api::apps::v1::ReplicaSet| {
            let mut plan_of = Plan::default();
            plan(&observed(&deployment, vec![old.clone(), new.clone()]), &mut plan_of);
            plan_of.steps().map(|planned| planned.step.clone()).collect::<Vec<_>>()
        };
        let [Step::SetMinReadySeconds { target, to: 5 }] = &steps(&new)[..] else { panic!("{:?}", steps(&new)) };
        assert_eq!(target.key.name, "new");
        new.spec.min_ready_seconds = Some(5);
        assert!(steps(&new).is_empty());
    }
}
