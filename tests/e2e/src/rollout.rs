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

/// How long an API server may be away: a kubelet waits up to five minutes before it starts one again.
const RELIST_LIMIT: Duration = Duration::from_secs(330);
const RELIST_INTERVAL: Duration = Duration::from_millis(100);

/// What a rollout looked like from its first event to its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The fewest pods that were ready and not terminating.
    pub fewest_ready: usize,
    /// The most pods that were not terminating.
    pub most_running: usize,
    /// How many events were seen.
    pub events: usize,
    /// How often the watch broke off and a new list took its place: what lay between was not seen.
    pub gaps: usize,
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
        let mut record =
            Self { fewest_ready: usize::MAX, most_running: 0, events: 0, gaps: 0, pods: BTreeMap::default() };
        record.listed(pods);
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

    fn listed<'a>(&mut self, pods: impl IntoIterator<Item = &'a Pod>) {
        self.pods = pods.into_iter().map(|pod| (uid(pod), State::of(pod))).collect();
        self.judge();
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

/// A running observer. When its watch breaks off it begins anew, and the record tells of the gap.
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
        let (stop, stopped) = oneshot::channel();
        let mut watched = Watched {
            pods: pod::pods(cluster, namespace),
            selector: selector.to_owned(),
            version: String::new(),
            record: Record::new(&[]),
            stopped,
            is_stopping: false,
        };
        let pods = watched.list().await?;
        watched.record = Record::new(&pods);
        let task = tokio::spawn(watched.observe());
        Ok(Self { stop, task })
    }

    /// Ends the watch; gives what it saw.
    ///
    /// # Errors
    /// It had broken off, and could not begin anew.
    pub async fn finish(self) -> Result<Record> {
        // The receiver is gone only if the watch failed, which the task's own result tells better.
        let _ = self.stop.send(());
        self.task.await?
    }
}

/// The pods that are observed, and how far.
struct Watched {
    pods: Api<Pod>,
    selector: String,
    version: String,
    record: Record,
    stopped: oneshot::Receiver<()>,
    is_stopping: bool,
}

impl Watched {
    async fn list(&mut self) -> Result<Vec<Pod>> {
        let list = self.pods.list(&ListParams::default().labels(&self.selector)).await?;
        self.version = list.metadata.resource_version.context("a list without a resource version")?;
        Ok(list.items)
    }

    async fn list_again(&mut self) -> Vec<Pod> {
        loop {
            match self.list().await {
                Ok(pods) => return pods,
                Err(_) => tokio::time::sleep(RELIST_INTERVAL).await,
            }
        }
    }

    async fn observe(mut self) -> Result<Record> {
        while let Err(error) = self.follow().await {
            eprintln!("the watch of the rollout broke off: {error:#}");
            let pods = tokio::time::timeout(RELIST_LIMIT, self.list_again());
            let pods = pods.await.context("the API server did not come back")?;
            self.record.gaps += 1;
            self.record.listed(&pods);
        }
        Ok(self.record)
    }

    /// Keeps what it sees until it is told to stop.
    async fn follow(&mut self) -> Result<()> {
        let parameters = WatchParams::default().labels(&self.selector).timeout(WATCH_SECONDS);
        loop {
            let mut events = self.pods.watch(&parameters, &self.version).await?.boxed();
            loop {
                let next = if self.is_stopping {
                    // Everything that happened before the stop is delivered first; a quiet second is the end of it.
                    match tokio::time::timeout(SETTLE, events.try_next()).await {
                        Ok(next) => next?,
                        Err(_) => return Ok(()),
                    }
                } else {
                    tokio::select! {
                        next = events.try_next() => next?,
                        _ = &mut self.stopped => { self.is_stopping = true; continue }
                    }
                };
                match next {
                    Some(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) => {
                        self.record.changed(&pod);
                        self.version = pod.metadata.resource_version.unwrap_or_default();
                    }
                    Some(WatchEvent::Deleted(pod)) => {
                        self.record.deleted(&pod);
                        self.version = pod.metadata.resource_version.unwrap_or_default();
                    }
                    Some(WatchEvent::Bookmark(bookmark)) => self.version = bookmark.metadata.resource_version,
                    Some(WatchEvent::Error(error)) => bail!("{error:?}"),
                    // The server ended the watch; it goes on from the last version without a gap.
                    None => break,
                }
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
    fn a_new_list_takes_the_place_of_what_was_known() {
        let mut record = Record::new(&[pod("a", true, false), pod("b", true, false)]);
        record.listed(&[pod("c", true, false)]);
        assert_eq!((record.running(), record.fewest_ready, record.most_running), (1, 1, 2));
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
