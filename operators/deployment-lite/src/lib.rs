//! Deployments and ReplicaSets, as an operator on an existing API server.
//!
//! A `LiteDeployment` owns `LiteReplicaSet`s, one for each version of its template; a `LiteReplicaSet` owns pods. What is
//! promised: lost pods are replaced; during a rolling update there are never fewer available pods than
//! `replicas − maxUnavailable` nor more than `replicas + maxSurge` that are not terminating; an object is only ever
//! touched in the incarnation that was looked at.
//!
//! Whoever may create a `LiteDeployment` may create pods: the template is passed on as it is, and Pod Security admission
//! applies to the pods.

pub mod api;
pub mod controllers;
mod core;
pub mod deployment;
pub mod invariants;
pub mod replica_set;
