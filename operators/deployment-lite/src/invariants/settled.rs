//! What holds once nothing moves any more.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};

use super::{
    Violation,
    ledger::{Ledger, is_active, named, size, uid},
};

pub(super) fn judge(ledger: &Ledger, now: Timestamp) -> Vec<Violation> {
    let deployments = ledger.deployments.values().filter(|owner| !owner.is_gone).map(|owner| &owner.object);
    let sets = ledger.sets.values().filter(|owner| !owner.is_gone).map(|owner| &owner.object);
    let of_deployments = deployments.flat_map(|deployment| {
        let wrong = match deployment.metadata.deletion_timestamp {
            Some(_) => vec![format!("is still there at {now}")],
            None => deployment_wrongs(ledger, deployment),
        };
        wrong.into_iter().map(|message| (named("Deployment", &deployment.metadata), message))
    });
    let of_sets = sets.filter_map(|set| {
        let active = ledger.pods_of(&uid(&set.metadata)).filter(|pod| is_active(pod)).count();
        let is_right = i64::try_from(active) == Ok(size(set));
        (!is_right).then(|| (named("ReplicaSet", &set.metadata), format!("has {active} pods instead of {}", size(set))))
    });
    let found = of_deployments.chain(of_sets);
    found.map(|(object, message)| Violation { invariant: "settled", object, message }).collect()
}

fn deployment_wrongs(ledger: &Ledger, deployment: &Deployment) -> Vec<String> {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let mut wrong = Vec::new();
    let mut check = |is_right: bool, message: String| {
        if !is_right {
            wrong.push(message);
        }
    };
    let (seen, generation) = (status.observed_generation, deployment.metadata.generation);
    check(seen == generation, format!("says that it observed generation {seen:?}; it is at {generation:?}"));
    if deployment.spec.paused != Some(true) {
        let active: Vec<&ReplicaSet> = ledger.sets_of(&uid(&deployment.metadata)).filter(|set| size(set) > 0).collect();
        let most = usize::from(wanted > 0);
        check(active.len() == most, format!("has {} ReplicaSets with pods instead of {most}", active.len()));
        check(is_complete(&status), "does not say that it is complete".to_owned());
        check(
            status.updated_replicas.unwrap_or(0) == wanted,
            format!("says {:?} updated of {wanted}", status.updated_replicas),
        );
    }
    check(status.replicas.unwrap_or(0) == wanted, format!("says {:?} replicas of {wanted}", status.replicas));
    check(
        status.available_replicas.unwrap_or(0) == wanted,
        format!("says {:?} available of {wanted}", status.available_replicas),
    );
    wrong
}

fn is_complete(status: &DeploymentStatus) -> bool {
    let mut conditions = status.conditions.iter().flatten();
    conditions.any(|condition| {
        condition.type_.as_deref() == Some("Progressing")
            && condition.reason.as_deref() == Some("NewReplicaSetAvailable")
    })
}
