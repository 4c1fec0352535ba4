//! The API server goes away in the middle of a rollout and comes back: the rollout goes on where it was.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::chaos::ContainerProcess;
use e2e::cluster::Cluster;
use e2e::rollout::Observer;
use e2e::wait::{self, Seen};
use e2e::{lease, namespace, node, operator, pod, slow_rollout};
use k8s_openapi::api::core::v1::Pod;

const GONE_LIMIT: Duration = Duration::from_secs(10);
/// A kubelet waits up to five minutes before it starts a container again that has ended often.
const RETURN_LIMIT: Duration = Duration::from_secs(330);
/// Why a replica that led may end.
const REASONS: [&str; 2] = ["lost the leadership", "failed to reach the API server"];

#[tokio::test]
async fn an_api_server_killed_in_the_middle_of_a_rollout_costs_at_most_the_leadership() -> Result<()> {
    namespace::with_namespace("api-server", async |cluster, namespace| {
        let before = operator::wait_for_two_ready(&cluster).await?;
        slow_rollout::prepare(&cluster, &namespace).await?;
        let leader = lease::leading_pod(&cluster, operator::LEASE).await?;
        let server = format!("kube-apiserver-{}", node::control_plane(&cluster).await?);
        let server = pod::pods(&cluster, "kube-system").get(&server).await?;
        let process = ContainerProcess::find(&cluster, &server).await?;
        let observer = Observer::start(&cluster, &namespace, slow_rollout::SELECTOR).await?;
        slow_rollout::begin(&cluster, &namespace).await?;

        process.signal(&cluster, "KILL").await?;
        let killed = Instant::now();
        wait_for_return(&cluster).await?;
        eprintln!("the API server was back after {:.1} s", killed.elapsed().as_secs_f64());
        slow_rollout::check_not_over(&cluster, &namespace).await?;
        operator::wait_for_two_ready(&cluster).await?;
        eprintln!("both replicas were ready after {:.1} s", killed.elapsed().as_secs_f64());

        slow_rollout::finish(&cluster, &namespace).await?;
        slow_rollout::check_limits(&observer.finish().await?, 1)?;
        // Only now: what happened to them while nobody could be told is told later.
        let after = operator::wait_for_two_ready(&cluster).await?;
        check_replicas(&cluster, &before, &after, &leader).await
    })
    .await
}

/// It is gone, and then it answers.
async fn wait_for_return(cluster: &Cluster) -> Result<()> {
    let answers = async || node::control_plane(cluster).await;
    wait::until("the API server to be gone", GONE_LIMIT, async || {
        Ok(answers().await.map_or(Seen::Done(()), |_| Seen::NotYet("it answers".into())))
    })
    .await?;
    wait::until("the API server to come back", RETURN_LIMIT, async || answers().await.map(|_| Seen::Done(()))).await
}

/// Whoever led has to start again if the lease ran out, and again until the API server is there; the other one has
/// nothing to start again for. Both are the pods they were.
async fn check_replicas(cluster: &Cluster, before: &[Pod], after: &[Pod], leader: &str) -> Result<()> {
    for pod in before {
        let name = pod::name(pod);
        let now = after.iter().find(|now| pod::name(now) == name).with_context(|| format!("{name} is gone"))?;
        let restarts = pod::restarts(now) - pod::restarts(pod);
        eprintln!("{name} {} and was started again {restarts} times", if name == leader { "led" } else { "stood by" });
        if restarts > 0 {
            ensure!(name == leader, "{name} stood by and was started again {restarts} times");
            let said = cluster.run_kubectl(&["-n", lease::OPERATOR_NAMESPACE, "logs", "--previous", name]).await?;
            let is_reason = REASONS.iter().any(|reason| said.contains(reason));
            ensure!(is_reason, "it ended for none of the reasons {REASONS:?}: {said}");
        }
    }
    Ok(())
}
