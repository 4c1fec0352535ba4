//! Who else acts in a cluster: a garbage collector, a scheduler, nodes, people. Each is a process of the simulation with
//! its own way to the server, so that a plan of faults can name it; what it needs time for, the seed decides.
//!
//! They do what the documented components do as far as an operator sees it, and nothing by the clock alone: who has
//! nothing to do waits for an event or for a set time, so that idle hours cost nothing.
//!
//! An actor of one's own watches with a [`Sight`] and acts with a [`Hand`]:
//!
//! ```
//! use futures::future::BoxFuture;
//! use operator_testkit::{
//!     actor::{Actor, Hand, Kind, Sight},
//!     simulation::{Environment, Manifest, Simulation},
//! };
//! use serde_json::json;
//!
//! /// Gives every PersistentVolumeClaim its volume.
//! struct Provisioner;
//!
//! impl Actor for Provisioner {
//!     fn name(&self) -> &str {
//!         "provisioner"
//!     }
//!
//!     fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
//!         Box::pin(async move {
//!             let claims = Kind::core("persistentvolumeclaims", true);
//!             let hand = Hand::new(&environment, "provisioner");
//!             let mut sight = Sight::of(&hand, [claims.clone()]);
//!             loop {
//!                 let seen = sight.next().await;
//!                 let Some(claim) = seen.after.filter(|claim| claim["status"]["phase"] != "Bound") else { continue };
//!                 let bound = json!({"status": {"phase": "Bound"}});
//!                 // Who loses a race sees the object again.
//!                 let _ = hand.patch(&claims, &claim, "status", &bound).await;
//!             }
//!         })
//!     }
//! }
//!
//! let claim = json!({
//!     "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
//!     "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
//! });
//! let record = Simulation::new().actor(Provisioner).with(Manifest::from(claim)).run(1);
//! let claim = record.settled[0].state.get("", "persistentvolumeclaims", "default", "data").unwrap();
//! assert_eq!(claim["status"]["phase"], "Bound");
//! ```

mod agenda;
mod cluster;
mod condition;
mod drain;
mod garbage_collector;
mod hand;
mod kind;
mod namespace_deleter;
mod nodes;
mod pod_monkey;
mod scheduler;
mod sight;
mod taint;
mod user_monkey;

use futures::future::BoxFuture;

pub use self::{
    agenda::{Agenda, Span, pause},
    drain::Drain,
    garbage_collector::GarbageCollector,
    hand::{Failed, Hand},
    kind::Kind,
    namespace_deleter::NamespaceDeleter,
    nodes::{Behaviour, Nodes},
    pod_monkey::PodMonkey,
    scheduler::Scheduler,
    sight::{Seen, Sight},
    user_monkey::{Edit, UserMonkey},
};
use crate::simulation::Environment;

/// Somebody who acts in the world of a simulation, as any process does: by requests.
pub trait Actor: Send + Sync + 'static {
    /// What it is called in plans and reports.
    fn name(&self) -> &str;

    /// What it does, from its start until it is dropped; called anew after each crash.
    fn run(&self, environment: Environment) -> BoxFuture<'static, ()>;
}
