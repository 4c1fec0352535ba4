//! What reaches the API server: only what a step declared, only while the fence is open, group after group, and no status
//! that is there already.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use k8s_openapi::api::{
    apps::v1::{ReplicaSet, ReplicaSetStatus},
    core::v1::ConfigMap,
};
use kube::client::Body;
use operator_sdk::{
    Class, Result, Target,
    client::{Fence, Writes, Written},
    clock::Clock,
    event::{Recorder, Reporter},
    permission::{Permission, Verb},
    plan::{Declared, Plan, Planned, Planner, Planning, Results, Step, Wait},
    reconcile::{Context, Reconciler},
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Deletes config maps by name, in groups; reports a number of replicas.
#[derive(Default)]
struct Deleter {
    groups: Vec<Vec<&'static str>>,
    status: ReplicaSetStatus,
    waits: Vec<Wait>,
    deletes_while_it_observes: bool,
    /// Steps under way, and the most there ever were.
    at_once: Arc<Mutex<(usize, usize)>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Effect {
    Delete(&'static str),
    /// Deletes, and declares only that it reads.
    Smuggle(&'static str),
    /// Changes the object itself.
    Mark,
    /// Asks the process to stop.
    Stop,
    /// Does nothing, for so many seconds.
    Sleep(u64),
}

impl Step for Effect {
    fn variant(&self) -> &'static str {
        match self {
            Self::Delete(_) => "Delete",
            Self::Smuggle(_) => "Smuggle",
            Self::Mark => "Mark",
            Self::Stop => "Stop",
            Self::Sleep(_) => "Sleep",
        }
    }
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {
        "name": name, "namespace": "default", "uid": name, "resourceVersion": "1",
    }}))
    .unwrap()
}

impl Planner for Deleter {
    type Object = ReplicaSet;
    type Observed = ();
    type Step = Effect;
    type Output = ();
    type Status = ReplicaSetStatus;

    async fn observe(&self, context: &Context<ReplicaSet>) -> Result<()> {
        match self.deletes_while_it_observes {
            true => self.act(context, &Effect::Delete("a")).await,
            false => Ok(()),
        }
    }

    fn plan(&self, (): &()) -> Plan<Effect> {
        let effect = |name| match name {
            "smuggled" => Effect::Smuggle(name),
            "itself" => Effect::Mark,
            "stop" => Effect::Stop,
            "slow" => Effect::Sleep(1),
            "stuck" => Effect::Sleep(1000),
            name => Effect::Delete(name),
        };
        let planned = |name: &&'static str| Planned { step: effect(name), reason: "test".to_owned() };
        let groups = self.groups.iter().map(|group| group.iter().map(planned).collect());
        Plan { groups: groups.collect(), waits: self.waits.clone() }
    }

    async fn act(&self, context: &Context<ReplicaSet>, effect: &Effect) -> Result<()> {
        match effect {
            Effect::Delete(name) | Effect::Smuggle(name) => {
                context.client.delete::<ConfigMap>(&Target::of(&map(name))?).await?;
            }
            Effect::Mark => {
                let mark = json!({"metadata": {"annotations": {"marked": "yes"}}});
                context.client.patch::<ReplicaSet>(&Target::of(context.object.as_ref())?, mark).await?;
            }
            Effect::Stop => context.cancellation.cancel(),
            Effect::Sleep(seconds) => {
                let count = |difference: isize| {
                    let mut at_once = self.at_once.lock().unwrap();
                    at_once.0 = at_once.0.saturating_add_signed(difference);
                    at_once.1 = at_once.1.max(at_once.0);
                };
                count(1);
                tokio::time::sleep(Duration::from_secs(*seconds)).await;
                count(-1);
            }
        }
        Ok(())
    }

    fn permissions(&self) -> Declared {
        let maps = |verb| vec![Permission::of::<ConfigMap>(verb)];
        let mark = vec![Permission::of::<ReplicaSet>(Verb::Patch)];
        vec![("Delete", maps(Verb::Delete)), ("Smuggle", maps(Verb::Get)), ("Mark", mark)]
    }

    fn status(&self, (): &(), _: &Plan<Effect>, _: &Results<Effect, ()>) -> ReplicaSetStatus {
        self.status.clone()
    }
}

/// An API server that deletes everything but `locked`, never answers about `lost`, and keeps a list of requests.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Vec<String>>>);

