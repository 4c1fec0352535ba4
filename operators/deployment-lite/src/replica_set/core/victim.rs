//! Which pods go when there are too many.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::replica_set::observed::is_ready;

/// The `count` pods that are missed least: not yet on a node, then not yet running, then not ready, then the youngest
/// (the first of upstream's criteria, R12, and its last).
pub(super) fn choose(pods: &[Arc<Pod>], count: usize) -> Vec<&Pod> {
    let mut pods: Vec<&Pod> = pods.iter().map(AsRef::as_ref).collect();
    pods.sort_by_key(|pod| {
        let created = pod.metadata.creation_timestamp.clone();
        (is_assigned(pod), phase_rank(pod), is_ready(pod), std::cmp::Reverse(created), pod.metadata.name.clone())
    });
    pods.truncate(count);
    pods
}

fn is_assigned(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|node| !node.is_empty())
}

fn phase_rank(pod: &Pod) -> u8 {
    match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Running") => 2,
        Some("Unknown") => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::{
        api::core::v1::{PodCondition, PodSpec, PodStatus},
        apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    };

    use super::*;

    fn pod(name: &str, node: Option<&str>, phase: &str, is_ready: bool, created: i64) -> Arc<Pod> {
        Arc::new(Pod {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                creation_timestamp: Timestamp::from_second(created).ok().map(Time),
                ..ObjectMeta::default()
            },
            spec: Some(PodSpec { node_name: node.map(str::to_owned), ..PodSpec::default() }),
            status: Some(PodStatus {
                phase: Some(phase.to_owned()),
                conditions: is_ready.then(|| {
                    vec![PodCondition {
                        type_: "Ready".to_owned(),
                        status: "True".to_owned(),
                        ..PodCondition::default()
                    }]
                }),
                ..PodStatus::default()
            }),
        })
    }

    #[test]
    fn the_least_useful_goes_first() {
        let pods = [
            pod("old-ready", Some("n"), "Running", true, 1),
            pod("young-ready", Some("n"), "Running", true, 9),
            pod("not-ready", Some("n"), "Running", false, 1),
            pod("pending", Some("n"), "Pending", false, 1),
            pod("unassigned", None, "Pending", false, 1),
        ];
        let order: Vec<_> = choose(&pods, 5).iter().map(|pod| pod.metadata.name.clone().unwrap()).collect();
        assert_eq!(order, ["unassigned", "pending", "not-ready", "young-ready", "old-ready"]);
        assert_eq!(choose(&pods, 2).len(), 2);
    }
}
