//! Another size of the Deployment, in the middle of a rollout or not: each ReplicaSet gets its share (D41–D48).

use std::cmp::Reverse;

use operator_sdk::plan::Plan;

use super::{
    annotation::{self, DESIRED_REPLICAS, MAX_REPLICAS},
    fencepost::Fenceposts,
    size::{self, active, occupied},
    version,
};
use crate::deployment::{Observed, Set, Step};

/// True if a ReplicaSet with pods was scaled last when the Deployment had another size (D41).
pub(super) fn has_begun(observed: &Observed) -> bool {
    let mut told = active(observed).filter_map(|set| annotation::size(set, DESIRED_REPLICAS));
    told.any(|desired| desired != observed.replicas())
}

/// Adds the steps that bring the ReplicaSets to the new size; their proportion stays that of before.
pub(super) fn plan(observed: &Observed, plan: &mut Plan<Step>) {
    let replicas = observed.replicas();
    let current = version::current(observed);
    let mut of_many: Vec<&Set> = active(observed).collect();
    match of_many[..] {
        // One that has none but is the newest (D42).
        [] => {
            if let Some(set) = current.or(observed.replica_sets.last()) {
                resize_only(observed, set, plan);
            }
        }
        [set] => resize_only(observed, set, plan),
        // The rollout is over but for what has not been taken away yet (D43).
        _ if current.is_some_and(|set| is_saturated(set, replicas)) => {
            let former: Vec<&Set> = version::former(observed).filter(|set| set.size() > 0).collect();
            former.iter().for_each(|set| resize(observed, set, 0, plan));
        }
        // There is one set with pods at a time (D40).
        _ if observed.is_recreated() => {}
        _ => {
            let total: i32 = of_many.iter().map(|set| set.size()).sum();
            let allowed = if replicas > 0 { Fenceposts::of(observed).total_max } else { 0 };
            let added = allowed - total;
            if added > 0 && must_wait(observed, None, plan) {
                return;
            }
            // Among those of one size the newer ones grow first, and the older ones shrink first.
            if added > 0 {
                of_many.reverse();
            }
            of_many.sort_by_key(|set| Reverse(set.size()));
            for (set, size) in of_many.iter().zip(shares(observed, &of_many, allowed, added)) {
                resize(observed, set, size, plan);
            }
        }
    }
}

/// Gives a ReplicaSet its size, and has it tell that of the Deployment, unless both is so already. (Upstream leaves what
/// it tells alone where its size is right already, and takes it for a change of size ever after: D80.)
fn resize(observed: &Observed, set: &Set, to: i32, plan: &mut Plan<Step>) {
    if set.size() != to || size::is_outdated(observed, set) {
        size::change(observed, set, to, "its share of the Deployment's new size", plan);
    }
}

/// Gives a ReplicaSet the whole size.
fn resize_only(observed: &Observed, set: &Set, plan: &mut Plan<Step>) {
    if set.size() >= observed.replicas() || !must_wait(observed, Some(set), plan) {
        resize(observed, set, observed.replicas(), plan);
    }
}

/// Pods that are still to go take the room that others, or this one, would grow into; where all are recreated, they do so
/// until the last one has ended.
fn must_wait(observed: &Observed, growing: Option<&Set>, plan: &mut Plan<Step>) -> bool {
    if size::wait_for_unseen(observed, plan) {
        return true;
    }
    let is_other = |set: &&Set| growing.is_none_or(|growing| growing.metadata.uid != set.metadata.uid);
    let ends = |set: &&Set| observed.is_recreated() && set.size() == 0 && set.has_running_pods;
    let mut others = observed.replica_sets.iter().filter(is_other);
    let leaving = others.find(|set| occupied(set) > set.size() || ends(set));
    if let Some(set) = leaving {
        plan.wait(format!("ReplicaSet {} to shrink to {}", set.name(), set.size()));
    }
    leaving.is_some()
}

/// All pods are of the present template, and available.
fn is_saturated(set: &Set, replicas: i32) -> bool {
    set.size() == replicas
        && annotation::size(set, DESIRED_REPLICAS) == Some(replicas)
        && set.status.available_replicas.unwrap_or_default() == replicas
}

/// New sizes, of all together `added` more than before; what is left over by rounding goes to the first (D44).
fn shares(observed: &Observed, sets: &[&Set], allowed: i32, added: i32) -> Vec<i32> {
    let mut left = added;
    let mut sizes = Vec::new();
    for set in sets {
        let change = growth(observed, set, allowed);
        let change = if added > 0 { change.min(left) } else { change.max(left) };
        let change = if left == 0 { 0 } else { change };
        left -= change;
        sizes.push(set.size() + change);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + left).max(0);
    }
    sizes
}

