//! What each step sends to the API server, what it tells people, and what it makes of an answer.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use deployment_lite::{
    api::{Lite, LiteDeployment, LiteReplicaSet},
    deployment::{self, DeploymentPlanner},
    replica_set::{self, ReplicaSetPlanner},
};
use http::{Request, Response};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use kube::client::Body;
use operator_sdk::{
    Class, Result, Target, Watch,
    client::{Fence, Writes},
    clock::Clock,
    event::{Recorder, Reporter},
    owner::Claim,
    plan::Planner,
    reconcile::Context,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// What is answered instead of what was sent: method, end of the path, code and body.
type Answers = Vec<(&'static str, &'static str, u16, Value)>;

/// What a step led to.
struct Seen {
    /// Method and path with what was sent, events aside.
    requests: Vec<(String, Value)>,
    /// Type, reason and note.
    events: Vec<String>,
    result: Result<()>,
}

impl Seen {
    fn only(&self) -> (&str, &Value) {
        assert_eq!(self.requests.len(), 1, "{:?}", self.requests);
        (&self.requests[0].0, &self.requests[0].1)
    }
}

#[derive(Clone)]
struct Server {
    requests: Arc<Mutex<Vec<(String, Value)>>>,
    answers: Arc<Answers>,
}

impl Server {
    fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let line = format!("{} {}", request.method(), request.uri().path());
                let bytes = request.into_body().collect_bytes().await.unwrap();
                let sent: Value = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({}));
                server.requests.lock().unwrap().push((line.clone(), sent.clone()));
                let mut answers = server.answers.iter();
                let answer = answers.find(|(method, end, ..)| line.starts_with(method) && line.ends_with(end));
                let (code, body) = answer.map_or_else(|| (200, echo(sent)), |(.., code, body)| (*code, body.clone()));
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        kube::Client::new(service, "default")
    }
}

/// What was sent, with all that an object of any kind here needs.
fn echo(mut sent: Value) -> Value {
    if let Some(annotations) = sent.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.retain(|_, value| !value.is_null());
    }
    for (name, value) in [("name", "web"), ("namespace", "default"), ("uid", "u"), ("resourceVersion", "2")] {
        sent["metadata"][name] = json!(value);
    }
    for (name, value) in [("selector", json!({})), ("template", json!({})), ("containers", json!([]))] {
        sent["spec"][name] = value;
    }
    sent
}

/// Carries out one step of a planner for this object.
async fn act<P: Planner<Output = ()>>(planner: P, object: P::Object, step: P::Step, answers: Answers) -> Seen {
    let server = Server { requests: Arc::default(), answers: Arc::new(answers) };
    let clock = Clock::system();
    let reporter = Reporter { controller: "example.com/test".to_owned(), instance: "test".to_owned() };
    let (events, telling) = Recorder::new(server.client(), Fence::open(clock.clone()), clock.clone(), reporter);
    let allowed = planner.permissions().into_iter().flat_map(|(_, permissions)| permissions).collect();
    let context = Context {
        object: Arc::new(object),
        client: Writes::new(server.client(), Arc::new(allowed), Fence::open(clock.clone())).client(),
        events,
        clock,
        failures: 0,
        cancellation: CancellationToken::new(),
    };
    let result = planner.act(&context, &step).await;
    drop(context);
    telling.await;
    let all = std::mem::take(&mut *server.requests.lock().unwrap());
    let (events, requests): (Vec<_>, Vec<_>) = all.into_iter().partition(|(line, _)| line.ends_with("/events"));
    let text = |event: Value| {
        let part = |name: &str| event[name].as_str().unwrap().to_owned();
        format!("{} {} {}", part("type"), part("reason"), part("note"))
    };
    Seen { requests, events: events.into_iter().map(|(_, event)| text(event)).collect(), result }
}

fn object(kind: &str) -> Value {
    json!({
        "apiVersion": "apps.operator-lite.dev/v1alpha1", "kind": kind,
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "1"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}},
        },
    })
}

async fn of_deployment(step: deployment::Step, answers: Answers) -> Seen {
    let deployment: LiteDeployment = serde_json::from_value(object("LiteDeployment")).unwrap();
    act(DeploymentPlanner::<Lite>::new(Watch::new(), Watch::new()), deployment, step, answers).await
}

