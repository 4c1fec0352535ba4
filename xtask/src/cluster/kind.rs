//! What kind is asked for, and asking it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::docker::Docker;
use super::record::Record;
use super::{audit, line};
use crate::tools::ToolBox;
use crate::{digest, paths, process};

const CREATE_LIMIT: Duration = Duration::from_secs(10 * 60);
/// The range all pods' addresses come from.
pub const POD_SUBNET: &str = "10.244.0.0/16";
const SERVICE_SUBNET: &str = "10.96.0.0/16";
/// How long a silent node counts as well: short, so that tests of failing nodes are.
const NODE_GRACE_SECONDS: u32 = 20;

/// Creates the cluster's containers and joins its nodes; pods have no network yet.
pub fn create(record: &Record, docker: &Docker, tools: &ToolBox) -> Result<()> {
    let folder = paths::cluster(&record.name)?;
    let config = folder.join("kind.json");
    let policy = audit::write_policy(&folder)?;
    let text =
        serde_json::to_string_pretty(&configuration(record, &policy)).context("failed to describe the cluster")?;
    std::fs::write(&config, text).with_context(|| format!("failed to write {}", config.display()))?;
    let mut command = process::bound(tools.path("kind")?);
    docker.choose_for(&mut command);
    command.env("KIND_EXPERIMENTAL_DOCKER_NETWORK", &record.network);
    command.args(["create", "cluster", "--retain", "--name", &record.name, "--image", &record.image]);
    command.arg("--config").arg(&config).arg("--kubeconfig").arg(folder.join("kubeconfig.new"));
    let created = process::run("create the cluster with kind", &mut command, &folder.join("kind.log"), CREATE_LIMIT);
    if created.is_err() {
        let logs = folder.join("failed-nodes");
        let _ = export_logs(record, docker, tools, &logs);
        return created.with_context(|| {
            format!("logs of the nodes: {}; try again: {}", logs.display(), line(&record.name, "cluster", "up"))
        });
    }
    // Only a complete kubeconfig gets the name that others look for.
    std::fs::rename(folder.join("kubeconfig.new"), folder.join("kubeconfig")).context("failed to keep the kubeconfig")
}

/// Collects the logs of nodes and their pods into a folder.
pub fn export_logs(record: &Record, docker: &Docker, tools: &ToolBox, folder: &Path) -> Result<()> {
    paths::make(folder)?;
    let mut command = Command::new(tools.path("kind")?);
    docker.choose_for(&mut command);
    command.args(["export", "logs", "--name", &record.name]).arg(folder);
    process::output("collect the nodes' logs", &mut command, Duration::from_secs(180)).map(drop)
}

/// Tells whether a cluster was made as one of the same record would be made now.
pub fn configuration_digest(record: &Record) -> String {
    let parts = [configuration(record, Path::new("")), audit::policy()].map(|part| part.to_string());
    digest::short(&[parts[0].as_bytes(), parts[1].as_bytes()])
}

/// kind's configuration; JSON is YAML.
fn configuration(record: &Record, audit_policy: &Path) -> Value {
    let mut nodes = vec![json!({"role": "control-plane", "extraMounts": [audit::mount(audit_policy)]})];
    nodes.extend((0..record.workers).map(|_| json!({"role": "worker"})));
    json!({
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": record.name,
        "nodes": nodes,
        "networking": {
            "apiServerAddress": "127.0.0.1",
            "apiServerPort": record.api_port,
            "disableDefaultCNI": true,
            "kubeProxyMode": "nftables",
            "podSubnet": POD_SUBNET,
            "serviceSubnet": SERVICE_SUBNET,
        },
        "kubeadmConfigPatches": patches(record.controllers_off).iter().map(Value::to_string).collect::<Vec<_>>(),
    })
}

fn patches(controllers_off: bool) -> Vec<Value> {
    let mut arguments = vec![json!({"name": "node-monitor-grace-period", "value": format!("{NODE_GRACE_SECONDS}s")})];
    if controllers_off {
        let controllers = "*,bootstrapsigner,tokencleaner,-deployment-controller,-replicaset-controller";
        arguments.push(json!({"name": "controllers", "value": controllers}));
    }
    vec![
        json!({
            "kind": "ClusterConfiguration",
            "apiServer": audit::api_server(),
            "controllerManager": {"extraArgs": arguments},
        }),
        // Without it a kubelet refuses to start where the machine still has cgroups of version 1.
        json!({"kind": "KubeletConfiguration", "failCgroupV1": false}),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::record::Node;

    fn record(controllers_off: bool) -> Record {
        Record {
            name: "sample".into(),
            is_private: false,
            is_complete: false,
            image: "node:1".into(),
            api_port: 40_000,
            network: "kind-sample".into(),
            subnet: "10.201.0.0/24".into(),
            workers: 3,
            controllers_off,
            configuration: String::new(),
            nodes: Vec::new(),
        }
    }

    #[test]
    fn one_control_plane_and_the_workers_asked_for() {
        let configuration = configuration(&record(false), Path::new("/policy"));
        let roles: Vec<&str> =
            configuration["nodes"].as_array().expect("nodes").iter().filter_map(|n| n["role"].as_str()).collect();
        assert_eq!(roles, ["control-plane", "worker", "worker", "worker"]);
        assert_eq!(configuration["networking"]["apiServerPort"], 40_000);
    }

    #[test]
    fn a_cluster_set_up_otherwise_is_known_by_its_digest() {
        let mut complete = record(false);
        complete.is_complete = true;
        complete.nodes.push(Node {
            name: "sample-worker".into(),
            address: "10.201.0.2".into(),
            pod_range: "10.244.1.0/24".into(),
        });
        assert_eq!(configuration_digest(&complete), configuration_digest(&record(false)));
        assert_ne!(configuration_digest(&record(true)), configuration_digest(&record(false)));
    }

    #[test]
    fn controllers_are_left_out_only_when_asked() {
        let text = |controllers_off| configuration(&record(controllers_off), Path::new("/policy")).to_string();
        assert!(!text(false).contains("deployment-controller"));
        let off = text(true);
        assert!(off.contains("-deployment-controller,-replicaset-controller"), "{off}");
    }
}
