//! The part of the control plane that looks after nodes: says that one is lost, taints it, evicts pods that do not tolerate
//! that, and removes the pods of a node that is no more.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Settings;
use crate::{
    actor::{
        agenda::Agenda,
        condition::{Condition, find, is_true, seconds},
        hand::{Failed, Hand},
        kind::Kind,
        sight::{Seen, Sight},
        taint::{stays_for, taints},
    },
    object::Object,
    simulation::Environment,
};

/// A node that posts nothing for so long is lost.
const GRACE: Duration = Duration::from_secs(50);
/// For so long it may be that a node is only not seen yet.
const QUARANTINE: Duration = Duration::from_secs(40);
const RETRY: Duration = Duration::from_secs(1);
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Which the server gives every new node.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// Nothing was heard of this node for so long.
    Lose(String),
    /// It is heard of again.
    Find(String),
    /// The pod of this uid does not tolerate its node any longer.
    Evict(String),
    /// The node of this name is no more.
    CollectPods(String),
}

struct Lifecycle {
    environment: Environment,
    hand: Hand,
    sight: Sight,
    agenda: Agenda<Task>,
    nodes: Kind,
    pods: Kind,
    /// Pods that are to be evicted, by their uids.
    doomed: BTreeMap<String, Arc<Object>>,
}

/// Looks after all nodes, for ever.
pub(super) async fn look_after(environment: &Environment, settings: &Arc<Settings>) {
    let hand = Hand::new(environment, "kube-controller-manager");
    let (nodes, pods) = (Kind::core("nodes", false), Kind::core("pods", true));
    let mut lifecycle = Lifecycle {
        environment: environment.clone(),
        sight: Sight::of(&hand, [nodes.clone(), pods.clone()]),
        hand,
        agenda: Agenda::default(),
        nodes,
        pods,
        doomed: BTreeMap::new(),
    };
    lifecycle.sight.settle().await;
    for outage in &settings.outages {
        let due = (outage.start + GRACE).saturating_sub(environment.elapsed());
        if outage.start + GRACE < outage.end && outage.end > environment.elapsed() {
            lifecycle.agenda.at(Instant::now() + due, Task::Lose(outage.node.clone()));
        }
    }
    loop {
        lifecycle.step().await;
    }
}

impl Lifecycle {
    async fn step(&mut self) {
        tokio::select! {
            biased;
            seen = self.sight.next() => self.see(&seen),
            task = self.agenda.next() => {
                let done = match &task {
                    Task::Lose(node) => self.lose(node).await,
                    Task::Find(node) => self.find(node).await,
                    Task::Evict(uid) => self.evict(uid).await,
                    Task::CollectPods(node) => self.collect_pods(node).await,
                };
                if done.is_err() {
                    self.agenda.at(Instant::now() + RETRY, task);
                }
            }
        }
    }

    fn see(&mut self, seen: &Seen) {
        if *seen.kind == self.nodes {
            let name = seen.after.as_ref().or(seen.before.as_ref()).map(|node| node.name().to_owned());
            let name = name.unwrap_or_default();
            match &seen.after {
                None => self.agenda.at(Instant::now() + QUARANTINE, Task::CollectPods(name)),
                Some(node) => {
                    if taints(node).any(is_of_health) && is_true(node, "Ready") {
                        self.agenda.at(Instant::now(), Task::Find(name.clone()));
                    }
                    self.judge_pods(&name);
                }
            }
            return;
        }
        let Some(pod) = &seen.after else {
            let uid = seen.before.as_ref().map(|pod| pod.uid().to_owned()).unwrap_or_default();
            return self.spare(&uid);
        };
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        if node.is_empty() {
            return;
        }
        if self.sight.get(&self.nodes, "", node).is_none() {
            self.agenda.at(Instant::now() + QUARANTINE, Task::CollectPods(node.to_owned()));
        }
        self.judge(&pod.clone());
    }

    fn judge_pods(&mut self, node: &str) {
        for pod in self.pods_of(node) {
            self.judge(&pod);
        }
    }

    /// Has a pod evicted when it has stayed beside the taints of its node for as long as it may.
    fn judge(&mut self, pod: &Arc<Object>) {
        let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        let tainted = self.sight.get(&self.nodes, "", node).cloned();
        let drive_out = |node: &Object| -> Vec<Value> {
            taints(node).filter(|taint| taint["effect"] == "NoExecute").cloned().collect()
        };
        let taints = tainted.as_deref().map(drive_out).unwrap_or_default();
        let stay = if taints.is_empty() { None } else { stays_for(pod, taints.iter()) };
        match stay.filter(|_| pod["metadata"]["deletionTimestamp"].is_null()) {
            None => self.spare(pod.uid()),
            Some(stay) => {
                self.agenda.at(Instant::now() + stay, Task::Evict(pod.uid().to_owned()));
                self.doomed.insert(pod.uid().to_owned(), pod.clone());
            }
        }
    }

