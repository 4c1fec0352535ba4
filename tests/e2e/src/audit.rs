//! Which requests reached the API server: its audit log, which `cargo xtask cluster up` has it write. It is the word of
//! the server, not of the operator that is judged, and it holds the request of a process that has long ended.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use crate::cluster::Cluster;
use crate::{node, operator};

/// Where the control plane's node has the log, in several files when it is long.
const FOLDER: &str = "/var/log/kubernetes/audit";
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// A request that the API server has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `create`, `patch`, `watch` …
    pub verb: String,
    /// The plural of the kind.
    pub resource: String,
    /// `status` …
    pub subresource: Option<String>,
    /// The object's namespace.
    pub namespace: Option<String>,
    /// The object's name; none where the server was to find one.
    pub name: Option<String>,
    /// Who asked.
    pub user: String,
    /// The pod that asked, if it did so by the token of a ServiceAccount.
    pub pod: Option<String>,
    /// The HTTP status of the answer.
    pub code: u16,
    /// When the answer was complete.
    pub answered: Timestamp,
}

impl Request {
    /// Whether it asked for a change; a question about rights has the form of one, but nothing of it is kept.
    #[must_use]
    pub fn is_write(&self) -> bool {
        WRITES.contains(&self.verb.as_str()) && !self.resource.ends_with("accessreviews")
    }

    /// Whether it did what it asked for.
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether it is about the lease of an operator, which is written all the time.
    #[must_use]
    pub fn is_about_lease(&self) -> bool {
        self.resource == "leases"
    }

    /// One short line, for the output of a test.
    #[must_use]
    pub fn describe(&self) -> String {
        let object = self.name.as_deref().unwrap_or_default();
        format!("{} {} {} {object}: {}", self.answered, self.verb, self.kind(), self.code)
    }

    /// What it is about, as in `pods/status`.
    fn kind(&self) -> String {
        let subresource = self.subresource.as_deref().map(|name| format!("/{name}")).unwrap_or_default();
        format!("{}{subresource}", self.resource)
    }
}

/// The time now, on the clock by which the log goes: nodes have that of this machine.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// How many requests of each kind there are, for the output of a test.
#[must_use]
pub fn count<'a>(requests: impl IntoIterator<Item = &'a Request>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry(format!("{} {}: {}", request.verb, request.kind(), request.code)).or_default() += 1;
    }
    counts
}

/// The requests of deployment-lite that were answered from `from` on, in the order of the answers.
///
/// # Errors
/// The cluster keeps no audit log, or one that is not understood.
pub async fn requests_since(cluster: &Cluster, from: Timestamp) -> Result<Vec<Request>> {
    let node = node::control_plane(cluster).await?;
    // The node looks for the user, so that little has to leave it; that nothing is found is no failure.
    let script = format!("cd {FOLDER}; cat * | {{ grep -F '\"{}\"' || test $? = 1; }}", operator::USER);
    let text = cluster.run_on_node(&node, &["sh", "-euc", &script]).await.context(
        "no audit log; a cluster of `cargo xtask cluster up` has one: take this one down, and bring it up again",
    )?;
    let mut requests = Vec::new();
    for line in text.lines() {
        let request = read(line).with_context(|| format!("not a line of an audit log: {line}"))?;
        requests.extend(request.filter(|request| request.user == operator::USER && request.answered >= from));
    }
    requests.sort_by_key(|request| request.answered);
    Ok(requests)
}

/// One line of the log; none if it tells of a request that has no answer yet.
fn read(line: &str) -> Result<Option<Request>> {
    let event: Event = serde_json::from_str(line)?;
    if event.stage != "ResponseComplete" {
        return Ok(None);
    }
    let object = event.object_ref.unwrap_or_default();
    let mut extra = event.user.extra;
    Ok(Some(Request {
        verb: event.verb,
        resource: object.resource.unwrap_or_default(),
        subresource: object.subresource,
        namespace: object.namespace,
        name: object.name,
        user: event.user.username,
        pod: extra.pod_name.pop(),
        code: event.response_status.code,
        answered: event.stage_timestamp,
    }))
}

/// `audit.k8s.io/v1`, as far as it is of use here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    object_ref: Option<Object>,
    #[serde(default)]
    response_status: Response,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
    #[serde(default)]
    extra: Extra,
}

#[derive(Default, Deserialize)]
struct Extra {
    #[serde(default, rename = "authentication.kubernetes.io/pod-name")]
    pod_name: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Object {
    resource: Option<String>,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Default, Deserialize)]
struct Response {
    #[serde(default)]
    code: u16,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_tells_who_asked_for_what_and_with_which_outcome() {
        let line = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "stage": "ResponseComplete",
            "verb": "update",
            "user": {
                "username": operator::USER,
                "extra": {"authentication.kubernetes.io/pod-name": ["deployment-lite-7c9-x2x"]},
            },
            "objectRef": {
                "resource": "litedeployments", "subresource": "status", "namespace": "shop", "name": "web",
            },
            "responseStatus": {"metadata": {}, "status": "Failure", "reason": "Conflict", "code": 409},
            "requestReceivedTimestamp": "2026-11-21T14:00:14.711868Z",
            "stageTimestamp": "2026-11-21T14:00:14.716193Z",
        });
        let request = read(&line.to_string()).unwrap().unwrap();
        assert_eq!(request.pod.as_deref(), Some("deployment-lite-7c9-x2x"));
        assert!(request.is_write() && !request.has_succeeded() && !request.is_about_lease(), "{request:?}");
        assert!(request.describe().ends_with("update litedeployments/status web: 409"), "{}", request.describe());

        let mut under_way = line;
        under_way["stage"] = json!("ResponseStarted");
        assert_eq!(read(&under_way.to_string()).unwrap(), None);
    }

    #[test]
    fn a_question_about_rights_is_no_write() {
        let line = json!({
            "stage": "ResponseComplete", "verb": "create", "user": {"username": operator::USER},
            "objectRef": {"resource": "selfsubjectaccessreviews"}, "responseStatus": {"code": 201},
            "stageTimestamp": "2026-11-21T14:00:14.716193Z",
        });
        assert!(!read(&line.to_string()).unwrap().unwrap().is_write());
    }
}
