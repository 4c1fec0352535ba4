//! What a Deployment reports of itself.

mod condition;
mod progress;

use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};
use operator_sdk::{Error, plan::Results};

use condition::Report;
use progress::Progress;

use super::{
    Observed, Set, Step,
    core::{
        deadline::PROGRESSING,
        fencepost,
        version::{self, Unusable},
    },
};
use crate::replica_set::REPLICA_FAILURE;

pub(super) fn status(observed: &Observed, results: &Results<Step, ()>) -> DeploymentStatus {
    let current = version::current(observed);
    let of_all = |number: fn(&Set) -> i32| -> i32 { observed.replica_sets.iter().map(number).sum() };
    let available = of_all(Set::available);
    let collisions = observed.status.collision_count.unwrap_or_default() + i32::from(has_collision(results));
    let mut status = DeploymentStatus {
        observed_generation: observed.metadata.generation,
        replicas: Some(of_all(|set| set.status.replicas)),
        updated_replicas: Some(current.map_or(0, |set| set.status.replicas)),
        ready_replicas: Some(of_all(|set| set.status.ready_replicas.unwrap_or_default())),
        available_replicas: Some(available),
        unavailable_replicas: Some((of_all(Set::size) - available).max(0)),
        collision_count: Some(collisions).filter(|count| *count > 0),
        conditions: None,
        terminating_replicas: terminating(&observed.replica_sets),
    };
    let mut conditions = observed.status.conditions.clone().unwrap_or_default();
    condition::set(&mut conditions, available_report(observed, available), observed.now.0);
    match progress::of(observed, &status, current, results) {
        Progress::Untold => condition::remove(&mut conditions, PROGRESSING),
        Progress::Same => {}
        Progress::Says(report) => condition::set(&mut conditions, report, observed.now.0),
        Progress::SaysAnew(report) => condition::set_anew(&mut conditions, report, observed.now.0),
    }
    match failure(observed, current) {
        Some(failure) => condition::copy(&mut conditions, failure),
        None => condition::remove(&mut conditions, REPLICA_FAILURE),
    }
    status.conditions = Some(conditions);
    status
}

/// Unknown as long as a ReplicaSet that reports does not report it (D55).
fn terminating(sets: &[Set]) -> Option<i32> {
    let observed = sets.iter().filter(|set| set.status.observed_generation.is_some());
    observed.map(|set| set.status.terminating_replicas).sum()
}

/// The name of the new ReplicaSet is taken: the next one needs another name.
fn has_collision(results: &Results<Step, ()>) -> bool {
    results.iter().any(|(_, result)| match result {
        Err(Error::Other { source, .. }) => matches!(source.downcast_ref(), Some(Unusable::Taken(_))),
        _ => false,
    })
}

