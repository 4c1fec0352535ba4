//! The scheduler: gives each pod a node that has room for it and wants it, the emptiest of those; the seed decides between
//! equals. A pod that fits nowhere is told so in its condition, and is looked at again when something has changed.
//!
//! Room is counted in pods. Of what a pod may ask for it knows node selectors, required node affinity, taints and cordons;
//! not resources, pod affinity, topology spread, volumes or preemption.

mod fit;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::BoxFuture;
use http::Method;
use jiff::Timestamp;
use serde_json::json;

use super::{
    Actor,
    agenda::{Agenda, Span},
    condition::{Condition, changes_nothing},
    hand::{Failed, Hand},
    kind::Kind,
    sight::{Seen, Sight},
};
use crate::{object::Object, request::Request, simulation::Environment, store::Key};

/// Whose pods it places.
const NAME: &str = "default-scheduler";
const RETRY: Duration = Duration::from_secs(1);

/// The scheduler, which takes its time: by default up to 50 milliseconds for each pod.
#[derive(Clone, Debug)]
pub struct Scheduler {
    takes: Span,
}

struct Placing {
    environment: Environment,
    hand: Hand,
    sight: Sight,
    agenda: Agenda<Key>,
    pods: Kind,
    nodes: Kind,
    /// Pods that fit nowhere.
    waiting: BTreeSet<Key>,
    /// Nodes of pods, by their uids, that the sight does not show yet.
    assumed: BTreeMap<String, String>,
    takes: Span,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self { takes: Duration::ZERO..=Duration::from_millis(50) }
    }
}

impl Scheduler {
    /// One that takes so long for each pod.
    pub fn taking(takes: Span) -> Self {
        Self { takes }
    }
}

impl Actor for Scheduler {
    fn name(&self) -> &str {
        "scheduler"
    }

    fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
        let takes = self.takes.clone();
        Box::pin(async move {
            let hand = Hand::new(&environment, "kube-scheduler");
            let (pods, nodes) = (Kind::core("pods", true), Kind::core("nodes", false));
            let sight = Sight::of(&hand, [pods.clone(), nodes.clone()]);
            let (agenda, waiting, assumed) = (Agenda::default(), BTreeSet::new(), BTreeMap::new());
            let mut placing = Placing { environment, hand, sight, agenda, pods, nodes, waiting, assumed, takes };
            placing.sight.settle().await;
            loop {
                placing.step().await;
            }
        })
    }
}

impl Placing {
    async fn step(&mut self) {
        tokio::select! {
            biased;
            seen = self.sight.next() => self.see(&seen),
            key = self.agenda.next() => {
                if self.place(&key).await.is_err() {
                    self.agenda.within(&(RETRY..=RETRY), key);
                }
            }
        }
    }

    fn see(&mut self, seen: &Seen) {
        if *seen.kind == self.nodes {
            if seen.before.as_deref().map(fit::relevant) != seen.after.as_deref().map(fit::relevant) {
                self.look_again();
            }
            return;
        }
        let (before, after) = (seen.before.as_deref(), seen.after.as_deref());
        if let Some(pod) = after {
            if !is_unplaced(pod) {
                self.assumed.remove(pod.uid());
            } else if before.is_none_or(|before| before.uid() != pod.uid() || before["spec"] != pod["spec"]) {
                self.agenda.within(&self.takes, Key::new(pod.namespace(), pod.name()));
            }
        }
        let held_room = before.is_some_and(fit::takes_room);
        if held_room && !after.is_some_and(fit::takes_room) {
            self.look_again();
        }
        if let (Some(pod), None) = (before, after) {
            self.assumed.remove(pod.uid());
            self.waiting.remove(&Key::new(pod.namespace(), pod.name()));
        }
    }

    fn look_again(&mut self) {
        for key in std::mem::take(&mut self.waiting) {
            self.agenda.within(&self.takes, key);
        }
    }

    async fn place(&mut self, key: &Key) -> Result<(), Failed> {
        let Some(pod) = self.sight.get(&self.pods, key.namespace(), key.name()).cloned() else { return Ok(()) };
        if !is_unplaced(&pod) || self.assumed.contains_key(pod.uid()) || is_gated(&pod) {
            return Ok(());
        }
        match self.choose(&pod) {
            Ok(node) => self.bind(&pod, node).await,
            Err(why) => {
                self.waiting.insert(key.clone());
                self.tell(&pod, &why).await
            }
        }
    }

    /// The emptiest node of those that fit; or why there is none, in the words of the real scheduler.
    fn choose(&self, pod: &Object) -> Result<String, String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let placed = self.sight.objects(&self.pods).filter(|(_, pod)| fit::takes_room(pod));
        for name in placed.filter_map(|(_, pod)| pod["spec"]["nodeName"].as_str()) {
            *counts.entry(name).or_default() += 1;
        }
        for name in self.assumed.values() {
            *counts.entry(name).or_default() += 1;
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        let mut fitting: Vec<(usize, &str)> = Vec::new();
        for (key, node) in self.sight.objects(&self.nodes) {
            let count = counts.get(key.name()).copied().unwrap_or_default();
            match fit::check(pod, node, count) {
                None => fitting.push((count, key.name())),
                Some(reason) => *reasons.entry(reason).or_default() += 1,
            }
        }
        let Some(least) = fitting.iter().map(|(count, _)| *count).min() else {
            return Err(fit::refusal(&reasons));
        };
        fitting.retain(|(count, _)| *count == least);
        Ok(fitting[rand::random_range(0..fitting.len())].1.to_owned())
    }

    async fn bind(&mut self, pod: &Object, node: String) -> Result<(), Failed> {
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": { "name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid() },
            "target": { "kind": "Node", "name": node },
        });
        let path = format!("{}/binding", self.pods.path_of(pod));
        match self.hand.call(Request::new(Method::POST, path).with_body(&binding)).await {
            Ok(_) => {
                self.assumed.insert(pod.uid().to_owned(), node);
                Ok(())
            }
            // Gone, or placed by somebody else.
            Err(failed) if failed.is_gone() || failed.is_conflict() => Ok(()),
            Err(failed) => Err(failed),
        }
    }

    async fn tell(&self, pod: &Object, why: &str) -> Result<(), Failed> {
        let condition = Condition::fails("PodScheduled", "Unschedulable", why);
        let patch = json!({ "status": { "conditions": [condition.patch(pod, self.now())] } });
        if changes_nothing(&patch, pod) {
            return Ok(());
        }
        match self.hand.merge(&self.pods, pod, "status", &patch).await {
            Err(failed) if !(failed.is_gone() || failed.is_conflict()) => Err(failed),
            _ => Ok(()),
        }
    }

    fn now(&self) -> Timestamp {
        self.environment.wall()
    }
}

fn is_unplaced(pod: &Object) -> bool {
    pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty()
        && pod["metadata"]["deletionTimestamp"].is_null()
        && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
        && pod["spec"]["schedulerName"].as_str().is_none_or(|name| name == NAME)
}

fn is_gated(pod: &Object) -> bool {
    pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty())
}
