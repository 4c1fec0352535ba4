//! A simulated Kubernetes API server, faults on demand, and judges: the proof of an operator in milliseconds.
//!
//! The core knows kube and k8s-openapi only, so that every user of kube-rs has it; what needs `operator-sdk` is behind the
//! feature `sdk`.

pub mod actor;
pub mod apply;
pub mod cause;
pub mod definition;
pub mod explore;
pub mod failure;
pub mod fault;
mod go_text;
pub mod kinds;
mod metadata;
pub mod names;
pub mod object;
pub mod oracle;
pub mod patch;
mod random;
pub mod record;
pub mod request;
pub mod resource;
pub mod schema;
pub mod selector;
pub mod server;
pub mod service;
pub mod simulation;
pub mod store;
pub mod verdict;
pub mod view;
pub mod watch;
