//! A rollout that takes its time, one pod after the other, so that harm can be done in the middle of it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::cluster::Cluster;
use crate::rollout::Record;
use crate::wait::{self, Seen};
use crate::{lite_deployment, pod};

const NAME: &str = "web";
/// Its pods.
pub const SELECTOR: &str = "app=web";
const REPLICAS: usize = 8;
const SURGE: usize = 1;
const LIMIT: Duration = Duration::from_secs(300);

/// Makes a LiteDeployment and waits until it is complete.
///
/// # Errors
/// It is refused, or not complete in time.
pub async fn prepare(cluster: &Cluster, namespace: &str) -> Result<()> {
    let mut web = lite_deployment::web(NAME, REPLICAS as i32);
    web["spec"]["strategy"] =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": SURGE, "maxUnavailable": 0}});
    lite_deployment::create(cluster, namespace, &web).await?;
    lite_deployment::wait_complete(cluster, namespace, NAME, LIMIT).await
}

/// Begins the rollout and waits until it is in the middle: some pods are updated, most are not.
///
/// # Errors
/// It does not get there in time.
pub async fn begin(cluster: &Cluster, namespace: &str) -> Result<()> {
    let generation = lite_deployment::change(cluster, namespace, NAME, &lite_deployment::new_version()).await?;
    wait::until("the middle of the rollout", Duration::from_secs(60), async || {
        let object = lite_deployment::api(cluster, namespace).get(NAME).await?;
        let observed = object.data["status"]["observedGeneration"].as_i64() >= Some(generation);
        let updated = updated(cluster, namespace).await?;
        Ok(Seen::when(observed && updated >= 2, format!("{updated} updated, status {}", object.data["status"])))
    })
    .await
}

/// Checks that there is still something to do.
///
/// # Errors
/// There is not, so that whatever was done to the rollout shows nothing.
pub async fn check_not_over(cluster: &Cluster, namespace: &str) -> Result<()> {
    let updated = updated(cluster, namespace).await?;
    ensure!(updated < REPLICAS, "the rollout was over before the harm was, so this test shows nothing");
    Ok(())
}

/// Waits until the rollout is complete and only pods of the new version are left.
///
/// # Errors
/// That is not so in time.
pub async fn finish(cluster: &Cluster, namespace: &str) -> Result<()> {
    lite_deployment::wait_complete(cluster, namespace, NAME, LIMIT).await?;
    // The old pods go on serving for some seconds; their end belongs to the rollout.
    wait::until("only new pods to be left", Duration::from_secs(90), async || {
        let pods = pod::list(cluster, namespace, SELECTOR).await?;
        let images: BTreeSet<&str> = pods.iter().map(image).collect();
        let done = pods.len() == REPLICAS && images == BTreeSet::from([pod::AGNHOST]);
        Ok(Seen::when(done, format!("{} pods of {images:?}", pods.len())))
    })
    .await
}

/// Checks that at no moment there were too few ready pods or too many pods, and that the API server was gone from the
/// observer's sight `outages` times.
///
/// # Errors
/// At some moment there were.
pub fn check_limits(record: &Record, outages: usize) -> Result<()> {
    eprintln!("fewest ready {}, most not terminating {}", record.fewest_ready, record.most_running);
    ensure!(record.gaps == outages, "the watch broke off {} times instead of {outages}", record.gaps);
    ensure!(record.events > REPLICAS * 2, "the watch saw only {} events, so it shows nothing", record.events);
    ensure!(record.fewest_ready >= REPLICAS, "at some moment only {} pods were ready", record.fewest_ready);
    let most = REPLICAS + SURGE;
    ensure!(record.most_running <= most, "at some moment {} pods were not terminating", record.most_running);
    Ok(())
}

async fn updated(cluster: &Cluster, namespace: &str) -> Result<usize> {
    let pods = pod::list(cluster, namespace, SELECTOR).await?;
    Ok(pods.iter().filter(|pod| image(pod) == pod::AGNHOST && pod::is_ready(pod)).count())
}

fn image(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.containers[0].image.as_deref()).unwrap_or_default()
}
