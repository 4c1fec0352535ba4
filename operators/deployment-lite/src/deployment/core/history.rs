//! Which ReplicaSets of templates long past are deleted.

use operator_sdk::{Target, plan::Plan};

use super::version;
use crate::deployment::{Observed, Set, Step};

/// Deletes the oldest empty ReplicaSets beyond the limit. Called only when nothing else is to be done.
pub(super) fn plan(observed: &Observed, plan: &mut Plan<Step>) {
    let former: Vec<&Set> = version::former(observed).collect();
    let kept = usize::try_from(observed.spec.revision_history_limit.unwrap_or(10)).unwrap_or(0);
    let surplus = former.len().saturating_sub(kept);
    for set in former.into_iter().take(surplus).filter(|set| is_empty(set)) {
        if let Ok(target) = Target::of_metadata(&set.metadata) {
            plan.step(Step::DeleteReplicaSet { target }, "beyond revisionHistoryLimit");
        }
    }
}

fn is_empty(set: &Set) -> bool {
    set.size() == 0 && set.status.replicas == 0 && set.has_seen_its_size()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSet;

    use super::*;
    use crate::deployment::core::fixture::{deployment, observed, ready_set, replica_set, unseen};

    fn deleted(sets: Vec<ReplicaSet>, limit: i32) -> Vec<String> {
        let mut deployment = deployment(1, "1", "0");
        deployment.spec.revision_history_limit = Some(limit);
        let mut plan_of = Plan::default();
        plan(&observed(&deployment, sets), &mut plan_of);
        let name = |step: &Step| match step {
            Step::DeleteReplicaSet { target } => target.key.name.clone(),
            other => format!("{other:?}"),
        };
        plan_of.steps().map(|planned| name(&planned.step)).collect()
    }

    #[test]
    fn the_oldest_empty_sets_beyond_the_limit_go() {
        let deployment = deployment(1, "1", "0");
        let old = |name: &str| replica_set(&deployment, name, name, 0, 0);
        let sets = vec![old("a"), old("b"), old("c"), ready_set(&deployment, "new", 1)];
        assert_eq!(deleted(sets.clone(), 1), ["a", "b"]);
        assert_eq!(deleted(sets, 3), Vec::<String>::new());
    }

    #[test]
    fn a_set_that_may_still_have_pods_stays() {
        let deployment = deployment(1, "1", "0");
        let full = replica_set(&deployment, "full", "a:1", 0, 2);
        let unread = unseen(replica_set(&deployment, "unread", "b:1", 0, 0));
        assert_eq!(deleted(vec![full, unread], 0), Vec::<String>::new());
    }
}
