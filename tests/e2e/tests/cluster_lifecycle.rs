//! The life of a cluster: `up` works after an `up` that was killed, at whatever moment, and after a Docker daemon was;
//! two `up`s do not get into each other's way; `down` leaves nothing behind.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::machine::Machine;
use e2e::wait::{self, Seen};
use e2e::xtask::Xtask;
use e2e::{command, machine};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr};

const NAME: &str = "e2e-trial";
const UP_LIMIT: Duration = Duration::from_secs(300);
const DOWN_LIMIT: Duration = Duration::from_secs(120);
/// What only the machine's owner changes.
const OF_THE_MACHINE: [&str; 3] = ["mount", "link", "packet filter rule"];
/// The second `up` does not wait for the first.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_up_killed_at_three_moments_can_be_followed_by_up_and_down_leaves_nothing() -> Result<()> {
    let xtask = Xtask::from_environment()?.for_cluster(NAME);
    let before = Machine::look().await?;
    let result = kill_three_times_then_use(&xtask).await;
    let down = command::succeed(&mut xtask.cluster_command(&["down"]), DOWN_LIMIT).await;
    result?;
    down?;
    let after = Machine::look().await?;
    let left = after.added_since(&before);
    ensure!(left.is_empty(), "`cluster down` left behind:\n{}", left.join("\n"));
    // The machine's own network and mounts are as they were; processes and cgroups of others may end meanwhile.
    let gone = before.added_since(&after);
    let lost: Vec<&String> =
        gone.iter().filter(|line| OF_THE_MACHINE.iter().any(|kind| line.starts_with(kind))).collect();
    ensure!(lost.is_empty(), "`cluster down` took away what is not its own:\n{lost:?}");

    // A `down` of what is not there is no error, and an `open` of it is one that says what to do.
    command::succeed(&mut xtask.cluster_command(&["down"]), DOWN_LIMIT).await?;
    let closed = command::finish(&mut xtask.cluster_command(&["kubeconfig"]), AT_ONCE).await?;
    ensure!(!closed.status.success() && closed.stderr.contains("cluster up"), "{closed:?}");
    Ok(())
}

async fn kill_three_times_then_use(xtask: &Xtask) -> Result<()> {
    // As early as it says anything about what it starts, with a private Docker daemon half up if it needs one.
    let mut first = Up::start(xtask)?;
    first.wait_for(&["starting a private Docker daemon", "creating"]).await?;
    first.kill().await?;

    // In the middle of the creation: a node's container runs, and Kubernetes is being set up inside of it.
    let known = machine::processes_of("kubeadm");
    let mut second = Up::start(xtask)?;
    second.wait_for(&["creating"]).await?;
    wait::until("kubeadm to run in a node", UP_LIMIT, async || {
        let new = machine::processes_of("kubeadm").difference(&known).count();
        Ok(Seen::when(new > 0, "no new process kubeadm"))
    })
    .await?;
    refuses_to_be_second(xtask, second.id()?).await?;
    second.kill().await?;

    // With all nodes there and half connected.
    let mut third = Up::start(xtask)?;
    third.wait_for(&["connecting the nodes' pods"]).await?;
    third.kill().await?;

    let mut last = Up::start(xtask)?;
    last.finish().await?;
    let nodes = kubectl(xtask, &["get", "nodes", "--no-headers"]).await?;
    let ready = nodes.lines().filter(|line| line.split_whitespace().nth(1) == Some("Ready")).count();
    ensure!(ready == 2 && nodes.lines().count() == 2, "the nodes are\n{nodes}");

    let started = Instant::now();
    let mut again = Up::start(xtask)?;
    again.finish().await?;
    ensure!(started.elapsed() < Duration::from_secs(15), "an `up` of a healthy cluster took {:?}", started.elapsed());
    come_back_at_each_others_addresses(xtask).await?;
    freeze_a_process(xtask).await
}

/// What a container runtime in a node leaves if it is killed while it changes the cgroup of a pod: a process that no
/// signal reaches, where the machine has cgroups of version 1. `down` has to cope with it.
async fn freeze_a_process(xtask: &Xtask) -> Result<()> {
    const FREEZE: &str = r#"
        set -eu
        frozen=/sys/fs/cgroup/freezer/pod/frozen
        [ -d /sys/fs/cgroup/freezer ] || exit 0
        mkdir -p "$frozen"
        sleep infinity > /dev/null 2>&1 &
        echo $! > "$frozen/cgroup.procs"
        echo FROZEN > "$frozen/freezer.state"
    "#;
    docker(&["exec", &format!("{}-worker", xtask.cluster()), "sh", "-c", FREEZE]).await.map(drop)
}