    fn spare(&mut self, uid: &str) {
        if self.doomed.remove(uid).is_some() {
            self.agenda.forget(&Task::Evict(uid.to_owned()));
        }
    }

    /// Says of a node and of its pods that nothing is known of them, and taints it.
    async fn lose(&mut self, name: &str) -> Result<(), Failed> {
        let Some(node) = self.hand.get(&self.nodes, "", name).await? else { return Ok(()) };
        let now = self.now();
        let unknown = |kind: &'static str| {
            let message = "Kubelet stopped posting node status.";
            let mut condition = Condition::fails(kind, "NodeStatusUnknown", message).patch(&node, now);
            condition["status"] = "Unknown".into();
            condition["lastTransitionTime"] = seconds(now).into();
            condition
        };
        let conditions = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map(unknown);
        let node =
            self.hand.merge(&self.nodes, &node, "status", &json!({ "status": { "conditions": conditions } })).await?;
        let mut tainted: Vec<Value> = taints(&node).filter(|taint| !is_of_health(taint)).cloned().collect();
        for effect in ["NoSchedule", "NoExecute"] {
            tainted.push(json!({ "key": UNREACHABLE, "effect": effect, "timeAdded": seconds(now) }));
        }
        self.taint(&node, tainted).await?;
        for pod in self.pods_of(name).into_iter().filter(|pod| find(pod, "Ready").is_some()) {
            let mut condition = find(&pod, "Ready").cloned().unwrap_or_default();
            if condition["status"] != "True" {
                continue;
            }
            condition["status"] = "False".into();
            condition["lastTransitionTime"] = seconds(now).into();
            let patch = json!({ "status": { "conditions": [condition] } });
            ignore_gone(self.hand.merge(&self.pods, &pod, "status", &patch).await.map(drop))?;
        }
        Ok(())
    }

    async fn find(&mut self, name: &str) -> Result<(), Failed> {
        let Some(node) = self.hand.get(&self.nodes, "", name).await? else { return Ok(()) };
        let left = taints(&node).filter(|taint| !is_of_health(taint)).cloned().collect();
        self.taint(&node, left).await
    }

    async fn taint(&self, node: &Object, taints: Vec<Value>) -> Result<(), Failed> {
        let taints = if taints.is_empty() { Value::Null } else { taints.into() };
        let patch = json!({ "metadata": { "resourceVersion": node.resource_version() }, "spec": { "taints": taints } });
        self.hand.patch(&self.nodes, node, "", &patch).await.map(drop)
    }

    async fn evict(&mut self, uid: &str) -> Result<(), Failed> {
        let Some(pod) = self.doomed.get(uid).cloned() else { return Ok(()) };
        let message = "Taint manager: deleting due to NoExecute taint";
        self.disrupt(&pod, "DeletionByTaintManager", message, json!({})).await?;
        ignore_gone(self.hand.delete(&self.pods, &pod, json!({})).await.map(drop))?;
        self.doomed.remove(uid);
        Ok(())
    }

    /// Deletes the pods of a node that is no more; nobody else will.
    async fn collect_pods(&mut self, name: &str) -> Result<(), Failed> {
        if self.hand.get(&self.nodes, "", name).await?.is_some() {
            return Ok(());
        }
        for pod in self.pods_of(name) {
            let is_over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            if !is_over {
                let failed = json!({ "phase": "Failed" });
                self.disrupt(&pod, "DeletionByPodGC", "PodGC: node no longer exists", failed).await?;
            }
            let options = json!({ "gracePeriodSeconds": 0 });
            ignore_gone(self.hand.delete(&self.pods, &pod, options).await.map(drop))?;
        }
        Ok(())
    }

    async fn disrupt(&self, pod: &Object, reason: &str, message: &str, mut status: Value) -> Result<(), Failed> {
        let condition = Condition { kind: "DisruptionTarget", is_true: true, reason, message };
        status["conditions"] = json!([condition.patch(pod, self.now())]);
        let patch = json!({ "status": status });
        ignore_gone(self.hand.merge(&self.pods, pod, "status", &patch).await.map(drop))
    }

    fn pods_of(&self, node: &str) -> Vec<Arc<Object>> {
        let pods = self.sight.objects(&self.pods).map(|(_, pod)| pod);
        pods.filter(|pod| pod["spec"]["nodeName"] == node).cloned().collect()
    }

    fn now(&self) -> Timestamp {
        self.environment.wall()
    }
}

/// Whether a taint says that a node is not well.
fn is_of_health(taint: &Value) -> bool {
    taint["key"] == UNREACHABLE || taint["key"] == NOT_READY
}

/// One that is gone, or has another in its place, needs nothing any more.
fn ignore_gone(result: Result<(), Failed>) -> Result<(), Failed> {
    result.or_else(|failed| if failed.is_gone() || failed.is_conflict() { Ok(()) } else { Err(failed) })
}
