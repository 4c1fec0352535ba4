//! What a Deployment reports of itself.

use k8s_openapi::api::apps::v1::DeploymentStatus;
use operator_sdk::{Error, plan::Results};

use super::{
    Observed, Set, Step,
    core::{
        fencepost,
        version::{self, Unusable},
    },
};

mod condition;

use condition::Report;

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
        conditions: observed.status.conditions.clone(),
        terminating_replicas: None,
    };
    let reports = [available_report(observed, available), progressing_report(observed, &status, current)];
    for report in reports {
        condition::set(status.conditions.get_or_insert_default(), report, observed.now);
    }
    status
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
        message: format!("{available} pods are available, {wanted} are needed."),
    }
}

fn progressing_report(observed: &Observed, status: &DeploymentStatus, current: Option<&Set>) -> Report {
    let replicas = observed.replicas();
    let numbers = [status.replicas, status.updated_replicas, status.available_replicas];
    let is_complete = current.is_some() && numbers.iter().all(|number| *number == Some(replicas));
    let name = current.map(Set::name).unwrap_or_default();
    Report {
        r#type: "Progressing",
        status: "True",
        reason: if is_complete { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" },
        message: if is_complete {
            format!("ReplicaSet \"{name}\" has successfully progressed.")
        } else {
            format!("ReplicaSet \"{name}\" is progressing.")
        },
    }
}

#[cfg(test)]
mod tests {
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
        let deployment = deployment(10, "3", "2");
        let old = ready_set(&deployment, "old", 6);
        let new = ready_set(&deployment, "new", 4);
        let rolling = status(&observed(&deployment, vec![old.clone(), new.clone()]), &Vec::new());
        let numbers = (rolling.replicas, rolling.updated_replicas, rolling.available_replicas);
        assert_eq!(numbers, (Some(10), Some(4), Some(10)));
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
}
