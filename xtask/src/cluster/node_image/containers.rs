//! The container images of the control plane, made of our programs and put into the node's store.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;

use crate::image::{self, Entry, ImageSpec};
use crate::process::{self, ProcessName};
use crate::tools::{self, KUBERNETES_VERSION, ToolBox};

const PATH: &str = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The names that kubeadm will ask for.
pub(super) fn wanted(tools: &ToolBox) -> Result<Vec<String>> {
    let mut command = Command::new(tools.path("kubeadm")?);
    command.args(["config", "images", "list", "--kubernetes-version", KUBERNETES_VERSION]);
    let text = process::output("ask kubeadm for its images", &mut command, Duration::from_secs(60))?;
    Ok(text.lines().map(str::trim).filter(|line| line.contains('/')).map(str::to_owned).collect())
}

/// The name of the image under every pod.
pub(super) fn pause_tag(wanted: &[String]) -> Result<String> {
    let found = wanted.iter().find(|name| program(name) == "pause");
    found.cloned().ok_or_else(|| anyhow!("kubeadm asks for no pause image: {}", wanted.join(", ")))
}

/// Makes the images and puts them into the store inside `root`.
pub(super) fn import(root: &Path, work: &Path, log: &Path, tools: &ToolBox, wanted: &[String]) -> Result<()> {
    let mut archives = Vec::new();
    for name in wanted {
        let archive = work.join(format!("{}.tar", program(name)));
        image::write(&describe(name, root, work, tools)?, &archive)?;
        archives.push(archive);
    }
    let store = Store::start(root, work, log, tools)?;
    for archive in &archives {
        store.import(archive, log, tools)?;
        fs::remove_file(archive).with_context(|| format!("failed to remove {}", archive.display()))?;
    }
    store.stop()
}

fn describe(name: &str, root: &Path, work: &Path, tools: &ToolBox) -> Result<ImageSpec> {
    let program = program(name);
    let mut spec = ImageSpec { name: name.to_owned(), environment: vec![PATH.to_owned()], ..ImageSpec::default() };
    match program {
        "pause" => {
            spec.entries.push(Entry::program("/pause", &compile_pause(work)?));
            spec.entrypoint = vec!["/pause".to_owned()];
            spec.user = "65535:65535".to_owned();
        }
        "coredns" => {
            spec.entries.push(Entry::program("/coredns", tools.path("coredns")?));
            spec.entrypoint = vec!["/coredns".to_owned()];
        }
        _ => {
            let inside = format!("/usr/local/bin/{program}");
            spec.entries.push(Entry::program(&inside, tools.path(program)?));
            spec.entrypoint = vec![inside];
        }
    }
    if program == "kube-proxy" {
        spec.entries.extend(with_libraries(root, "/usr/sbin/nft")?);
        spec.entrypoint.clear();
    }
    Ok(spec)
}

/// A dynamically linked program of the node's system and the libraries it needs.
fn with_libraries(root: &Path, program: &str) -> Result<Vec<Entry>> {
    let limit = Duration::from_secs(30);
    let mut command = super::inside(root);
    command.args(["ldd", program]);
    let text = process::output(&format!("list the libraries of {program}"), &mut command, limit)?;
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/'));
    let mut entries = Vec::new();
    for path in std::iter::once(program).chain(libraries) {
        // A link inside the root that starts at the root must not lead to this machine's own files.
        let mut command = super::inside(root);
        command.args(["readlink", "--canonicalize-existing", path]);
        let real = process::output(&format!("find {path} in the node's system"), &mut command, limit)?;
        entries.push(Entry::program(path, &root.join(real.trim().trim_start_matches('/'))));
    }
    Ok(entries)
}

/// Upstream's own few lines of C: a program of Go's would take 10 MiB of memory for every pod.
fn compile_pause(work: &Path) -> Result<std::path::PathBuf> {
    let source = tools::module_folder("kubernetes", "k8s.io/kubernetes")?.join("build/pause/linux/pause.c");
    let program = work.join("pause");
    let mut command = Command::new("cc");
    command.args(["-static", "-Os", "-s", "-DVERSION=operator-lite", "-o"]).arg(&program).arg(&source);
    process::output(
        "compile the pause program (is a C compiler with static libc there?)",
        &mut command,
        Duration::from_secs(60),
    )?;
    Ok(program)
}

