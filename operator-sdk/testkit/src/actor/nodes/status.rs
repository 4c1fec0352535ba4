//! What a kubelet says of a pod.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    container::{Container, State},
    running::{Phase, Running},
};
use crate::actor::condition::{Condition, is_true};

/// A patch of the pod's status that says how it is.
pub(super) fn patch(running: &Running, host_ip: &str, now: Timestamp) -> Value {
    let pod = &running.pod;
    let identity = format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid());
    let containers: Vec<Value> = running.containers.iter().map(|container| container.status(&identity)).collect();
    let mut status = json!({
        "observedGeneration": pod["metadata"]["generation"],
        "phase": running.phase().as_str(),
        "startTime": running.started,
        "hostIP": host_ip,
        "hostIPs": [{ "ip": host_ip }],
        "conditions": conditions(running, now),
        "containerStatuses": containers,
    });
    if has_network(running) {
        status["podIP"] = running.ip.as_str().into();
        status["podIPs"] = json!([{ "ip": running.ip }]);
    }
    json!({ "status": status })
}

/// The conditions as patches.
fn conditions(running: &Running, now: Timestamp) -> Vec<Value> {
    let (reason, message) = unready(running);
    let gate = closed_gate(running).filter(|_| reason.is_empty());
    let containers_ready = match reason.is_empty() {
        true => Condition::holds("ContainersReady"),
        false => Condition::fails("ContainersReady", reason, &message),
    };
    let ready = match &gate {
        Some(message) => Condition::fails("Ready", "ReadinessGatesNotReady", message),
        None => Condition { kind: "Ready", ..containers_ready },
    };
    let network = match has_network(running) {
        true => Condition::holds("PodReadyToStartContainers"),
        false => Condition::fails("PodReadyToStartContainers", "", ""),
    };
    let [initialized, scheduled] = ["Initialized", "PodScheduled"].map(Condition::holds);
    let generation = &running.pod["metadata"]["generation"];
    [network, initialized, ready, containers_ready, scheduled]
        .into_iter()
        .map(|condition| {
            let mut patch = condition.patch(&running.pod, now);
            patch["observedGeneration"] = generation.clone();
            patch
        })
        .collect()
}

/// Why the containers are not ready; an empty reason: they are.
fn unready(running: &Running) -> (&'static str, String) {
    match running.phase() {
        Phase::Succeeded => return ("PodCompleted", String::new()),
        Phase::Failed => return ("PodFailed", String::new()),
        Phase::Pending | Phase::Running => {}
    }
    let unready: Vec<&str> =
        running.containers.iter().filter(|container| !container.is_ready()).map(|it| it.name.as_str()).collect();
    match unready.is_empty() {
        true => ("", String::new()),
        false => ("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" "))),
    }
}

/// The first readiness gate of the pod that is not open.
fn closed_gate(running: &Running) -> Option<String> {
    let gates = running.pod["spec"]["readinessGates"].as_array().into_iter().flatten();
    let mut kinds = gates.filter_map(|gate| gate["conditionType"].as_str());
    let closed = kinds.find(|kind| !is_true(&running.pod, kind))?;
    Some(format!("corresponding condition of pod readiness gate {closed:?} does not exist."))
}

/// Whether anything was ever started, and the pod had its network for it.
fn has_network(running: &Running) -> bool {
    let is_over = matches!(running.phase(), Phase::Succeeded | Phase::Failed);
    let is_started = |container: &Container| !matches!(container.state, State::Creating { .. });
    !is_over && running.containers.iter().any(is_started)
}
