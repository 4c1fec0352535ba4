//! What people do by hand to the objects of deployment-lite does not stop it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cluster::Cluster;
use e2e::wait::{self, Seen};
use e2e::{lite_deployment, namespace, pod};
use kube::api::ListParams;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_deleted_lite_deployment_takes_its_pods_with_it() -> Result<()> {
    namespace::with_namespace("delete", async |cluster, namespace| {
        lite_deployment::create(&cluster, &namespace, &lite_deployment::web("web", 3)).await?;
        lite_deployment::wait_complete(&cluster, &namespace, "web", LIMIT).await?;
        lite_deployment::delete(&cluster, &namespace, "web").await?;
        wait::until("everything of it to be gone", LIMIT, async || {
            let sets = lite_deployment::replica_sets(&cluster, &namespace).list(&ListParams::default()).await?;
            let pods = pod::list(&cluster, &namespace, "app=web").await?;
            let left = format!("{} LiteReplicaSets and {} pods are left", sets.items.len(), pods.len());
            Ok(Seen::when(sets.items.is_empty() && pods.is_empty(), left))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn what_was_done_is_told_by_events() -> Result<()> {
    namespace::with_namespace("events", async |cluster, namespace| {
        lite_deployment::create(&cluster, &namespace, &lite_deployment::web("web", 2)).await?;
        lite_deployment::wait_complete(&cluster, &namespace, "web", LIMIT).await?;
        let [set] = &names_of_sets(&cluster, &namespace).await?[..] else {
            anyhow::bail!("not one LiteReplicaSet");
        };
        let of_deployment = format!("Scaled up replica set {set} from 0 to 2");
        for (object, note, count) in
            [("ldeploy/web".to_owned(), &*of_deployment, 1), (format!("lrs/{set}"), "Created pod: ", 2)]
        {
            wait::until(&format!("events of {object}"), LIMIT, async || {
                let events = cluster.run_kubectl(&["-n", &namespace, "events", "--for", &object]).await?;
                Ok(Seen::when(events.matches(note).count() == count, events))
            })
            .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_edited_lite_replica_set_is_followed_by_one_of_another_name() -> Result<()> {
    namespace::with_namespace("edited", async |cluster, namespace| {
        lite_deployment::create(&cluster, &namespace, &lite_deployment::web("web", 2)).await?;
        lite_deployment::wait_complete(&cluster, &namespace, "web", LIMIT).await?;
        let [edited] = &names_of_sets(&cluster, &namespace).await?[..] else {
            anyhow::bail!("not one LiteReplicaSet");
        };
        // The name is that of the template, which is now another one: what has this name is not what is needed.
        let change = json!({"spec": {"template": {"metadata": {"annotations": {"edited": "by hand"}}}}});
        lite_deployment::change_replica_set(&cluster, &namespace, edited, &change).await?;

        wait::until("a LiteReplicaSet of another name with all pods", LIMIT, async || {
            let sets = lite_deployment::replica_sets(&cluster, &namespace).list(&ListParams::default()).await?;
            let full = sets.items.iter().find(|set| set.data["spec"]["replicas"] == 2);
            let name = full.and_then(|set| set.metadata.name.as_ref());
            Ok(Seen::when(name.is_some_and(|name| name != edited), format!("the full one is {name:?}")))
        })
        .await?;
        lite_deployment::wait_complete(&cluster, &namespace, "web", LIMIT).await?;
        let object = lite_deployment::api(&cluster, &namespace).get("web").await?;
        let collisions = &object.data["status"]["collisionCount"];
        ensure!(*collisions == 1, "collisionCount is {collisions}");
        Ok(())
    })
    .await
}

async fn names_of_sets(cluster: &Cluster, namespace: &str) -> Result<Vec<String>> {
    let sets = lite_deployment::replica_sets(cluster, namespace).list(&ListParams::default()).await?;
    sets.items.into_iter().map(|set| set.metadata.name.context("an object without a name")).collect()
}
