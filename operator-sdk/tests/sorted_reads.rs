//! No decision depends on the order in which the server lists or the watch tells: reads are sorted (H15).

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

#[path = "fixture/server.rs"]
mod server;

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::client::Body;
use operator_sdk::{Object, Uid, Watch};
use serde_json::{Value, json};
use server::map;

fn child(name: &str) -> Value {
    let mut child = map(name);
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "owner", "controller": true});
    child["metadata"]["ownerReferences"] = json!([owner]);
    child["metadata"]["resourceVersion"] = json!("1");
    child
}

/// The names of what is read after a list in this order.
async fn read(names: &[&str]) -> Vec<String> {
    let items: Vec<_> = names.iter().map(|name| child(name)).collect();
    let list = json!({"metadata": {"resourceVersion": "1"}, "items": items}).to_string();
    let service = tower::service_fn(move |request: Request<Body>| {
        let list = list.clone();
        async move {
            match request.uri().query().unwrap_or_default().contains("watch=true") {
                true => std::future::pending().await,
                false => Ok::<_, Infallible>(Response::new(Body::from(list.into_bytes()))),
            }
        }
    });
    let watch = Watch::<ConfigMap>::new();
    let erased = watch.erased();
    let watching = tokio::spawn(Arc::clone(&erased).run(kube::Client::new(service, "default")));
    erased.progress().wait_for(|_| erased.is_synced()).await.unwrap();
    watching.abort();
    watch.controlled_by(&Uid::from("owner")).unwrap().iter().map(|child| child.key().name).collect()
}

#[tokio::test]
async fn what_an_owner_has_is_read_in_the_order_of_names_however_it_is_listed() {
    let names = ["a", "b", "c", "d", "e"];
    assert_eq!(read(&names).await, names);
    assert_eq!(read(&["d", "b", "e", "a", "c"]).await, names);
    assert_eq!(read(&["e", "d", "c", "b", "a"]).await, names);
}