/// By how much a ReplicaSet grows if it keeps its part of the whole, rounded half away from zero (D44, D45).
fn growth(observed: &Observed, set: &Set, allowed: i32) -> i32 {
    if allowed == 0 {
        return -set.size();
    }
    let told = annotation::size(set, MAX_REPLICAS).filter(|max| *max > 0);
    let before = i64::from(told.or(observed.status.replicas).unwrap_or_default());
    if before == 0 {
        return 0;
    }
    let size = (2 * i64::from(set.size()) * i64::from(allowed) + before) / (2 * before);
    i32::try_from(size).unwrap_or(i32::MAX) - set.size()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
    use proptest::prelude::*;

    use super::*;
    use crate::deployment::core::fixture::{
        deployment, observed, ready_set, replica_set, scaled_at, settled, sizes_of, unseen,
    };

    fn next(deployment: &Deployment, sets: Vec<ReplicaSet>) -> Vec<(String, i32)> {
        let mut plan_of = Plan::default();
        plan(&observed(deployment, sets), &mut plan_of);
        sizes_of(&plan_of)
    }

    fn named<const N: usize>(sizes: [(&str, i32); N]) -> Vec<(String, i32)> {
        sizes.map(|(name, size)| (name.to_owned(), size)).to_vec()
    }

    fn old(deployment: &Deployment, name: &str, size: i32, ready: i32) -> ReplicaSet {
        replica_set(deployment, name, name, size, ready)
    }

    #[test]
    fn another_size_is_seen_by_what_a_set_with_pods_tells() {
        let deployment = deployment(10, "3", "2");
        let begun = |set: ReplicaSet| has_begun(&observed(&deployment, vec![set]));
        let new = |size| ready_set(&deployment, "new", size);
        assert!(!begun(scaled_at(new(5), 10, 13)));
        assert!(begun(scaled_at(new(5), 9, 12)));
        assert!(!begun(scaled_at(new(0), 9, 12)), "it has no pods");
        for odd in ["", "-1", "many", "4294967296"] {
            let set = crate::deployment::core::fixture::annotated(new(5), &[(DESIRED_REPLICAS, odd)]);
            assert!(!begun(set), "{odd:?}");
        }
        assert!(!begun(new(5)));
    }

    #[test]
    fn the_only_set_with_pods_takes_the_whole_size_and_without_one_the_present_or_newest() {
        let deployment = deployment(4, "1", "0");
        let (a, b) = (old(&deployment, "a", 0, 0), old(&deployment, "b", 0, 0));
        let new = ready_set(&deployment, "new", 0);
        assert_eq!(next(&deployment, vec![old(&deployment, "a", 2, 2), new.clone()]), named([("a", 4)]));
        assert_eq!(next(&deployment, vec![a.clone(), b.clone(), new]), named([("new", 4)]));
        assert_eq!(next(&deployment, vec![a, b]), named([("b", 4)]));
        assert_eq!(next(&deployment, vec![]), []);
    }

    #[test]
    fn former_sets_lose_all_once_the_present_one_serves_alone() {
        let deployment = deployment(10, "3", "2");
        let new = scaled_at(ready_set(&deployment, "new", 10), 10, 13);
        let sets = vec![old(&deployment, "a", 2, 2), new.clone()];
        assert_eq!(next(&deployment, sets), named([("a", 0)]));
        let mut waiting = new;
        waiting.status.as_mut().unwrap().available_replicas = Some(9);
        assert!(!next(&deployment, vec![old(&deployment, "a", 2, 2), waiting]).contains(&("a".to_owned(), 0)));
    }

    #[test]
    fn upstreams_example_of_a_stuck_rollout_that_grows_from_10_to_30() {
        let deployment = deployment(30, "3", "2");
        let sets = vec![
            scaled_at(old(&deployment, "first", 8, 8), 10, 13),
            scaled_at(replica_set(&deployment, "new", "web:2", 5, 0), 10, 13),
        ];
        assert_eq!(next(&deployment, sets), named([("first", 20), ("new", 13)]));
    }

    #[test]
    fn a_set_without_the_former_size_takes_the_reported_number_of_pods_for_it() {
        let mut deployment = deployment(20, "0", "1");
        let sets = vec![old(&deployment, "a", 6, 6), old(&deployment, "b", 4, 4)];
        // Nothing was reported: only the leftover moves.
        assert_eq!(next(&deployment, sets.clone()), named([("a", 16), ("b", 4)]));
        deployment.status = Some(DeploymentStatus { replicas: Some(10), ..DeploymentStatus::default() });
        assert_eq!(next(&deployment, sets), named([("a", 12), ("b", 8)]));
    }

    #[test]
    fn of_two_sets_of_one_size_the_newer_grows_and_the_older_shrinks() {
        // Made in one second, they are in the order of their names.
        let sets =
            |deployment: &Deployment| ["a", "b"].map(|name| scaled_at(old(deployment, name, 5, 5), 10, 10)).to_vec();
        let more = deployment(11, "0", "1");
        assert_eq!(next(&more, sets(&more)), named([("b", 6), ("a", 5)]));
        let fewer = deployment(9, "0", "1");
        assert_eq!(next(&fewer, sets(&fewer)), named([("a", 4), ("b", 5)]));
    }

    #[test]
    fn no_replicas_at_all_empties_every_set() {
        let deployment = deployment(0, "3", "0");
        let sets = vec![scaled_at(old(&deployment, "a", 5, 5), 8, 11), scaled_at(old(&deployment, "b", 3, 3), 8, 11)];
        assert_eq!(next(&deployment, sets), named([("a", 0), ("b", 0)]));
    }

    #[test]
    fn sets_of_the_right_size_only_tell_the_new_one() {
        let deployment = deployment(10, "3", "2");
        let right = scaled_at(old(&deployment, "a", 8, 8), 9, 13);
        let new = settled(&deployment, replica_set(&deployment, "new", "web:2", 5, 0), "1");
        assert_eq!(next(&deployment, vec![right, new]), named([("a", 8)]));
        // One set, of the right size, that tells an old one: upstream takes that for a change of size ever after.
        assert_eq!(next(&deployment, vec![scaled_at(old(&deployment, "a", 10, 10), 9, 12)]), named([("a", 10)]));
    }

    #[test]
    fn a_recreated_deployment_has_no_shares() {
        let mut deployment = deployment(10, "0", "0");
        deployment.spec.strategy.as_mut().unwrap().type_ = Some("Recreate".to_owned());
        let sets = vec![scaled_at(old(&deployment, "a", 2, 2), 8, 8), scaled_at(old(&deployment, "b", 3, 3), 8, 8)];
        assert_eq!(next(&deployment, sets), []);
    }

    #[test]
    fn nothing_grows_before_what_was_to_shrink_has_done_so() {
        let deployment = deployment(20, "3", "0");
        let set = |name: &str, size, ready| scaled_at(old(&deployment, name, size, ready), 10, 13);
        assert_eq!(next(&deployment, vec![unseen(set("a", 5, 5)), set("b", 5, 5)]), []);
        assert_eq!(next(&deployment, vec![set("a", 5, 6), set("b", 5, 5)]), []);
        assert_eq!(next(&deployment, vec![set("a", 5, 5), set("b", 5, 5)]).len(), 2);
    }

    #[test]
    fn the_only_set_with_pods_does_not_grow_either_before_those_of_others_are_gone() {
        let mut deployment = deployment(20, "3", "0");
        let new = || scaled_at(replica_set(&deployment, "new", "web:2", 3, 3), 10, 13);
        let gone = old(&deployment, "gone", 0, 0);
        assert_eq!(next(&deployment, vec![unseen(gone.clone()), new()]), []);
        assert_eq!(next(&deployment, vec![old(&deployment, "gone", 0, 10), new()]), []);
        assert_eq!(next(&deployment, vec![gone.clone(), new()]), named([("new", 20)]));
        let strategy = deployment.spec.strategy.as_mut().unwrap();
        (strategy.type_, strategy.rolling_update) = (Some("Recreate".to_owned()), None);
        let empty = replica_set(&deployment, "new", "web:2", 0, 0);
        let mut ending = observed(&deployment, vec![gone, empty]);
        ending.replica_sets[0].has_running_pods = true;
        let sizes = |observed: &Observed| {
            let mut plan_of = Plan::default();
            plan(observed, &mut plan_of);
            sizes_of(&plan_of)
        };
        assert_eq!(sizes(&ending), [], "though it may be paused, no two templates have pods at once");
        ending.replica_sets[0].has_running_pods = false;
        assert_eq!(sizes(&ending), named([("new", 20)]));
    }

    proptest! {
        /// Of sets that had the whole, or less of it as in the middle of a rollout, the shares come to what is allowed.
        #[test]
        fn shares_come_to_the_whole(
            sizes in prop::collection::vec(1i32..50, 2..5), missing in 0i32..20, replicas in 0i32..200, surge in 0i32..20,
        ) {
            let deployment = deployment(replicas, &surge.to_string(), "1");
            let before = sizes.iter().sum::<i32>() + missing;
            let sets: Vec<_> = sizes.iter().zip(["a", "b", "c", "d"])
                .map(|(size, name)| scaled_at(old(&deployment, name, *size, *size), before, before)).collect();
            let allowed = if replicas > 0 { replicas + surge } else { 0 };
            let after = next(&deployment, sets.clone());
            let size_of = |set: &ReplicaSet| {
                let changed = after.iter().find(|(name, _)| Some(name) == set.metadata.name.as_ref());
                changed.map_or(set.spec.replicas.unwrap(), |(_, size)| *size)
            };
            prop_assert_eq!(sets.iter().map(size_of).sum::<i32>(), allowed);
            prop_assert!(after.iter().all(|(_, size)| *size >= 0));
        }
    }
}
