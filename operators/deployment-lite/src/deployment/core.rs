//! The decisions of the Deployment controller: pure.

pub(super) mod annotation;
pub(super) mod deadline;
pub(super) mod fencepost;
#[cfg(test)]
pub(super) mod fixture;
mod history;
mod recreate;
mod revision;
mod rollback;
mod rolling;
mod scaling;
mod size;
pub(super) mod version;

use operator_sdk::plan::Plan;

use super::{Observed, Step};
use crate::core::{
    claim::{self, Steps},
    problem::{self, Problem},
};

/// What a pass is about: the first of these that holds (D6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The Deployment is being deleted: it is only reported.
    Deleting,
    /// It is paused: its size counts, its template does not.
    Paused,
    /// It asks for a former revision.
    RollingBack,
    /// Its size has changed.
    Scaling,
    /// Pods of the present template take the place of all others.
    Rollout,
}

impl Phase {
    pub(super) fn of(observed: &Observed) -> Self {
        if observed.is_deleting() {
            Self::Deleting
        } else if observed.spec.paused == Some(true) {
            Self::Paused
        } else if rollback::revision_wanted(observed).is_some() {
            Self::RollingBack
        } else if scaling::has_begun(observed) {
            Self::Scaling
        } else {
            Self::Rollout
        }
    }
}

/// What to do next for a Deployment: claims and revisions first, since all else depends on them.
pub(super) fn plan(observed: &Observed) -> Plan<Step> {
    let mut plan = Plan::default();
    if let Some(problem) = problem(observed) {
        warn(observed, problem, &mut plan);
        return plan;
    }
    let steps = Steps { confirm: Step::ConfirmOwner, adopt: Step::AdoptReplicaSet, release: Step::ReleaseReplicaSet };
    claim::plan(&observed.metadata, &observed.lost, &observed.orphans, steps, &mut plan);
    if plan.is_empty() {
        revision::plan(observed, &mut plan);
    }
    if plan.is_empty() {
        follow(observed, &mut plan);
    }
    if Phase::of(observed) == Phase::Rollout {
        deadline::plan(observed, &mut plan);
    }
    plan
}

fn follow(observed: &Observed, plan: &mut Plan<Step>) {
    match Phase::of(observed) {
        Phase::Deleting => {}
        Phase::RollingBack => rollback::plan(observed, plan),
        Phase::Scaling => {
            scaling::plan(observed, plan);
            // Where several former sets have pods they go first: then one is left to be scaled.
            if plan.is_empty() && observed.is_recreated() {
                recreate::plan(observed, plan);
            }
        }
        Phase::Paused => {
            scaling::plan(observed, plan);
            if plan.is_empty() && rollback::revision_wanted(observed).is_none() {
                history::plan(observed, plan);
            }
        }
        Phase::Rollout => {
            match observed.is_recreated() {
                true => recreate::plan(observed, plan),
                false => rolling::plan(observed, plan),
            }
            if plan.is_empty() && plan.waits.is_empty() && history::is_due(observed) {
                history::plan(observed, plan);
            }
        }
    }
}

/// True while ReplicaSets are being claimed: what is reported would be about others than the Deployment is about to have.
pub(super) fn is_claiming(plan: &Plan<Step>) -> bool {
    let is_claim =
        |step: &Step| matches!(step, Step::ConfirmOwner | Step::AdoptReplicaSet(_) | Step::ReleaseReplicaSet(_));
    plan.steps().any(|planned| is_claim(&planned.step))
}

/// Why nothing is done, if so.
pub(super) fn problem(observed: &Observed) -> Option<Problem> {
    let unreadable = observed.unreadable.clone().map(Problem::unreadable);
    unreadable.or_else(|| problem::of_deployment(&observed.spec))
}

