//! What a Deployment reports of itself.

mod condition;
mod pause;
mod progress;

use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};
use operator_sdk::{
    Error,
    plan::{Plan, Results},
};

use condition::Report;
use progress::Progress;

use super::{
    Observed, Set, Step,
    core::{
        self, Phase,
        deadline::PROGRESSING,
        fencepost,
        version::{self, Unusable},
    },
};
use crate::{core::problem::STALLED, replica_set::REPLICA_FAILURE};

/// Nothing is reported anew while ReplicaSets are being claimed, nor of what cannot be acted on, but why.
pub(super) fn status(observed: &Observed, plan: &Plan<Step>, results: &Results<Step, ()>) -> DeploymentStatus {
    let mut conditions = observed.status.conditions.clone().unwrap_or_default();
    if core::is_claiming(plan) {
        let Some(report) = livelock(results) else { return observed.status.clone() };
        condition::set_message(&mut conditions, report, observed.now.0);
        return DeploymentStatus { conditions: Some(conditions), ..observed.status.clone() };
    }
    if let Some(problem) = core::problem(observed) {
        let report = Report { r#type: STALLED, status: "True", reason: problem.reason, message: problem.message };
        condition::set_message(&mut conditions, report, observed.now.0);
        // What cannot all be read is not acted on: to name the generation would say so.
        let is_seen = observed.unreadable.is_none();
        let observed_generation =
            if is_seen { observed.metadata.generation } else { observed.status.observed_generation };
        return DeploymentStatus { observed_generation, conditions: Some(conditions), ..observed.status.clone() };
    }
    match livelock(results) {
        Some(report) => condition::set_message(&mut conditions, report, observed.now.0),
        None => condition::remove(&mut conditions, STALLED),
    }
    let current = version::current(observed);
    let mut status = numbers(observed, current, results);
    condition::set(&mut conditions, available_report(observed, status.available_replicas), observed.now.0);
    let is_rollout = Phase::of(observed) == Phase::Rollout;
    let progress = match pause::of(observed) {
        Some(report) => Progress::Says(report),
        None if is_rollout => progress::of(observed, &status, current, results),
        None => progress::outside_of_a_rollout(observed, current, results),
    };
    match progress {
        Progress::Untold => condition::remove(&mut conditions, PROGRESSING),
        Progress::Same => {}
        Progress::Says(report) => condition::set(&mut conditions, report, observed.now.0),
        Progress::SaysAnew(report) => condition::set_anew(&mut conditions, report, observed.now.0),
    }
    if is_rollout {
        match failure(observed, current) {
            Some(failure) => condition::copy(&mut conditions, failure),
            None => condition::remove(&mut conditions, REPLICA_FAILURE),
        }
    }
    status.conditions = Some(conditions);
    status
}

/// The steps were not taken, because they change nothing.
fn livelock(results: &Results<Step, ()>) -> Option<Report> {
    let mut errors = results.iter().filter_map(|(_, result)| result.as_ref().err());
    let error = errors.find(|error| matches!(error, Error::Livelock { .. }))?;
    Some(Report { r#type: STALLED, status: "True", reason: "Livelock", message: error.to_string() })
}

fn numbers(observed: &Observed, current: Option<&Set>, results: &Results<Step, ()>) -> DeploymentStatus {
    let of_all = |number: fn(&Set) -> i32| -> i32 { observed.replica_sets.iter().map(number).sum() };
    let available = of_all(Set::available);
    let collisions = observed.status.collision_count;
    let collisions = if has_collision(results) { Some(collisions.unwrap_or_default() + 1) } else { collisions };
    DeploymentStatus {
        observed_generation: observed.metadata.generation,
        replicas: Some(of_all(|set| set.status.replicas)),
        updated_replicas: Some(current.map_or(0, |set| set.status.replicas)),
        ready_replicas: Some(of_all(|set| set.status.ready_replicas.unwrap_or_default())),
        available_replicas: Some(available),
        unavailable_replicas: Some((of_all(Set::size) - available).max(0)),
        collision_count: collisions,
        conditions: None,
        terminating_replicas: terminating(&observed.replica_sets),
    }
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

fn available_report(observed: &Observed, available: Option<i32>) -> Report {
    // All of them where all are recreated: that none has to stay does not mean that none has to come (D27, D57).
    let wanted = match observed.is_recreated() {
        true => observed.replicas(),
        false => fencepost::Fenceposts::of(observed).available_min,
    };
    let holds = available.unwrap_or_default() >= wanted;
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
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetCondition};
    use operator_sdk::{Class, plan::Planned};

    use super::*;
    use crate::deployment::core::fixture::{deployment, observed, ready_set, replica_set};

    fn report(deployment: &Deployment, sets: Vec<ReplicaSet>) -> DeploymentStatus {
        status(&observed(deployment, sets), &Plan::default(), &Vec::new())
    }

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
        let rolling = report(&deployment, vec![old.clone(), new.clone()]);
        let numbers = (rolling.replicas, rolling.updated_replicas, rolling.available_replicas);
        assert_eq!(numbers, (Some(10), Some(4), Some(10)));
        assert_eq!(condition(&rolling, "Progressing").1, "FoundNewReplicaSet");
        let new = ready_set(&deployment, "new", 10);
        let complete = report(&deployment, vec![new]);
        assert_eq!(condition(&complete, "Progressing").1, "NewReplicaSetAvailable");
        assert_eq!(condition(&complete, "Available").0, "True");
    }

    #[test]
    fn a_recreated_deployment_is_available_only_with_all_its_pods() {
        let mut deployment = deployment(3, "1", "0");
        deployment.spec.strategy.as_mut().unwrap().type_ = Some("Recreate".to_owned());
        deployment.spec.strategy.as_mut().unwrap().rolling_update = None;
        let available = |ready| {
            let set = replica_set(&deployment, "new", "web:2", 3, ready);
            condition(&report(&deployment, vec![set]), "Available").0
        };
        assert_eq!([available(2), available(3)], ["False", "True"]);
    }

    #[test]
    fn what_cannot_all_be_read_is_not_said_to_be_seen() {
        let mut deployment = deployment(3, "1", "0");
        deployment.metadata.generation = Some(5);
        deployment.status = Some(DeploymentStatus { observed_generation: Some(4), ..DeploymentStatus::default() });
        let observed = Observed::unreadable(deployment, "no".to_owned(), Timestamp::UNIX_EPOCH);
        let status = status(&observed, &Plan::default(), &Vec::new());
        assert_eq!(status.observed_generation, Some(4));
        assert_eq!(condition(&status, STALLED).1, "Unreadable");
    }

    #[test]
    fn too_few_available_pods_make_it_unavailable() {
        let deployment = deployment(10, "3", "2");
        let status = report(&deployment, vec![ready_set(&deployment, "new", 7)]);
        assert_eq!(condition(&status, "Available"), ("False".to_owned(), "MinimumReplicasUnavailable".to_owned()));
        assert_eq!(status.unavailable_replicas, Some(0));
    }

    #[test]
    fn a_name_that_is_taken_counts_as_a_collision_and_no_other_failure_does() {
        let deployment = deployment(3, "1", "0");
        let observed = observed(&deployment, vec![]);
        let create = Step::CreateReplicaSet {
            name: "web-1".to_owned(),
            hash: "1".to_owned(),
            replicas: 3,
            annotations: BTreeMap::new(),
        };
        let count = |error: Error| {
            let planned = Planned { step: create.clone(), reason: String::new() };
            status(&observed, &Plan::default(), &vec![(planned, Err(error))]).collision_count.unwrap_or_default()
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
        let failing = report(&deployment, vec![set.clone()]);
        assert_eq!(condition(&failing, REPLICA_FAILURE).1, "FailedCreate");
        set.status.as_mut().unwrap().conditions = None;
        let mut deployment = deployment;
        deployment.status = Some(failing);
        let healed = report(&deployment, vec![set]);
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
        let terminating = |sets| report(&deployment, sets).terminating_replicas;
        assert_eq!(terminating(vec![set(Some(1)), set(Some(2))]), Some(3));
        assert_eq!(terminating(vec![set(Some(1)), set(None)]), None);
        let mut unread = set(None);
        unread.status = None;
        assert_eq!(terminating(vec![set(Some(1)), unread]), Some(1));
    }

    #[test]
    fn outside_of_a_rollout_neither_progress_nor_a_failure_of_the_pods_is_told_anew() {
        let mut deployment = deployment(3, "1", "0");
        deployment.spec.progress_deadline_seconds = Some(600);
        let mut set = ready_set(&deployment, "new", 2);
        set.status.as_mut().unwrap().conditions = Some(vec![ReplicaSetCondition {
            type_: Some(REPLICA_FAILURE.to_owned()),
            ..ReplicaSetCondition::default()
        }]);
        let types = |deployment: &Deployment| {
            let status = report(deployment, vec![set.clone()]);
            let types = status.conditions.unwrap().into_iter().map(|condition| condition.type_.unwrap());
            (status.replicas, types.collect::<Vec<_>>())
        };
        assert_eq!(types(&deployment).1, ["Available", "Progressing", "ReplicaFailure"]);
        deployment.metadata.deletion_timestamp = set.metadata.creation_timestamp.clone();
        assert_eq!(types(&deployment), (Some(2), vec!["Available".to_owned(), "Progressing".to_owned()]));
        deployment.metadata.deletion_timestamp = None;
        deployment.spec.paused = Some(true);
        assert_eq!(types(&deployment), (Some(2), vec!["Available".to_owned(), "Progressing".to_owned()]));
    }

    #[test]
    fn a_paused_deployment_never_times_out() {
        let mut deployment = deployment(3, "1", "0");
        deployment.spec.progress_deadline_seconds = Some(60);
        deployment.spec.paused = Some(true);
        let set = ready_set(&deployment, "old", 3);
        deployment.status = Some(report(&deployment, vec![set.clone()]));
        let mut later = observed(&deployment, vec![set]);
        later.now.0 = Timestamp::from_second(1000).unwrap();
        let status = status(&later, &Plan::default(), &Vec::new());
        assert_eq!(condition(&status, "Progressing"), ("Unknown".to_owned(), "DeploymentPaused".to_owned()));
    }

    #[test]
    fn what_cannot_be_acted_on_says_why_until_it_is_mended() {
        let mut deployment = deployment(3, "1", "0");
        deployment.spec.replicas = Some(-3);
        let set = ready_set(&deployment, "new", 2);
        let stalled = report(&deployment, vec![set.clone()]);
        assert_eq!(condition(&stalled, STALLED), ("True".to_owned(), "InvalidSpec".to_owned()));
        assert_eq!((stalled.observed_generation, stalled.replicas), (Some(1), None));
        deployment.status = Some(stalled);
        deployment.spec.replicas = Some(3);
        let healed = report(&deployment, vec![set]);
        assert!(healed.conditions.unwrap().iter().all(|condition| condition.type_.as_deref() != Some(STALLED)));
    }

    #[test]
    fn steps_that_change_nothing_are_told_until_they_do() {
        let mut deployment = deployment(3, "1", "0");
        let repeated = |deployment: &Deployment| {
            let planned = Planned { step: Step::ConfirmOwner, reason: String::new() };
            let livelock = Error::Livelock { steps: "ConfirmOwner".to_owned() };
            let mut plan = Plan::default();
            plan.step(Step::ConfirmOwner, "");
            status(&observed(deployment, vec![]), &plan, &vec![(planned, Err(livelock))])
        };
        let stalled = repeated(&deployment);
        assert_eq!(condition(&stalled, STALLED).1, "Livelock");
        deployment.status = Some(stalled);
        let over = report(&deployment, vec![]).conditions.unwrap();
        assert!(over.iter().all(|condition| condition.type_.as_deref() != Some(STALLED)));
    }

    #[test]
    fn a_pass_that_claims_reports_as_before() {
        let mut deployment = deployment(3, "1", "0");
        deployment.status = Some(DeploymentStatus { replicas: Some(7), ..DeploymentStatus::default() });
        let mut plan = Plan::default();
        plan.step(Step::ConfirmOwner, "");
        assert_eq!(status(&observed(&deployment, vec![]), &plan, &Vec::new()).replicas, Some(7));
    }
}
