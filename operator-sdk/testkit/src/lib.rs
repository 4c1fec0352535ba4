//! A simulated Kubernetes API server, faults on demand, and judges: the proof of an operator in milliseconds.
//!
//! A [`Simulation`](simulation::Simulation) is a world: the server, processes on `kube::Client`, [actors](actor), and what
//! people ask for. It is [run](simulation::Simulation::run) with a seed, or [explored](simulation::Simulation::explore): with
//! each thing that can go wrong. The [`Verdict`](verdict::Verdict) names what does not hold, the plan of
//! [faults](fault) that leads there, and the command that replays it. `docs/testing-an-operator.md` in the repository leads
//! there step by step.
//!
//! ```no_run
//! # use operator_testkit::{explore::Faults, request::User, simulation::{Environment, Manifest, Simulation}};
//! # async fn operator(_: Environment) -> Result<(), String> { Ok(()) }
//! # let manifest = Manifest::default();
//! Simulation::new()
//!     .process("operator", User::administrator(), operator)
//!     .with(manifest)
//!     .explore(Faults::single())
//!     .assert_converges();
//! ```
//!
//! The core knows kube and k8s-openapi only, so that every user of kube-rs has it; what needs `operator-sdk` is behind the
//! feature `sdk`.

pub mod actor;
pub mod apply;
mod base64;
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
mod syntax;
pub mod verdict;
pub mod view;
pub mod watch;