/// Tells of a problem unless the status tells of it already (D7).
fn warn(observed: &Observed, problem: Problem, plan: &mut Plan<Step>) {
    let conditions = observed.status.conditions.iter().flatten();
    if !problem.is_told(conditions.map(|condition| [&condition.type_, &condition.message])) {
        plan.step(Step::Warn { reason: problem.reason, note: problem.message }, "nothing can be done");
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::{
        api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet},
        apimachinery::pkg::apis::meta::v1::{LabelSelector, Time},
    };

    use super::{
        annotation::{REVISION, ROLLBACK_TO},
        fixture::{deployment, observed, ready_set, replica_set, settled},
        *,
    };
    use crate::core::problem::STALLED;

    fn steps(observed: &Observed) -> Vec<Step> {
        plan(observed).steps().map(|planned| planned.step.clone()).collect()
    }

    /// A change of template half way, with all its annotations as they should be.
    fn half_way() -> (Deployment, Vec<ReplicaSet>) {
        let mut deployment = deployment(10, "3", "2");
        deployment.metadata.annotations = Some([(REVISION.to_owned(), "2".to_owned())].into());
        let old = settled(&deployment, replica_set(&deployment, "old", "web:1", 8, 8), "1");
        let new = settled(&deployment, replica_set(&deployment, "new", "web:2", 5, 5), "2");
        (deployment, vec![old, new])
    }

    #[test]
    fn a_rollout_goes_on_where_nothing_comes_before_it() {
        let (deployment, sets) = half_way();
        let observed = observed(&deployment, sets);
        assert_eq!(Phase::of(&observed), Phase::Rollout);
        assert!(
            matches!(&steps(&observed)[..], [Step::ScaleReplicaSet { target, to: 3, .. }] if target.key.name == "old")
        );
    }

    #[test]
    fn claims_come_before_all_else_and_a_deployment_that_is_being_deleted_makes_none() {
        let (mut deployment, mut sets) = half_way();
        sets[1].metadata.labels = None;
        let mut orphan = ready_set(&deployment, "orphan", 1).metadata;
        orphan.owner_references = None;
        let mut looked_at = observed(&deployment, sets.clone());
        looked_at.orphans = vec![orphan.clone()];
        let [Step::ConfirmOwner, Step::ReleaseReplicaSet(released), Step::AdoptReplicaSet(adopted)] =
            &steps(&looked_at)[..]
        else {
            panic!("{:?}", steps(&looked_at))
        };
        assert_eq!((released.target.key.name.as_str(), adopted.target.key.name.as_str()), ("new", "orphan"));
        deployment.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let mut looked_at = observed(&deployment, sets);
        looked_at.orphans = vec![orphan];
        assert_eq!(steps(&looked_at), []);
    }

    #[test]
    fn nothing_is_done_for_a_deployment_that_is_being_deleted_but_to_keep_its_revision_right() {
        let (mut deployment, sets) = half_way();
        deployment.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert_eq!(steps(&observed(&deployment, sets.clone())), []);
        assert_eq!(steps(&observed(&deployment, vec![])), []);
        deployment.metadata.annotations = None;
        assert!(matches!(&steps(&observed(&deployment, sets))[..], [Step::SetRevision { .. }]));
    }

    #[test]
    fn a_paused_deployment_neither_rolls_nor_makes_a_set_but_follows_its_size() {
        let (mut deployment, sets) = half_way();
        deployment.spec.paused = Some(true);
        assert_eq!(steps(&observed(&deployment, sets.clone())), []);
        assert_eq!(steps(&observed(&deployment, vec![])), []);
        deployment.spec.replicas = Some(4);
        let scaled = steps(&observed(&deployment, sets[..1].to_vec()));
        assert!(matches!(&scaled[..], [Step::ScaleReplicaSet { to: 4, .. }]), "{scaled:?}");
    }

    #[test]
    fn a_wish_for_a_rollback_comes_before_a_change_of_size_and_that_before_the_rollout() {
        let (mut deployment, sets) = half_way();
        deployment.spec.replicas = Some(20);
        let looked_at = observed(&deployment, sets.clone());
        assert_eq!(Phase::of(&looked_at), Phase::Scaling);
        assert_eq!(steps(&looked_at).len(), 2, "both sets grow in proportion");
        deployment.metadata.annotations.as_mut().unwrap().insert(ROLLBACK_TO.to_owned(), "1".to_owned());
        let looked_at = observed(&deployment, sets.clone());
        assert_eq!(Phase::of(&looked_at), Phase::RollingBack);
        deployment.spec.paused = Some(true);
        assert_eq!(Phase::of(&observed(&deployment, sets)), Phase::Paused);
    }

    #[test]
    fn a_recreated_deployment_of_another_size_first_loses_its_former_pods() {
        let (mut deployment, sets) = half_way();
        deployment.spec.replicas = Some(20);
        deployment.spec.strategy.as_mut().unwrap().type_ = Some("Recreate".to_owned());
        deployment.spec.strategy.as_mut().unwrap().rolling_update = None;
        let looked_at = observed(&deployment, sets);
        assert_eq!(Phase::of(&looked_at), Phase::Scaling);
        assert!(
            matches!(&steps(&looked_at)[..], [Step::ScaleReplicaSet { target, to: 0, .. }] if target.key.name == "old")
        );
    }

    #[test]
    fn a_former_set_whose_last_pods_are_waited_for_is_not_cleaned_up() {
        let (mut deployment, _) = half_way();
        deployment.spec.revision_history_limit = Some(0);
        deployment.spec.replicas = Some(0);
        deployment.status = Some(DeploymentStatus { observed_generation: Some(1), ..DeploymentStatus::default() });
        let strategy = deployment.spec.strategy.as_mut().unwrap();
        (strategy.type_, strategy.rolling_update) = (Some("Recreate".to_owned()), None);
        let old = settled(&deployment, replica_set(&deployment, "old", "web:1", 0, 0), "1");
        let new = settled(&deployment, replica_set(&deployment, "new", "web:2", 0, 0), "2");
        let mut looked_at = observed(&deployment, vec![old, new]);
        looked_at.replica_sets[1].has_running_pods = true;
        assert_eq!(steps(&looked_at), []);
        looked_at.replica_sets[1].has_running_pods = false;
        assert!(matches!(&steps(&looked_at)[..], [Step::DeleteReplicaSet { .. }]));
    }

    #[test]
    fn an_invalid_one_is_left_alone_and_says_so_once() {
        let (mut deployment, sets) = half_way();
        deployment.spec.selector = LabelSelector::default();
        let told = steps(&observed(&deployment, sets.clone()));
        let [Step::Warn { reason: "SelectingAll", note }] = &told[..] else { panic!("{told:?}") };
        let condition = DeploymentCondition {
            type_: Some(STALLED.to_owned()),
            message: Some(note.clone()),
            ..DeploymentCondition::default()
        };
        deployment.status = Some(DeploymentStatus { conditions: Some(vec![condition]), ..DeploymentStatus::default() });
        assert_eq!(steps(&observed(&deployment, sets)), []);
    }

    #[test]
    fn one_whose_sets_cannot_all_be_read_is_left_alone() {
        let (deployment, _) = half_way();
        let observed = Observed::unreadable(deployment, "failed to read".to_owned(), Timestamp::UNIX_EPOCH);
        assert!(matches!(&steps(&observed)[..], [Step::Warn { reason: "Unreadable", .. }]));
    }

    #[test]
    fn history_is_cleaned_up_after_the_pass_that_reported_the_end_of_the_rollout() {
        let (mut deployment, _) = half_way();
        deployment.spec.revision_history_limit = Some(0);
        let old = settled(&deployment, replica_set(&deployment, "old", "web:1", 0, 0), "1");
        let new = settled(&deployment, ready_set(&deployment, "new", 10), "2");
        assert_eq!(steps(&observed(&deployment, vec![old.clone(), new.clone()])), []);
        deployment.status = Some(DeploymentStatus {
            observed_generation: Some(1),
            replicas: Some(10),
            updated_replicas: Some(10),
            available_replicas: Some(10),
            ..DeploymentStatus::default()
        });
        let cleaned = steps(&observed(&deployment, vec![old.clone(), new.clone()]));
        assert!(matches!(&cleaned[..], [Step::DeleteReplicaSet { target }] if target.key.name == "old"), "{cleaned:?}");
        deployment.metadata.generation = Some(2);
        assert_eq!(steps(&observed(&deployment, vec![old.clone(), new.clone()])), []);
        deployment.spec.paused = Some(true);
        assert_eq!(steps(&observed(&deployment, vec![old.clone(), new.clone()])).len(), 1);
        deployment.metadata.annotations.as_mut().unwrap().insert(ROLLBACK_TO.to_owned(), "1".to_owned());
        assert_eq!(steps(&observed(&deployment, vec![old, new])), [], "a wish for a rollback may need it still");
    }
}
