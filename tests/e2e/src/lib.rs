//! What the tests on a real cluster share: a handle on the cluster, waits with a deadline, a namespace per test,
//! chaos (nodes stopped, processes killed), and observers that keep what a test has to judge afterwards.
//!
//! The tests lie in `tests/` and need a cluster, so they are built only with the feature `cluster`.
//! `cargo xtask test --tier e2e` brings up a cluster, installs what they need and runs them; to run one by hand on a
//! cluster that is up, `cargo xtask test --tier e2e --only NAME --keep`.
//!
//! The tests speak to the cluster in plain JSON, as a user's YAML does, and not in the operators' own Rust types: a
//! mistake in such a type would otherwise be made on both sides and go unseen.

#![allow(
    clippy::disallowed_methods,
    reason = "tests act as a user beside the operators: they read the clock and write objects directly"
)]

pub mod audit;
pub mod chaos;
pub mod cluster;
pub mod command;
pub mod lease;
pub mod lite_deployment;
pub mod machine;
pub mod namespace;
pub mod node;
pub mod operator;
pub mod pod;
pub mod reach;
pub mod requests;
pub mod rollout;
pub mod slow_rollout;
pub mod wait;
pub mod xtask;