async fn of_set(step: replica_set::Step, answers: Answers) -> Seen {
    let set: LiteReplicaSet = serde_json::from_value(object("LiteReplicaSet")).unwrap();
    act(ReplicaSetPlanner::<Lite>::new(Watch::new(), Watch::new()), set, step, answers).await
}

fn target(name: &str) -> Target {
    let object = json!({"metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": "7"}});
    Target::of(&serde_json::from_value::<Pod>(object).unwrap()).unwrap()
}

fn claim(name: &str, owners: Value) -> Claim {
    Claim { target: target(name), owners: serde_json::from_value(owners).unwrap() }
}

fn creation() -> deployment::Step {
    deployment::Step::CreateReplicaSet {
        name: "web-1".to_owned(),
        hash: "1".to_owned(),
        replicas: 3,
        annotations: [("a".to_owned(), "b".to_owned())].into(),
    }
}

fn failure(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code, "message": "exceeded quota"})
}

fn namespace_ends() -> Value {
    let mut failure = failure(403, "Forbidden");
    failure["details"] = json!({"causes": [{"reason": "NamespaceTerminating"}]});
    failure
}

#[tokio::test]
async fn what_is_adopted_gets_its_controller_beside_its_other_owners_if_it_is_still_as_it_was() {
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c"});
    let seen = of_set(replica_set::Step::AdoptPod(claim("p", json!([other]))), vec![]).await;
    let (line, sent) = seen.only();
    assert_eq!(line, "PATCH /api/v1/namespaces/default/pods/p");
    assert_eq!((&sent["metadata"]["uid"], &sent["metadata"]["resourceVersion"]), (&json!("p"), &json!("7")));
    let owner = json!({
        "apiVersion": "apps.operator-lite.dev/v1alpha1", "kind": "LiteReplicaSet", "name": "web", "uid": "u",
        "controller": true, "blockOwnerDeletion": true,
    });
    assert_eq!(sent["metadata"]["ownerReferences"], json!([other, owner]));
    let seen = of_deployment(deployment::Step::AdoptReplicaSet(claim("s", json!([]))), vec![]).await;
    assert!(seen.only().0.ends_with("/litereplicasets/s"));
    assert_eq!(seen.only().1["metadata"]["ownerReferences"][0]["kind"], "LiteDeployment");
}

#[tokio::test]
async fn what_is_released_keeps_its_other_owners_and_what_is_gone_needs_no_release() {
    let owner = |uid: &str| json!({"apiVersion": "v1", "kind": "X", "name": uid, "uid": uid, "controller": uid == "u"});
    let released = || replica_set::Step::ReleasePod(claim("p", json!([owner("u"), owner("c")])));
    let seen = of_set(released(), vec![]).await;
    let owners = seen.only().1["metadata"]["ownerReferences"].as_array().unwrap();
    assert_eq!((owners.len(), &owners[0]["uid"]), (1, &json!("c")));
    assert!(of_set(released(), vec![("PATCH", "/p", 404, failure(404, "NotFound"))]).await.result.is_ok());
    assert!(of_set(released(), vec![("PATCH", "/p", 403, failure(403, "Forbidden"))]).await.result.is_err());
}

#[tokio::test]
async fn an_owner_is_confirmed_by_the_api_server_itself() {
    let now = |uid: &str, deletion: Value| {
        let mut now = object("LiteDeployment");
        now["metadata"]["uid"] = json!(uid);
        now["metadata"]["deletionTimestamp"] = deletion;
        now
    };
    let confirmed = async |code, answer| {
        let seen = of_deployment(deployment::Step::ConfirmOwner, vec![("GET", "/web", code, answer)]).await;
        assert!(seen.only().0.starts_with("GET ") && seen.only().0.ends_with("/litedeployments/web"));
        seen.result.map_err(|error| error.class())
    };
    assert_eq!(confirmed(200, now("u", Value::Null)).await, Ok(()));
    assert_eq!(confirmed(200, now("other", Value::Null)).await, Err(Class::Conflict));
    assert_eq!(confirmed(200, now("u", json!("2024-01-01T00:00:00Z"))).await, Err(Class::Conflict));
    assert_eq!(confirmed(404, failure(404, "NotFound")).await, Err(Class::Conflict));
    let answers = vec![("GET", "/web", 404, failure(404, "NotFound"))];
    assert!(of_set(replica_set::Step::ConfirmOwner, answers).await.result.is_err());
}

