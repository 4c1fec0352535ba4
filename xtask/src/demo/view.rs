//! What the demo shows: the pods of the example and the sums of the requests, folded from events. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// A pod, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The node it runs on; empty while it has none.
    pub node: String,
    /// Whether it takes requests.
    pub is_ready: bool,
    /// Whether it is being deleted.
    pub is_terminating: bool,
    /// The tag of its image, which stands for its version.
    pub version: String,
}

/// What the request counter said last.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
pub struct Sums {
    /// Requests started.
    pub sent: u64,
    /// Requests answered well.
    pub succeeded: u64,
    /// All others.
    pub failed: u64,
    /// The texts of the first failures.
    #[serde(default)]
    pub first_errors: Vec<String>,
}

/// A line of the request counter.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// The sums so far.
    Progress(Sums),
    /// The last word.
    Summary(Sums),
}

/// Everything shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The pods by name.
    pub pods: BTreeMap<String, Pod>,
    /// The requests, once they are counted.
    pub sums: Option<Sums>,
}

impl View {
    /// Takes in one event of `kubectl get pods --watch --output-watch-events`.
    pub fn take(&mut self, event: &Value) {
        let object = &event["object"];
        let Some(name) = object["metadata"]["name"].as_str() else { return };
        if event["type"] == "DELETED" {
            self.pods.remove(name);
        } else {
            self.pods.insert(name.to_owned(), pod(object));
        }
    }

    /// How many pods take requests and are to stay.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.pods.values().filter(|pod| pod.is_ready && !pod.is_terminating).count()
    }

    /// How many pods are being deleted.
    #[must_use]
    pub fn terminating(&self) -> usize {
        self.pods.values().filter(|pod| pod.is_terminating).count()
    }

    /// How many pods that are to stay have a version.
    #[must_use]
    pub fn of_version(&self, version: &str) -> usize {
        self.pods.values().filter(|pod| !pod.is_terminating && pod.version == version).count()
    }

    /// The pods in one line, without names: for where nothing can be redrawn.
    #[must_use]
    pub fn line(&self) -> String {
        let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
        for pod in self.pods.values().filter(|pod| pod.is_ready && !pod.is_terminating) {
            *versions.entry(&pod.version).or_default() += 1;
        }
        let versions: Vec<String> =
            versions.iter().map(|(version, count)| format!("{count} of version {version}")).collect();
        let starting = self.pods.values().filter(|pod| !pod.is_ready && !pod.is_terminating).count();
        let ready = if versions.is_empty() { "none".to_owned() } else { versions.join(", ") };
        format!("ready: {ready}; starting: {starting}; ending: {}", self.terminating())
    }
}

fn pod(object: &Value) -> Pod {
    let conditions = object["status"]["conditions"].as_array();
    let is_ready =
        conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"));
    let image = object["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    Pod {
        node: object["spec"]["nodeName"].as_str().unwrap_or_default().to_owned(),
        is_ready,
        is_terminating: !object["metadata"]["deletionTimestamp"].is_null(),
        version: image.rsplit(':').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, name: &str, is_ready: bool, version: &str) -> Value {
        json!({"type": kind, "object": {
            "metadata": {"name": name},
            "spec": {"nodeName": "worker", "containers": [{"image": format!("example/web:{version}")}]},
            "status": {"conditions": [{"type": "Ready", "status": if is_ready { "True" } else { "False" }}]},
        }})
    }

    #[test]
    fn events_add_change_and_remove_pods() {
        let mut view = View::default();
        view.take(&event("ADDED", "a", false, "1"));
        view.take(&event("ADDED", "b", true, "2"));
        assert_eq!(view.line(), "ready: 1 of version 2; starting: 1; ending: 0");
        view.take(&event("MODIFIED", "a", true, "1"));
        assert_eq!((view.ready(), view.of_version("1")), (2, 1));
        view.take(&event("DELETED", "a", true, "1"));
        assert_eq!(view.ready(), 1);
    }

    #[test]
    fn a_pod_that_is_being_deleted_no_longer_counts_as_ready() {
        let mut view = View::default();
        let mut ending = event("MODIFIED", "a", true, "1");
        ending["object"]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        view.take(&ending);
        assert_eq!((view.ready(), view.terminating(), view.of_version("1")), (0, 1, 0));
    }

    #[test]
    fn the_counters_lines_are_understood() {
        let line = r#"{"progress":{"seconds":1.0,"sent":5,"succeeded":4,"failed":1,"slowest_milliseconds":3,"first_errors":["x"]}}"#;
        let Line::Progress(sums) = serde_json::from_str(line).unwrap() else { panic!("not progress") };
        assert_eq!((sums.sent, sums.failed), (5, 1));
    }
}
