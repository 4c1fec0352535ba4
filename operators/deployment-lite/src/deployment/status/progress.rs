//! Whether a rollout makes progress, and when it has taken too long (D60–D65).

use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};
use operator_sdk::{Error, plan::Results};

use super::condition::Report;
use crate::deployment::{
    Observed, Set, Step,
    core::{
        deadline::{self, NEW_REPLICA_SET_AVAILABLE, PROGRESSING, TIMED_OUT},
        version::Unusable,
    },
};

/// What becomes of the condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is no deadline, so there is no such condition (D60).
    Untold,
    /// It stays as it is.
    Same,
    /// It says this.
    Says(Report),
    /// It says this, and the time until the deadline begins anew even if it said so before (D62).
    SaysAnew(Report),
}

/// What is told outside of a rollout: what became of a ReplicaSet that a rollback needed first, and that the present one
/// is there, if nothing was told yet (D18).
pub(super) fn outside_of_a_rollout(
    observed: &Observed,
    current: Option<&Set>,
    results: &Results<Step, ()>,
) -> Progress {
    if deadline::seconds(observed).is_none() {
        return Progress::Same;
    }
    match (creation(results), deadline::condition(observed), current) {
        (Some(report), ..) => Progress::Says(report),
        (None, None, Some(set)) => Progress::Says(found(set.name())),
        _ => Progress::Same,
    }
}

/// Compares what was reported last with what is to be reported now.
pub(super) fn of(
    observed: &Observed,
    status: &DeploymentStatus,
    current: Option<&Set>,
    results: &Results<Step, ()>,
) -> Progress {
    if deadline::seconds(observed).is_none() {
        return Progress::Untold;
    }
    if let Some(report) = creation(results) {
        return Progress::Says(report);
    }
    let held = deadline::condition(observed);
    let name = current.map(Set::name).unwrap_or_default();
    let deployment = || format!("Deployment {:?}", observed.metadata.name.as_deref().unwrap_or_default());
    let subject = current.map_or_else(deployment, |set| format!("ReplicaSet {:?}", set.name()));
    match held {
        None if current.is_none() => Progress::Same,
        Some(held) if is_complete_still(held, current) && status.replicas == status.updated_replicas => Progress::Same,
        _ if deadline::is_complete(observed, status) => {
            let complete = report("True", NEW_REPLICA_SET_AVAILABLE, format!("{subject} has successfully progressed."));
            // What was complete before was another ReplicaSet, whose name would stay.
            if held.is_some_and(was_complete) { Progress::SaysAnew(complete) } else { Progress::Says(complete) }
        }
        None => Progress::Says(found(name)),
        // Back to a template whose ReplicaSet is there still: the time begins now.
        Some(held) if was_complete(held) && current.is_some() => Progress::Says(found(name)),
        Some(_) if has_progressed(&observed.status, status) => {
            Progress::SaysAnew(report("True", "ReplicaSetUpdated", format!("{subject} is progressing.")))
        }
        Some(_) if deadline::is_over(observed) => {
            Progress::Says(report("False", TIMED_OUT, format!("{subject} has timed out progressing.")))
        }
        Some(_) => Progress::Same,
    }
}

