//! Installs an operator into a cluster as a user would: its CRDs first, with the user's rights, then its manifests.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Installation;
use super::document::{self, Document};
use crate::cluster::Cluster;
use crate::images::{Images, Operator};
use crate::{process, progress};

const QUICK: Duration = Duration::from_secs(30);
const APPLY_LIMIT: Duration = Duration::from_secs(60);
/// Two replicas start one after the other on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(180);

/// The kinds that an operator's pods come from.
const WORKLOADS: [&str; 2] = ["Deployment", "DaemonSet"];

/// The namespace of the operators.
pub const NAMESPACE: &str = "operator-lite-system";

/// Applies CRDs and manifests and waits until every replica is ready.
pub fn operator(cluster: &Cluster, installation: &Installation, images: &Images) -> Result<()> {
    let operator = images.operator(installation.operator)?;
    let name = operator.name;
    let step = progress::step(format!("installing {name} {}", installation.flags.join(" ")).trim_end());
    let crds = document::split(&print(operator, "crds", installation.flags)?);
    apply_crds(cluster, name, &crds)?;
    let arguments = [&["--image", &operator.image], installation.flags].concat();
    let manifests = print(operator, "manifests", &arguments)?;
    apply(cluster, &format!("apply the manifests of {name}"), &manifests)?;
    step.detail("waiting for its replicas");
    let kinds = document::split(&manifests);
    let kind = kinds.iter().filter_map(Document::kind).find(|kind| WORKLOADS.contains(kind));
    let workload = format!("{}/{name}", kind.with_context(|| format!("{name} manifests printed no workload"))?);
    let mut rollout = cluster.kubectl();
    let timeout = format!("--timeout={}s", READY_LIMIT.as_secs());
    rollout.args(["--namespace", NAMESPACE, "rollout", "status", &timeout, &workload]);
    process::output(&format!("start {name}"), &mut rollout, READY_LIMIT + QUICK).with_context(|| {
        print_evidence(cluster, &workload);
        let describe = cluster.line("kubectl", &format!("-n {NAMESPACE} describe pods"));
        format!("see why by `{describe}` and `… logs {workload}`")
    })?;
    step.done_with(&operator.image);
    Ok(())
}

/// Prints what the cluster says about a workload that does not start: in CI nobody can ask it afterwards.
fn print_evidence(cluster: &Cluster, workload: &str) {
    let own = ["--namespace", NAMESPACE];
    let questions: [&[&str]; 5] = [
        &["get", "nodes,leases", "--all-namespaces", "--output", "wide"],
        &["get", "pods", "--all-namespaces", "--output", "wide"],
        &[&own[..], &["describe", workload]].concat(),
        &[&own[..], &["events"]].concat(),
        &[&own[..], &["logs", workload, "--all-pods", "--prefix", "--tail=30", "--ignore-errors"]].concat(),
    ];
    for question in questions {
        let mut command = cluster.kubectl();
        command.arg("--request-timeout=10s").args(question);
        let line = question.join(" ");
        let answer = process::output(&format!("ask `kubectl {line}`"), &mut command, QUICK);
        progress::say(format!("--- kubectl {line}\n{}", answer.unwrap_or_else(|error| format!("{error:#}"))));
    }
}

fn apply_crds(cluster: &Cluster, operator: &str, crds: &[Document]) -> Result<()> {
    if crds.is_empty() {
        return Ok(());
    }
    apply(cluster, &format!("apply the CRDs of {operator}"), &super::join(crds))?;
    for crd in crds {
        let name = crd.name().with_context(|| format!("{operator} crds printed a document without a name"))?;
        let mut wait = cluster.kubectl();
        wait.args(["wait", "--for=condition=Established", "--timeout=60s", &format!("crd/{name}")]);
        process::output(&format!("wait for CRD {name} to be established"), &mut wait, APPLY_LIMIT + QUICK)?;
    }
    Ok(())
}

/// Applies YAML to the cluster.
pub fn apply(cluster: &Cluster, what: &str, yaml: &str) -> Result<()> {
    let mut command = cluster.kubectl();
    command.args(["apply", "--server-side", "--force-conflicts", "--filename", "-"]);
    process::output_with_input(what, &mut command, yaml, APPLY_LIMIT)?;
    Ok(())
}

fn print(operator: &Operator, verb: &str, flags: &[&str]) -> Result<String> {
    let mut command = Command::new(&operator.program);
    command.arg(verb).args(flags);
    process::output(&format!("run `{} {verb} {}`", operator.name, flags.join(" ")), &mut command, QUICK)
}
