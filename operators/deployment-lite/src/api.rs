//! The kinds that users write: `LiteDeployment` and `LiteReplicaSet` in `apps.operator-lite.dev/v1alpha1`.

mod deployment;
mod replica_set;
mod schema;

pub use deployment::{LiteDeployment, LiteDeploymentSpec, LiteDeploymentStatus, RollingUpdate, Strategy, StrategyType};
pub use replica_set::{LiteReplicaSet, LiteReplicaSetSpec, LiteReplicaSetStatus};

/// The label that tells the pods of one template version from those of another.
pub const HASH_LABEL: &str = "pod-template-hash";
