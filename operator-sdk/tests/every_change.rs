//! Every change of an object reaches its reconciler: those that leave the generation as it is, and deletions (H6).

#![expect(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

#[path = "fixture/server.rs"]
mod server;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::core::v1::ConfigMap;
use operator_sdk::{
    Controller, Key, Watch,
    permission::Permission,
    reconcile::{Context, Failure, Outcome, Reconciler},
};
use serde_json::{Value, json};
use server::{Running, Shared, map};
use tokio::time::sleep;

/// Notes the revisions that it is called with.
struct Notes(Arc<Mutex<Vec<String>>>);

impl Reconciler for Notes {
    type Object = ConfigMap;

    async fn reconcile(&self, context: &Context<ConfigMap>) -> Result<Outcome, Failure> {
        self.0.lock().unwrap().push(context.object.metadata.resource_version.clone().unwrap());
        Ok(Outcome::Done)
    }

    fn forget(&self, key: &Key) {
        self.0.lock().unwrap().push(format!("forget {key}"));
    }

    fn permissions(&self) -> Vec<Permission> {
        Vec::new()
    }
}

#[tokio::test(start_paused = true)]
async fn edits_of_metadata_and_deletions_reach_the_reconciler() {
    let server = Shared::default();
    let calls = Arc::default();
    let watch = Watch::<ConfigMap>::new();
    let running = Running::start(&server, Controller::new(Notes(Arc::clone(&calls)), &watch), &watch);
    let mut expected = Vec::new();
    let mut object = map("a");
    object["metadata"]["generation"] = json!(1);
    let edits: [fn(&mut Value); 5] = [
        |_| {},
        |object| object["metadata"]["annotations"] = json!({"note": "new"}),
        |object| object["metadata"]["finalizers"] = json!(["example.com/keep"]),
        |object| object["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:00Z"),
        |object| object["metadata"]["finalizers"] = json!([]),
    ];
    for edit in edits {
        edit(&mut object);
        object = server.lock().put(object);
        expected.push(object["metadata"]["resourceVersion"].as_str().unwrap().to_owned());
        sleep(Duration::from_secs(1)).await;
    }
    // The last edit let the object go.
    *expected.last_mut().unwrap() = "forget default/a".to_owned();
    assert_eq!(*calls.lock().unwrap(), expected);
    running.stop().await;
}
