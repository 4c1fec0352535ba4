//! The decisions of the ReplicaSet controller: pure.

pub(super) mod availability;
mod victim;

use std::collections::BTreeMap;

use operator_sdk::{
    Target,
    plan::{Plan, Planned, Wait},
};

use super::{Observed, Step};

/// Pods made or deleted in one pass at the most (R2, R3).
const BURST: usize = 500;

/// Makes what lacks, in growing groups; deletes what is too many.
pub(super) fn plan(observed: &Observed) -> Plan<Step> {
    let mut plan = Plan::default();
    if observed.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let wanted = observed.replicas();
    let present = observed.pods.len();
    if present < wanted {
        let missing = (wanted - present).min(BURST);
        plan.slow_start(
            (0..missing)
                .map(|_| Planned { step: Step::CreatePod, reason: format!("{present} of {wanted} pods are there") }),
        );
    } else if present > wanted {
        let surplus = (present - wanted).min(BURST);
        let victims = victim::choose(
            &observed.pods,
            &neighbours(observed),
            observed.min_ready_seconds(),
            observed.now.0,
            surplus,
        );
        let deletions = victims.into_iter().filter_map(|pod| Target::of(pod).ok());
        let reason = format!("{present} pods are there and {wanted} are wanted");
        plan.groups.push(
            deletions.map(|target| Planned { step: Step::DeletePod { target }, reason: reason.clone() }).collect(),
        );
    }
    // No event tells that a pod has been ready for long enough (R16).
    if let Some(next) = availability::next_available(&observed.pods, observed.min_ready_seconds(), observed.now.0) {
        plan.waits.push(Wait { what: "a ready pod to become available".to_owned(), until: Some(next) });
    }
    plan
}

/// How many pods of this ReplicaSet are on each node. Those of related ReplicaSets are not known here yet.
fn neighbours(observed: &Observed) -> BTreeMap<String, usize> {
    let mut neighbours = BTreeMap::new();
    let nodes = observed.pods.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.clone());
    nodes.for_each(|node| *neighbours.entry(node).or_default() += 1);
    neighbours
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use k8s_openapi::{
        api::{
            apps::v1::{ReplicaSet, ReplicaSetSpec},
            core::v1::{Pod, PodStatus},
        },
        apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
    };

    use super::*;

    fn set(replicas: i32) -> ReplicaSet {
        ReplicaSet {
            spec: ReplicaSetSpec { replicas: Some(replicas), ..ReplicaSetSpec::default() },
            ..ReplicaSet::default()
        }
    }

    fn pod(name: &str, phase: &str) -> Pod {
        Pod {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                uid: Some(name.to_owned()),
                resource_version: Some("1".to_owned()),
                ..ObjectMeta::default()
            },
            status: Some(PodStatus { phase: Some(phase.to_owned()), ..PodStatus::default() }),
            ..Pod::default()
        }
    }

    fn planned(set: ReplicaSet, pods: Vec<Pod>) -> Plan<Step> {
        let pods = pods.into_iter().map(Arc::new).collect();
        plan(&Observed::new(set, pods, Timestamp::UNIX_EPOCH))
    }

    #[test]
    fn missing_pods_are_made_in_growing_groups() {
        let plan = planned(set(10), vec![]);
        assert_eq!(plan.groups.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 4, 3]);
    }

    #[test]
    fn ended_and_terminating_pods_are_replaced_and_never_deleted() {
        let mut terminating = pod("terminating", "Running");
        terminating.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let plan = planned(set(1), vec![pod("failed", "Failed"), pod("done", "Succeeded"), terminating]);
        assert!(plan.steps().map(|planned| &planned.step).eq([&Step::CreatePod]));
    }

    #[test]
    fn a_surplus_is_deleted_in_this_very_incarnation() {
        let plan = planned(set(1), vec![pod("a", "Running"), pod("b", "Pending")]);
        let steps: Vec<_> = plan.steps().map(|planned| planned.step.clone()).collect();
        assert!(matches!(&steps[..], [Step::DeletePod { target }] if target.uid.as_str() == "b"), "{steps:?}");
    }

    #[test]
    fn nothing_is_done_for_a_set_that_is_being_deleted() {
        let mut set = set(3);
        set.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert!(planned(set, vec![]).is_empty());
    }
}
