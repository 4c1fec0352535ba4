//! The rolling update: grow the new ReplicaSet, shrink the former ones, and stay within the limits all the time.
//!
//! After upstream's (D28–D33), but stricter in what it takes for granted. Upstream sums what the ReplicaSets are *asked*
//! to have, so a former one that has not yet acted on a smaller size is counted too low, and for a moment there may be
//! more pods than `replicas + maxSurge`. Here a pod counts until the ReplicaSet reports it gone, and one that has not
//! yet looked at its latest size is waited for.

use operator_sdk::plan::Plan;

use super::{fencepost::Fenceposts, revision, size, version};
use crate::deployment::{Observed, Set, Step};

/// Adds the next step of a rollout, or of a change of size; nothing if all is as it should be.
pub(super) fn plan(observed: &Observed, plan: &mut Plan<Step>) {
    let posts = Fenceposts::of(observed);
    let current = version::current(observed);
    let former: Vec<&Set> = version::former(observed).collect();
    let wanted = current_size(observed, &posts, current, &former, plan);
    match current {
        None => create(observed, wanted, plan),
        Some(set) if set.size() != wanted => {
            size::change(observed, set, wanted, "the new template's share of the rollout", plan);
        }
        Some(set) => shrink_former(observed, set, &former, plan),
    }
}

/// Makes the ReplicaSet of the present template, with this size from the start (D16).
pub(super) fn create(observed: &Observed, replicas: i32, plan: &mut Plan<Step>) {
    let hash = version::hash(observed);
    let name = version::name(observed, &hash);
    let annotations = revision::of_new(observed);
    plan.step(Step::CreateReplicaSet { name, hash, replicas, annotations }, "the template has no ReplicaSet yet");
}

/// The size that the present template's ReplicaSet may have now (D28, D29).
fn current_size(
    observed: &Observed,
    posts: &Fenceposts,
    current: Option<&Set>,
    former: &[&Set],
    plan: &mut Plan<Step>,
) -> i32 {
    let size = current.map_or(0, |set| set.size());
    let replicas = observed.replicas();
    if size >= replicas {
        return replicas;
    }
    if size::wait_for_unseen(observed, plan) {
        return size;
    }
    let total = former.iter().map(|set| size::occupied(set)).sum::<i32>() + current.map_or(0, size::occupied);
    let room = posts.total_max.saturating_sub(total).max(0);
    size + room.min(replicas - size)
}

/// Takes pods from the former ReplicaSets, oldest first: those that do not serve (D32), then those that can be
/// spared (D33), in all no more than would be spared if every new pod failed (D31).
fn shrink_former(observed: &Observed, current: &Set, former: &[&Set], plan: &mut Plan<Step>) {
    let posts = Fenceposts::of(observed);
    let asked: i32 = former.iter().map(|set| set.size()).sum::<i32>() + current.size();
    let unavailable_new = current.size() - available(current);
    let mut budget = (asked - posts.available_min - unavailable_new).max(0);
    let mut sizes: Vec<i32> = former.iter().map(|set| set.size()).collect();
    for (set, size) in former.iter().zip(&mut sizes) {
        let gone = budget.min((*size - available(set)).max(0));
        *size -= gone;
        budget -= gone;
    }
    let all_available: i32 = former.iter().map(|set| available(set)).sum::<i32>() + available(current);
    let mut spare = (all_available - posts.available_min).max(0).min(budget);
    for size in &mut sizes {
        let gone = spare.min(*size);
        *size -= gone;
        spare -= gone;
    }
    for (set, size) in former.iter().zip(sizes) {
        if size != set.size() {
            size::change(observed, set, size, "its template is a former one", plan);
        } else if size > 0 {
            plan.wait(format!("new pods to become available before ReplicaSet {} shrinks", set.name()));
        }
    }
}

