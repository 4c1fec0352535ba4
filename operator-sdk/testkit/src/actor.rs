//! Who else acts in a cluster: a garbage collector, a scheduler, nodes, people. Each is a task with a connection of its own.

use futures::future::BoxFuture;

use crate::simulation::Environment;

/// Somebody who acts in the world of a simulation, as any process does: by requests.
pub trait Actor: Send + Sync + 'static {
    /// What it is called in plans and reports.
    fn name(&self) -> &str;

    /// What it does, from its start until it is dropped; called anew after each crash.
    fn run(&self, environment: Environment) -> BoxFuture<'static, ()>;
}
