//! A node image of our own: Debian packages, programs built from Go modules, and kind's own base files.
//!
//! Its tag carries a digest of everything it is made from, this recipe included, so an outdated one is never used.

mod containers;
mod debian;
mod files;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::docker::Docker;
use super::lock::Lock;
use crate::tools::{self, KUBERNETES_VERSION, Tool, ToolBox};
use crate::{digest, paths, process, progress};

const IMPORT_LIMIT: Duration = Duration::from_secs(600);
const REPOSITORY: &str = "operator-lite.dev/node";
const RECIPE: &[&str] = &[
    include_str!("node_image.rs"),
    include_str!("node_image/containers.rs"),
    include_str!("node_image/debian.rs"),
    include_str!("node_image/files.rs"),
];

/// Makes sure that Docker has the node image, and gives its name.
pub fn ensure(docker: &Docker) -> Result<String> {
    // In the background of the first programs' build: it waits for the network, they for the processor.
    let system = std::thread::spawn(debian::ensure);
    let tools = tools::ensure(Tool::NODE_IMAGE);
    let system = system.join().unwrap_or_else(|_| bail!("the thread that fetches Debian packages ended badly"));
    let (tools, system) = (tools?, system?);
    let name = name(&tools, &system)?;
    if docker.has_image(&name) {
        return Ok(name);
    }
    let folder = folder()?;
    let _lock = Lock::wait(&folder.join("lock"), "the node image")?;
    if !docker.has_image(&name) {
        let step = progress::step("building the node image");
        let work = Work::new(folder.join("work"))?;
        build(&work, docker, &tools, &system, &name, &step)?;
        step.done_with(&name);
    }
    Ok(name)
}

/// Removes all that was kept for building node images.
pub fn purge() -> Result<()> {
    let folder = folder()?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    Ok(())
}

fn build(
    work: &Work,
    docker: &Docker,
    tools: &ToolBox,
    system: &Path,
    name: &str,
    step: &progress::Step,
) -> Result<()> {
    let root = work.folder.join("root");
    step.detail("unpacking Debian");
    paths::make(&root)?;
    let mut command = process::bound("tar");
    command.arg("--directory").arg(&root).arg("--extract").arg("--file").arg(system);
    process::run("unpack Debian", &mut command, &work.log, Duration::from_secs(300))?;
    step.detail("adding programs and files");
    let wanted = containers::wanted(tools)?;
    files::install(&root, tools, &containers::pause_tag(&wanted)?)?;
    step.detail("adding container images");
    containers::import(&root, &work.folder, &work.log, tools, &wanted)?;
    step.detail("handing it to Docker");
    let mut archive = process::bound("tar");
    archive.arg("--directory").arg(&root).args(["--create", "--numeric-owner", "--file", "-", "."]);
    let log = process::open_log(&work.log, "hand the image to Docker")?;
    let mut archive =
        archive.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().context("failed to run tar")?;
    let Some(stream) = archive.stdout.take() else { bail!("tar has no output") };
    let plain = format!("{name}-plain");
    let imported = {
        let mut import = docker.command();
        import.args(["import", "-", &plain]);
        let what = "hand the node image to Docker";
        process::run_with_stream(what, &mut import, Stdio::from(stream), &work.log, IMPORT_LIMIT)
        // The command holds the reading end of tar's pipe: it must be gone before tar is waited for.
    };
    let archived = archive.wait().context("failed to wait for tar")?;
    imported?;
    if !archived.success() {
        bail!("failed to pack the node image ({archived}); log: {}", work.log.display());
    }
    describe(docker, &plain, name, work)
}

/// Adds what `docker import` cannot say: above all how systemd is told to stop.
fn describe(docker: &Docker, plain: &str, name: &str, work: &Work) -> Result<()> {
    let context = work.folder.join("context");
    paths::make(&context)?;
    let dockerfile = format!(
        "FROM {plain}\nENV container=docker\nSTOPSIGNAL SIGRTMIN+3\n\
         ENTRYPOINT [\"/usr/local/bin/entrypoint\",\"/sbin/init\"]\n"
    );
    let path = context.join("Dockerfile");
    fs::write(&path, dockerfile).with_context(|| format!("failed to write {}", path.display()))?;
    let mut build = docker.command();
    // The old builder is part of every Docker; the new one is a plugin that may be missing.
    build.env("DOCKER_BUILDKIT", "0").args(["build", "--tag", name]).arg(&context);
    process::run("describe the node image", &mut build, &work.log, IMPORT_LIMIT)?;
    docker.output("drop the name of the plain node image", &["rmi", "--no-prune", plain]).map(drop)
}

fn name(tools: &ToolBox, system: &Path) -> Result<String> {
    let mut parts: Vec<Vec<u8>> = RECIPE.iter().map(|text| text.as_bytes().to_vec()).collect();
    parts.push(system.file_name().unwrap_or_default().as_encoded_bytes().to_vec());
    for tool in Tool::NODE_IMAGE {
        // The folder of a program is named by a digest of what it is made from.
        let folder = tools.path(tool.name())?.parent().and_then(Path::file_name).unwrap_or_default();
        parts.push(folder.as_encoded_bytes().to_vec());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(format!("{REPOSITORY}:{KUBERNETES_VERSION}-{}", digest::short(&parts)))
}

fn folder() -> Result<PathBuf> {
    Ok(paths::cache()?.join("node-image"))
}

/// A folder that is empty at the start and gone at the end, and after a kill at the next start.
struct Work {
    folder: PathBuf,
    log: PathBuf,
}

impl Work {
    fn new(folder: PathBuf) -> Result<Self> {
        remove(&folder)?;
        paths::make(&folder)?;
        Ok(Self { folder, log: paths::logs()?.join("node-image.log") })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder) {
            progress::say(format!("{error:#}"));
        }
    }
}

fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).with_context(|| format!("failed to remove {}", folder.display()))
}

/// A command inside the image's own root.
fn inside(root: &Path) -> Command {
    let mut command = process::bound("chroot");
    command.arg(root).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    command
}
