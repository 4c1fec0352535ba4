//! A framework for Kubernetes operators that survive crashes, stale caches, two leaders and their own bugs.
//!
//! An author writes a [`Reconciler`](reconcile::Reconciler), one function, or a [`Planner`](plan::Planner): what to observe,
//! a pure decision, one function per effect. The rest is here: watches and caches ([`cache`]), the work queue ([`queue`]),
//! writes that are declared, fenced and noted ([`client`]), objects that are wholly ours ([`intent`]), adoption and release
//! ([`owner`]), finalizers ([`finalizer`]), election by Lease ([`leader`]), Events for people ([`event`]), probes and
//! metrics ([`admin`], [`telemetry`]), and what an installation needs, printed from the code ([`crd`], [`permission`],
//! [`manifest`]). [`Operator`] puts it together.

pub mod admin;
pub mod backoff;
pub mod cache;
pub mod client;
pub mod clock;
pub mod condition;
pub mod controller;
pub mod crd;
pub mod error;
pub mod event;
pub mod finalizer;
pub mod intent;
pub mod leader;
pub mod manifest;
pub mod object;
pub mod operator;
pub mod owner;
pub mod permission;
pub mod plan;
pub mod queue;
pub mod reconcile;
pub mod selector;
pub mod task;
pub mod telemetry;

pub use cache::Watch;
pub use controller::Controller;
pub use error::{Class, Error, Result};
pub use object::{Key, Object, Target, Uid};
pub use operator::Operator;
