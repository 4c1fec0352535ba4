//! A stopped, a paused and a partitioned node become NotReady and come back with a working pod network; a restart of
//! the control plane loses nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::cluster::Cluster;
use e2e::{chaos, namespace, node, pod, reach};

/// The cluster counts a silent node as lost after 20 s; the rest is a busy machine.
const NOT_READY_LIMIT: Duration = Duration::from_secs(90);
const READY_LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_stopped_node_becomes_not_ready_and_comes_back() -> Result<()> {
    fails_and_comes_back("stop", "start").await
}

#[tokio::test]
async fn a_paused_node_becomes_not_ready_and_comes_back() -> Result<()> {
    fails_and_comes_back("pause", "unpause").await
}

#[tokio::test]
async fn a_partitioned_node_becomes_not_ready_and_comes_back() -> Result<()> {
    fails_and_comes_back("partition", "heal").await
}

async fn fails_and_comes_back(harm: &str, cure: &str) -> Result<()> {
    namespace::with_namespace(harm, async |cluster, namespace| {
        let workers = node::workers(&cluster).await?;
        let victim = &workers[1];
        pod::start_web(&cluster, &namespace, "bystander", &workers[0]).await?;
        pod::start_web(&cluster, &namespace, "before", victim).await?;
        for name in ["bystander", "before"] {
            pod::expose(&cluster, &namespace, name).await?;
        }
        reach_each_other(&cluster, &namespace, "bystander", "before").await?;

        cluster.xtask().node(harm, victim).await?;
        let failed = node::wait_ready(&cluster, victim, false, NOT_READY_LIMIT).await;
        // Whatever was seen, the node has to be whole again for the next test.
        cluster.xtask().node(cure, victim).await?;
        failed?;
        node::wait_ready(&cluster, victim, true, READY_LIMIT).await?;

        // A pod made after the failure, and the one from before it, which has its address or gets a new one.
        pod::start_web(&cluster, &namespace, "after", victim).await?;
        pod::expose(&cluster, &namespace, "after").await?;
        reach_each_other(&cluster, &namespace, "bystander", "after").await?;
        pod::wait_ready(&cluster, &namespace, "before").await?;
        reach_each_other(&cluster, &namespace, "bystander", "before").await
    })
    .await
}

async fn reach_each_other(cluster: &Cluster, namespace: &str, one: &str, other: &str) -> Result<()> {
    for (from, to) in [(one, other), (other, one)] {
        let answer = reach::from_pod(cluster, namespace, from, to, 80).await?;
        ensure!(answer == to, "{from} asked {to}, and {answer} answered");
    }
    Ok(())
}

#[tokio::test]
async fn a_restart_of_the_control_plane_loses_nothing() -> Result<()> {
    namespace::with_namespace("restart", async |cluster, namespace| {
        let workers = node::workers(&cluster).await?;
        let control_plane = node::control_plane(&cluster).await?;
        for (name, node) in [("one", &workers[0]), ("two", &workers[1])] {
            pod::start_web(&cluster, &namespace, name, node).await?;
            pod::expose(&cluster, &namespace, name).await?;
        }
        let process =
            chaos::ContainerProcess::find(&cluster, &pod::pods(&cluster, &namespace).get("one").await?).await?;
        let before = objects(&cluster, &namespace).await?;

        cluster.xtask().node("stop", &control_plane).await?;
        ensure!(
            cluster.run_kubectl(&["get", "--raw", "/readyz", "--request-timeout=3s"]).await.is_err(),
            "the API server answers though its node is stopped"
        );
        // Pods go on without a control plane: signal 0 asks only whether the process is there.
        process.signal(&cluster, "0").await?;
        cluster.xtask().node("start", &control_plane).await?;
        node::wait_ready(&cluster, &control_plane, true, READY_LIMIT).await?;

        let after = objects(&cluster, &namespace).await?;
        ensure!(before == after, "before the restart there were\n{before}\nafter it there are\n{after}");
        process.signal(&cluster, "0").await?;
        // It is not only there, it works: a new pod is scheduled, started and reached.
        pod::start_web(&cluster, &namespace, "three", &workers[2]).await?;
        pod::expose(&cluster, &namespace, "three").await?;
        reach_each_other(&cluster, &namespace, "one", "three").await?;
        reach_each_other(&cluster, &namespace, "one", "two").await
    })
    .await
}

/// Every object that the test made, with its uid: one that was lost and made anew would have another.
async fn objects(cluster: &Cluster, namespace: &str) -> Result<String> {
    let template = "{range .items[*]}{.kind}/{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
    cluster
        .run_kubectl(&["-n", namespace, "get", "pods,services,serviceaccounts", "-o", &format!("jsonpath={template}")])
        .await
}
