//! What people do with a deployment, in a cluster of three nodes: of both forms, LiteDeployments and Deployments.

use deployment_lite::{
    api::{Api, BuiltIn, Lite, LiteDeployment, LiteReplicaSet},
    controllers,
};
use http::Method;
use operator_sdk::{Operator, crd};
use operator_testkit::{
    actor::Nodes,
    explore::Excuse,
    fault::{Effect, Fault},
    record::Record,
    request::Request,
    simulation::{Manifest, Simulation, Step, act, apply, delete},
};
use serde_json::{Value, json};

use super::promises::Promises;

/// Half of a simulation's time goes into small pieces of memory, which this allocator hands out in about half of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The name under which the operator stands in plans.
pub(crate) const OPERATOR: &str = "deployment-lite";

/// Which of the two forms is driven.
pub(crate) trait Mode: Api {
    const GROUP_VERSION: &str;
    const DEPLOYMENT: (&str, &str);
    const REPLICA_SET: (&str, &str);
    fn operator() -> Operator;
}

impl Mode for Lite {
    const GROUP_VERSION: &str = "apps.operator-lite.dev/v1alpha1";
    const DEPLOYMENT: (&str, &str) = ("LiteDeployment", "litedeployments");
    const REPLICA_SET: (&str, &str) = ("LiteReplicaSet", "litereplicasets");

    fn operator() -> Operator {
        let mut operator = Operator::builder(OPERATOR, "test");
        controllers::add_lite(&mut operator);
        operator
    }
}

impl Mode for BuiltIn {
    const GROUP_VERSION: &str = "apps/v1";
    const DEPLOYMENT: (&str, &str) = ("Deployment", "deployments");
    const REPLICA_SET: (&str, &str) = ("ReplicaSet", "replicasets");

    fn operator() -> Operator {
        let mut operator = Operator::builder(OPERATOR, "test");
        controllers::add_built_in(&mut operator);
        operator
    }
}

/// The operator in a cluster of three nodes, where nobody has asked for anything.
pub(crate) fn cluster<M: Mode>() -> Simulation {
    nodes::<M>(Nodes::new(3))
}

/// The same with other nodes.
pub(crate) fn nodes<M: Mode>(nodes: Nodes) -> Simulation {
    Simulation::of(M::operator).in_cluster(nodes).judged_by(Promises::<M>::default)
}

/// Somebody has asked for three pods.
pub(crate) fn web<M: Mode>() -> Simulation {
    cluster::<M>().with(manifest::<M>("web"))
}

pub(crate) fn rollout<M: Mode>() -> Simulation {
    web::<M>().then(image::<M>("web:2"))
}

pub(crate) fn recreation<M: Mode>() -> Simulation {
    web::<M>()
        .then(change::<M>(json!({"strategy": {"type": "Recreate", "rollingUpdate": null}})))
        .then(image::<M>("web:2"))
}

pub(crate) fn scaling<M: Mode>() -> Simulation {
    [1, 0, 2].map(|replicas| change::<M>(json!({"replicas": replicas}))).into_iter().fold(web::<M>(), Simulation::then)
}

pub(crate) fn deletion<M: Mode>() -> Simulation {
    web::<M>().then(delete(manifest::<M>("web")))
}

/// Gone, and there again under the same name.
pub(crate) fn return_of_a_name<M: Mode>() -> Simulation {
    deletion::<M>().then(apply(manifest::<M>("web")))
}

/// Gone and there again under the same name, in the same instant.
pub(crate) fn replacement<M: Mode>() -> Simulation {
    let again = act(|_| {
        let body = deployment::<M>("web");
        let collection = path::<M>("").trim_end_matches('/').to_owned();
        let delete = Request::new(Method::DELETE, path::<M>("web"));
        vec![delete, Request::new(Method::POST, collection).with_body(&body)]
    });
    web::<M>().then(again)
}

/// A deployment of three pods.
pub(crate) fn manifest<M: Mode>(name: &str) -> Manifest {
    Manifest::from(deployment::<M>(name))
}

