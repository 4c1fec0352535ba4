//! Two replicas of the operator, one leads: whichever way the leader ends, the other one finishes its work.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::chaos::ContainerProcess;
use e2e::{lease, namespace, operator, pod, slow_rollout};

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
        operator::wait_for_two_ready(&cluster).await?;
        slow_rollout::prepare(&cluster, &namespace).await?;
        let leader = lease::leading_pod(&cluster, operator::LEASE).await?;
        let pods = pod::pods(&cluster, lease::OPERATOR_NAMESPACE);
        let process = ContainerProcess::find(&cluster, &pods.get(&leader).await?).await?;
        slow_rollout::begin(&cluster, &namespace).await?;

        process.signal(&cluster, signal).await?;
        let started = Instant::now();
        let follower = lease::wait_for_another(&cluster, operator::LEASE, &leader, limit).await?;
        let took = started.elapsed();
        eprintln!("{follower} followed {leader} {:.1} s after SIG{signal}", took.as_secs_f64());
        slow_rollout::check_not_over(&cluster, &namespace).await?;
        slow_rollout::finish(&cluster, &namespace).await?;
        let still = lease::leading_pod(&cluster, operator::LEASE).await?;
        ensure!(still == follower, "leadership moved on from {follower} to {still} without need");
        operator::wait_for_two_ready(&cluster).await?;
        Ok(())
    })
    .await
}