#[tokio::test]
async fn a_new_replica_set_is_told_of_with_its_size() {
    let seen = of_deployment(creation(), vec![]).await;
    let (line, sent) = seen.only();
    assert!(line.starts_with("POST ") && line.ends_with("/litereplicasets"));
    assert_eq!((&sent["metadata"]["name"], &sent["spec"]["replicas"]), (&json!("web-1"), &json!(3)));
    assert_eq!(sent["metadata"]["ownerReferences"][0]["blockOwnerDeletion"], true);
    assert_eq!(seen.events, ["Normal ScalingReplicaSet Scaled up replica set web-1 from 0 to 3"]);
}

#[tokio::test]
async fn a_name_that_is_taken_is_ours_only_with_our_template() {
    let existing = |owner: &str, annotations: Value, generation: u8| {
        let owner = json!({"apiVersion": "v1", "kind": "X", "name": "web", "uid": owner, "controller": true});
        let labels = json!({"app": "web", "pod-template-hash": "1"});
        json!({
            "metadata": {"name": "web-1", "namespace": "default", "uid": "s", "resourceVersion": "3",
                "generation": generation, "ownerReferences": [owner]},
            "spec": {"selector": {}, "template": {"metadata": {"labels": labels, "annotations": annotations}}},
        })
    };
    let created = async |existing: Value| {
        let taken = ("POST", "/litereplicasets", 409, failure(409, "AlreadyExists"));
        let seen = of_deployment(creation(), vec![taken, ("GET", "/web-1", 200, existing)]).await;
        assert!(seen.events.is_empty(), "{:?}", seen.events);
        seen.result.map_err(|error| (error.class(), error.to_string().contains("further name")))
    };
    let edited = || json!({"edited": "yes"});
    assert_eq!(created(existing("u", Value::Null, 1)).await, Ok(()));
    assert_eq!(created(existing("other", Value::Null, 1)).await, Err((Class::Transient, true)));
    assert_eq!(created(existing("u", edited(), 2)).await, Err((Class::Transient, true)));
    assert_eq!(created(existing("u", edited(), 1)).await, Err((Class::Invalid, false)));
}

#[tokio::test]
async fn a_creation_that_fails_is_told_unless_the_namespace_is_going() {
    let answers = vec![("POST", "/litereplicasets", 403, failure(403, "Forbidden"))];
    let seen = of_deployment(creation(), answers).await;
    assert!(seen.result.is_err());
    let expected = "Warning ReplicaSetCreateError Failed to create new replica set \"web-1\": ";
    assert!(seen.events[0].starts_with(expected) && seen.events[0].ends_with("exceeded quota"), "{:?}", seen.events);
    let seen = of_deployment(creation(), vec![("POST", "/litereplicasets", 403, namespace_ends())]).await;
    assert_eq!((seen.result.unwrap_err().class(), seen.events), (Class::Terminal, vec![]));
    let seen = of_set(replica_set::Step::CreatePod, vec![("POST", "/pods", 403, namespace_ends())]).await;
    assert_eq!((seen.result.unwrap_err().class(), seen.events), (Class::Terminal, vec![]));
}

#[tokio::test]
async fn a_change_of_size_is_told_and_a_change_of_what_is_said_of_it_is_not() {
    const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
    let scaled = async |from, to| {
        let annotations = [(DESIRED.to_owned(), "9".to_owned())].into();
        of_deployment(deployment::Step::ScaleReplicaSet { target: target("s"), from, to, annotations }, vec![]).await
    };
    let seen = scaled(2, 5).await;
    assert_eq!(seen.only().1["spec"], json!({"replicas": 5}));
    assert_eq!(seen.only().1["metadata"]["annotations"], json!({DESIRED: "9"}));
    assert_eq!(seen.events, ["Normal ScalingReplicaSet Scaled up replica set s from 2 to 5"]);
    assert_eq!(scaled(5, 2).await.events, ["Normal ScalingReplicaSet Scaled down replica set s from 5 to 2"]);
    let same = scaled(5, 5).await;
    assert_eq!((same.requests.len(), same.events), (1, vec![]));
}

