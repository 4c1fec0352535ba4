//! A simulated Kubernetes API server, faults on demand, and judges: the proof of an operator in milliseconds.
//!
//! The core knows kube and k8s-openapi only, so that every user of kube-rs has it; what needs `operator-sdk` is behind the
//! feature `sdk`.

pub mod apply;
pub mod cause;
pub mod definition;
mod go_text;
pub mod kinds;
pub mod names;
pub mod patch;
pub mod resource;
pub mod schema;
pub mod server;