fn available_report(observed: &Observed, available: i32) -> Report {
    let wanted = fencepost::Fenceposts::of(observed).available_min;
    let holds = available >= wanted;
    Report {
        r#type: "Available",
        status: if holds { "True" } else { "False" },
        reason: if holds { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" },
        message: if holds {
            "Deployment has minimum availability.".to_owned()
        } else {
            "Deployment does not have minimum availability.".to_owned()
        },
    }
}

/// What the new ReplicaSet, or else any, says of pods that could not be made or deleted (D58).
fn failure(observed: &Observed, current: Option<&Set>) -> Option<DeploymentCondition> {
    let sets = current.into_iter().chain(&observed.replica_sets);
    let mut conditions = sets.flat_map(|set| set.status.conditions.iter().flatten());
    let failure = conditions.find(|condition| condition.type_.as_deref() == Some(REPLICA_FAILURE))?;
    Some(DeploymentCondition {
        type_: failure.type_.clone(),
        status: failure.status.clone(),
        reason: failure.reason.clone(),
        message: failure.message.clone(),
        last_transition_time: failure.last_transition_time.clone(),
        last_update_time: failure.last_transition_time.clone(),
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::ReplicaSetCondition;
    use operator_sdk::{Class, plan::Planned};

    use super::*;
    use crate::deployment::core::fixture::{deployment, observed, ready_set};

    fn condition(status: &DeploymentStatus, r#type: &str) -> (String, String) {
        let mut conditions = status.conditions.iter().flatten();
        let condition = conditions.find(|condition| condition.type_.as_deref() == Some(r#type)).unwrap();
        (condition.status.clone().unwrap(), condition.reason.clone().unwrap())
    }

    #[test]
    fn counts_every_set_and_says_when_a_rollout_is_complete() {
        let mut deployment = deployment(10, "3", "2");
        deployment.spec.progress_deadline_seconds = Some(600);
        let old = ready_set(&deployment, "old", 6);
        let new = ready_set(&deployment, "new", 4);
        let rolling = status(&observed(&deployment, vec![old.clone(), new.clone()]), &Vec::new());
        let numbers = (rolling.replicas, rolling.updated_replicas, rolling.available_replicas);
        assert_eq!(numbers, (Some(10), Some(4), Some(10)));
        assert_eq!(condition(&rolling, "Progressing").1, "FoundNewReplicaSet");
        let new = ready_set(&deployment, "new", 10);
        let complete = status(&observed(&deployment, vec![new]), &Vec::new());
        assert_eq!(condition(&complete, "Progressing").1, "NewReplicaSetAvailable");
        assert_eq!(condition(&complete, "Available").0, "True");
    }

    #[test]
    fn too_few_available_pods_make_it_unavailable() {
        let deployment = deployment(10, "3", "2");
        let status = status(&observed(&deployment, vec![ready_set(&deployment, "new", 7)]), &Vec::new());
        assert_eq!(condition(&status, "Available"), ("False".to_owned(), "MinimumReplicasUnavailable".to_owned()));
        assert_eq!(status.unavailable_replicas, Some(0));
    }

    #[test]
    fn a_name_that_is_taken_counts_as_a_collision_and_no_other_failure_does() {
        let deployment = deployment(3, "1", "0");
        let observed = observed(&deployment, vec![]);
        let create = Step::CreateReplicaSet { name: "web-1".to_owned(), hash: "1".to_owned(), replicas: 3 };
        let count = |error: Error| {
            let planned = Planned { step: create.clone(), reason: String::new() };
            status(&observed, &vec![(planned, Err(error))]).collision_count.unwrap_or_default()
        };
        assert_eq!(count(Error::other(Class::Transient, Unusable::Taken("web-1".to_owned()))), 1);
        assert_eq!(count(Error::other(Class::Invalid, Unusable::Altered("web-1".to_owned()))), 0);
    }

    #[test]
    fn a_failure_of_the_pods_is_passed_on_until_it_is_over() {
        let deployment = deployment(3, "1", "0");
        let mut set = ready_set(&deployment, "new", 2);
        let failure = ReplicaSetCondition {
            type_: Some(REPLICA_FAILURE.to_owned()),
            status: Some("True".to_owned()),
            reason: Some("FailedCreate".to_owned()),
            ..ReplicaSetCondition::default()
        };
        set.status.as_mut().unwrap().conditions = Some(vec![failure]);
        let failing = status(&observed(&deployment, vec![set.clone()]), &Vec::new());
        assert_eq!(condition(&failing, REPLICA_FAILURE).1, "FailedCreate");
        set.status.as_mut().unwrap().conditions = None;
        let mut deployment = deployment;
        deployment.status = Some(failing);
        let healed = status(&observed(&deployment, vec![set]), &Vec::new());
        let mut types = healed.conditions.iter().flatten().map(|condition| condition.type_.as_deref().unwrap());
        assert!(types.all(|r#type| r#type != REPLICA_FAILURE));
    }

    #[test]
    fn terminating_pods_are_known_only_if_every_set_reports_them() {
        let deployment = deployment(3, "1", "0");
        let set = |number| {
            let mut set = ready_set(&deployment, "new", 3);
            set.status.as_mut().unwrap().terminating_replicas = number;
            set
        };
        let terminating = |sets| status(&observed(&deployment, sets), &Vec::new()).terminating_replicas;
        assert_eq!(terminating(vec![set(Some(1)), set(Some(2))]), Some(3));
        assert_eq!(terminating(vec![set(Some(1)), set(None)]), None);
        let mut unread = set(None);
        unread.status = None;
        assert_eq!(terminating(vec![set(Some(1)), unread]), Some(1));
    }
}
