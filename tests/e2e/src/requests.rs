//! Requests under a rollout: the request counter as a pod on a node of choice, and its sums when it is done.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cluster::Cluster;
use crate::pod;
use crate::wait::{self, Seen};

/// The image of the request counter; `cargo xtask images` builds and loads it.
pub const IMAGE: &str = "operator-lite.dev/request-counter:dev";

/// The name of the pod that counts.
pub const POD: &str = "request-counter";

const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// What the request counter tells at its end, as one line of JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How long it ran.
    pub seconds: f64,
    /// Requests started, each on a connection of its own.
    pub sent: u64,
    /// Requests answered completely and with status 200.
    pub succeeded: u64,
    /// All others.
    pub failed: u64,
    /// The slowest answer.
    pub slowest_milliseconds: u64,
    /// The texts of the first failures.
    pub first_errors: Vec<String>,
}

/// A line of the counter's output: the sums so far, or the last word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// Once a second.
    Progress(Summary),
    /// Once, at the end.
    Summary(Summary),
}

/// A request counter that runs as the pod of this name.
pub struct RequestCounter {
    namespace: String,
    name: String,
}

impl RequestCounter {
    /// Starts it on a node and waits until its first answers are there.
    ///
    /// # Errors
    /// It does not start, or gets no answer.
    pub async fn start(cluster: &Cluster, namespace: &str, node: &str, url: &str, per_second: u32) -> Result<Self> {
        let name = POD;
        let container = json!({
            "name": name,
            "image": IMAGE,
            "args": [format!("--rate={per_second}"), url],
        });
        pod::start(cluster, namespace, name, node, container).await?;
        let counter = Self { namespace: namespace.to_owned(), name: name.to_owned() };
        wait::until(&format!("answers from {url}"), Duration::from_secs(60), async || {
            Ok(match counter.last_line(cluster).await? {
                Line::Progress(sums) if sums.succeeded > 0 => Seen::Done(()),
                other => Seen::NotYet(format!("{other:?}")),
            })
        })
        .await?;
        Ok(counter)
    }

    /// Ends it and gives its sums. The pod is deleted with the test's namespace.
    ///
    /// # Errors
    /// It does not end, or was restarted.
    pub async fn finish(self, cluster: &Cluster) -> Result<Summary> {
        let pods = pod::pods(cluster, &self.namespace);
        let running = pods.get(&self.name).await?;
        let restarts = running
            .status
            .as_ref()
            .and_then(|status| status.container_statuses.as_ref()?.first().map(|container| container.restart_count));
        if restarts != Some(0) {
            bail!(
                "the request counter was restarted, its sums are not those of the whole time: {}",
                pod::describe(&running)
            );
        }
        // The signal comes from the node: a deletion of the pod would take its log away with it.
        crate::chaos::signal_pod(cluster, &self.namespace, &self.name, "TERM").await?;
        wait::until("the request counter's summary", DRAIN_LIMIT, async || {
            Ok(match self.last_line(cluster).await? {
                Line::Summary(sums) => Seen::Done(sums),
                Line::Progress(sums) => Seen::NotYet(format!("still counting: {sums:?}")),
            })
        })
        .await
    }

    async fn last_line(&self, cluster: &Cluster) -> Result<Line> {
        let log = cluster.run_kubectl(&["-n", &self.namespace, "logs", &self.name, "--tail=1"]).await?;
        serde_json::from_str(log.trim()).with_context(|| format!("not a line of the request counter: {log:?}"))
    }
}
