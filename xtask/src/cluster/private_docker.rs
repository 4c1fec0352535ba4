//! A Docker daemon of our own, in namespaces of its own: started, found, stopped without a trace.
//!
//! Daemon, containerd and all containers live in one process, mount and network namespace without an uplink. Ending
//! the first process of that namespace ends all of them, and with them go their mounts, links and iptables rules.
//! What stays is the image store in the cache; cgroups are the only thing to remove by hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;
use serde_json::json;

use super::cgroup;
use super::docker::Docker;
use super::{capability, sysctl};
use crate::packages::{self, Package};
use crate::process::ProcessName;
use crate::{digest, paths, process, progress};

const PACKAGES: &[Package] = &[
    Package { name: "docker.io", program: "dockerd" },
    Package { name: "iptables", program: "iptables" },
    Package { name: "iproute2", program: "ip" },
];
const SOCKET_PATH_LIMIT: usize = 100;
const START_LIMIT: Duration = Duration::from_secs(60);

/// Where the daemon's files lie.
#[derive(Clone, Debug)]
pub struct PrivateDocker {
    folder: PathBuf,
    store: PathBuf,
}

impl PrivateDocker {
    /// The daemon of this user's state folder.
    pub fn new() -> Result<Self> {
        let folder = paths::private_docker()?;
        // Two daemons must never share a store, and another state folder has another daemon.
        let store = paths::cache()?.join(format!("docker-{}", digest::short(&[folder.as_os_str().as_encoded_bytes()])));
        Ok(Self { folder, store })
    }

    /// A client of it.
    #[must_use]
    pub fn client(&self) -> Docker {
        Docker::at_socket(&self.socket())
    }

    /// The copy of this program that outlives a rebuild of it.
    #[must_use]
    pub fn helper(&self) -> PathBuf {
        self.folder.join("operator-lite-helper")
    }

    /// The first process of the daemon's namespaces, as seen from outside.
    #[must_use]
    pub fn first_process(&self) -> Option<ProcessName> {
        self.outer_processes().iter().find(|name| name.program() == "unshare")?.children().into_iter().next()
    }

    /// The network namespace to enter.
    pub fn network_namespace(&self) -> Result<PathBuf> {
        let first = self.first_process().ok_or_else(|| anyhow!("the private Docker daemon does not run"))?;
        Ok(PathBuf::from(format!("/proc/{}/ns/net", first.id)))
    }