fn report(status: &'static str, reason: &'static str, message: String) -> Report {
    Report { r#type: PROGRESSING, status, reason, message }
}

fn found(name: &str) -> Report {
    report("True", "FoundNewReplicaSet", format!("Found new replica set \"{name}\""))
}

/// What became of making the new ReplicaSet in this pass (D15, D17).
fn creation(results: &Results<Step, ()>) -> Option<Report> {
    results.iter().find_map(|(planned, result)| match (&planned.step, result) {
        (Step::CreateReplicaSet { name, .. }, Ok(())) => {
            Some(report("True", "NewReplicaSetCreated", format!("Created new replica set \"{name}\"")))
        }
        // All of it is being deleted.
        (_, Err(Error::Request(error))) if error.is_namespace_terminating() => None,
        // Another name will be tried.
        (_, Err(Error::Other { source, .. })) if matches!(source.downcast_ref(), Some(Unusable::Taken(_))) => None,
        (Step::CreateReplicaSet { .. }, Err(error)) => {
            Some(report("False", "ReplicaSetCreateError", error.to_string()))
        }
        _ => None,
    })
}

fn was_complete(held: &DeploymentCondition) -> bool {
    held.reason.as_deref() == Some(NEW_REPLICA_SET_AVAILABLE)
}

/// It may have been another ReplicaSet that was complete: whoever made the present one ended before it could say so.
fn is_complete_still(held: &DeploymentCondition, current: Option<&Set>) -> bool {
    let said = held.message.as_deref().filter(|message| message.starts_with("ReplicaSet "));
    let is_said_of = |set: &Set, message: &str| message.starts_with(&format!("ReplicaSet {:?} ", set.name()));
    let is_of_another = said.zip(current).is_some_and(|(message, set)| !is_said_of(set, message));
    was_complete(held) && !is_of_another
}

/// More pods of the present template, fewer of former ones, more ready or more available (D62).
fn has_progressed(before: &DeploymentStatus, now: &DeploymentStatus) -> bool {
    let updated = |status: &DeploymentStatus| status.updated_replicas.unwrap_or_default();
    let former = |status: &DeploymentStatus| status.replicas.unwrap_or_default() - updated(status);
    let ready = |status: &DeploymentStatus| status.ready_replicas.unwrap_or_default();
    let available = |status: &DeploymentStatus| status.available_replicas.unwrap_or_default();
    updated(now) > updated(before)
        || former(now) < former(before)
        || ready(now) > ready(before)
        || available(now) > available(before)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use operator_sdk::{Class, plan::Planned};

    use super::*;
    use crate::deployment::core::fixture;

    fn status(replicas: i32, updated: i32, available: i32) -> DeploymentStatus {
        DeploymentStatus {
            replicas: Some(replicas),
            updated_replicas: Some(updated),
            ready_replicas: Some(available),
            available_replicas: Some(available),
            ..DeploymentStatus::default()
        }
    }

    /// Ten pods wanted; reported so at second 0 with this reason; looked at `now` seconds later.
    fn observed(before: DeploymentStatus, reason: Option<&str>, now: i64) -> Observed {
        let mut deployment = fixture::deployment(10, "3", "2");
        deployment.spec.progress_deadline_seconds = Some(60);
        let condition = reason.map(|reason| DeploymentCondition {
            type_: Some(PROGRESSING.to_owned()),
            status: Some("True".to_owned()),
            reason: Some(reason.to_owned()),
            last_update_time: Some(Time(Timestamp::UNIX_EPOCH)),
            ..DeploymentCondition::default()
        });
        deployment.status = Some(DeploymentStatus { conditions: Some(condition.into_iter().collect()), ..before });
        let new = fixture::replica_set(&deployment, "new", "web:2", 10, 4);
        let mut observed = fixture::observed(&deployment, vec![new]);
        observed.now.0 = Timestamp::from_second(now).unwrap();
        observed
    }

    fn creation_step() -> Step {
        Step::CreateReplicaSet {
            name: "web-1".to_owned(),
            hash: "1".to_owned(),
            replicas: 3,
            annotations: BTreeMap::new(),
        }
    }

    fn said(observed: &Observed, now: &DeploymentStatus) -> String {
        match of(observed, now, observed.replica_sets.first(), &Vec::new()) {
            Progress::Untold => "untold".to_owned(),
            Progress::Same => "same".to_owned(),
            Progress::Says(report) => format!("{}/{}", report.status, report.reason),
            Progress::SaysAnew(report) => format!("anew {}/{}", report.status, report.reason),
        }
    }

    const UPDATED: Option<&str> = Some("ReplicaSetUpdated");

    #[test]
    fn without_a_deadline_nothing_is_said() {
        let mut observed = observed(status(10, 4, 10), UPDATED, 0);
        observed.spec.progress_deadline_seconds = None;
        assert_eq!(said(&observed, &status(10, 10, 10)), "untold");
        observed.spec.progress_deadline_seconds = Some(i32::MAX);
        assert_eq!(said(&observed, &status(10, 10, 10)), "untold");
    }

    #[test]
    fn any_progress_begins_the_time_anew() {
        let observed = observed(status(12, 4, 9), UPDATED, 61);
        for progress in [status(12, 5, 9), status(11, 4, 9), status(12, 4, 10)] {
            assert_eq!(said(&observed, &progress), "anew True/ReplicaSetUpdated");
        }
        let mut ready = status(12, 4, 9);
        ready.ready_replicas = Some(10);
        assert_eq!(said(&observed, &ready), "anew True/ReplicaSetUpdated");
    }

    #[test]
    fn no_progress_for_longer_than_the_deadline_is_told() {
        let before = status(12, 4, 9);
        assert_eq!(said(&observed(before.clone(), UPDATED, 60), &before), "same");
        assert_eq!(said(&observed(before.clone(), UPDATED, 61), &before), "False/ProgressDeadlineExceeded");
    }

    #[test]
    fn a_rollout_that_was_complete_never_times_out_when_a_pod_is_lost() {
        let lost = status(10, 10, 9);
        assert_eq!(said(&observed(status(10, 10, 10), Some(NEW_REPLICA_SET_AVAILABLE), 999), &lost), "same");
    }

    #[test]
    fn a_rollout_begins_though_whoever_made_its_replica_set_ended_before_it_could_say_so() {
        let mut observed = observed(status(0, 0, 0), Some(NEW_REPLICA_SET_AVAILABLE), 999);
        let said_of = |observed: &mut Observed, set: &str| {
            let conditions = observed.status.conditions.as_mut().unwrap();
            conditions[0].message = Some(format!("ReplicaSet {set:?} has successfully progressed."));
        };
        said_of(&mut observed, "new");
        assert_eq!(said(&observed, &status(0, 0, 0)), "same");
        said_of(&mut observed, "old");
        assert_eq!(said(&observed, &status(0, 0, 0)), "True/FoundNewReplicaSet");
        assert_eq!(said(&observed, &status(10, 10, 10)), "anew True/NewReplicaSetAvailable");
    }

    #[test]
    fn complete_is_every_pod_new_and_available() {
        let observed = observed(status(10, 9, 9), UPDATED, 0);
        assert_eq!(said(&observed, &status(10, 10, 10)), "True/NewReplicaSetAvailable");
        assert_eq!(said(&observed, &status(11, 10, 10)), "anew True/ReplicaSetUpdated");
    }

    #[test]
    fn what_became_of_the_new_replica_set_goes_first() {
        let observed = observed(status(10, 4, 9), UPDATED, 61);
        let create = creation_step();
        let told = |result| {
            let results = vec![(Planned { step: create.clone(), reason: String::new() }, result)];
            match of(&observed, &status(10, 4, 9), None, &results) {
                Progress::Says(report) => (report.status, report.reason, report.message),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(told(Ok(())).1, "NewReplicaSetCreated");
        let failed = told(Err(Error::other(Class::Transient, "quota")));
        assert_eq!(failed, ("False", "ReplicaSetCreateError", "quota".to_owned()));
    }

    #[test]
    fn a_rollout_back_to_a_former_template_begins_its_time() {
        let observed = observed(status(10, 10, 10), Some(NEW_REPLICA_SET_AVAILABLE), 5);
        assert_eq!(said(&observed, &status(10, 0, 10)), "True/FoundNewReplicaSet");
    }

    #[test]
    fn a_creation_that_a_rollback_needed_is_told_too() {
        let observed = observed(status(10, 4, 9), UPDATED, 5);
        let planned = Planned { step: creation_step(), reason: String::new() };
        let results = vec![(planned, Err(Error::other(Class::Transient, "quota")))];
        let told = outside_of_a_rollout(&observed, None, &results);
        assert!(matches!(told, Progress::Says(report) if report.reason == "ReplicaSetCreateError"));
        assert_eq!(outside_of_a_rollout(&observed, None, &Vec::new()), Progress::Same);
    }

    #[test]
    fn a_name_that_is_taken_is_no_failure() {
        let observed = observed(status(10, 4, 9), UPDATED, 5);
        let step = creation_step();
        let taken = Error::other(Class::Transient, Unusable::Taken("web-1".to_owned()));
        let results = vec![(Planned { step, reason: String::new() }, Err(taken))];
        assert_eq!(of(&observed, &status(10, 4, 9), None, &results), Progress::Same);
    }

    #[test]
    fn a_set_that_is_there_already_is_found_once() {
        assert_eq!(said(&observed(status(10, 4, 9), None, 0), &status(10, 4, 9)), "True/FoundNewReplicaSet");
    }
}
