//! A node with and without power.

use std::{sync::Arc, time::Duration};

use futures::future::pending;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    Settings,
    kubelet::{Kubelet, host_ip},
};
use crate::{
    actor::{
        condition::{Condition, changes_nothing, seconds},
        hand::{Failed, Hand},
        kind::Kind,
    },
    object::Object,
    simulation::Environment,
};

const RETRY: Duration = Duration::from_secs(1);

/// Runs a node, again after each outage.
pub(super) async fn live(environment: &Environment, settings: &Arc<Settings>, name: &str, number: usize) {
    let hand = Hand::new(environment, "kubelet");
    let mut is_rebooted = false;
    for outage in settings.outages_of(name) {
        if outage.end <= environment.elapsed() {
            continue;
        }
        let powered = run(environment, settings, &hand, (name, number), is_rebooted);
        let _ = timeout(outage.start.saturating_sub(environment.elapsed()), powered).await;
        sleep(outage.end.saturating_sub(environment.elapsed())).await;
        is_rebooted = true;
    }
    run(environment, settings, &hand, (name, number), is_rebooted).await;
    pending().await
}

async fn run(
    environment: &Environment,
    settings: &Arc<Settings>,
    hand: &Hand,
    (name, number): (&str, usize),
    is_rebooted: bool,
) {
    while register(environment, settings, hand, name, number).await.is_err() {
        sleep(RETRY).await;
    }
    Kubelet::new(environment, settings, hand, (name, number), is_rebooted).run().await;
}

/// Creates the node, if somebody else has not, and says that it is ready.
async fn register(
    environment: &Environment,
    settings: &Settings,
    hand: &Hand,
    name: &str,
    number: usize,
) -> Result<(), Failed> {
    let nodes = Kind::core("nodes", false);
    let node = match hand.get(&nodes, "", name).await? {
        Some(node) => node,
        None => hand.create(&nodes, "", &new_node(settings, name)).await?,
    };
    let patch = json!({ "status": status(&node, settings, number, environment.wall()) });
    if changes_nothing(&patch, &node) {
        return Ok(());
    }
    hand.merge(&nodes, &node, "status", &patch).await.map(drop)
}

fn new_node(settings: &Settings, name: &str) -> Value {
    let mut labels = json!({
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    });
    for (label, value) in &settings.labels {
        labels[label] = value.as_str().into();
    }
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": labels } })
}

fn status(node: &Object, settings: &Settings, number: usize, now: Timestamp) -> Value {
    let pressure = |kind: &'static str, reason: &'static str, message: &'static str| {
        Condition::fails(kind, reason, message).patch(node, now)
    };
    let ready =
        Condition { kind: "Ready", is_true: true, reason: "KubeletReady", message: "kubelet is posting ready status" };
    let mut conditions = vec![
        pressure("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        pressure("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        pressure("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ready.patch(node, now),
    ];
    for condition in &mut conditions {
        condition["lastHeartbeatTime"] = seconds(now).into();
    }
    let room = json!({ "cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": settings.room.to_string() });
    json!({
        "capacity": room,
        "allocatable": room,
        "addresses": [{ "type": "InternalIP", "address": host_ip(number) }],
        "conditions": conditions,
    })
}