    /// Whether the daemon runs and answers.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.first_process().is_some() && self.client().answers()
    }

    /// Whether a daemon has ever kept anything here.
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.store.exists()
    }

    /// Installs what is missing and starts the daemon unless it answers.
    pub fn ensure(&self) -> Result<Docker> {
        let client = self.client();
        if self.answers() {
            return Ok(client);
        }
        packages::ensure(PACKAGES)?;
        // What an interrupted command left half started.
        self.stop()?;
        let step = progress::step("starting a private Docker daemon");
        sysctl::prepare()?;
        self.write_settings()?;
        self.start()?;
        let log = self.log();
        process::wait_for("the private Docker daemon", START_LIMIT, || match client.answers() {
            true => Ok(()),
            false => Err(process::last_lines(&log, 3)),
        })
        .with_context(|| format!("the private Docker daemon did not start; log: {}", log.display()))?;
        step.done();
        Ok(client)
    }

    /// Ends the daemon and removes all of it but the image store.
    pub fn stop(&self) -> Result<()> {
        // A clean end first, so that the store is closed properly; the kill below takes what does not obey.
        if let Some(first) = self.first_process() {
            for daemon in first.children().into_iter().filter(|child| child.program() == "dockerd") {
                daemon.signal(Signal::TERM);
                let _ = process::wait_for("dockerd", Duration::from_secs(15), || {
                    if daemon.is_alive() { Err("still running".to_owned()) } else { Ok(()) }
                });
            }
        }
        for name in self.outer_processes() {
            process::kill(name, "the private Docker daemon")?;
        }
        cgroup::remove(&self.cgroup())?;
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).with_context(|| format!("failed to remove {}", self.folder.display()))?;
        }
        Ok(())
    }

    /// Removes the image store too; the daemon must not run.
    pub fn purge(&self) -> Result<()> {
        if self.store.exists() {
            fs::remove_dir_all(&self.store).with_context(|| format!("failed to remove {}", self.store.display()))?;
        }
        Ok(())
    }

    /// Puts a copy of this program where it outlives a rebuild.
    pub fn install_helper(&self) -> Result<PathBuf> {
        paths::make(&self.folder)?;
        let temporary = self.folder.join(".helper.new");
        let helper = self.helper();
        fs::copy(paths::OWN_PROGRAM, &temporary)
            .and_then(|_| fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755)))
            .and_then(|()| fs::rename(&temporary, &helper))
            .with_context(|| format!("failed to copy this program to {}", helper.display()))?;
        Ok(helper)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    fn log(&self) -> PathBuf {
        // Not in the daemon's own folder, which a failed start removes.
        self.folder.with_file_name("logs").join("private-docker.log")
    }

    /// The name of the daemon's cgroup: another state folder on this machine has another one.
    fn cgroup(&self) -> String {
        format!("operator-lite-{}", digest::short(&[self.folder.as_os_str().as_encoded_bytes()]))
    }

    fn outer_processes(&self) -> Vec<ProcessName> {
        process::find_by_argument(&self.settings()).into_iter().filter(|name| name.program() == "unshare").collect()
    }

    /// The settings file of dockerd, whose path also marks our processes.
    fn settings(&self) -> PathBuf {
        self.folder.join("daemon.json")
    }

    fn write_settings(&self) -> Result<()> {
        let socket = self.folder.join("containerd/containerd.sock");
        if socket.as_os_str().len() > SOCKET_PATH_LIMIT {
            bail!("the path {} is too long for a socket: set XDG_STATE_HOME to a shorter one", socket.display());
        }
        for folder in [&self.folder, &self.store] {
            if folder.starts_with("/run") || folder.starts_with("/var/run") {
                bail!(
                    "{} lies below /run, which the daemon does not share: choose another XDG folder",
                    folder.display()
                );
            }
            paths::make(folder)?;
        }
        let helper = self.install_helper()?;
        let containerd = format!(
            "version = 2\nroot = {root:?}\nstate = {state:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\n  address = {socket:?}\n",
            root = self.store.join("containerd"),
            state = self.folder.join("containerd"),
        );
        let mut settings = json!({
            "hosts": [format!("unix://{}", self.socket().display())],
            "data-root": self.store.join("data"),
            "exec-root": self.folder.join("exec"),
            "pidfile": self.folder.join("dockerd.pid"),
            "containerd": socket,
            "oom-score-adjust": 0,
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": format!("/{}", self.cgroup()),
            "storage-driver": "overlay2",
        });
        if !capability::missing().is_empty() {
            settings["runtimes"] = json!({"filtered": {"path": helper, "runtimeArgs": [super::INTERNAL, "runtime"]}});
            settings["default-runtime"] = json!("filtered");
        }
        let text = serde_json::to_string_pretty(&settings).context("failed to describe the daemon's settings")?;
        for (path, text) in [(self.folder.join("containerd.toml"), containerd), (self.settings(), text)] {
            fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        }
        Ok(())
    }

    fn start(&self) -> Result<()> {
        let log = process::open_log(&self.log(), "start")?;
        let second = log.try_clone().context("failed to share the log file")?;
        let mut command = Command::new("setsid");
        command.args(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
        command.arg(self.helper()).args([super::INTERNAL, "supervise-docker"]).arg(self.settings());
        // Docker takes its temporary folder, proxies and more from the environment; none of it is wanted.
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::from(log)).stderr(Stdio::from(second));
        command.spawn().context("failed to start the private Docker daemon")?;
        Ok(())
    }
}
