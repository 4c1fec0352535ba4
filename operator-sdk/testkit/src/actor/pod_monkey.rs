//! Somebody who kills pods for no reason.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::json;
use tokio::time::sleep;

use super::{
    Actor,
    agenda::{Span, pause},
    hand::{Failed, Hand},
    kind::Kind,
};
use crate::simulation::Environment;

/// Kills a pod now and then, as often as it is told to, and then lets it be.
#[derive(Clone, Debug)]
pub struct PodMonkey {
    times: u32,
    every: Span,
    namespace: String,
    forces: Option<bool>,
}

impl PodMonkey {
    /// One that tries so many times, every 5 to 30 seconds, with pods of all namespaces, one in two by force.
    pub fn new(times: u32) -> Self {
        let every = Duration::from_secs(5)..=Duration::from_secs(30);
        Self { times, every, namespace: String::new(), forces: None }
    }

    /// With such pauses in between.
    #[must_use]
    pub fn every(self, every: Span) -> Self {
        Self { every, ..self }
    }

    /// In one namespace only.
    #[must_use]
    pub fn in_namespace(self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self }
    }

    /// Always by force, so that a pod goes at once; or never, so that it has its grace.
    #[must_use]
    pub fn by_force(self, forces: bool) -> Self {
        Self { forces: Some(forces), ..self }
    }

    async fn kill(&self, hand: &Hand) -> Result<(), Failed> {
        let pods = Kind::core("pods", true);
        let mut found = hand.list(&pods, &self.namespace, "").await?.items;
        found.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        if found.is_empty() {
            return Ok(());
        }
        let pod = &found[rand::random_range(0..found.len())];
        let by_force = self.forces.unwrap_or_else(rand::random);
        let options = if by_force { json!({ "gracePeriodSeconds": 0 }) } else { json!({}) };
        hand.delete(&pods, pod, options).await.map(drop)
    }
}

impl Actor for PodMonkey {
    fn name(&self) -> &str {
        "pod-monkey"
    }

    fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
        let monkey = self.clone();
        Box::pin(async move {
            let hand = Hand::new(&environment, "pod-monkey");
            // One that was stopped does not begin again.
            let times = if environment.restarts() > 0 { 0 } else { monkey.times };
            for _ in 0..times {
                sleep(pause(&monkey.every)).await;
                // A pod that has got away is one more to come by.
                let _ = monkey.kill(&hand).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        actor::{Nodes, Scheduler},
        record::Record,
        simulation::{Manifest, Simulation},
        store::{Change, Commit},
    };

    fn record(seed: u64, monkey: PodMonkey) -> Record {
        let pod = |name: usize| {
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("p{name}") },
                "spec": { "containers": [{ "name": "main", "image": "app" }] } })
        };
        let pods: Manifest = (0..6).map(pod).collect();
        Simulation::new().actor(Scheduler::default()).actor(Nodes::new(1)).actor(monkey).with(pods).run(seed)
    }

    fn killed(record: &Record) -> Vec<String> {
        let gone = record.commits.iter().filter(|commit| commit.change == Change::Deleted);
        gone.map(|commit| commit.key.name().to_owned()).collect()
    }

    #[test]
    fn it_kills_as_many_as_it_is_told_to_and_the_seed_says_which() {
        let monkey = PodMonkey::new(3);
        let first = record(1, monkey.clone());
        assert_eq!((first.violations.len(), killed(&first).len()), (0, 3));
        assert_eq!(killed(&first), killed(&record(1, monkey.clone())));
        let others: Vec<_> = (2..6).map(|seed| killed(&record(seed, monkey.clone()))).collect();
        assert!(others.iter().any(|other| *other != killed(&first)));
    }

    #[test]
    fn by_force_a_pod_goes_at_once_and_otherwise_in_good_order() {
        // How long the first one took to go, in seconds.
        let took = |by_force: bool| {
            let every = Duration::from_secs(60)..=Duration::from_secs(61);
            let record = record(1, PodMonkey::new(1).every(every).by_force(by_force));
            let mut commits = record.commits.iter();
            let is_marked = |commit: &&Arc<Commit>| commit.after["metadata"]["deletionTimestamp"].is_string();
            let marked = commits.by_ref().find(is_marked).unwrap().time;
            let gone = commits.find(|commit| commit.change == Change::Deleted).unwrap().time;
            gone.duration_since(marked).as_secs_f64()
        };
        assert_eq!(took(true), 0.0);
        assert!(took(false) > 0.0);
    }

    #[test]
    fn it_leaves_other_namespaces_alone() {
        assert_eq!(killed(&record(1, PodMonkey::new(3).in_namespace("kube-system"))), [""; 0]);
    }
}
