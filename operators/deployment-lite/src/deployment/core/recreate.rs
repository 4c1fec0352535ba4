//! The strategy `Recreate`: all former pods go before the first of the present template comes (D37–D39).

use operator_sdk::plan::Plan;

use super::{rolling, size, version};
use crate::deployment::{Observed, Set, Step};

/// Adds the next step; nothing if all is as it should be.
pub(super) fn plan(observed: &Observed, plan: &mut Plan<Step>) {
    let former: Vec<&Set> = version::former(observed).collect();
    for set in former.iter().filter(|set| set.size() > 0) {
        size::change(observed, set, 0, "all former pods go first", plan);
    }
    if let Some(set) = former.iter().find(|set| set.has_pods()) {
        return plan.wait(format!("the last pod of ReplicaSet {} to end", set.name()));
    }
    match version::current(observed) {
        None => rolling::create(observed, observed.replicas(), plan),
        Some(set) if set.size() != observed.replicas() => {
            size::change(observed, set, observed.replicas(), "no former pod is left", plan);
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;

    use super::*;
    use crate::deployment::core::fixture::{self, observed, ready_set, replica_set, sizes_of, unseen};

    fn deployment() -> Deployment {
        let mut deployment = fixture::deployment(3, "1", "0");
        deployment.spec.strategy.as_mut().unwrap().type_ = Some("Recreate".to_owned());
        deployment
    }

    fn next(observed: &Observed) -> Vec<(String, i32)> {
        let mut plan_of = Plan::default();
        plan(observed, &mut plan_of);
        sizes_of(&plan_of)
    }

    #[test]
    fn all_former_sets_shrink_to_nothing_at_once() {
        let deployment = deployment();
        let sets = vec![replica_set(&deployment, "a", "a", 2, 2), replica_set(&deployment, "b", "b", 1, 1)];
        assert_eq!(next(&observed(&deployment, sets)), [("a".to_owned(), 0), ("b".to_owned(), 0)]);
    }

    #[test]
    fn no_pod_is_made_while_a_former_one_is_reported_or_runs_or_may_yet_be_made() {
        let deployment = deployment();
        let gone = replica_set(&deployment, "old", "a", 0, 0);
        let reported = replica_set(&deployment, "old", "a", 0, 1);
        assert_eq!(next(&observed(&deployment, vec![reported])), []);
        assert_eq!(next(&observed(&deployment, vec![unseen(gone.clone())])), []);
        let mut running = observed(&deployment, vec![gone.clone()]);
        running.replica_sets[0].has_running_pods = true;
        assert_eq!(next(&running), []);
        assert_eq!(next(&observed(&deployment, vec![gone]))[0].1, 3);
    }

    #[test]
    fn the_present_set_follows_the_size_whatever_its_own_pods_do() {
        let deployment = deployment();
        assert_eq!(next(&observed(&deployment, vec![ready_set(&deployment, "new", 1)])), [("new".to_owned(), 3)]);
        assert_eq!(next(&observed(&deployment, vec![ready_set(&deployment, "new", 3)])), []);
    }
}
