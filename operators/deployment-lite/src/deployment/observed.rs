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
use operator_sdk::plan::Now;

/// A Deployment, the ReplicaSets that it controls, and the time.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The Deployment's metadata.
    pub metadata: ObjectMeta,
    /// What it asks for.
    pub spec: DeploymentSpec,
    /// What it reported last.
    pub status: DeploymentStatus,
    /// The ReplicaSets that it controls and that are not being deleted, oldest first (then by name).
    pub replica_sets: Vec<Set>,
    /// When it was looked at.
    pub now: Now,
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
}

impl Observed {
    /// Sorts what was collected.
    pub fn new(deployment: Deployment, replica_sets: impl IntoIterator<Item = ReplicaSet>, now: Timestamp) -> Self {
        let mut replica_sets: Vec<Set> = replica_sets.into_iter().map(Set::from).collect();
        replica_sets.retain(|set| set.metadata.deletion_timestamp.is_none());
        replica_sets.sort_by_key(|set| (set.metadata.creation_timestamp.clone(), set.metadata.name.clone()));
        Self {
            metadata: deployment.metadata,
            spec: deployment.spec,
            status: deployment.status.unwrap_or_default(),
            replica_sets,
            now: Now(now),
        }
    }

    /// The number of pods asked for; never negative. Default 1.
    pub fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1).max(0)
    }

    /// The limits of a rolling update, if any are given.
    pub fn rolling_update(&self) -> Option<&RollingUpdateDeployment> {
        self.spec.strategy.as_ref()?.rolling_update.as_ref()
    }

    /// True once the Deployment is being deleted: nothing is to be changed any more.
    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

impl From<ReplicaSet> for Set {
    fn from(set: ReplicaSet) -> Self {
        Self { metadata: set.metadata, spec: set.spec, status: set.status.unwrap_or_default() }
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

    /// What its pods are like.
    pub fn template(&self) -> PodTemplateSpec {
        self.spec.template.clone().unwrap_or_default()
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
