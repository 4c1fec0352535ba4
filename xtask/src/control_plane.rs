//! A control plane alone: etcd and kube-apiserver as plain processes on loopback, ready in seconds, gone with us.
//!
//! The judge of the simulated API server. There are no controllers, no nodes and no containers; admission is what
//! kube-apiserver does by default, and RBAC is on. Its folder is named by our process id, so that what a killed run
//! left is found and removed by the next one.

mod access;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, ProcessName};
use crate::tools::{self, Tool, ToolBox};
use crate::{paths, progress};

const READY_LIMIT: Duration = Duration::from_secs(60);
const PROBE_LIMIT: Duration = Duration::from_secs(10);
const SHOWN_LINES: usize = 12;

/// What `control-plane` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// A program to run beside it, with KUBECONFIG set; without one it serves until standard input ends.
    #[arg(trailing_var_arg = true)]
    command: Vec<std::ffi::OsString>,
}

/// Starts a control plane and keeps it for as long as the given program runs.
pub fn run(arguments: &Arguments) -> Result<()> {
    let plane = ControlPlane::start()?;
    let Some((program, rest)) = arguments.command.split_first() else {
        progress::say(format!("serving until standard input ends: KUBECONFIG={}", plane.kubeconfig().display()));
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).context("failed to wait for standard input")?;
        return Ok(());
    };
    let status = Command::new(program)
        .args(rest)
        .env("KUBECONFIG", plane.kubeconfig())
        .status()
        .with_context(|| format!("failed to start {}", program.to_string_lossy()))?;
    if !status.success() {
        bail!("{} failed ({status})", program.to_string_lossy());
    }
    Ok(())
}

/// A running control plane; dropped, it ends and leaves nothing.
pub struct ControlPlane {
    folder: PathBuf,
    port: u16,
    processes: Vec<Child>,
}

impl ControlPlane {
    /// The programs that it is made of, and the one that asks whether it is ready.
    pub const TOOLS: &[Tool] = &[Tool::Etcd, Tool::KubeApiserver, Tool::Kubectl];

    /// Starts one and waits until it is ready.
    pub fn start() -> Result<Self> {
        let tools = tools::ensure(Self::TOOLS)?;
        let step = progress::step("starting etcd and kube-apiserver");
        let folder = fresh_folder()?;
        let mut plane = Self { folder, port: free_port()?, processes: Vec::new() };
        access::write(&plane.folder, plane.port)?;
        let etcd = plane.start_etcd(&tools)?;
        plane.start_server(&tools, &etcd)?;
        plane.wait_until_ready(&tools)?;
        step.done();
        Ok(plane)
    }

    /// The kubeconfig of its administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join(access::KUBECONFIG)
    }

    fn start_etcd(&mut self, tools: &ToolBox) -> Result<String> {
        let (client, peer) =
            (format!("http://127.0.0.1:{}", free_port()?), format!("http://127.0.0.1:{}", free_port()?));
        let mut command = process::bound(tools.path("etcd")?);
        command
            .arg(format!("--data-dir={}", self.folder.join("etcd").display()))
            .args([format!("--listen-client-urls={client}"), format!("--advertise-client-urls={client}")])
            .args([format!("--listen-peer-urls={peer}"), format!("--initial-advertise-peer-urls={peer}")])
            .arg(format!("--initial-cluster=default={peer}"))
            // What it keeps need not outlive it.
            .args(["--unsafe-no-fsync", "--log-level=warn"]);
        self.spawn("etcd", &mut command)?;
        Ok(client)
    }

    fn start_server(&mut self, tools: &ToolBox, etcd: &str) -> Result<()> {
        let file = |flag: &str, name: &str| format!("--{flag}={}", self.folder.join(name).display());
        let mut command = process::bound(tools.path("kube-apiserver")?);
        command
            .args(["--bind-address=127.0.0.1", "--authorization-mode=RBAC", "--allow-privileged=true"])
            .args([format!("--secure-port={}", self.port), format!("--etcd-servers={etcd}")])
            .args([file("cert-dir", access::CERTIFICATES), file("token-auth-file", access::TOKENS)])
            .args([
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-cluster-ip-range=10.96.0.0/16",
            ])
            .args([
                file("service-account-key-file", access::SIGNING_KEY),
                file("service-account-signing-key-file", access::SIGNING_KEY),
            ])
            .args(["--endpoint-reconciler-type=none", "--profiling=false"]);
        self.spawn("kube-apiserver", &mut command)
    }

    fn spawn(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let log = process::open_log(&self.log(name), "start")?;
        let second = log.try_clone().context("failed to share the log file")?;
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::from(log)).stderr(Stdio::from(second));
        self.processes.push(command.spawn().with_context(|| format!("failed to start {name}"))?);
        Ok(())
    }

    fn wait_until_ready(&mut self, tools: &ToolBox) -> Result<()> {
        let kubectl = tools.path("kubectl")?;
        let (kubeconfig, log) = (self.kubeconfig(), self.log("kube-apiserver"));
        let mut ended = None;
        process::wait_for("kube-apiserver to be ready", READY_LIMIT, || {
            ended = self.processes.iter_mut().find_map(|child| child.try_wait().ok().flatten());
            if ended.is_some() {
                return Ok(());
            }
            let mut probe = Command::new(kubectl);
            probe.arg("--kubeconfig").arg(&kubeconfig).args(["get", "--raw", "/readyz"]);
            process::output("ask whether it is ready", &mut probe, PROBE_LIMIT)
                .map(drop)
                .map_err(|error| error.to_string())
        })
        .with_context(|| process::last_lines(&log, SHOWN_LINES))?;
        match ended {
            None => Ok(()),
            Some(status) => bail!(
                "the control plane ended while it started ({status})\n{}\n{}",
                process::last_lines(&self.log("etcd"), SHOWN_LINES),
                process::last_lines(&log, SHOWN_LINES)
            ),
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // kube-apiserver first: without etcd it would wait for it in vain.
        for child in self.processes.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A folder of this process; removes those of processes that are gone.
fn fresh_folder() -> Result<PathBuf> {
    let all = paths::state()?.join("control-plane");
    paths::make(&all)?;
    for entry in fs::read_dir(&all).with_context(|| format!("failed to read {}", all.display()))?.flatten() {
        if is_left_over(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let own = std::process::id().cast_signed();
    let name = ProcessName::of(own).map_or(0, |name| name.started_ticks);
    let folder = all.join(format!("{own}-{name}"));
    if folder.exists() {
        bail!("this process already has a control plane in {}", folder.display());
    }
    paths::make(&folder)?;
    Ok(folder)
}

fn is_left_over(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let owner = name
        .split_once('-')
        .and_then(|(id, ticks)| Some(ProcessName { id: id.parse().ok()?, started_ticks: ticks.parse().ok()? }));
    owner.is_none_or(|owner| !owner.is_alive())
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to find a free port")?;
    Ok(listener.local_addr().context("failed to find a free port")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_running_process_owns_is_left_over() {
        let own = ProcessName::of(std::process::id().cast_signed()).expect("own process");
        let folder = |id: i32, ticks: u64| PathBuf::from(format!("/any/{id}-{ticks}"));
        assert!(!is_left_over(&folder(own.id, own.started_ticks)));
        assert!(is_left_over(&folder(own.id, own.started_ticks + 1)));
        assert!(is_left_over(Path::new("/any/thing")));
    }
}
