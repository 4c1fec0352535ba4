//! Installs an operator into a cluster as a user would: its CRDs first, with the user's rights, then its manifests.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::document;
use crate::cluster::Cluster;
use crate::images::Operator;
use crate::{process, progress};

const QUICK: Duration = Duration::from_secs(30);
const APPLY_LIMIT: Duration = Duration::from_secs(60);
/// Two replicas start one after the other on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(180);

/// The namespace of the operators.
pub const NAMESPACE: &str = "operator-lite-system";

/// Applies CRDs and manifests and waits until every replica is ready.
pub fn operator(cluster: &Cluster, operator: &Operator) -> Result<()> {
    let step = progress::step(format!("installing {}", operator.name));
    let crds = document::split(&print(operator, &["crds"])?);
    apply(cluster, &format!("apply the CRDs of {}", operator.name), &super::join(&crds))?;
    for crd in &crds {
        let name = crd.name().with_context(|| format!("{} crds printed a document without a name", operator.name))?;
        let mut wait = cluster.kubectl();
        wait.args(["wait", "--for=condition=Established", "--timeout=60s", &format!("crd/{name}")]);
        process::output(&format!("wait for CRD {name} to be established"), &mut wait, APPLY_LIMIT + QUICK)?;
    }
    let manifests = print(operator, &["manifests", "--image", &operator.image])?;
    apply(cluster, &format!("apply the manifests of {}", operator.name), &manifests)?;
    step.detail("waiting for its replicas");
    let mut rollout = cluster.kubectl();
    let timeout = format!("--timeout={}s", READY_LIMIT.as_secs());
    rollout.args(["--namespace", NAMESPACE, "rollout", "status", &timeout, &format!("deployment/{}", operator.name)]);
    process::output(&format!("start {}", operator.name), &mut rollout, READY_LIMIT + QUICK).with_context(|| {
        let name = operator.name;
        let describe = cluster.line("kubectl", &format!("-n {NAMESPACE} describe pods"));
        format!("see why by `{describe}` and `… logs deployment/{name}`")
    })?;
    step.done_with(&operator.image);
    Ok(())
}

/// Applies YAML to the cluster.
pub fn apply(cluster: &Cluster, what: &str, yaml: &str) -> Result<()> {
    let mut command = cluster.kubectl();
    command.args(["apply", "--server-side", "--force-conflicts", "--filename", "-"]);
    process::output_with_input(what, &mut command, yaml, APPLY_LIMIT)?;
    Ok(())
}

fn print(operator: &Operator, verb: &[&str]) -> Result<String> {
    let mut command = Command::new(&operator.program);
    command.args(verb);
    process::output(&format!("run `{} {}`", operator.name, verb.join(" ")), &mut command, QUICK)
}
