//! A leader that is stopped for longer than its lease lasts, and then goes on as if nothing had happened, does no harm.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::audit::{self, Request};
use e2e::chaos::ContainerProcess;
use e2e::cluster::Cluster;
use e2e::rollout::Observer;
use e2e::wait::{self, Seen};
use e2e::{lease, namespace, operator, pod, slow_rollout};
use k8s_openapi::api::core::v1::Pod;

/// The lease lasts 15 s and is renewed every 2 s.
const TAKE_OVER_LIMIT: Duration = Duration::from_secs(17);
const STOPPED_FOR: Duration = Duration::from_secs(20);
const RESTART_LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_leader_stopped_for_longer_than_its_lease_writes_nothing_once_it_goes_on() -> Result<()> {
    namespace::with_namespace("pause", async |cluster, namespace| {
        operator::wait_for_two_ready(&cluster).await?;
        slow_rollout::prepare(&cluster, &namespace).await?;
        let leader = lease::leading_pod(&cluster, operator::LEASE).await?;
        let pods = pod::pods(&cluster, lease::OPERATOR_NAMESPACE);
        let before = pods.get(&leader).await?;
        let process = ContainerProcess::find(&cluster, &before).await?;
        let observer = Observer::start(&cluster, &namespace, slow_rollout::SELECTOR).await?;
        slow_rollout::begin(&cluster, &namespace).await?;

        process.signal(&cluster, "STOP").await?;
        let stopped = Instant::now();
        let follower = lease::wait_for_another(&cluster, operator::LEASE, &leader, TAKE_OVER_LIMIT).await?;
        eprintln!("{follower} followed {leader} {:.1} s after SIGSTOP", stopped.elapsed().as_secs_f64());
        slow_rollout::check_not_over(&cluster, &namespace).await?;
        // How long it is stopped is the fault itself; there is nothing else to wait for.
        tokio::time::sleep(STOPPED_FOR.saturating_sub(stopped.elapsed())).await;
        let awake = audit::now();
        process.signal(&cluster, "CONT").await?;

        let ended = wait_for_restart(&cluster, &before).await;
        slow_rollout::finish(&cluster, &namespace).await?;
        check_requests(&audit::requests_since(&cluster, awake).await?, &leader, &follower)?;
        slow_rollout::check_limits(&observer.finish().await?, 0)?;
        ended?;
        let still = lease::leading_pod(&cluster, operator::LEASE).await?;
        ensure!(still == follower, "leadership moved on from {follower} to {still} without need");
        operator::wait_for_two_ready(&cluster).await?;
        Ok(())
    })
    .await
}

/// What became of the one that was stopped: it ended by itself, since the leadership was lost, and was started again.
async fn wait_for_restart(cluster: &Cluster, before: &Pod) -> Result<()> {
    let name = pod::name(before);
    wait::until(&format!("{name} to end, to be started again and to be ready"), RESTART_LIMIT, async || {
        let now = pod::pods(cluster, lease::OPERATOR_NAMESPACE).get(name).await?;
        let restarts = pod::restarts(&now) - pod::restarts(before);
        Ok(Seen::when(restarts == 1 && pod::is_ready(&now), format!("{restarts} restarts, {}", pod::describe(&now))))
    })
    .await?;
    let said = cluster.run_kubectl(&["-n", lease::OPERATOR_NAMESPACE, "logs", "--previous", name]).await?;
    ensure!(said.contains("lost the leadership"), "it did not end because it lost the leadership: {said}");
    Ok(())
}

/// The API server's word on what each of the two did after the one that was stopped went on.
fn check_requests(requests: &[Request], stopped: &str, follower: &str) -> Result<()> {
    let of = |pod: &str| requests.iter().filter(move |request| request.pod.as_deref() == Some(pod)).collect::<Vec<_>>();
    let (tried, followed) = (of(stopped), of(follower));
    eprintln!("{stopped} asked after it went on: {:?}", audit::count(tried.iter().copied()));
    // Both are in the log: so it would hold what one of them did.
    ensure!(followed.iter().any(|request| request.is_write() && !request.is_about_lease()), "nothing of {follower}");
    ensure!(!tried.is_empty(), "nothing of {stopped}, not even that it was started again");
    let done = tried.iter().filter(|request| request.is_write() && request.has_succeeded());
    let done: Vec<String> = done.map(|request| request.describe()).collect();
    ensure!(done.is_empty(), "{stopped} wrote although {follower} led:\n{}", done.join("\n"));
    Ok(())
}
