//! Bad input is refused where it is given, in one line that says what is wrong.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cluster::Cluster;
use e2e::command::{self, Output};
use e2e::{cluster, lite_deployment, namespace};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

/// A program that gives up does so within this time.
const GIVE_UP_LIMIT: Duration = Duration::from_secs(30);

/// Fields that are named by a refusal, and what makes a good spec bad; a simulated server is asked the same.
const BAD_INPUT: &str = include_str!("../../../operators/deployment-lite/tests/testdata/bad_input.yaml");

#[derive(Deserialize)]
struct Row {
    field: String,
    set: BTreeMap<String, Value>,
}

/// A good object of a kind.
fn web(kind: &str) -> Value {
    let mut object = lite_deployment::web("web", 0);
    object["kind"] = json!(kind);
    object
}

#[tokio::test]
async fn what_a_lite_deployment_may_not_ask_for_is_refused_by_the_fields_name() -> Result<()> {
    refused("LiteDeployment", &["of_both", "of_deployment"]).await
}

#[tokio::test]
async fn what_a_lite_replica_set_may_not_ask_for_is_refused_by_the_fields_name() -> Result<()> {
    refused("LiteReplicaSet", &["of_both"]).await
}

async fn refused(kind: &str, parts: &[&str]) -> Result<()> {
    let table: BTreeMap<String, Vec<Row>> = serde_saphyr::from_str(BAD_INPUT)?;
    let rows = || parts.iter().flat_map(|part| &table[*part]);
    namespace::with_namespace("refused", async |cluster, namespace| {
        // Only the spoilt field is wrong: without it the same object is accepted.
        let good = apply(&cluster, &namespace, &web(kind), DRY).await?;
        ensure!(good.status.success(), "the object is refused before it is spoilt: {}", good.stderr);
        let mut wrong = Vec::new();
        for Row { field, set } in rows() {
            let mut object = web(kind);
            for (place, value) in set {
                let (parent, name) = place.rsplit_once('/').context("no JSON pointer")?;
                object["spec"].pointer_mut(parent).context("no place in the spec")?[name] = value.clone();
            }
            let output = apply(&cluster, &namespace, &object, DRY).await?;
            if output.status.success() {
                wrong.push(format!("accepted: {}", object["spec"]));
            } else if !output.stderr.contains(&format!("{field}: ")) {
                wrong.push(format!("{field} is not named: {}", output.stderr));
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_changed_selector_is_refused() -> Result<()> {
    namespace::with_namespace("immutable", async |cluster, namespace| {
        for kind in ["LiteDeployment", "LiteReplicaSet"] {
            let good = web(kind);
            let applied = apply(&cluster, &namespace, &good, &[]).await?;
            ensure!(applied.status.success(), "the good object is refused: {}", applied.stderr);
            let mut changed = good;
            changed["spec"]["selector"] = json!({"matchLabels": {"app": "web", "tier": "front"}});
            changed["spec"]["template"]["metadata"]["labels"] = json!({"app": "web", "tier": "front"});
            let refused = apply(&cluster, &namespace, &changed, &[]).await?;
            ensure!(!refused.status.success(), "a changed selector of a {kind} is accepted");
            ensure!(refused.stderr.contains("spec.selector: "), "the field is not named: {}", refused.stderr);
        }
        Ok(())
    })
    .await
}

/// Only asks what the API server would say.
const DRY: &[&str] = &["--dry-run=server"];

async fn apply(cluster: &Cluster, namespace: &str, object: &Value, options: &[&str]) -> Result<Output> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), object.to_string())?;
    let mut command = cluster.kubectl();
    command.args(["-n", namespace, "apply"]).args(options).arg("-f").arg(file.path());
    command::finish(&mut command, command::USUAL_LIMIT).await
}

#[tokio::test]
async fn an_unknown_flag_is_named() -> Result<()> {
    let output = command::finish(operator()?.args(["run", "--no-such-flag"]), GIVE_UP_LIMIT).await?;
    says_in_one_line(&output, &["--no-such-flag"])
}

#[tokio::test]
async fn an_unreadable_kubeconfig_is_named() -> Result<()> {
    let missing = "/nowhere/kubeconfig";
    let output = command::finish(operator()?.arg("run").env("KUBECONFIG", missing), GIVE_UP_LIMIT).await?;
    says_in_one_line(&output, &[missing])?;
    let garbage = tempfile::NamedTempFile::new()?;
    std::fs::write(garbage.path(), "{ not a kubeconfig")?;
    let output = command::finish(operator()?.arg("run").env("KUBECONFIG", garbage.path()), GIVE_UP_LIMIT).await?;
    says_in_one_line(&output, &[&garbage.path().display().to_string()])?;
    let output = command::finish(operator()?.args(["run", "--kubeconfig", missing]), GIVE_UP_LIMIT).await?;
    says_in_one_line(&output, &[missing, "--kubeconfig"])
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_by_verb_and_resource() -> Result<()> {
    namespace::with_namespace("powerless", async |cluster, namespace| {
        let folder = tempfile::tempdir()?;
        let kubeconfig = powerless_kubeconfig(&cluster, &namespace, folder.path()).await?;
        let mut run = operator()?;
        run.args(["run", ADMIN_FLAG, "127.0.0.1:0"]).env("KUBECONFIG", &kubeconfig).env("POD_NAMESPACE", &namespace);
        let output = command::finish(&mut run, GIVE_UP_LIMIT).await?;
        ensure!(!output.status.success(), "it ended well without any right: {}", output.text());
        let last = last_line(&output);
        let verbs = ["get", "list", "watch"];
        let resources = ["leases", "litedeployments", "litereplicasets", "pods"];
        let names = |words: &[&str]| words.iter().any(|word| last.contains(word));
        ensure!(names(&verbs) && names(&resources), "no verb and resource in the last line {last:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_taken_port_is_named() -> Result<()> {
    namespace::with_namespace("port", async |cluster, namespace| {
        let taken = TcpListener::bind("127.0.0.1:0")?;
        let address = taken.local_addr()?.to_string();
        // Without any right, so that it can do no harm if it runs.
        let folder = tempfile::tempdir()?;
        let kubeconfig = powerless_kubeconfig(&cluster, &namespace, folder.path()).await?;
        let mut run = operator()?;
        run.args(["run", ADMIN_FLAG, &address]).env("KUBECONFIG", &kubeconfig).env("POD_NAMESPACE", &namespace);
        let output = command::finish(&mut run, GIVE_UP_LIMIT).await?;
        ensure!(!output.status.success(), "it ended well although its port is taken: {}", output.text());
        ensure!(last_line(&output).contains(&address), "the address {address} is not named: {}", last_line(&output));
        Ok(())
    })
    .await
}

/// The flag that says where the probes and metrics are served.
const ADMIN_FLAG: &str = "--admin-address";

/// The operator's program on this machine, with nothing of the tests' environment.
fn operator() -> Result<Command> {
    let mut command = Command::new(cluster::variable("OPERATOR_LITE_DEPLOYMENT_LITE")?);
    command.env_clear().env("HOME", "/nonexistent");
    Ok(command)
}

/// A kubeconfig of a service account that may do nothing.
async fn powerless_kubeconfig(cluster: &Cluster, namespace: &str, folder: &Path) -> Result<String> {
    cluster.run_kubectl(&["-n", namespace, "create", "serviceaccount", "powerless"]).await?;
    let token = cluster.run_kubectl(&["-n", namespace, "create", "token", "powerless"]).await?;
    let whole = cluster.run_kubectl(&["config", "view", "--raw", "--flatten", "-o", "json"]).await?;
    let mut kubeconfig: Value = serde_json::from_str(&whole)?;
    for user in kubeconfig["users"].as_array_mut().context("a kubeconfig without users")? {
        user["user"] = json!({"token": token.trim()});
    }
    let path = folder.join("kubeconfig");
    std::fs::write(&path, kubeconfig.to_string())?;
    Ok(path.display().to_string())
}

fn says_in_one_line(output: &Output, words: &[&str]) -> Result<()> {
    ensure!(!output.status.success(), "it ended well: {}", output.text());
    let text = output.text();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    ensure!(lines.len() == 1, "not one line but:\n{text}");
    ensure!(words.iter().all(|word| lines[0].contains(word)), "{words:?} are not named: {}", lines[0]);
    Ok(())
}

fn last_line(output: &Output) -> String {
    output.text().lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
}
