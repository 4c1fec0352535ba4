//! Breaking nodes on purpose, and mending them.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::docker::Docker;
use super::lock::Lock;
use super::record::{Node, Record};
use super::{Cluster, health, network};
use crate::{process, progress};

/// What can be done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Action {
    /// Power it off in good order.
    Stop,
    /// Power it on.
    Start,
    /// Freeze every process of it.
    Pause,
    /// Let a frozen one go on.
    Unpause,
    /// Take it off the network.
    Partition,
    /// Put it back on the network.
    Heal,
}

/// Does it, and for the mending ones waits until the node is Ready and reaches the other nodes' pods.
pub fn act(cluster: &Cluster, action: Action, name: &str) -> Result<()> {
    let record = cluster.record("stopping, pausing or partitioning nodes")?;
    let node = find(record, name)?;
    let _lock = Lock::of_cluster(&record.name)?;
    let docker = &cluster.docker;
    let step = progress::step(format!("{action:?} {}", node.name).to_lowercase());
    match action {
        Action::Stop => {
            docker.output(&format!("stop {}", node.name), &["stop", "--time", "15", &node.name]).map(drop)?
        }
        Action::Pause => docker.output(&format!("pause {}", node.name), &["pause", &node.name]).map(drop)?,
        Action::Partition => network::disconnect(docker, record, node)?,
        Action::Start => start(docker, record, node)?,
        Action::Unpause => docker.output(&format!("unpause {}", node.name), &["unpause", &node.name]).map(drop)?,
        Action::Heal => heal(docker, record, node)?,
    }
    step.done();
    if matches!(action, Action::Start | Action::Unpause | Action::Heal) {
        let step = progress::step(format!("waiting for {} to be Ready", node.name));
        health::wait_for_nodes(cluster, &[&node.name])?;
        step.done();
    }
    Ok(())
}

/// Starts, unpauses and reconnects whatever node is not as it should be; whether there was any.
pub(super) fn repair(docker: &Docker, record: &Record) -> Result<bool> {
    let mut is_repaired = false;
    stop_strays(docker, record)?;
    for node in &record.nodes {
        let state = docker.state(&node.name)?;
        match state.as_str() {
            "running" => {}
            "paused" => docker.output(&format!("unpause {}", node.name), &["unpause", &node.name]).map(drop)?,
            _ => start(docker, record, node)?,
        }
        let is_away = !network::is_connected(docker, record, &node.name)?;
        if is_away {
            heal(docker, record, node)?;
        }
        if is_away || state != "running" {
            progress::say(format!("{} was {}: mended", node.name, if is_away { "off the network" } else { &state }));
            is_repaired = true;
        }
    }
    Ok(is_repaired)
}

/// Stops the nodes that run at another address than theirs, which is where [`start`] puts them.
///
/// A daemon that was killed, or the machine with it, starts its containers again by itself and gives out addresses anew;
/// the routes to the nodes' pods are for those that they had. All are stopped first, as one may sit at another's place.
fn stop_strays(docker: &Docker, record: &Record) -> Result<()> {
    let mut strays = Vec::new();
    for node in &record.nodes {
        let runs = docker.state(&node.name)? != "exited";
        if runs && network::address(docker, record, &node.name)?.is_some_and(|address| address != node.address) {
            strays.push(node);
        }
    }
    if strays.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = strays.iter().map(|node| node.name.as_str()).collect();
    let step = progress::step(format!("stopping {}, which came back at other addresses", names.join(", ")));
    for node in strays {
        // Before systemd, kind's entrypoint adapts certificates and manifests to the address, and must not be cut short.
        // What does not get so far has nothing to lose.
        let _ = wait_for_systemd(docker, node);
    }
    docker.output("stop nodes at wrong addresses", &[&["stop", "--time", "15"], &names[..]].concat())?;
    step.done();
    Ok(())
}

fn start(docker: &Docker, record: &Record, node: &Node) -> Result<()> {
    if docker.state(&node.name)? != "running" {
        // A stopped container's address is given to the next that asks, unless it is asked for by name.
        if network::is_connected(docker, record, &node.name)? {
            network::disconnect(docker, record, node)?;
        }
        network::connect(docker, record, node)?;
        docker.output(&format!("start {}", node.name), &["start", &node.name])?;
    }
    wait_for_systemd(docker, node)?;
    network::restore_routes(docker, &node.name)
}

fn heal(docker: &Docker, record: &Record, node: &Node) -> Result<()> {
    if !network::is_connected(docker, record, &node.name)? {
        network::connect(docker, record, node)?;
    }
    network::restore_routes(docker, &node.name)
}

fn wait_for_systemd(docker: &Docker, node: &Node) -> Result<()> {
    process::wait_for(&format!("systemd of {}", node.name), Duration::from_secs(60), || {
        docker.exec(&node.name, &["systemctl", "is-active", "containerd"]).map_err(|error| error.to_string())
    })
    .map(drop)
    .with_context(|| format!("{} does not start: see the verb `logs` of `cargo xtask cluster`", node.name))
}

fn find<'record>(record: &'record Record, name: &str) -> Result<&'record Node> {
    let full = format!("{}-{name}", record.name);
    record.nodes.iter().find(|node| node.name == name || node.name == full).ok_or_else(|| {
        let names: Vec<&str> = record.nodes.iter().map(|node| node.name.as_str()).collect();
        anyhow!("the cluster {} has no node {name}; its nodes are {}", record.name, names.join(", "))
    })
}
