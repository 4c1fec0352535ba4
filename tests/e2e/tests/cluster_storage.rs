//! What volumes will need of a node: a mount made inside a pod is seen outside of it (Bidirectional propagation), and
//! a loop device can carry a file system.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::cluster::Cluster;
use e2e::wait::{self, Seen};
use e2e::{namespace, node, pod};
use serde_json::{Value, json};

/// Makes a file system in a file, a loop device of it, and mounts that. Loop devices above 7 have no file in /dev.
const MAKE_VOLUME: &str = r#"
set -eu
truncate --size 16M /shared/disk
mkfs.ext4 -q /shared/disk
device=$(losetup --find)
[ -b "$device" ] || mknod "$device" b 7 "${device#/dev/loop}"
losetup "$device" /shared/disk
mkdir -p /shared/volume
mount "$device" /shared/volume
echo hello > /shared/volume/greeting
echo "$device"
"#;

/// Takes all of it apart, whatever there is of it; run on the node, since loop devices belong to the whole machine.
const REMOVE_VOLUME: &str = r#"
umount "$1/volume" || true
for device in $(losetup --noheadings --output NAME --associated "$1/disk"); do losetup --detach "$device"; done
rm -rf "$1"
"#;

#[tokio::test]
async fn a_mount_made_in_a_pod_on_a_loop_device_is_seen_by_other_pods_and_the_node() -> Result<()> {
    namespace::with_namespace("storage", async |cluster, namespace| {
        let workers = node::workers(&cluster).await?;
        let folder = format!("/var/lib/{namespace}");
        let result = share_a_volume(&cluster, &namespace, &workers[0], &folder).await;
        let removed = cluster.run_on_node(&workers[0], &["sh", "-c", REMOVE_VOLUME, "sh", &folder]).await;
        result?;
        removed.map(drop)
    })
    .await
}

async fn share_a_volume(cluster: &Cluster, namespace: &str, node: &str, folder: &str) -> Result<()> {
    // The reader is there first: what it sees later comes to it by propagation, and was not there when it started.
    start(cluster, namespace, "reader", node, folder, "HostToContainer").await?;
    start(cluster, namespace, "isolated", node, folder, "None").await?;
    start(cluster, namespace, "writer", node, folder, "Bidirectional").await?;
    let device = pod::exec(cluster, namespace, "writer", &["/bin/sh", "-c", MAKE_VOLUME]).await?;
    ensure!(device.starts_with("/dev/loop"), "no loop device but {device:?}");

    let file = format!("{folder}/volume/greeting");
    ensure!(cluster.run_on_node(node, &["cat", &file]).await?.trim() == "hello", "the node sees another content");
    let read = ["/bin/cat", "/shared/volume/greeting"];
    wait::until("the other pod to see the mount", Duration::from_secs(10), async || {
        let content = pod::exec(cluster, namespace, "reader", &read).await?;
        Ok(Seen::when(content.trim() == "hello", content))
    })
    .await?;
    let isolated = pod::exec(cluster, namespace, "isolated", &read).await;
    ensure!(isolated.is_err(), "a pod without propagation sees the mount too, so this test shows nothing");

    pod::exec(cluster, namespace, "writer", &["/bin/umount", "/shared/volume"]).await?;
    ensure!(
        cluster.run_on_node(node, &["cat", &file]).await.is_err(),
        "the mount is gone in the pod, but not on the node"
    );
    Ok(())
}

/// A privileged pod with a folder of its node at /shared. Its image is empty but for agnhost: the programs that the
/// test runs are the node's own, mounted where they expect to be.
async fn start(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    node: &str,
    folder: &str,
    propagation: &str,
) -> Result<()> {
    let programs = ["/usr", "/bin", "/sbin", "/lib", "/lib64"];
    let mut volumes = vec![
        json!({"name": "shared", "hostPath": {"path": folder, "type": "DirectoryOrCreate"}}),
        json!({"name": "devices", "hostPath": {"path": "/dev"}}),
    ];
    let mut mounts = vec![
        json!({"name": "shared", "mountPath": "/shared", "mountPropagation": propagation}),
        json!({"name": "devices", "mountPath": "/dev"}),
    ];
    for path in programs {
        let volume = format!("node{}", path.replace('/', "-"));
        volumes.push(json!({"name": volume, "hostPath": {"path": path}}));
        mounts.push(json!({"name": volume, "mountPath": path, "readOnly": true}));
    }
    let spec: Value = json!({
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 1,
            "volumes": volumes,
            "containers": [{
                "name": name,
                "image": pod::AGNHOST,
                "args": ["pause"],
                "securityContext": {"privileged": true},
                "volumeMounts": mounts,
            }],
        },
    });
    pod::create(cluster, namespace, &spec).await?;
    pod::wait_ready(cluster, namespace, name).await
}
