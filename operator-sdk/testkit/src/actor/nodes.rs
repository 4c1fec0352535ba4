//! Nodes: pods that are placed on them run, become ready, end, restart and go, as a kubelet has it; and nodes fail, and
//! their pods are evicted.
//!
//! Every container of a pod starts at the same time; init containers are taken as done by then. Nodes renew no Leases and
//! post no heartbeats: that one has failed, the part of the control plane that looks after nodes knows from the plan of
//! outages, and acts after the time that the missing of heartbeats would have taken.

mod behaviour;
mod container;
mod kubelet;
mod lifecycle;
mod node;
mod running;
mod status;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::{BoxFuture, join, join_all};

pub use self::behaviour::Behaviour;
use super::{Actor, agenda::Span};
use crate::simulation::Environment;

/// Some nodes and what looks after them.
#[derive(Clone, Debug)]
pub struct Nodes(Arc<Settings>);

#[derive(Clone, Debug)]
struct Settings {
    names: Vec<String>,
    labels: BTreeMap<String, String>,
    room: u32,
    starts: Span,
    readies: Span,
    stops: Span,
    behaviours: Vec<(String, Behaviour)>,
    outages: Vec<Outage>,
}

/// A node without power.
#[derive(Clone, Debug)]
struct Outage {
    node: String,
    /// Since the beginning of the run.
    start: Duration,
    end: Duration,
}

impl Nodes {
    /// So many, named `node-1`, `node-2` and so on. A container starts within 2 s, is ready within 3 s of that, and ends
    /// within 2 s of being told to, unless a rule says otherwise.
    pub fn new(count: usize) -> Self {
        let seconds = Duration::from_secs;
        Self(Arc::new(Settings {
            names: (1..=count).map(|number| format!("node-{number}")).collect(),
            labels: BTreeMap::new(),
            room: 110,
            starts: Duration::from_millis(100)..=seconds(2),
            readies: Duration::ZERO..=seconds(3),
            stops: Duration::from_millis(10)..=seconds(2),
            behaviours: Vec::new(),
            outages: Vec::new(),
        }))
    }

    /// With room for so many pods on each. Default 110.
    #[must_use]
    pub fn with_room(self, pods: u32) -> Self {
        self.change(|settings| settings.room = pods)
    }

    /// With this label on each, beside the usual ones.
    #[must_use]
    pub fn with_label(self, name: &str, value: &str) -> Self {
        self.change(|settings| drop(settings.labels.insert(name.to_owned(), value.to_owned())))
    }

    /// Containers take so long to start.
    #[must_use]
    pub fn starting_within(self, span: Span) -> Self {
        self.change(|settings| settings.starts = span)
    }

    /// Containers take so long to be ready, once they run.
    #[must_use]
    pub fn ready_within(self, span: Span) -> Self {
        self.change(|settings| settings.readies = span)
    }

    /// Containers take so long to end when told to; they are killed when their grace is over.
    #[must_use]
    pub fn stopping_within(self, span: Span) -> Self {
        self.change(|settings| settings.stops = span)
    }

    /// Containers whose image has this in its name behave so; the first rule that fits counts.
    #[must_use]
    pub fn with_image(self, pattern: &str, behaviour: Behaviour) -> Self {
        self.change(|settings| settings.behaviours.push((pattern.to_owned(), behaviour)))
    }

    /// A node loses power at a time since the beginning of the run, and comes back so much later: its containers start
    /// anew.
    #[must_use]
    pub fn with_outage(self, node: &str, start: Duration, lasting: Duration) -> Self {
        let end = start.saturating_add(lasting);
        self.change(|settings| settings.outages.push(Outage { node: node.to_owned(), start, end }))
    }

    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl Settings {
    fn behaviour(&self, image: &str) -> Behaviour {
        let rule = self.behaviours.iter().find(|(pattern, _)| image.contains(pattern));
        rule.map_or_else(|| Behaviour::ready_after(self.readies.clone()), |(_, behaviour)| behaviour.clone())
    }

    /// The outages of a node, in their order.
    fn outages_of(&self, node: &str) -> Vec<Outage> {
        let mut outages: Vec<Outage> = self.outages.iter().filter(|outage| outage.node == node).cloned().collect();
        outages.sort_by_key(|outage| outage.start);
        outages
    }
}

impl Actor for Nodes {
    fn name(&self) -> &str {
        "nodes"
    }

    fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
        let settings = Arc::clone(&self.0);
        Box::pin(async move {
            let nodes = settings.names.iter().enumerate();
            let nodes = nodes.map(|(index, name)| node::live(&environment, &settings, name, index + 1));
            join(join_all(nodes), lifecycle::look_after(&environment, &settings)).await;
        })
    }
}
