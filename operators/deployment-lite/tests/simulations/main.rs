//! deployment-lite in simulated clusters, under virtual time.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod bad_input;
mod behaviours;
mod explorations;
mod faults;
mod perturbations;
mod promises;
mod workloads;
