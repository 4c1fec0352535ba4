//! What people's kubectl does with the kinds of deployment-lite.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cluster::Cluster;
use e2e::{lite_deployment, namespace};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn the_definitions_can_be_applied_without_server_side_apply() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds");
    let folder = folder.to_str().context("a folder with a strange name")?;
    cluster.run_kubectl(&["apply", "--filename", folder]).await?;
    // What is applied is remembered in an annotation, which must have fitted.
    let again = cluster.run_kubectl(&["apply", "--filename", folder]).await?;
    ensure!(again.lines().count() == 2 && again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    Ok(())
}

#[tokio::test]
async fn the_fields_of_the_strategy_are_explained() -> Result<()> {
    let cluster = Cluster::connect().await?;
    let fields = cluster.run_kubectl(&["explain", "ldeploy.spec.strategy"]).await?;
    ensure!(fields.contains("type\t<string>") && fields.contains("rollingUpdate\t<Object>"), "{fields}");
    Ok(())
}

#[tokio::test]
async fn one_is_scaled_awaited_and_listed_with_its_numbers() -> Result<()> {
    namespace::with_namespace("kubectl", async |cluster, namespace| {
        lite_deployment::create(&cluster, &namespace, &lite_deployment::web("web", 1)).await?;
        lite_deployment::wait_complete(&cluster, &namespace, "web", LIMIT).await?;
        let kubectl = async |arguments: &[&str]| cluster.run_kubectl(&[&["-n", &namespace], arguments].concat()).await;
        kubectl(&["scale", "ldeploy/web", "--replicas=3"]).await?;
        kubectl(&["wait", "ldeploy/web", "--for=jsonpath={.status.availableReplicas}=3", "--timeout=55s"]).await?;
        kubectl(&["wait", "ldeploy/web", "--for=condition=Available", "--timeout=5s"]).await?;
        let table = kubectl(&["get", "ldeploy", "web"]).await?;
        let mut rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
        let heading = rows.next().unwrap_or_default();
        // Upstream's READY is "ready/desired", which no column of a custom resource can be: two columns say it.
        ensure!(heading == ["NAME", "DESIRED", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"], "{table}");
        let row = rows.next().unwrap_or_default();
        ensure!(row.len() == 6 && row[..5] == ["web", "3", "3", "3", "3"], "{table}");
        Ok(())
    })
    .await
}
