//! What is there on this machine that a cluster could have left behind: a picture of it, and the difference of two.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::process::Command;

use crate::command;

/// Programs that belong to a cluster wherever they run.
const CLUSTER_PROGRAMS: [&str; 9] =
    ["dockerd", "containerd", "containerd-shim", "docker-proxy", "kind", "kubelet", "etcd", "runc", "forward"];

/// The namespaces of a process that a container, or a private network, gets anew.
const NAMESPACE_KINDS: [&str; 6] = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];

/// A picture of the machine: a set of lines, each naming one thing that should not outlive a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine(BTreeSet<String>);

impl Machine {
    /// Looks at processes, namespaces, mounts, links, cgroups, packet filters and containers.
    ///
    /// # Errors
    /// A program to look with fails.
    pub async fn look() -> Result<Self> {
        let mut found = BTreeSet::new();
        processes(&mut found)?;
        mounts(&mut found)?;
        cgroups(Path::new("/sys/fs/cgroup"), &mut found);
        for (what, program) in [
            ("link", &["ip", "-oneline", "link"][..]),
            ("named network namespace", &["ip", "netns", "list"]),
            ("packet filter rule", &["iptables-save"]),
            ("packet filter rule (IPv6)", &["ip6tables-save"]),
            ("packet filter rule (nftables)", &["nft", "list", "ruleset"]),
            ("loop device", &["losetup", "--list", "--noheadings"]),
            ("container", &["docker", "ps", "--all", "--format", "{{.ID}} {{.Names}}"]),
            ("Docker network", &["docker", "network", "ls", "--format", "{{.ID}} {{.Name}}"]),
        ] {
            output(what, program, &mut found).await;
        }
        Ok(Self(found))
    }

    /// What is here and was not in `before`.
    #[must_use]
    pub fn added_since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// The running processes of a program, wherever they run: in containers too.
#[must_use]
pub fn processes_of(program: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.trim() == program))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// A process is told by its id and start time, so that an id used again is another process. Only those count that
/// run in namespaces other than ours or are programs of a cluster: a machine has other work going on.
fn processes(found: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // Processes end while we look; what cannot be read is gone.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        let program = stat[open + 1..close].to_owned();
        let started = stat[close + 1..].split_whitespace().nth(19).unwrap_or("?");
        let foreign: Vec<String> =
            NAMESPACE_KINDS.iter().filter_map(|kind| foreign_namespace(&entry.path(), kind)).collect();
        for namespace in &foreign {
            found.insert(format!("namespace {namespace}"));
        }
        if !foreign.is_empty() || CLUSTER_PROGRAMS.contains(&program.as_str()) {
            found.insert(format!("process {name} {program} started at {started}"));
        }
    }
    Ok(())
}

fn foreign_namespace(process: &Path, kind: &str) -> Option<String> {
    let theirs = std::fs::read_link(process.join("ns").join(kind)).ok()?;
    let ours = std::fs::read_link(Path::new("/proc/self/ns").join(kind)).ok()?;
    (theirs != ours).then(|| theirs.to_string_lossy().into_owned())
}

fn mounts(found: &mut BTreeSet<String>) -> Result<()> {
    for line in std::fs::read_to_string("/proc/self/mountinfo")?.lines() {
        if let Some(point) = line.split(' ').nth(4) {
            found.insert(format!("mount {point}"));
        }
    }
    Ok(())
}

fn cgroups(folder: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.insert(format!("cgroup {}", entry.path().display()));
            cgroups(&entry.path(), found);
        }
    }
}

/// The lines that a program prints; none if it is not installed or has nothing to look at.
async fn output(what: &str, program: &[&str], found: &mut BTreeSet<String>) {
    let mut looking = Command::new(program[0]);
    looking.args(&program[1..]);
    let Ok(output) = command::finish(&mut looking, Duration::from_secs(10)).await else { return };
    if output.status.success() {
        let lines =
            output.stdout.lines().map(without_counters).filter(|line| !line.is_empty() && !line.starts_with('#'));
        found.extend(lines.map(|line| format!("{what}: {line}")));
    }
}

/// `iptables-save` shows how many packets a chain has seen; that changes by itself.
fn without_counters(line: &str) -> String {
    match (line.starts_with(':'), line.rfind(" [")) {
        (true, Some(end)) => line[..end].to_owned(),
        _ => line.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_in_a_namespace_of_its_own_is_seen() {
        let before = Machine::look().await.unwrap();
        let mut child = match Command::new("unshare")
            .args(["--user", "--map-root-user", "--uts", "sleep", "60"])
            .kill_on_drop(true)
            .spawn()
        {
            Ok(child) => child,
            Err(_) => return,
        };
        let seen = crate::wait::until("the process to be seen", Duration::from_secs(10), async || {
            let added = Machine::look().await?.added_since(&before);
            Ok(crate::wait::Seen::when(added.iter().any(|line| line.starts_with("process")), format!("{added:?}")))
        })
        .await;
        child.kill().await.unwrap();
        seen.unwrap();
    }

    #[test]
    fn counters_of_packets_make_no_difference() {
        assert_eq!(without_counters(":INPUT ACCEPT [12:3456]"), ":INPUT ACCEPT");
        assert_eq!(without_counters("-A INPUT -j DROP"), "-A INPUT -j DROP");
    }
}
