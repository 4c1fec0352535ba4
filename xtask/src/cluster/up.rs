//! From whatever is there to a healthy cluster.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

use super::docker::Docker;
use super::lock::Lock;
use super::private_docker::PrivateDocker;
use super::record::Record;
use super::situation::{self, Situation};
use super::{
    Cluster, DEFAULT_NAME, cleanup, forward, health, kind, line, loop_device, network, node, node_image, sysctl,
};
use crate::tools::{self, Tool};
use crate::{paths, progress};

/// How a cluster shall be.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// Its name.
    pub name: String,
    /// Nodes besides the control plane.
    pub workers: u32,
    /// Leave Deployments and ReplicaSets to an operator.
    pub controllers_off: bool,
}

impl Default for UpOptions {
    fn default() -> Self {
        Self { name: DEFAULT_NAME.to_owned(), workers: 3, controllers_off: false }
    }
}

/// Brings a cluster up, or back to health if it is there already.
pub fn up(options: &UpOptions) -> Result<Cluster> {
    let _lock = Lock::of_cluster(&options.name)?;
    if let Some(record) = Record::read(&options.name).filter(|record| record.is_complete) {
        return revive(record, options);
    }
    cleanup::remove_interrupted(&options.name)?;
    loop_device::note()?;
    let (docker, is_private, image) = prepare(&options.name)?;
    create(options, &docker, is_private, image)
}

/// Docker and the node image, by whichever of the four ways is open.
fn prepare(name: &str) -> Result<(Docker, bool, String)> {
    let step = progress::step("looking at what this machine offers");
    let facts = situation::probe()?;
    let situation = situation::decide(&facts);
    match situation {
        Situation::Impossible(line) => bail!("{line}"),
        Situation::StockImage => {
            step.done_with("Docker with kind's own node image");
            sysctl::prepare()?;
            let docker = Docker::of_user();
            let image = situation::stock_image(&docker).to_owned();
            Ok((docker, false, image))
        }
        Situation::OwnImage => {
            step.done_with("Docker without a registry, so the node image is built here");
            sysctl::prepare()?;
            let docker = Docker::of_user();
            let image = node_image::ensure(&docker)?;
            Ok((docker, false, image))
        }
        Situation::PrivateDocker => {
            step.done_with("no Docker, so a private one is started and the node image built here");
            // Under the lock, so that another cluster's `down` does not end the daemon as unused in between.
            let lock = Lock::of_private_docker()?;
            note_start(name)?;
            let docker = PrivateDocker::new()?.ensure()?;
            cleanup::remove_forgotten(&docker, name)?;
            drop(lock);
            let image = node_image::ensure(&docker)?;
            Ok((docker, true, image))
        }
    }
}

/// A record of nothing but the wish, which keeps the private daemon from being ended as unused.
fn note_start(name: &str) -> Result<()> {
    let record = Record {
        name: name.to_owned(),
        is_private: true,
        is_complete: false,
        image: String::new(),
        api_port: 0,
        network: network::name(name),
        subnet: String::new(),
        workers: 0,
        controllers_off: false,
        configuration: String::new(),
        nodes: Vec::new(),
    };
    record.write()
}

fn create(options: &UpOptions, docker: &Docker, is_private: bool, image: String) -> Result<Cluster> {
    let tools = tools::find_or_ensure(Tool::Kind)?;
    let network = network::name(&options.name);
    let step = progress::step(format!("creating {} nodes", options.workers + 1));
    paths::make(&paths::cluster(&options.name)?)?;
    let mut record = Record {
        name: options.name.clone(),
        is_private,
        is_complete: false,
        image,
        api_port: free_port()?,
        subnet: network::create(docker, &network)?,
        network,
        workers: options.workers,
        controllers_off: options.controllers_off,
        configuration: String::new(),
        nodes: Vec::new(),
    };
    record.configuration = kind::configuration_digest(&record);
    record.write()?;
    kind::create(&record, docker, &tools)?;
    step.done();
    if is_private {
        forward::ensure(&record.name, record.api_port, &PrivateDocker::new()?)?;
    }
    let step = progress::step("connecting the nodes' pods");
    let mut cluster = Cluster::from_record(record.clone(), docker.clone())?;
    record.nodes = network::discover(docker, &record, || cluster.kubectl())?;
    network::configure(docker, &record.nodes)?;
    step.done();
    cluster.record = Some(record.clone());
    health::wait(&cluster, &record)?;
    record.is_complete = true;
    record.write()?;
    cluster.record = Some(record);
    announce(&cluster);
    Ok(cluster)
}

/// A complete cluster: checks it, and repairs what a reboot or a rough hand did to it.
fn revive(record: Record, options: &UpOptions) -> Result<Cluster> {
    if (record.workers, record.controllers_off) != (options.workers, options.controllers_off) {
        bail!(
            "the cluster {} is up in another shape ({} workers, built-in controllers {}): take it down first with `{}`",
            record.name,
            record.workers,
            if record.controllers_off { "off" } else { "on" },
            line(&record.name, "cluster", "down"),
        );
    }
    if record.configuration != kind::configuration_digest(&record) {
        bail!(
            "the cluster {} was set up by another version of this program: take it down first with `{}`",
            record.name,
            line(&record.name, "cluster", "down"),
        );
    }
    let mut is_restarted = false;
    let docker = match record.is_private {
        true => {
            let _lock = Lock::of_private_docker()?;
            let private = PrivateDocker::new()?;
            is_restarted = private.first_process().is_none();
            private.ensure()?
        }
        false => Docker::of_user(),
    };
    if docker.containers(&record.name)?.len() < record.nodes.len() {
        progress::say(format!("nodes of {} are gone: it is made anew", record.name));
        cleanup::remove_interrupted(&record.name)?;
        let (docker, is_private, image) = prepare(&options.name)?;
        return create(options, &docker, is_private, image);
    }
    let cluster = Cluster::from_record(record.clone(), docker.clone())?;
    // A new daemon may have started the nodes by itself: then they count as restarted, too.
    let is_restarted = node::repair(&docker, &record)? || is_restarted;
    if record.is_private {
        forward::ensure(&record.name, record.api_port, &PrivateDocker::new()?)?;
    }
    if is_restarted || !health::is_healthy(&cluster, &record) {
        recover(&cluster, &record, is_restarted).with_context(|| {
            format!(
                "the cluster {} does not recover: `{}`, then up again",
                record.name,
                line(&record.name, "cluster", "down")
            )
        })?;
    } else {
        progress::say(format!("the cluster {} is up and healthy already", record.name));
    }
    announce(&cluster);
    Ok(cluster)
}

fn recover(cluster: &Cluster, record: &Record, is_restarted: bool) -> Result<()> {
    if is_restarted {
        let step = progress::step("waiting for the nodes to report again");
        let names: Vec<&str> = record.nodes.iter().map(|node| node.name.as_str()).collect();
        health::wait_for_nodes(cluster, &names)?;
        step.done();
    }
    health::wait(cluster, record)
}

fn announce(cluster: &Cluster) {
    progress::say(format!(
        "the cluster {} is up: {}, or export KUBECONFIG={}",
        cluster.name(),
        cluster.line("kubectl", "get nodes"),
        cluster.kubeconfig().display()
    ));
}

/// A port that is free now and that no other cluster has been given.
fn free_port() -> Result<u16> {
    let taken: Vec<u16> = Record::all().iter().map(|record| record.api_port).collect();
    for _ in 0..100 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port")?;
        let port = listener.local_addr().context("failed to find a free port")?.port();
        if !taken.contains(&port) {
            return Ok(port);
        }
    }
    bail!("found no free port on the loopback address")
}