/// What a Docker daemon that was killed does with its containers when it comes back: it starts them, at whatever address
/// comes first. `up` brings each node back to its own, for which the routes to its pods are.
async fn come_back_at_each_others_addresses(xtask: &Xtask) -> Result<()> {
    let network = format!("kind-{}", xtask.cluster());
    let [one, two] = ["control-plane", "worker"].map(|role| format!("{}-{role}", xtask.cluster()));
    let (first, second) = (address(&one, &network).await?, address(&two, &network).await?);
    docker(&["stop", "--time", "15", &one, &two]).await?;
    for name in [&one, &two] {
        docker(&["network", "disconnect", &network, name]).await?;
    }
    for (name, address) in [(&one, &second), (&two, &first)] {
        docker(&["network", "connect", "--ip", address, &network, name]).await?;
    }
    docker(&["start", &one, &two]).await?;
    ensure!(address(&one, &network).await? == second, "the nodes have not changed places");

    Up::start(xtask)?.finish().await?;
    let now = (address(&one, &network).await?, address(&two, &network).await?);
    ensure!(now == (first.clone(), second.clone()), "the nodes were at {first} and {second}, and are at {now:?}");
    wait::until("Kubernetes to have them there, too", UP_LIMIT, async || {
        let nodes = kubectl(xtask, &["get", "nodes", "--output", "wide", "--no-headers"]).await?;
        let has =
            |name: &str, address: &str| nodes.lines().any(|line| line.starts_with(name) && line.contains(address));
        Ok(Seen::when(has(&format!("{one} "), &first) && has(&format!("{two} "), &second), &nodes))
    })
    .await?;
    wait::until("the worker to reach a pod of the control plane", UP_LIMIT, async || {
        let dns =
            ["-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].status.podIP}"];
        let pod = kubectl(xtask, &dns).await?;
        let dial = format!("timeout 5 bash -c '</dev/tcp/{pod}/8181'");
        docker(&["exec", &two, "sh", "-c", &dial]).await.map(Seen::Done)
    })
    .await
    .map(drop)
}

async fn address(node: &str, network: &str) -> Result<String> {
    let format = format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}");
    Ok(docker(&["inspect", "--format", &format, node]).await?.trim().to_owned())
}

async fn docker(arguments: &[&str]) -> Result<String> {
    command::succeed(e2e::cluster::docker().args(arguments), command::USUAL_LIMIT).await
}

async fn kubectl(xtask: &Xtask, arguments: &[&str]) -> Result<String> {
    let kubeconfig = command::succeed(&mut xtask.cluster_command(&["kubeconfig"]), AT_ONCE).await?;
    let mut kubectl = tokio::process::Command::new(e2e::cluster::variable("OPERATOR_LITE_KUBECTL")?);
    kubectl.args(["--kubeconfig", kubeconfig.trim()]).args(arguments);
    command::succeed(&mut kubectl, command::USUAL_LIMIT).await
}

/// A second `up` ends at once and says who is at work.
async fn refuses_to_be_second(xtask: &Xtask, holder: u32) -> Result<()> {
    let second = command::finish(&mut xtask.cluster_command(&["up", "--workers", "1"]), AT_ONCE).await?;
    ensure!(!second.status.success(), "two `up`s at once both went on");
    ensure!(
        second.stderr.contains(&holder.to_string()),
        "it does not say that process {holder} holds the cluster: {}",
        second.stderr
    );
    Ok(())
}

/// An `up` under way.
struct Up {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
    seen: BTreeSet<String>,
}

impl Up {
    fn start(xtask: &Xtask) -> Result<Self> {
        let mut command = xtask.cluster_command(&["up", "--workers", "1"]);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let lines = BufReader::new(process.stderr.take().context("no output of `up`")?).lines();
        Ok(Self { process, lines, seen: BTreeSet::new() })
    }

    fn id(&self) -> Result<u32> {
        self.process.id().context("`up` has ended already")
    }

    /// Reads on until a line contains one of these words.
    async fn wait_for(&mut self, words: &[&str]) -> Result<()> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                eprintln!("    {line}");
                if words.iter().any(|word| line.contains(word)) {
                    return Ok(());
                }
                self.seen.insert(line);
            }
            bail!("`up` ended before it said any of {words:?}; it said {:?}", self.seen)
        };
        tokio::time::timeout(UP_LIMIT, read).await.with_context(|| format!("`up` did not get to {words:?}"))?
    }

    /// SIGKILL: nothing of it can clean up.
    async fn kill(&mut self) -> Result<()> {
        eprintln!("    (killed)");
        self.process.kill().await?;
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        let read = async {
            let mut all = Vec::new();
            while let Some(line) = self.lines.next_line().await? {
                eprintln!("    {line}");
                all.push(line);
            }
            let status = self.process.wait().await?;
            ensure!(status.success(), "`up` ended with {status}: {}", all.join("\n"));
            Ok(())
        };
        tokio::time::timeout(UP_LIMIT, read).await.context("`up` did not end")?
    }
}
