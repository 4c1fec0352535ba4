//! What is known of one Deployment: plain, sorted data, in the built-in kinds' own terms.

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{
            Deployment, DeploymentSpec, DeploymentStatus, ReplicaSet, ReplicaSetSpec, ReplicaSetStatus,
            RollingUpdateDeployment,
        },
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use operator_sdk::{plan::Now, selector};

/// A Deployment, the ReplicaSets that concern it, and the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The Deployment's metadata.
    pub metadata: ObjectMeta,
    /// What it asks for.
    pub spec: DeploymentSpec,
    /// What it reported last.
    pub status: DeploymentStatus,
    /// The ReplicaSets that it controls and that its selector matches, oldest first (then by name).
    pub replica_sets: Vec<Set>,
    /// Those that it controls and that its selector does not match any more.
    pub lost: Vec<ObjectMeta>,
    /// Those that nobody controls and that its selector matches.
    pub orphans: Vec<ObjectMeta>,
    /// A ReplicaSet or a pod that does not fit its type: nothing can be counted.
    pub unreadable: Option<String>,
    /// When it was looked at.
    pub now: Now,
}

/// ReplicaSets as they were collected.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// Those that the Deployment controls.
    pub owned: Vec<Candidate>,
    /// Those that nobody controls and that its selector matches.
    pub orphans: Vec<ObjectMeta>,
}

/// A ReplicaSet, and whether a container of its pods may run still.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The ReplicaSet.
    pub set: ReplicaSet,
    /// True if all pods are recreated at once, and any of these, terminating ones included, has not ended (D38).
    pub has_running_pods: bool,
}

/// A ReplicaSet.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// What it asks for.
    pub spec: ReplicaSetSpec,
    /// What it reported last.
    pub status: ReplicaSetStatus,
    /// True if any of its pods, terminating ones included, has not ended.
    pub has_running_pods: bool,
}

impl Observed {
    /// Sorts what was collected.
    pub fn new(deployment: Deployment, candidates: Candidates, now: Timestamp) -> Self {
        let selector = &deployment.spec.selector;
        let owned = candidates
            .owned
            .into_iter()
            .map(|candidate| Set { has_running_pods: candidate.has_running_pods, ..Set::from(candidate.set) });
        let (mut replica_sets, lost): (Vec<Set>, Vec<Set>) =
            owned.partition(|set| selector::matches(selector, set.metadata.labels.as_ref()));
        replica_sets.sort_by_key(|set| (set.metadata.creation_timestamp.clone(), set.metadata.name.clone()));
        Self {
            replica_sets,
            lost: lost.into_iter().map(|set| set.metadata).collect(),
            orphans: candidates.orphans,
            unreadable: None,
            metadata: deployment.metadata,
            spec: deployment.spec,
            status: deployment.status.unwrap_or_default(),
            now: Now(now),
        }
    }

    /// A Deployment one of whose ReplicaSets, or pods, cannot be read.
    pub fn unreadable(deployment: Deployment, problem: String, now: Timestamp) -> Self {
        Self { unreadable: Some(problem), ..Self::new(deployment, Candidates::default(), now) }
    }

    /// The number of pods asked for; never negative. Default 1.
    pub fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1).max(0)
    }

    /// The limits of a rolling update, if any are given.
    pub fn rolling_update(&self) -> Option<&RollingUpdateDeployment> {
        self.spec.strategy.as_ref()?.rolling_update.as_ref()
    }

    /// True if all pods of a former template are to be gone before there are any of the present one.
    pub fn is_recreated(&self) -> bool {
        is_recreated(&self.spec)
    }

    /// True once the Deployment is being deleted: nothing is to be changed any more.
    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

/// True if all pods of a former template are to be gone before there are any of the present one.
pub(super) fn is_recreated(spec: &DeploymentSpec) -> bool {
    spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

impl From<ReplicaSet> for Set {
    fn from(set: ReplicaSet) -> Self {
        Self { metadata: set.metadata, spec: set.spec, status: set.status.unwrap_or_default(), has_running_pods: false }
    }
}

impl Set {
    /// Its name.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The number of pods that it is asked to have; never negative.
    pub fn size(&self) -> i32 {
        self.spec.replicas.unwrap_or(1).max(0)
    }

    /// What an annotation of it says.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// What its pods are like.
    pub fn template(&self) -> PodTemplateSpec {
        self.spec.template.clone().unwrap_or_default()
    }

    /// True if it has pods, or may make some any moment.
    pub fn has_pods(&self) -> bool {
        self.size() > 0 || self.status.replicas > 0 || self.has_running_pods || !self.has_seen_its_size()
    }

    /// True once it has reported on its latest size.
    pub fn has_seen_its_size(&self) -> bool {
        self.status.observed_generation.unwrap_or_default() >= self.metadata.generation.unwrap_or_default()
    }

    /// The pods that it reported as available.
    pub fn available(&self) -> i32 {
        self.status.available_replicas.unwrap_or_default()
    }
}
