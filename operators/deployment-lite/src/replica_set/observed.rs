//! What is known of one ReplicaSet: plain, sorted data, in the built-in kinds' own terms.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use operator_sdk::{plan::Now, selector};

/// A ReplicaSet, the pods that concern it, and the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The ReplicaSet's metadata.
    pub metadata: ObjectMeta,
    /// What it asks for.
    pub spec: ReplicaSetSpec,
    /// What it reported last.
    pub status: ReplicaSetStatus,
    /// Its active pods, by name: those that it controls, that its selector matches, and that neither terminate nor have
    /// ended (R1).
    pub pods: Vec<Arc<Pod>>,
    /// Active pods that it controls and that its selector does not match any more (R11).
    pub lost: Vec<Arc<Pod>>,
    /// Active pods that nobody controls and that its selector matches (R24).
    pub orphans: Vec<Arc<Pod>>,
    /// How many active pods of all ReplicaSets of the same controller are on each node; of none if it has none (R12).
    pub neighbours: BTreeMap<String, usize>,
    /// How many more of its pods are terminating and have not ended yet (R13).
    pub terminating: usize,
    /// A pod that does not fit its type: nothing can be counted.
    pub unreadable: Option<String>,
    /// When it was looked at.
    pub now: Now,
}

/// Pods as they were collected.
#[derive(Clone, Debug, Default)]
pub struct Pods {
    /// Those that the ReplicaSet controls.
    pub owned: Vec<Arc<Pod>>,
    /// Those that nobody controls and that its selector matches.
    pub orphans: Vec<Arc<Pod>>,
    /// Those of all ReplicaSets that have the same controller as it.
    pub related: Vec<Arc<Pod>>,
}

impl Observed {
    /// Leaves out what does not count.
    pub fn new(replica_set: ReplicaSet, pods: Pods, now: Timestamp) -> Self {
        let selector = &replica_set.spec.selector;
        let active = |pods: Vec<Arc<Pod>>| -> Vec<Arc<Pod>> {
            let mut pods: Vec<_> = pods.into_iter().filter(|pod| is_active(pod)).collect();
            pods.sort_by_key(|pod| pod.metadata.name.clone());
            pods
        };
        let (matching, lost): (Vec<_>, Vec<_>) =
            pods.owned.into_iter().partition(|pod| selector::matches(selector, pod.metadata.labels.as_ref()));
        let terminating = matching.iter().filter(|pod| is_terminating(pod)).count();
        Self {
            pods: active(matching),
            lost: active(lost),
            orphans: active(pods.orphans),
            neighbours: count_by_node(&pods.related),
            terminating,
            unreadable: None,
            metadata: replica_set.metadata,
            spec: replica_set.spec,
            status: replica_set.status.unwrap_or_default(),
            now: Now(now),
        }
    }

    /// A ReplicaSet one of whose pods cannot be read.
    pub fn unreadable(replica_set: ReplicaSet, problem: String, now: Timestamp) -> Self {
        Self { unreadable: Some(problem), ..Self::new(replica_set, Pods::default(), now) }
    }

    /// How long a pod has to be ready before it counts as available. Default 0.
    pub fn min_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }

    /// The number of pods asked for; never negative. Default 1.
    pub fn replicas(&self) -> usize {
        usize::try_from(self.spec.replicas.unwrap_or(1)).unwrap_or(0)
    }
}

fn count_by_node(pods: &[Arc<Pod>]) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    let nodes = pods.iter().filter(|pod| is_active(pod)).filter_map(|pod| pod.spec.as_ref()?.node_name.clone());
    nodes.for_each(|node| *count.entry(node).or_default() += 1);
    count
}

fn is_active(pod: &Pod) -> bool {
    !has_ended(pod) && pod.metadata.deletion_timestamp.is_none()
}

fn is_terminating(pod: &Pod) -> bool {
    !has_ended(pod) && pod.metadata.deletion_timestamp.is_some()
}

/// True once no container of the pod runs, nor ever will again.
pub(crate) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}
