//! What a LiteDeployment reports of itself.

use operator_sdk::{
    Error,
    condition::{self, Report},
    plan::Results,
    selector,
};

use super::{
    Observed, Step,
    core::{
        fencepost,
        version::{self, Unusable},
    },
};
use crate::api::{LiteDeploymentStatus, LiteReplicaSet, LiteReplicaSetStatus};

pub(super) fn status(observed: &Observed, results: &Results<Step, ()>) -> LiteDeploymentStatus {
    let deployment = &observed.deployment;
    let held = deployment.status.clone().unwrap_or_default();
    let current = version::current(observed);
    let of_all = |number: fn(&LiteReplicaSetStatus) -> i32| -> i32 {
        observed.replica_sets.iter().filter_map(|set| set.status.as_ref()).map(number).sum()
    };
    let asked: i32 = observed.replica_sets.iter().map(|set| set.spec.replicas).sum();
    let available = of_all(|status| status.available_replicas);
    let generation = deployment.metadata.generation.unwrap_or_default();
    let mut status = LiteDeploymentStatus {
        observed_generation: generation,
        replicas: of_all(|status| status.replicas),
        updated_replicas: current.map_or(0, |set| number(set, |status| status.replicas)),
        ready_replicas: of_all(|status| status.ready_replicas),
        available_replicas: available,
        unavailable_replicas: (asked - available).max(0),
        collision_count: held.collision_count + i32::from(has_collision(results)),
        selector: selector::to_text(&deployment.spec.selector),
        conditions: held.conditions,
    };
    let reports = [available_report(observed, available), progressing_report(observed, &status, current)];
    for mut report in reports {
        report.observed_generation = Some(generation);
        condition::set(&mut status.conditions, report, observed.now);
    }
    status
}

fn number(set: &LiteReplicaSet, number: fn(&LiteReplicaSetStatus) -> i32) -> i32 {
    set.status.as_ref().map_or(0, number)
}

/// The name of the new LiteReplicaSet is taken: the next one needs another name.
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
        holds,
        reason: if holds { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" },
        message: format!("{available} pods are available, {wanted} are needed."),
        observed_generation: None,
    }
}

fn progressing_report(observed: &Observed, status: &LiteDeploymentStatus, current: Option<&LiteReplicaSet>) -> Report {
    let replicas = observed.replicas();
    let numbers = [status.replicas, status.updated_replicas, status.available_replicas];
    let is_complete = current.is_some() && numbers.iter().all(|number| *number == replicas);
    let name = current.and_then(|set| set.metadata.name.as_deref()).unwrap_or_default();
    Report {
        r#type: "Progressing",
        holds: true,
        reason: if is_complete { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" },
        message: if is_complete {
            format!("LiteReplicaSet \"{name}\" has successfully progressed.")
        } else {
            format!("LiteReplicaSet \"{name}\" is progressing.")
        },
        observed_generation: None,
    }
}

#[cfg(test)]
mod tests {
    use operator_sdk::{Class, plan::Planned};

    use super::*;
    use crate::deployment::core::fixture::{deployment, observed, ready_set};

    fn condition(status: &LiteDeploymentStatus, r#type: &str) -> (String, String) {
        let condition = status.conditions.iter().find(|condition| condition.type_ == r#type).unwrap();
        (condition.status.clone(), condition.reason.clone())
    }

    #[test]
    fn counts_every_set_and_says_when_a_rollout_is_complete() {
        let deployment = deployment(10, "3", "2");
        let old = ready_set(&deployment, "old", 6);
        let new = ready_set(&deployment, "new", 4);
        let rolling = status(&observed(&deployment, vec![old.clone(), new.clone()]), &Vec::new());
        assert_eq!((rolling.replicas, rolling.updated_replicas, rolling.available_replicas), (10, 4, 10));
        assert_eq!(condition(&rolling, "Progressing").1, "ReplicaSetUpdated");
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
        assert_eq!(status.unavailable_replicas, 0);
    }

    #[test]
    fn a_name_that_is_taken_counts_as_a_collision_and_no_other_failure_does() {
        let deployment = deployment(3, "1", "0");
        let observed = observed(&deployment, vec![]);
        let create = Step::CreateReplicaSet { name: "web-1".to_owned(), hash: "1".to_owned(), replicas: 3 };
        let count = |error: Error| {
            let planned = Planned { step: create.clone(), reason: String::new() };
            status(&observed, &vec![(planned, Err(error))]).collision_count
        };
        assert_eq!(count(Error::other(Class::Transient, Unusable::Taken("web-1".to_owned()))), 1);
        assert_eq!(count(Error::other(Class::Invalid, Unusable::Altered("web-1".to_owned()))), 0);
    }
}
