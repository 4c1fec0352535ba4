//! Two replicas of the operator, one leads: whichever way the leader ends, the other one finishes its work.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::chaos::ContainerProcess;
use e2e::cluster::Cluster;
use e2e::wait::{self, Seen};
use e2e::{lease, lite_deployment, namespace, pod};
use serde_json::json;

const LEASE: &str = "deployment-lite";
const OPERATOR: &str = "app.kubernetes.io/name=deployment-lite";
const ROLLOUT_LIMIT: Duration = Duration::from_secs(300);

/// The lease lasts 15 s and is renewed every 2 s.
const CRASH_LIMIT: Duration = Duration::from_secs(17);
const PLANNED_LIMIT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_leader_killed_in_the_middle_of_a_rollout_is_followed_by_the_standby_which_finishes_it() -> Result<()> {
    hand_over("crash", "KILL", CRASH_LIMIT).await
}

#[tokio::test]
async fn a_leader_asked_to_end_hands_over_within_two_seconds() -> Result<()> {
    hand_over("planned", "TERM", PLANNED_LIMIT).await
}

async fn hand_over(purpose: &str, signal: &str, limit: Duration) -> Result<()> {
    namespace::with_namespace(purpose, async |cluster, namespace| {
        wait_for_two_ready(&cluster).await?;
        let mut web = lite_deployment::web("web", 8);
        web["spec"]["strategy"] =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
        lite_deployment::create(&cluster, &namespace, &web).await?;
        lite_deployment::wait_complete(&cluster, &namespace, "web", ROLLOUT_LIMIT).await?;

        let leader = lease::leading_pod(&cluster, LEASE).await?;
        let pods = pod::pods(&cluster, lease::OPERATOR_NAMESPACE);
        let process = ContainerProcess::find(&cluster, &pods.get(&leader).await?).await?;
        let generation = lite_deployment::change(&cluster, &namespace, "web", &lite_deployment::new_version()).await?;
        wait_for_the_middle(&cluster, &namespace, generation).await?;

        process.signal(&cluster, signal).await?;
        let started = Instant::now();
        let follower = lease::wait_for_another(&cluster, LEASE, &leader, limit).await?;
        let took = started.elapsed();
        eprintln!("{follower} followed {leader} {:.1} s after SIG{signal}", took.as_secs_f64());
        let updated = updated_replicas(&cluster, &namespace).await?;
        ensure!(updated < 8, "the rollout was over before the leader ended, so this test shows nothing");
        lite_deployment::wait_complete(&cluster, &namespace, "web", ROLLOUT_LIMIT).await?;
        let still = lease::leading_pod(&cluster, LEASE).await?;
        ensure!(still == follower, "leadership moved on from {follower} to {still} without need");
        wait_for_two_ready(&cluster).await
    })
    .await
}

async fn wait_for_two_ready(cluster: &Cluster) -> Result<()> {
    wait::until("two ready replicas of the operator", Duration::from_secs(120), async || {
        let pods = pod::list(cluster, lease::OPERATOR_NAMESPACE, OPERATOR).await?;
        let ready = pods.iter().filter(|pod| pod::is_ready(pod) && !pod::is_terminating(pod)).count();
        Ok(Seen::when(ready == 2, format!("{:?}", pods.iter().map(pod::describe).collect::<Vec<_>>())))
    })
    .await
}

/// The middle of the rollout: some pods are updated, most are not.
async fn wait_for_the_middle(cluster: &Cluster, namespace: &str, generation: i64) -> Result<()> {
    wait::until("the middle of the rollout", Duration::from_secs(60), async || {
        let object = lite_deployment::api(cluster, namespace).get("web").await?;
        let observed = object.data["status"]["observedGeneration"].as_i64() >= Some(generation);
        let updated = updated_replicas(cluster, namespace).await?;
        Ok(Seen::when(observed && updated >= 2, format!("{updated} updated, status {}", object.data["status"])))
    })
    .await
}

async fn updated_replicas(cluster: &Cluster, namespace: &str) -> Result<usize> {
    let pods = pod::list(cluster, namespace, "app=web").await?;
    let mut updated = 0;
    for pod in &pods {
        let image =
            pod.spec.as_ref().and_then(|spec| spec.containers[0].image.as_deref()).context("a pod without an image")?;
        updated += usize::from(image == pod::AGNHOST && pod::is_ready(pod));
    }
    Ok(updated)
}
