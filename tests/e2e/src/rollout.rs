//! An observer of rollouts: it watches every event of a set of pods and keeps the fewest that were ready and the most
//! that were not terminating, at any moment. Samples would miss a short dip; a watch does not.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::pod;

/// The longest an API server lets one watch last that asks for it.
const WATCH_SECONDS: u32 = 290;

/// How long a watch may take to deliver what happened before it is stopped.
const SETTLE: Duration = Duration::from_secs(1);

/// What a rollout looked like from its first event to its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The fewest pods that were ready and not terminating.
    pub fewest_ready: usize,
    /// The most pods that were not terminating.
    pub most_running: usize,
    /// How many events were seen.
    pub events: usize,
    pods: BTreeMap<String, State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    is_ready: bool,
    is_terminating: bool,
}

impl Record {
    /// Starts from the pods that are there.
    #[must_use]
    pub fn new<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Self {
        let pods = pods.into_iter().map(|pod| (uid(pod), State::of(pod))).collect();
        let mut record = Self { fewest_ready: usize::MAX, most_running: 0, events: 0, pods };
        record.judge();
        record
    }

    /// How many pods there are that are not terminating, now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.pods.values().filter(|state| !state.is_terminating).count()
    }

    /// How many pods are ready and not terminating, now.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.pods.values().filter(|state| state.is_ready && !state.is_terminating).count()
    }

    fn changed(&mut self, pod: &Pod) {
        self.pods.insert(uid(pod), State::of(pod));
        self.events += 1;
        self.judge();
    }

    fn deleted(&mut self, pod: &Pod) {
        self.pods.remove(&uid(pod));
        self.events += 1;
        self.judge();
    }

    fn judge(&mut self) {
        self.fewest_ready = self.fewest_ready.min(self.ready());
        self.most_running = self.most_running.max(self.running());
    }
}

impl State {
    fn of(pod: &Pod) -> Self {
        Self { is_ready: pod::is_ready(pod), is_terminating: pod::is_terminating(pod) }
    }
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

/// A running observer. It fails, rather than miss an event, when its watch breaks off and cannot be resumed.
pub struct Observer {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Record>>,
}

impl Observer {
    /// Starts to watch the pods with a label, from the state they have now.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn start(cluster: &Cluster, namespace: &str, selector: &str) -> Result<Self> {
        let pods = pod::pods(cluster, namespace);
        let list = pods.list(&ListParams::default().labels(selector)).await?;
        let version = list.metadata.resource_version.context("a list without a resource version")?;
        let record = Record::new(&list.items);
        let (stop, stopped) = oneshot::channel();
        let parameters = WatchParams::default().labels(selector).timeout(WATCH_SECONDS);
        let task = tokio::spawn(observe(pods, parameters, version, record, stopped));
        Ok(Self { stop, task })
    }

    /// Ends the watch; gives what it saw.
    ///
    /// # Errors
    /// It had broken off.
    pub async fn finish(self) -> Result<Record> {
        // The receiver is gone only if the watch failed, which the task's own result tells better.
        let _ = self.stop.send(());
        self.task.await?
    }
}

async fn observe(
    pods: Api<Pod>,
    parameters: WatchParams,
    mut version: String,
    mut record: Record,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Record> {
    let mut is_stopping = false;
    loop {
        let mut events = pods.watch(&parameters, &version).await?.boxed();
        loop {
            let next = if is_stopping {
                // Everything that happened before the stop is delivered first; a quiet second is the end of it.
                match tokio::time::timeout(SETTLE, events.try_next()).await {
                    Ok(next) => next?,
                    Err(_) => return Ok(record),
                }
            } else {
                tokio::select! {
                    next = events.try_next() => next?,
                    _ = &mut stopped => { is_stopping = true; continue }
                }
            };
            match next {
                Some(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) => {
                    version = pod.metadata.resource_version.clone().unwrap_or(version);
                    record.changed(&pod);
                }
                Some(WatchEvent::Deleted(pod)) => {
                    version = pod.metadata.resource_version.clone().unwrap_or(version);
                    record.deleted(&pod);
                }
                Some(WatchEvent::Bookmark(bookmark)) => version = bookmark.metadata.resource_version,
                Some(WatchEvent::Error(error)) => {
                    bail!("the watch of the rollout broke off, so events may be missing: {error:?}")
                }
                // The server ended the watch; it goes on from the last version without a gap.
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(uid: &str, is_ready: bool, is_terminating: bool) -> Pod {
        let mut pod = json!({
            "metadata": {"uid": uid},
            "status": {"conditions": [{"type": "Ready", "status": if is_ready { "True" } else { "False" }}]},
        });
        if is_terminating {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_short_dip_is_kept() {
        let mut record = Record::new(&[pod("a", true, false), pod("b", true, false)]);
        record.changed(&pod("a", false, false));
        record.changed(&pod("a", true, false));
        assert_eq!((record.fewest_ready, record.ready(), record.events), (1, 2, 2));
    }

    #[test]
    fn a_terminating_pod_counts_neither_as_ready_nor_as_running() {
        let mut record = Record::new(&[pod("a", true, false)]);
        record.changed(&pod("b", false, false));
        record.changed(&pod("a", true, true));
        assert_eq!((record.most_running, record.running(), record.fewest_ready), (2, 1, 0));
        record.deleted(&pod("a", true, true));
        assert_eq!(record.running(), 1);
    }
}
