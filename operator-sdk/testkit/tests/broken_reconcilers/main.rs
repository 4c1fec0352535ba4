//! Controllers that are wrong in one thing, each as an operator in production was, and their twins that are right.
//!
//! The default exploration has to catch each one and to name the cause, and has to find nothing in its twin. The bugs are
//! those that Sieve and Acto found, and that Kubernetes' own controllers had; the code is not theirs.

#![allow(clippy::disallowed_methods, reason = "these are controllers of plain kube")]

mod adopts_by_name;
mod controller;
mod judge;
mod model;
mod people;