pub(crate) fn deployment<M: Mode>(name: &str) -> Value {
    json!({
        "apiVersion": M::GROUP_VERSION,
        "kind": M::DEPLOYMENT.0,
        "metadata": {"name": name},
        "spec": {
            "replicas": 3,
            // Or else a fault that deletes an old ReplicaSet has the last word: nobody makes history anew.
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    })
}

/// Somebody changes the spec of `web`.
pub(crate) fn change<M: Mode>(spec: Value) -> Step {
    ask(changing::<M>(spec))
}

pub(crate) fn image<M: Mode>(image: &str) -> Step {
    change::<M>(with_image(image))
}

/// A change of the spec that says another image.
pub(crate) fn with_image(image: &str) -> Value {
    json!({"template": {"spec": {"containers": [{"name": "web", "image": image}]}}})
}

/// The request that changes the spec of `web`.
pub(crate) fn changing<M: Mode>(spec: Value) -> Request {
    merge(path::<M>("web"), &json!({"spec": spec}))
}

/// A merge patch of the object at a path.
pub(crate) fn merge(path: String, patch: &Value) -> Request {
    Request::new(Method::PATCH, path).with_content("application/merge-patch+json", patch.to_string())
}

/// Sends one request.
pub(crate) fn ask(request: Request) -> Step {
    act(move |_| vec![request.clone()])
}

/// The definitions of both kinds, without the schemas that keep bad objects out.
pub(crate) fn loose_definitions() -> Manifest {
    let loose = [crd::definition::<LiteDeployment>(), crd::definition::<LiteReplicaSet>()].map(|definition| {
        let mut loose = serde_json::to_value(definition.unwrap()).unwrap();
        loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        // A number of replicas that can be scaled is looked at, too.
        loose["spec"]["versions"][0]["subresources"] = json!({"status": {}});
        loose
    });
    loose.into_iter().collect()
}

/// All that a run is judged by holds, these judges aside.
pub(crate) fn assert_holds(record: &Record, aside: &[&str]) {
    let mut broken = record.broken();
    broken.retain(|violation| !aside.contains(&violation.oracle));
    assert_eq!(broken, [], "seed {}, {:?}", record.seed, record.plan);
}

/// The image of a pod, or of the template of pods.
pub(crate) fn image_of(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap()
}

/// Where a deployment is found.
pub(crate) fn path<M: Mode>(name: &str) -> String {
    format!("/apis/{}/namespaces/default/{}/{name}", M::GROUP_VERSION, M::DEPLOYMENT.1)
}

/// What does not count under a fault, by what it does and at which path.
pub(crate) type Excused = fn(&Fault, &str) -> Option<Excuse>;

/// The group of a form's kinds.
pub(crate) fn group<M: Mode>() -> &'static str {
    M::GROUP_VERSION.split_once('/').unwrap().0
}

/// What people do, by name, and what cannot come to what it comes to without faults.
pub(crate) fn workloads<M: Mode>() -> [(&'static str, Simulation, Excused); 5] {
    [
        ("rollout", rollout::<M>(), made_anew),
        ("recreation", recreation::<M>(), made_anew_or_forgotten),
        ("scaling", scaling::<M>(), made_anew),
        ("deletion", deletion::<M>(), made_anew),
        ("return of a name", return_of_a_name::<M>(), made_anew_or_unheard::<M>),
    ]
}

/// Who deletes a deployment and makes it anew at once gets another ReplicaSet if the old one still has its name, as upstream
/// has it: `t06_…` in `perturbations.rs`.
fn made_anew(fault: &Fault, path: &str) -> Option<Excuse> {
    (fault.effect == Effect::UserRecreate && path.contains("deployments/web")).then_some(Excuse::AnotherEnd)
}

/// Revisions are counted by the ReplicaSets that there are: who deletes one begins anew, as upstream has it.
fn made_anew_or_forgotten(fault: &Fault, path: &str) -> Option<Excuse> {
    let is_deletion = matches!(fault.effect, Effect::UserDelete | Effect::UserRecreate);
    let forgotten = (is_deletion && path.contains("replicasets/web")).then_some(Excuse::AnotherEnd);
    made_anew(fault, path).or(forgotten)
}

/// Who does not hear that a deployment is gone makes its ReplicaSet, with its pods, once more, and who does not hear that a
/// ReplicaSet is gone a pod: `who_does_not_hear_…` in `faults.rs`.
fn made_anew_or_unheard<M: Mode>(fault: &Fault, path: &str) -> Option<Excuse> {
    let is_unheard = matches!(fault.effect, Effect::WatchHang | Effect::WatchGap(_) | Effect::WatchDelay(_));
    made_anew(fault, path).or(if is_unheard { once_more::<M>(path) } else { None })
}

/// The same of who gets nonsense in the place of that news.
#[cfg(feature = "soak")]
pub(crate) fn misread<M: Mode>(fault: &Fault, path: &str) -> Option<Excuse> {
    if fault.effect == Effect::WatchGarbage { once_more::<M>(path) } else { None }
}

/// Where a deployment goes, two faults at once may move that news, and who wakes up late may hear of its pods first.
#[cfg(feature = "soak")]
pub(crate) fn made_anew_or_unheard_of_two<M: Mode>(fault: &Fault, path: &str) -> Option<Excuse> {
    let asleep = matches!(fault.effect, Effect::Freeze(_)).then_some(Excuse::More(&[("pods", 1)]));
    made_anew_or_unheard::<M>(fault, path).or(asleep)
}

/// What is made in vain by who misses a notification of this watch.
fn once_more<M: Mode>(path: &str) -> Option<Excuse> {
    let of_deployments =
        path.ends_with(M::DEPLOYMENT.1).then_some(const { Excuse::More(&[(M::REPLICA_SET.1, 1), ("pods", 3)]) });
    of_deployments.or(path.ends_with(M::REPLICA_SET.1).then_some(Excuse::More(&[("pods", 1)])))
}
