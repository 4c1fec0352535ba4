//! What happens in the demo, one after the other, each until it can be seen that it is done.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::NAMESPACE;
use super::screen::Screen;
use super::view::View;
use super::watch::{Watch, look};
use crate::cluster::Cluster;
use crate::process;

/// What the example says, see `examples/deployment-lite/web.yaml`.
const REPLICAS: usize = 6;
const NEW_IMAGE: &str = "registry.k8s.io/e2e-test-images/agnhost:2.66.1";
const NEW_VERSION: &str = "2.66.1";

const QUICK: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(240);
/// So many requests before anything is harmed show that they arrive.
const FIRST_REQUESTS: u64 = 100;

/// The demo's scenes, over a cluster in which the example is applied.
pub struct Stories<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) watch: &'a Watch,
}

impl Stories<'_> {
    /// The pods come up over the nodes.
    pub fn come_up(&self, screen: &mut Screen) -> Result<()> {
        screen.say("A LiteDeployment of six replicas and a Service are applied; the operator makes its pods:");
        self.watch.wait_for(screen, "all six replicas are ready", LIMIT, |view| Ok(view.ready() == REPLICAS))?;
        Ok(())
    }

    /// Requests arrive.
    pub fn wait_for_traffic(&self, screen: &mut Screen) -> Result<()> {
        screen.say("A client in the cluster sends 120 requests a second to the Service, a new connection for each:");
        let many = |view: &View| Ok(view.sums.as_ref().is_some_and(|sums| sums.succeeded >= FIRST_REQUESTS));
        self.watch.wait_for(screen, "its requests are answered", QUICK, many)?;
        Ok(())
    }

    /// One pod is deleted; gives the time until another is ready in its place.
    pub fn lose_a_pod(&self, screen: &mut Screen) -> Result<Duration> {
        let view = self.watch.view();
        let victim = look(&view).pods.keys().next().cloned().context("there is no pod to delete")?;
        screen.say(&format!("The pod {victim} is deleted; the operator replaces it:"));
        let mut delete = self.kubectl(&["delete", "pod", &victim, "--wait=false"]);
        process::output(&format!("delete pod {victim}"), &mut delete, QUICK)?;
        let replaced = |view: &View| {
            let is_ending = view.pods.get(&victim).is_none_or(|pod| pod.is_terminating);
            Ok(is_ending && view.ready() == REPLICAS)
        };
        self.watch.wait_for(screen, "another pod is ready in its place", LIMIT, replaced)
    }

    /// A new version replaces the old one; gives the time until the operator says that it is done.
    pub fn roll_out(&self, screen: &mut Screen) -> Result<Duration> {
        screen.say(&format!("Version {NEW_VERSION} is rolled out, two pods more and one less than six at the most:"));
        let change =
            format!(r#"[{{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"{NEW_IMAGE}"}}]"#);
        let mut patch = self.kubectl(&["patch", "litedeployment", "web", "--type=json", "--patch", &change]);
        process::output("change the LiteDeployment's image", &mut patch, QUICK)?;
        let took = self.watch.wait_for(screen, "the operator says that the rollout is complete", LIMIT, |view| {
            Ok(view.of_version(NEW_VERSION) == REPLICAS && view.ready() == REPLICAS && self.is_complete()?)
        })?;
        // The old pods serve on for some seconds; the client shall see their end, too.
        self.watch.wait_for(screen, "the old pods have ended", LIMIT, |view| Ok(view.terminating() == 0))?;
        Ok(took)
    }

    fn is_complete(&self) -> Result<bool> {
        let mut get = self.kubectl(&["get", "litedeployment", "web", "--output=json"]);
        let text = process::output("read the LiteDeployment's status", &mut get, QUICK)?;
        let object: Value = serde_json::from_str(&text).context("failed to read the LiteDeployment's status")?;
        Ok(is_complete(&object))
    }

    fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = self.cluster.kubectl();
        command.args(["--namespace", NAMESPACE]).args(arguments);
        command
    }
}

fn is_complete(object: &Value) -> bool {
    let status = &object["status"];
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    status["observedGeneration"] == object["metadata"]["generation"]
        && conditions.iter().any(|one| one["type"] == "Progressing" && one["reason"] == "NewReplicaSetAvailable")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_of_an_older_generation_is_not_complete() {
        let object = |observed: i64| {
            let conditions = json!([{"type": "Progressing", "reason": "NewReplicaSetAvailable"}]);
            json!({"metadata": {"generation": 2}, "status": {"observedGeneration": observed, "conditions": conditions}})
        };
        assert!(is_complete(&object(2)));
        assert!(!is_complete(&object(1)));
    }
}
