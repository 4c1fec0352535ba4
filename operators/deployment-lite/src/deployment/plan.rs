//! The closed list of what the Deployment controller does to the world.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use operator_sdk::{
    Target,
    owner::Claim,
    permission::{Permission, Verb},
    plan::{self, Declared},
};

use crate::api::Api;

/// One write, or one question to the API server that has to be answered before others.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Makes sure that the Deployment is not being deleted.
    ConfirmOwner,
    /// Takes a ReplicaSet that nobody controls.
    AdoptReplicaSet(Claim),
    /// Lets a ReplicaSet go.
    ReleaseReplicaSet(Claim),
    /// Makes the ReplicaSet of the present template.
    CreateReplicaSet {
        /// Its name.
        name: String,
        /// The hash in its name and on its pods.
        hash: String,
        /// Its size from the start.
        replicas: i32,
        /// What it says of itself besides.
        annotations: BTreeMap<String, String>,
    },
    /// Changes the size of a ReplicaSet, or only what it says of the size of its Deployment.
    ScaleReplicaSet {
        /// Which.
        target: Target,
        /// Its size so far.
        from: i32,
        /// Its new size.
        to: i32,
        /// What it says of the size of its Deployment.
        annotations: BTreeMap<String, String>,
    },
    /// Has the present ReplicaSet take over what has changed of the Deployment beside its template.
    UpdateReplicaSet {
        /// Which.
        target: Target,
        /// Those that are new or differ.
        annotations: BTreeMap<String, String>,
        /// How long its pods have to be ready before they count as available, in seconds.
        min_ready_seconds: i32,
    },
    /// Deletes a ReplicaSet of a template long past.
    DeleteReplicaSet {
        /// Which.
        target: Target,
    },
    /// Has the Deployment say which revision it is at.
    SetRevision {
        /// The Deployment.
        target: Target,
        /// As its ReplicaSet says it.
        revision: String,
    },
    /// Puts a former template in the place of the present one, as the Deployment asks.
    RollBack {
        /// The Deployment.
        target: Target,
        /// The present template.
        from: Box<PodTemplateSpec>,
        /// The former one.
        to: Box<PodTemplateSpec>,
        /// Annotations that change; `None` for those that go.
        annotations: BTreeMap<String, Option<String>>,
        /// The revision that had it.
        revision: i64,
    },
    /// Takes the wish for a rollback away, as it cannot be met.
    RefuseRollback {
        /// The Deployment.
        target: Target,
        /// One word for programs.
        reason: &'static str,
        /// A sentence for people.
        note: String,
    },
    /// Tells people once why nothing is done.
    Warn {
        /// One word for programs.
        reason: &'static str,
        /// A sentence for people.
        note: String,
    },
}

impl plan::Step for Step {
    fn variant(&self) -> &'static str {
        match self {
            Self::ConfirmOwner => "ConfirmOwner",
            Self::AdoptReplicaSet(_) => "AdoptReplicaSet",
            Self::ReleaseReplicaSet(_) => "ReleaseReplicaSet",
            Self::CreateReplicaSet { .. } => "CreateReplicaSet",
            Self::ScaleReplicaSet { .. } => "ScaleReplicaSet",
            Self::UpdateReplicaSet { .. } => "UpdateReplicaSet",
            Self::DeleteReplicaSet { .. } => "DeleteReplicaSet",
            Self::SetRevision { .. } => "SetRevision",
            Self::RollBack { .. } => "RollBack",
            Self::RefuseRollback { .. } => "RefuseRollback",
            Self::Warn { .. } => "Warn",
        }
    }
}

/// What the steps ask of the API server.
pub(super) fn permissions<A: Api>() -> Declared {
    let sets = |verbs: &[Verb]| verbs.iter().copied().map(Permission::of::<A::ReplicaSet>).collect();
    let deployments = |verb| vec![Permission::of::<A::Deployment>(verb)];
    vec![
        ("ConfirmOwner", deployments(Verb::Get)),
        ("AdoptReplicaSet", sets(&[Verb::Patch])),
        ("ReleaseReplicaSet", sets(&[Verb::Patch])),
        // Get: a create whose answer was lost looks whether it had been carried out.
        ("CreateReplicaSet", sets(&[Verb::Create, Verb::Get])),
        ("ScaleReplicaSet", sets(&[Verb::Patch])),
        ("UpdateReplicaSet", sets(&[Verb::Patch])),
        ("DeleteReplicaSet", sets(&[Verb::Delete])),
        ("SetRevision", deployments(Verb::Patch)),
        ("RollBack", deployments(Verb::Patch)),
        ("RefuseRollback", deployments(Verb::Patch)),
        ("Warn", vec![]),
    ]
}