#[tokio::test]
async fn a_rollback_puts_the_template_back_and_takes_the_wish_away() {
    let template = |image: &str| -> Box<PodTemplateSpec> {
        let container = json!({"name": "web", "image": image});
        Box::new(serde_json::from_value(json!({"spec": {"containers": [container]}})).unwrap())
    };
    let step = deployment::Step::RollBack {
        target: target("web"),
        from: template("web:2"),
        to: template("web:1"),
        annotations: [("gone".to_owned(), None), ("back".to_owned(), Some("1".to_owned()))].into(),
        revision: 4,
    };
    let seen = of_deployment(step, vec![]).await;
    let (line, sent) = seen.only();
    assert!(line.starts_with("PATCH ") && line.ends_with("/litedeployments/web"));
    assert_eq!(sent["spec"]["template"]["spec"]["containers"][0]["image"], "web:1");
    let annotations = json!({"gone": null, "back": "1", "deprecated.deployment.rollback.to": null});
    assert_eq!(sent["metadata"]["annotations"], annotations);
    assert_eq!(seen.events, ["Normal DeploymentRollback Rolled back deployment \"web\" to revision 4"]);
    let refused = deployment::Step::RefuseRollback { target: target("web"), reason: "Why", note: "so".to_owned() };
    let seen = of_deployment(refused, vec![]).await;
    assert_eq!(seen.only().1["metadata"]["annotations"], json!({"deprecated.deployment.rollback.to": null}));
    assert_eq!(seen.events, ["Warning Why so"]);
}

#[tokio::test]
async fn the_deployment_and_its_set_say_their_revision() {
    const REVISION: &str = "deployment.kubernetes.io/revision";
    let step = deployment::Step::SetRevision { target: target("web"), revision: "3".to_owned() };
    let seen = of_deployment(step, vec![]).await;
    assert!(seen.only().0.ends_with("/litedeployments/web"));
    assert_eq!(seen.only().1["metadata"]["annotations"], json!({REVISION: "3"}));
    let annotations = [(REVISION.to_owned(), "3".to_owned())].into();
    let step = deployment::Step::UpdateReplicaSet { target: target("s"), annotations, min_ready_seconds: 7 };
    let seen = of_deployment(step, vec![]).await;
    assert_eq!(seen.only().1["spec"], json!({"minReadySeconds": 7}));
    assert_eq!(seen.only().1["metadata"]["annotations"], json!({REVISION: "3"}));
}

#[tokio::test]
async fn what_is_deleted_is_deleted_in_this_incarnation_and_its_dependents_after_it() {
    for (seen, end) in [
        (of_set(replica_set::Step::DeletePod { target: target("p") }, vec![]).await, "/pods/p"),
        (of_deployment(deployment::Step::DeleteReplicaSet { target: target("s") }, vec![]).await, "/litereplicasets/s"),
    ] {
        let (line, sent) = seen.only();
        assert!(line.starts_with("DELETE ") && line.ends_with(end), "{line}");
        assert_eq!(sent["propagationPolicy"], "Background");
        assert_eq!(sent["preconditions"]["uid"], end.rsplit('/').next().unwrap());
    }
}

#[tokio::test]
async fn every_pod_made_or_deleted_is_told_and_every_failure() {
    let seen = of_set(replica_set::Step::CreatePod, vec![]).await;
    assert_eq!(seen.only().1["metadata"]["generateName"], "web-");
    assert_eq!(seen.events, ["Normal SuccessfulCreate Created pod: web"]);
    let forbidden = |method, end| vec![(method, end, 403, failure(403, "Forbidden"))];
    let seen = of_set(replica_set::Step::CreatePod, forbidden("POST", "/pods")).await;
    assert!(seen.events[0].starts_with("Warning FailedCreate Error creating: "), "{:?}", seen.events);
    let deletion = || replica_set::Step::DeletePod { target: target("p") };
    assert_eq!(of_set(deletion(), vec![]).await.events, ["Normal SuccessfulDelete Deleted pod: p"]);
    let seen = of_set(deletion(), forbidden("DELETE", "/p")).await;
    assert!(seen.result.is_err() && seen.events[0].starts_with("Warning FailedDelete Error deleting: "));
    let gone = vec![("DELETE", "/p", 404, failure(404, "NotFound"))];
    assert!(of_set(deletion(), gone).await.result.is_ok(), "it is gone, as was wanted");
}