impl Server {
    fn client(&self) -> kube::Client {
        let requests = Arc::clone(&self.0);
        let service = tower::service_fn(move |request: Request<Body>| {
            let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            requests.lock().unwrap().push(format!("{} {name}", request.method()));
            async move {
                let (code, body) = match name.as_str() {
                    "lost" => return std::future::pending().await,
                    "locked" => (500, failure()),
                    "status" => (200, object_at("1")),
                    "web" => (200, object_at("2")),
                    name => (200, serde_json::to_value(map(name)).unwrap()),
                };
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        kube::Client::new(service, "default")
    }

    fn requests(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

fn failure() -> Value {
    json!({"kind": "Status", "status": "Failure", "code": 500, "reason": "InternalError", "message": "locked"})
}

fn object_at(version: &str) -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": version},
        "spec": {"selector": {}},
        "status": {"replicas": 3},
    })
}

fn status(replicas: i32) -> ReplicaSetStatus {
    ReplicaSetStatus { replicas, ..ReplicaSetStatus::default() }
}

fn context(server: &Server, allowed: Vec<Permission>, fence: Fence) -> Context<ReplicaSet> {
    Context {
        object: Arc::new(serde_json::from_value(object_at("1")).unwrap()),
        client: Writes::new(server.client(), Arc::new(allowed.into_iter().collect()), fence).client(),
        events: events(server.client()),
        clock: Clock::system(),
        failures: 0,
        cancellation: CancellationToken::new(),
    }
}

/// Reconciles once with these rights; returns the requests and the class of the error.
async fn reconcile(deleter: Deleter, allowed: Vec<Permission>, fence: Fence) -> (BTreeSet<String>, Option<Class>) {
    let server = Server::default();
    let result = Planning::new(deleter).reconcile(&context(&server, allowed, fence)).await;
    (server.requests(), result.err().map(|failure| failure.error.class()))
}

/// A recorder without its task: it drops everything.
fn events(client: kube::Client) -> Recorder {
    let reporter = Reporter { controller: "example.com/test".to_owned(), instance: "test".to_owned() };
    Recorder::new(client, Fence::closed(Clock::system()), Clock::system(), reporter).0
}

fn declared() -> Vec<Permission> {
    Planning::new(Deleter::default()).permissions()
}

fn set(requests: &[&str]) -> BTreeSet<String> {
    requests.iter().map(|request| (*request).to_owned()).collect()
}

#[tokio::test]
async fn a_group_begins_only_if_all_of_the_last_succeeded() {
    let groups = vec![vec!["a"], vec!["b", "locked"], vec!["c"]];
    let deleter = Deleter { groups, status: status(3), ..Deleter::default() };
    let (requests, error) = reconcile(deleter, declared(), Fence::open(Clock::system())).await;
    assert_eq!(requests, set(&["DELETE a", "DELETE b", "DELETE locked"]));
    assert_eq!(error, Some(Class::Transient));
}

#[tokio::test]
async fn no_step_is_begun_after_the_process_was_asked_to_stop() {
    let groups = vec![vec!["a"], vec!["stop"], vec!["b"]];
    let deleter = Deleter { groups, status: status(3), ..Deleter::default() };
    let (requests, error) = reconcile(deleter, declared(), Fence::open(Clock::system())).await;
    assert_eq!((requests, error), (set(&["DELETE a"]), None));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_stuck_is_dropped_in_time_for_the_status() {
    let deleter = Deleter { groups: vec![vec!["stuck", "a"], vec!["b"]], status: status(4), ..Deleter::default() };
    let began = Instant::now();
    let (requests, error) = reconcile(deleter, declared(), Fence::open(Clock::system())).await;
    assert_eq!((requests, error), (set(&["DELETE a", "PUT status"]), Some(Class::Transient)));
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn at_most_sixteen_steps_of_a_group_are_under_way() {
    let deleter = Deleter { groups: vec![vec!["slow"; 40]], status: status(3), ..Deleter::default() };
    let at_once = Arc::clone(&deleter.at_once);
    let context = context(&Server::default(), declared(), Fence::open(Clock::system()));
    assert!(Planning::new(deleter).reconcile(&context).await.is_ok());
    assert_eq!(*at_once.lock().unwrap(), (0, 16));
}

#[tokio::test]
async fn a_failed_pass_says_when_something_is_due() {
    let (server, clock) = (Server::default(), Clock::system());
    let in_seconds = |seconds| clock.wall() + Duration::from_secs(seconds);
    let wait = |until| Wait { what: "test".to_owned(), until };
    let waits = vec![wait(None), wait(Some(in_seconds(90))), wait(Some(in_seconds(60)))];
    let deleter = Deleter { groups: vec![vec!["locked"]], status: status(3), waits, ..Deleter::default() };
    let context = context(&server, declared(), Fence::open(clock));
    let failure = Planning::new(deleter).reconcile(&context).await.unwrap_err();
    let look_again = failure.look_again.unwrap();
    assert!((30..=60).contains(&look_again.as_secs()), "{look_again:?}");
}

#[tokio::test]
async fn a_status_that_is_there_already_is_not_written() {
    let same = Deleter { status: status(3), ..Deleter::default() };
    assert_eq!(reconcile(same, declared(), Fence::open(Clock::system())).await, (set(&[]), None));
    let other = Deleter { status: status(4), ..Deleter::default() };
    assert_eq!(reconcile(other, declared(), Fence::open(Clock::system())).await, (set(&["PUT status"]), None));
}

#[tokio::test]
async fn a_status_does_not_take_back_what_a_step_wrote_to_the_object_itself() {
    let deleter = Deleter { groups: vec![vec!["itself"]], status: status(4), ..Deleter::default() };
    // The kinds of apps/v1 keep the annotations that come with a status: the next pass, which knows ours, reports.
    assert_eq!(reconcile(deleter, declared(), Fence::open(Clock::system())).await, (set(&["PATCH web"]), None));
}

#[tokio::test]
async fn what_no_step_declared_is_not_sent() {
    let allowed = declared().into_iter().filter(|permission| permission.verb != Verb::Delete).collect();
    let deleter = Deleter { groups: vec![vec!["a"]], status: status(3), ..Deleter::default() };
    let (requests, error) = reconcile(deleter, allowed, Fence::open(Clock::system())).await;
    assert_eq!((requests, error), (set(&[]), Some(Class::Terminal)));
}

#[tokio::test]
async fn what_only_another_step_declared_is_not_sent() {
    let deleter = Deleter { groups: vec![vec!["a", "smuggled"]], status: status(3), ..Deleter::default() };
    let (requests, error) = reconcile(deleter, declared(), Fence::open(Clock::system())).await;
    assert_eq!((requests, error), (set(&["DELETE a"]), Some(Class::Terminal)));
}

#[tokio::test]
async fn nothing_is_written_while_observing() {
    let deleter = Deleter { deletes_while_it_observes: true, ..Deleter::default() };
    let (requests, error) = reconcile(deleter, declared(), Fence::open(Clock::system())).await;
    assert_eq!((requests, error), (set(&[]), Some(Class::Terminal)));
}

#[tokio::test]
async fn nothing_is_sent_behind_a_closed_fence() {
    let deleter = Deleter { groups: vec![vec!["a"]], status: status(4), ..Deleter::default() };
    let (requests, error) = reconcile(deleter, declared(), Fence::closed(Clock::system())).await;
    assert_eq!((requests, error), (set(&[]), Some(Class::Transient)));
}

#[tokio::test(start_paused = true)]
async fn a_write_counts_as_sent_until_its_answer_comes() {
    let server = Server::default();
    let allowed = Arc::new(declared().into_iter().collect());
    let client = Writes::new(server.client(), allowed, Fence::open(Clock::system())).client();
    let delete = async |name| client.delete::<ConfigMap>(&Target::of(&map(name)).unwrap()).await;

    // Dropped before the answer: the reconcile took too long, say.
    let dropped = tokio::time::timeout(Duration::from_secs(1), delete("lost")).await;
    assert!(dropped.is_err());
    let journal = client.journal().take();
    assert!(matches!(journal[..], [Written::Unknown { .. }]), "{journal:?}");

    assert!(delete("lost").await.is_err());
    let journal = client.journal().take();
    assert!(matches!(journal[..], [Written::Unknown { .. }]), "{journal:?}");

    delete("a").await.unwrap();
    let journal = client.journal().take();
    assert!(matches!(journal[..], [Written::Deleted { .. }]), "{journal:?}");
}
