//! Somebody who takes a node out of service, as `kubectl drain` does.

use std::{collections::BTreeSet, time::Duration};

use futures::future::BoxFuture;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    Actor,
    hand::{Failed, Hand},
    kind::Kind,
    sight::Sight,
};
use crate::{object::Object, request::Request, simulation::Environment};

/// So long kubectl waits after a refusal.
const RETRY: Duration = Duration::from_secs(5);

/// Cordons a node and evicts its pods, but for those of DaemonSets and of the node itself; goes on until they are gone.
#[derive(Clone, Debug)]
pub struct Drain {
    name: String,
    node: String,
    after: Duration,
}

impl Drain {
    /// Of this node, so long after the beginning of the run.
    pub fn of(node: &str, after: Duration) -> Self {
        Self { name: format!("drain-{node}"), node: node.to_owned(), after }
    }

    async fn cordon(&self, hand: &Hand) -> Result<(), Failed> {
        let nodes = Kind::core("nodes", false);
        match hand.get(&nodes, "", &self.node).await? {
            Some(node) => hand.patch(&nodes, &node, "", &json!({ "spec": { "unschedulable": true } })).await.map(drop),
            None => Ok(()),
        }
    }

    /// Evicts the pods that are there, until the server has let all of them go.
    async fn evict(&self, hand: &Hand) -> Result<(), Failed> {
        let pods = Kind::core("pods", true);
        let mut sight = Sight::of(hand, []);
        sight.follow(pods.clone(), "", &format!("spec.nodeName={}", self.node));
        sight.settle().await;
        let mut accepted = BTreeSet::new();
        loop {
            let staying: Vec<_> = sight.objects(&pods).map(|(_, pod)| pod).filter(|pod| is_evicted(pod)).collect();
            if staying.is_empty() {
                return Ok(());
            }
            let mut is_refused = false;
            for pod in staying.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()) {
                if !accepted.contains(pod.uid()) {
                    match evict(hand, &pods, pod).await {
                        Ok(()) => drop(accepted.insert(pod.uid().to_owned())),
                        Err(_) => is_refused = true,
                    }
                }
            }
            let seen = sight.next();
            if is_refused {
                let _ = timeout(RETRY, seen).await;
            } else {
                seen.await;
            }
        }
    }
}

impl Actor for Drain {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
        let drain = self.clone();
        Box::pin(async move {
            let hand = Hand::new(&environment, "kubectl");
            sleep(drain.after.saturating_sub(environment.elapsed())).await;
            while drain.cordon(&hand).await.is_err() {
                sleep(RETRY).await;
            }
            while drain.evict(&hand).await.is_err() {
                sleep(RETRY).await;
            }
        })
    }
}

async fn evict(hand: &Hand, pods: &Kind, pod: &Object) -> Result<(), Failed> {
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": pod.name(), "namespace": pod.namespace() },
        "deleteOptions": { "preconditions": { "uid": pod.uid() } },
    });
    let path = format!("{}/eviction", pods.path_of(pod));
    match hand.call(Request::new(Method::POST, path).with_body(&eviction)).await {
        Err(failed) if !(failed.is_gone() || failed.is_conflict()) => Err(failed),
        _ => Ok(()),
    }
}

fn is_evicted(pod: &Object) -> bool {
    let owners = pod["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let is_daemon = |owner: &Value| owner["controller"] == true && owner["kind"] == "DaemonSet";
    let is_mirror = pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string();
    !is_mirror && !owners.into_iter().any(is_daemon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actor::{Nodes, Scheduler},
        simulation::{Manifest, Simulation, act},
        store::Change,
    };

    fn pod(name: &str, owner: Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "labels": { "app": name }, "ownerReferences": owner },
            "spec": { "containers": [{ "name": "main", "image": "app" }] },
        })
    }

    fn allow(disruptions: u32) -> Request {
        let allowed = json!({ "status": { "disruptionsAllowed": disruptions, "observedGeneration": 1,
            "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1 } });
        let path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/guard/status";
        Request::new(Method::PATCH, path).with_content("application/merge-patch+json", allowed.to_string())
    }

    #[test]
    fn a_drained_node_is_cordoned_and_loses_its_pods_as_their_budgets_allow() {
        let daemon = json!([{ "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": true,
            "uid": "00000000-0000-4000-8000-000000000000" }]);
        let budget = json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "guard" },
            "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "guarded" } } } });
        let objects = [pod("daemon", daemon), pod("free", json!([])), pod("guarded", json!([])), budget];
        let record = Simulation::new()
            .actor(Scheduler::default())
            .actor(Nodes::new(1))
            .actor(Drain::of("node-1", Duration::from_secs(200)))
            .with(objects.into_iter().collect::<Manifest>())
            .then(act(|_| vec![allow(0)]))
            .then(act(|_| vec![allow(1)]))
            .run(1);
        assert_eq!(record.violations, []);
        let gone = record.commits.iter().filter(|commit| commit.change == Change::Deleted);
        let gone: Vec<_> = gone.map(|commit| (commit.key.name(), commit.time)).collect();
        assert_eq!([gone[0].0, gone[1].0], ["free", "guarded"]);
        assert!(gone[1].1 > record.settled[1].time, "not before it is allowed");
        let state = &record.settled[2].state;
        assert_eq!(state.get("", "nodes", "", "node-1").unwrap()["spec"]["unschedulable"], true);
        assert!(state.get("", "pods", "default", "daemon").is_some());
    }
}