/// The pods that can be counted on: a report from before a shrinking may name more than there will be.
fn available(set: &Set) -> i32 {
    set.available().min(set.size())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
    use proptest::prelude::*;

    use super::*;
    use crate::deployment::core::fixture::{deployment, observed, ready_set, replica_set, sizes_of, unseen};

    const FORMER: &str = "web:1";

    fn next(deployment: &Deployment, sets: Vec<ReplicaSet>) -> Vec<(String, i32)> {
        let mut plan_of = Plan::default();
        plan(&observed(deployment, sets), &mut plan_of);
        sizes_of(&plan_of)
    }

    #[test]
    fn the_first_set_is_made_with_all_its_pods() {
        let deployment = deployment(3, "25%", "25%");
        let created = next(&deployment, vec![]);
        assert_eq!(created.len(), 1);
        assert_eq!(created[0].1, 3);
    }

    #[test]
    fn a_new_template_begins_with_the_surge() {
        let deployment = deployment(10, "3", "2");
        let old = replica_set(&deployment, "old", FORMER, 10, 10);
        assert_eq!(next(&deployment, vec![old])[0].1, 3);
    }

    #[test]
    fn the_former_set_gives_what_can_be_spared() {
        let deployment = deployment(10, "3", "2");
        let old = replica_set(&deployment, "old", FORMER, 10, 10);
        let new = replica_set(&deployment, "new", "web:2", 3, 0);
        assert_eq!(next(&deployment, vec![old, new]), [("old".to_owned(), 8)]);
    }

    #[test]
    fn pods_that_do_not_serve_go_first() {
        let deployment = deployment(10, "0", "2");
        let broken = replica_set(&deployment, "broken", "broken:1", 4, 0);
        let old = replica_set(&deployment, "old", FORMER, 8, 8);
        let new = replica_set(&deployment, "new", "web:2", 0, 0);
        assert_eq!(next(&deployment, vec![broken, old, new]), [("broken".to_owned(), 0)]);
    }

    #[test]
    fn a_new_set_that_never_gets_ready_stops_the_rollout_within_the_limits() {
        let deployment = deployment(10, "3", "2");
        let old = replica_set(&deployment, "old", FORMER, 8, 8);
        let new = replica_set(&deployment, "new", "web:2", 5, 0);
        assert_eq!(next(&deployment, vec![old, new]), []);
    }

    #[test]
    fn pods_not_yet_gone_still_take_room() {
        let deployment = deployment(10, "3", "2");
        let new = replica_set(&deployment, "new", "web:2", 3, 0);
        let mut old = replica_set(&deployment, "old", FORMER, 8, 10);
        assert_eq!(next(&deployment, vec![old.clone(), new.clone()]), [], "it reports 10 pods still");
        old.status.as_mut().unwrap().replicas = 8;
        assert_eq!(next(&deployment, vec![unseen(old.clone()), new.clone()]), [], "it has not looked yet");
        assert_eq!(next(&deployment, vec![old, new]), [("new".to_owned(), 5)]);
    }

    #[test]
    fn a_report_from_before_a_shrinking_counts_no_more_than_was_asked() {
        let deployment = deployment(6, "1", "0");
        let old = replica_set(&deployment, "old", FORMER, 4, 4);
        let new = unseen(replica_set(&deployment, "new", "web:2", 2, 5));
        assert_eq!(next(&deployment, vec![old, new]), [], "6 of 6 needed are left");
    }

    #[test]
    fn pods_that_do_not_serve_stay_while_the_new_ones_do_not_serve_either() {
        let deployment = deployment(10, "3", "2");
        let old = replica_set(&deployment, "old", FORMER, 8, 6);
        let new = replica_set(&deployment, "new", "web:2", 5, 0);
        assert_eq!(next(&deployment, vec![old, new]), []);
    }

    #[test]
    fn one_pass_grows_the_new_set_or_shrinks_the_former_ones() {
        let deployment = deployment(10, "3", "2");
        let old = |size| replica_set(&deployment, "old", FORMER, size, size);
        let new = |size| ready_set(&deployment, "new", size);
        assert_eq!(next(&deployment, vec![old(8), new(2)]), [("new".to_owned(), 5)]);
        assert_eq!(next(&deployment, vec![old(8), new(5)]), [("old".to_owned(), 3)]);
    }

    #[test]
    fn a_smaller_size_takes_from_the_current_set() {
        let deployment = deployment(2, "25%", "25%");
        assert_eq!(next(&deployment, vec![ready_set(&deployment, "new", 5)]), [("new".to_owned(), 2)]);
    }

    /// A ReplicaSet as it really is: what it was asked, its pods, and which of them are ready.
    #[derive(Clone, Debug)]
    struct Real {
        asked: i32,
        generation: i64,
        seen: i64,
        ready: i32,
        starting: i32,
        reported: (i32, i32),
    }

    impl Real {
        fn pods(&self) -> i32 {
            self.ready + self.starting
        }

        /// Its controller runs once: reports what it sees, then makes or deletes pods, those that are not ready first.
        fn reconcile(&mut self) {
            self.reported = (self.pods(), self.ready);
            self.seen = self.generation;
            let surplus = self.pods() - self.asked;
            if surplus > 0 {
                let from_starting = surplus.min(self.starting);
                self.starting -= from_starting;
                self.ready -= surplus - from_starting;
            } else {
                self.starting -= surplus;
            }
        }

        fn object(&self, deployment: &Deployment, name: &str, image: &str) -> ReplicaSet {
            let mut set = replica_set(deployment, name, image, self.asked, 0);
            set.metadata.generation = Some(self.generation);
            let status = set.status.as_mut().unwrap();
            status.observed_generation = Some(self.seen);
            status.replicas = self.reported.0;
            status.ready_replicas = Some(self.reported.1);
            status.available_replicas = Some(self.reported.1);
            set
        }
    }

    proptest! {
        /// Whatever the order in which the controllers run and pods become ready, the limits hold and the rollout ends.
        #[test]
        fn the_limits_hold_under_every_schedule(
            replicas in 1i32..12, surge in 0i32..4, unavailable in 0i32..4,
            schedule in prop::collection::vec(0u8..5, 0..300),
        ) {
            let deployment = deployment(replicas, &surge.to_string(), &unavailable.to_string());
            let posts = Fenceposts::of(&observed(&deployment, vec![]));
            let full = Real { asked: replicas, generation: 1, seen: 1, ready: replicas, starting: 0, reported: (replicas, replicas) };
            let empty = Real { asked: 0, generation: 1, seen: 1, ready: 0, starting: 0, reported: (0, 0) };
            let mut sets = [full, empty];
            let fair = (0..200).flat_map(|_| 0u8..5);
            for turn in schedule.into_iter().chain(fair) {
                match turn {
                    0 => {
                        let objects = vec![sets[0].object(&deployment, "old", FORMER), sets[1].object(&deployment, "new", "web:2")];
                        for (name, size) in next(&deployment, objects) {
                            let set = &mut sets[usize::from(name == "new")];
                            set.asked = size;
                            set.generation += 1;
                        }
                    }
                    1 => sets[0].reconcile(),
                    2 => sets[1].reconcile(),
                    3 | 4 => {
                        let set = &mut sets[usize::from(turn - 3)];
                        if set.starting > 0 {
                            set.starting -= 1;
                            set.ready += 1;
                        }
                    }
                    _ => unreachable!(),
                }
                let pods: i32 = sets.iter().map(Real::pods).sum();
                let ready: i32 = sets.iter().map(|set| set.ready).sum();
                prop_assert!(pods <= posts.total_max, "{pods} pods: {sets:?}");
                prop_assert!(ready >= posts.available_min, "{ready} ready: {sets:?}");
            }
            prop_assert_eq!((sets[0].pods(), sets[1].ready), (0, replicas), "the rollout did not end: {:?}", sets);
        }
    }
}
