//! Removes a cluster, whole or half made, and with the last one all that was started for any.

use std::fs;

use anyhow::{Context, Result};

use super::docker::Docker;
use super::lock::Lock;
use super::private_docker::PrivateDocker;
use super::record::Record;
use super::{cgroup, forward, loop_device, network, node_image, sysctl};
use crate::{paths, progress};

/// Takes a cluster down; `purge` also removes what is kept to make the next `up` quick.
pub fn down(name: &str, purge: bool) -> Result<()> {
    let _lock = Lock::of_cluster(name)?;
    let step = progress::step(format!("taking the cluster {name} down"));
    let is_removed = remove_interrupted(name)?;
    let is_last = end_private_docker()?;
    step.done_with(if is_removed { "" } else { "there was none of this name" });
    if is_last {
        loop_device::detach_forgotten()?;
        sysctl::restore()?;
    }
    if purge {
        self::purge(is_last)?;
    } else {
        let cache = paths::cache()?;
        if cache.exists() {
            progress::say(format!("programs and images stay in {} (down --purge removes them)", cache.display()));
        }
    }
    Ok(())
}

/// Removes every trace of one cluster from every Docker that may have some; the daemons stay.
///
/// Returns whether there was any.
pub(super) fn remove_interrupted(name: &str) -> Result<bool> {
    let mut is_removed = false;
    forward::stop(name)?;
    let private = PrivateDocker::new()?;
    let is_in_private = Record::read(name).is_some_and(|record| record.is_private);
    if is_in_private && private.has_store() && !private.answers() {
        // After a reboot, say: what a dead daemon still knows of would come back with its next start.
        let _lock = Lock::of_private_docker()?;
        if let Err(error) = private.ensure() {
            progress::say(format!("{error:#}; its image store is removed instead"));
            private.stop()?;
            private.purge()?;
        }
    }
    if private.answers() {
        is_removed |= remove_containers(&private.client(), name)?;
    }
    let user = Docker::of_user();
    // Another cluster's record says which daemon it is in; one without a record can be in either.
    if Record::read(name).is_none_or(|record| !record.is_private) && user.answers() {
        is_removed |= remove_containers(&user, name)?;
    }
    let folder = paths::cluster(name)?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
        is_removed = true;
    }
    Ok(is_removed)
}

/// Removes from a daemon of ours every cluster that has no record, and what is left of the one about to be made.
pub(super) fn remove_forgotten(docker: &Docker, name: &str) -> Result<()> {
    let known: Vec<String> =
        Record::all().into_iter().map(|record| record.name).filter(|known| known != name).collect();
    for cluster in docker.clusters()? {
        if !known.contains(&cluster) {
            remove_containers(docker, &cluster)?;
        }
    }
    remove_containers(docker, name).map(drop)
}

fn remove_containers(docker: &Docker, name: &str) -> Result<bool> {
    let containers = docker.containers(name)?;
    if !containers.is_empty() {
        for container in &containers {
            if docker.state(container)? == "paused" {
                // A frozen process cannot die.
                docker.output(&format!("unpause {container}"), &["unpause", container])?;
            }
        }
        if let Err(error) = remove(docker, name, &containers) {
            progress::say(format!("{error:#}; looking for frozen processes in it"));
            // Some may be gone by now.
            let containers = docker.containers(name)?;
            for description in containers.iter().filter_map(|container| docker.inspect(container).ok()) {
                description["Id"].as_str().map_or(Ok(()), cgroup::thaw)?;
            }
            remove(docker, name, &containers)?;
        }
    }
    let network = network::name(name);
    if docker.has_network(&network) {
        docker.output(&format!("remove the network of {name}"), &["network", "rm", &network])?;
    }
    Ok(!containers.is_empty())
}

fn remove(docker: &Docker, name: &str, containers: &[String]) -> Result<()> {
    if containers.is_empty() {
        return Ok(());
    }
    let mut arguments = vec!["rm", "--force", "--volumes"];
    arguments.extend(containers.iter().map(String::as_str));
    docker.output(&format!("remove the nodes of {name}"), &arguments).map(drop)
}

/// Ends the private daemon unless another cluster lives in it; whether no cluster is left at all.
fn end_private_docker() -> Result<bool> {
    let _lock = Lock::of_private_docker()?;
    let others = Record::all();
    let private = PrivateDocker::new()?;
    if !others.iter().any(|record| record.is_private) {
        private.stop()?;
    }
    Ok(others.is_empty())
}

fn purge(is_last: bool) -> Result<()> {
    let user = Docker::of_user();
    if !is_last {
        progress::say("another cluster is up: programs and images stay until the last one is down");
        return Ok(());
    }
    if user.answers() {
        let filter = "reference=operator-lite.dev/node";
        let images = user.output("list node images", &["images", "--quiet", "--filter", filter])?;
        for image in images.lines() {
            user.output("remove a node image", &["rmi", "--force", image])?;
        }
    }
    PrivateDocker::new()?.purge()?;
    node_image::purge()?;
    let cache = paths::cache()?;
    if cache.exists() {
        fs::remove_dir_all(&cache).with_context(|| format!("failed to remove {}", cache.display()))?;
    }
    Ok(())
}
