//! What is applied is sent once, to one incarnation, and again only when it is wanted otherwise or somebody changed it.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;
use operator_sdk::{
    Class, Result,
    client::{Fence, Writes, Written},
    clock::Clock,
    intent::{self, Applied, DIGEST_ANNOTATION},
    permission::{Permission, Verb},
};
use serde_json::{Value, json};

/// The path with its query, the media type, and what was sent.
type Sent = Vec<(String, String, Value)>;

/// An API server that answers with what it was sent, and that adds what it adds of its own accord.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Sent>>);

impl Server {
    fn client(&self) -> kube::Client {
        let sent = Arc::clone(&self.0);
        let service = tower::service_fn(move |request: Request<Body>| {
            let sent = Arc::clone(&sent);
            async move {
                let (parts, body) = request.into_parts();
                let body: Value = serde_json::from_slice(&body.collect_bytes().await.unwrap()).unwrap();
                let media = parts.headers["content-type"].to_str().unwrap().to_owned();
                sent.lock().unwrap().push((format!("{} {}", parts.method, parts.uri), media, body.clone()));
                let mut object = body;
                object["metadata"]["uid"] = json!("u");
                object["metadata"]["resourceVersion"] = json!("7");
                object["immutable"] = json!(false);
                Ok::<_, Infallible>(Response::new(Body::from(object.to_string().into_bytes())))
            }
        });
        kube::Client::new(service, "default")
    }

    async fn apply(&self, verb: Verb, intent: &ConfigMap, held: Option<&ConfigMap>) -> Result<Applied<ConfigMap>> {
        let allowed: BTreeSet<_> = [Permission::of::<ConfigMap>(verb)].into();
        let writes = Writes::new(self.client(), Arc::new(allowed), Fence::open(Clock::system())).named("hello");
        let client = writes.client();
        let applied = intent::apply(&client, intent, held).await;
        let is_noted = matches!(client.journal().take()[..], [Written::Revision { .. }]);
        assert_eq!(is_noted, matches!(applied, Ok(Applied::Now(_))));
        applied
    }

    async fn now(&self, intent: &ConfigMap, held: Option<&ConfigMap>) -> ConfigMap {
        match self.apply(Verb::Patch, intent, held).await {
            Ok(Applied::Now(now)) => now,
            other => panic!("{other:?}"),
        }
    }

    async fn is_already(&self, intent: &ConfigMap, held: &ConfigMap) -> bool {
        let before = self.0.lock().unwrap().len();
        let is_already = matches!(self.apply(Verb::Patch, intent, Some(held)).await, Ok(Applied::Already));
        assert_eq!(self.0.lock().unwrap().len() == before, is_already);
        is_already
    }
}

fn greeting(data: Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "default"}, "data": data})).unwrap()
}

#[tokio::test]
async fn what_is_there_as_wanted_is_not_sent_again() {
    let server = Server::default();
    let wanted = greeting(json!({"text": "hello"}));
    let held = server.now(&wanted, None).await;
    assert!(server.is_already(&wanted, &held).await);
    let mut changed = held.clone();
    changed.data = Some([("text".to_owned(), "good bye".to_owned())].into());
    assert!(!server.is_already(&wanted, &changed).await, "somebody changed it");
    let mut beside = held;
    beside.data.as_mut().unwrap().insert("more".to_owned(), "theirs".to_owned());
    assert!(server.is_already(&wanted, &beside).await, "what others add is theirs");
}

#[tokio::test]
async fn a_field_that_is_wanted_no_more_is_another_intent() {
    let server = Server::default();
    let held = server.now(&greeting(json!({"text": "hello", "more": "text"})), None).await;
    let less = greeting(json!({"text": "hello"}));
    assert!(!server.is_already(&less, &held).await);
}

#[tokio::test]
async fn it_is_applied_under_the_operators_name_and_to_the_incarnation_that_was_seen() {
    let server = Server::default();
    let wanted = greeting(json!({"text": "hello"}));
    let held = server.now(&wanted, None).await;
    server.now(&greeting(json!({"text": "other"})), Some(&held)).await;
    let sent = server.0.lock().unwrap().clone();
    let (line, media, first) = &sent[0];
    assert!(line.starts_with("PATCH /api/v1/namespaces/default/configmaps/web?"), "{line}");
    assert!(line.contains("fieldManager=hello") && line.contains("force=true"), "{line}");
    assert_eq!(media, "application/apply-patch+yaml");
    assert_eq!((&first["apiVersion"], &first["kind"]), (&json!("v1"), &json!("ConfigMap")));
    assert_eq!(first["metadata"].get("uid"), None);
    assert!(first["metadata"]["annotations"][DIGEST_ANNOTATION].is_string());
    assert_eq!(sent[1].2["metadata"]["uid"], "u");
}

#[tokio::test]
async fn what_belongs_to_another_is_left_alone() {
    let server = Server::default();
    let owned_by = |uid: &str| {
        let mut map = greeting(json!({"text": uid}));
        let owner = json!([{"apiVersion": "v1", "kind": "X", "name": "x", "uid": uid, "controller": true}]);
        map.metadata.owner_references = serde_json::from_value(owner).unwrap();
        map
    };
    for held in [owned_by("theirs"), greeting(json!({}))] {
        let refused = server.apply(Verb::Patch, &owned_by("ours"), Some(&held)).await;
        assert_eq!(refused.map(|_| ()).map_err(|error| error.class()), Err(Class::Invalid));
    }
    assert!(server.0.lock().unwrap().is_empty());
    server.now(&owned_by("ours"), Some(&owned_by("ours"))).await;
}

#[tokio::test]
async fn what_was_not_declared_is_not_sent() {
    let server = Server::default();
    let refused = server.apply(Verb::Create, &greeting(json!({})), None).await;
    assert_eq!(refused.map(|_| ()).map_err(|error| error.class()), Err(Class::Terminal));
    assert!(server.0.lock().unwrap().is_empty());
}