/// `registry.k8s.io/coredns/coredns:v1` → `coredns`.
fn program(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split_once(':').map_or(last, |(program, _)| program)
}

/// A containerd of this machine on the node's store, for as long as the import takes.
struct Store {
    socket: std::path::PathBuf,
    child: std::process::Child,
}

impl Store {
    fn start(root: &Path, work: &Path, log: &Path, tools: &ToolBox) -> Result<Self> {
        let socket = work.join("containerd.sock");
        let settings = work.join("containerd.toml");
        let text = format!(
            "version = 3\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \
             \"io.containerd.cri.v1.images\", \"io.containerd.cri.v1.runtime\"]\n[grpc]\n  address = {socket:?}\n\
             [ttrpc]\n  address = {:?}\n",
            root.join("var/lib/containerd"),
            work.join("containerd"),
            work.join("containerd.ttrpc"),
        );
        fs::write(&settings, text).with_context(|| format!("failed to write {}", settings.display()))?;
        let file = process::open_log(log, "containerd for the image store")?;
        let second = file.try_clone().context("failed to share the log file")?;
        let mut command = process::contained(tools.path("containerd")?);
        command.arg("--config").arg(&settings);
        command.stdin(Stdio::null()).stdout(Stdio::from(file)).stderr(Stdio::from(second));
        let child = command.spawn().context("failed to start containerd for the image store")?;
        let store = Self { socket, child };
        process::wait_for("containerd for the image store", Duration::from_secs(60), || {
            let mut command = store.ctr(tools).map_err(|error| error.to_string())?;
            command.arg("version");
            if process::succeeds(&mut command, Duration::from_secs(10)) { Ok(()) } else { Err("no answer".to_owned()) }
        })
        .with_context(|| format!("log: {}", log.display()))?;
        Ok(store)
    }

    fn import(&self, archive: &Path, log: &Path, tools: &ToolBox) -> Result<()> {
        let mut command = self.ctr(tools)?;
        command.args(["images", "import", "--label=io.cri-containerd.pinned=pinned", "--all-platforms"]);
        command.args(["--no-unpack", "--digests"]).arg(archive);
        process::run("put an image into the node's store", &mut command, log, Duration::from_secs(300))
    }

    fn ctr(&self, tools: &ToolBox) -> Result<Command> {
        let mut command = Command::new(tools.path("ctr")?);
        command.arg("--address").arg(&self.socket).args(["--namespace", "k8s.io"]);
        Ok(command)
    }

    /// Ends it cleanly, so that the store is complete on disk.
    fn stop(mut self) -> Result<()> {
        let outer = ProcessName::of(self.child.id().cast_signed());
        for inner in outer.iter().flat_map(ProcessName::children) {
            inner.signal(Signal::TERM);
        }
        let ended =
            process::wait_for("the end of containerd", Duration::from_secs(30), || match self.child.try_wait() {
                Ok(Some(_)) => Ok(()),
                _ => Err("still running".to_owned()),
            });
        if ended.is_err() {
            bail!("containerd did not end, so the node's image store may be incomplete: try again");
        }
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // After a failure; after `stop` there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_last_part_of_the_name() {
        assert_eq!(program("registry.k8s.io/coredns/coredns:v1.14.6"), "coredns");
        assert_eq!(program("registry.k8s.io/pause:3.10.2"), "pause");
        assert_eq!(program("localhost:5000/etcd:3.7.0-0"), "etcd");
    }

    #[test]
    fn the_pause_image_is_found_among_kubeadms() {
        let list = ["registry.k8s.io/etcd:1".to_owned(), "registry.k8s.io/pause:3.10.2".to_owned()];
        assert_eq!(pause_tag(&list).expect("pause"), "registry.k8s.io/pause:3.10.2");
        assert!(pause_tag(&list[..1]).is_err());
    }
}
