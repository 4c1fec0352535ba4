//! deployment-lite on the cluster: replicas over the nodes, a lost pod replaced, a rollout that no client notices.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::requests::RequestCounter;
use e2e::rollout::Observer;
use e2e::wait::{self, Seen};
use e2e::{lite_deployment, namespace, node, pod, reach};
use serde_json::json;

const START_LIMIT: Duration = Duration::from_secs(120);
const ROLLOUT_LIMIT: Duration = Duration::from_secs(300);
const REPLACE_LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn three_replicas_spread_over_three_nodes_answer_by_dns_name() -> Result<()> {
    namespace::with_namespace("spread", async |cluster, namespace| {
        let workers = node::workers(&cluster).await?;
        let mut web = lite_deployment::web("web", 3);
        web["spec"]["template"]["spec"]["topologySpreadConstraints"] = json!([{
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
        }]);
        lite_deployment::create(&cluster, &namespace, &web).await?;
        pod::expose(&cluster, &namespace, "web").await?;
        lite_deployment::wait_complete(&cluster, &namespace, "web", START_LIMIT).await?;

        let pods = pod::list(&cluster, &namespace, "app=web").await?;
        let nodes: BTreeSet<&str> = pods.iter().map(pod::node).collect();
        ensure!(pods.len() == 3 && nodes.len() == 3, "{:?}", pods.iter().map(pod::describe).collect::<Vec<_>>());
        // Every replica is reached through the one name, from a pod that is none of them.
        pod::start_web(&cluster, &namespace, "client", &workers[0]).await?;
        let mut silent: BTreeSet<String> = pods.iter().map(|pod| pod::name(pod).to_owned()).collect();
        wait::until("every replica to answer by the Service's name", Duration::from_secs(60), async || {
            let host = format!("web.{namespace}.svc.cluster.local");
            silent.remove(&reach::from_pod(&cluster, &namespace, "client", &host, 80).await?);
            Ok(Seen::when(silent.is_empty(), format!("{silent:?} did not answer yet")))
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_deleted_pod_is_replaced_within_five_seconds() -> Result<()> {
    namespace::with_namespace("replace", async |cluster, namespace| {
        lite_deployment::create(&cluster, &namespace, &lite_deployment::web("web", 3)).await?;
        lite_deployment::wait_complete(&cluster, &namespace, "web", START_LIMIT).await?;
        let before = pod::list(&cluster, &namespace, "app=web").await?;
        let known: BTreeSet<&str> = before.iter().map(pod::name).collect();

        let started = Instant::now();
        pod::delete(&cluster, &namespace, pod::name(&before[0])).await?;
        let replacement = wait::until("a new pod in its place", REPLACE_LIMIT, async || {
            let pods = pod::list(&cluster, &namespace, "app=web").await?;
            let new = pods.iter().find(|pod| !known.contains(pod::name(pod)) && pod::is_ready(pod));
            Ok(match new {
                Some(pod) => Seen::Done(pod::name(pod).to_owned()),
                None => Seen::NotYet(format!("{:?}", pods.iter().map(pod::describe).collect::<Vec<_>>())),
            })
        })
        .await?;
        eprintln!("{replacement} was Ready {:.1} s after the deletion", started.elapsed().as_secs_f64());
        lite_deployment::wait_complete(&cluster, &namespace, "web", START_LIMIT).await
    })
    .await
}

#[tokio::test]
async fn a_rolling_update_of_ten_replicas_under_load_fails_no_request_and_keeps_its_limits() -> Result<()> {
    namespace::with_namespace("rollout", async |cluster, namespace| {
        let workers = node::workers(&cluster).await?;
        let mut web = lite_deployment::web("web", 10);
        web["spec"]["strategy"] =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}});
        // The client's node serves no request itself, so that each one crosses the network.
        web["spec"]["template"]["spec"]["affinity"] = json!({"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": [workers[1], workers[2]]},
            ]}]},
        }});
        lite_deployment::create(&cluster, &namespace, &web).await?;
        pod::expose(&cluster, &namespace, "web").await?;
        lite_deployment::wait_complete(&cluster, &namespace, "web", START_LIMIT).await?;

        let counter = RequestCounter::start(&cluster, &namespace, &workers[0], "http://web/hostname", 120).await?;
        let observer = Observer::start(&cluster, &namespace, "app=web").await?;
        let started = Instant::now();
        lite_deployment::change(&cluster, &namespace, "web", &lite_deployment::new_version()).await?;
        let rolled_out = lite_deployment::wait_complete(&cluster, &namespace, "web", ROLLOUT_LIMIT).await;
        let took = started.elapsed();
        // The old pods go on serving for some seconds; their end belongs to the rollout.
        let old_ended = wait::until("the old pods to end", Duration::from_secs(90), async || {
            let left = pod::list(&cluster, &namespace, "app=web").await?.len();
            Ok(Seen::when(left == 10, format!("{left} pods are left")))
        })
        .await;
        let record = observer.finish().await?;
        let sums = counter.finish(&cluster).await?;
        eprintln!(
            "rollout of 10 replicas in {:.1} s, fewest ready {}, most not terminating {}",
            took.as_secs_f64(),
            record.fewest_ready,
            record.most_running
        );
        eprintln!(
            "requests: {} sent, {} succeeded, {} failed, {:.0} a second, slowest {} ms",
            sums.sent,
            sums.succeeded,
            sums.failed,
            sums.sent as f64 / sums.seconds,
            sums.slowest_milliseconds
        );
        rolled_out?;
        old_ended?;

        ensure!(sums.failed == 0 && sums.sent == sums.succeeded, "{sums:?}");
        ensure!(
            sums.sent as f64 / sums.seconds >= 100.0,
            "only {:.0} requests a second",
            sums.sent as f64 / sums.seconds
        );
        ensure!(record.events > 20, "the watch saw only {} events, so it shows nothing", record.events);
        ensure!(record.gaps == 0, "the watch broke off {} times, so it may have missed something", record.gaps);
        ensure!(record.fewest_ready >= 8, "at some moment only {} pods were ready", record.fewest_ready);
        ensure!(record.most_running <= 13, "at some moment {} pods were not terminating", record.most_running);
        let pods = pod::list(&cluster, &namespace, "app=web").await?;
        let images: BTreeSet<&str> =
            pods.iter().filter_map(|pod| pod.spec.as_ref()?.containers[0].image.as_deref()).collect();
        ensure!(images == BTreeSet::from([pod::AGNHOST]), "the pods run {images:?}");
        Ok(())
    })
    .await
}
