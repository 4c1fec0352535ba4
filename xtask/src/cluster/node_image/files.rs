//! Programs, kind's base files and settings laid over the Debian system.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use crate::tools::{self, KUBERNETES_VERSION, ToolBox};
use crate::{paths, process};

const PROGRAMS: &[(&str, &[&str])] = &[
    ("usr/local/bin", &["containerd", "containerd-shim-runc-v2", "ctr", "crictl"]),
    ("usr/bin", &["kubelet", "kubectl", "kubeadm"]),
    ("opt/cni/bin", &["bridge", "ptp", "host-local", "loopback", "portmap"]),
];

/// Folders of units that a node must not start by itself.
const UNWANTED: &[&str] = &[
    "etc/systemd/system/getty.target.wants",
    "etc/systemd/system/multi-user.target.wants",
    "etc/systemd/system/sysinit.target.wants",
    "etc/systemd/system/timers.target.wants",
    "lib/systemd/system/multi-user.target.wants",
    "lib/systemd/system/local-fs.target.wants",
    "lib/systemd/system/basic.target.wants",
];

const STORAGE_CLASS: &str = "apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: standard
  annotations: {storageclass.kubernetes.io/is-default-class: \"true\"}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
";

/// Makes a node of a plain system.
pub(super) fn install(root: &Path, tools: &ToolBox, pause_tag: &str) -> Result<()> {
    let base = tools::module_folder("kind", "sigs.k8s.io/kind")?.join("images/base/files");
    for part in ["etc", "kind", "usr"] {
        copy_folder(&base.join(part), &root.join(part))?;
    }
    for (folder, names) in PROGRAMS {
        paths::make(&root.join(folder))?;
        for name in *names {
            copy(tools.path(name)?, &root.join(folder).join(name), 0o755)?;
        }
    }
    write(root, "kind/version", KUBERNETES_VERSION)?;
    write(root, "kind/manifests/default-storage.yaml", STORAGE_CLASS)?;
    write(root, "etc/default/kubelet", "KUBELET_EXTRA_ARGS=--runtime-cgroups=/system.slice/containerd.service\n")?;
    write(root, "etc/containerd/cri-base.json", &runtime_description(tools)?)?;
    paths::make(&root.join("etc/kubernetes/manifests"))?;
    set_up_containerd(root, pause_tag)?;
    set_up_systemd(root)?;
    // What mmdebstrap took from this machine; Docker and kind write their own.
    for name in ["etc/hostname", "etc/resolv.conf"] {
        let _ = fs::remove_file(root.join(name));
    }
    Ok(())
}

fn set_up_containerd(root: &Path, pause_tag: &str) -> Result<()> {
    let path = root.join("etc/containerd/config.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        lines.push(match line.trim_start().split_once(" = ").map(|(name, _)| name) {
            // A node may not be able to give any process a better score than its own.
            Some("restrict_oom_score_adj") => format!("{indent}restrict_oom_score_adj = true"),
            Some("sandbox_image") => format!("{indent}sandbox_image = \"{pause_tag}\""),
            _ => line.to_owned(),
        });
    }
    write(root, "etc/containerd/config.toml", &(lines.join("\n") + "\n"))
}

fn set_up_systemd(root: &Path) -> Result<()> {
    for folder in UNWANTED {
        for entry in fs::read_dir(root.join(folder)).into_iter().flatten().flatten() {
            fs::remove_file(entry.path()).with_context(|| format!("failed to remove {}", entry.path().display()))?;
        }
    }
    let system = root.join("lib/systemd/system");
    for entry in fs::read_dir(system.join("sockets.target.wants")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains("udev") || name.contains("initctl") {
            fs::remove_file(entry.path()).with_context(|| format!("failed to remove {name}"))?;
        }
    }
    let _ = fs::remove_file(system.join("sysinit.target.wants/systemd-tmpfiles-setup.service"));
    let journal = fs::read_to_string(root.join("etc/systemd/journald.conf")).unwrap_or_default();
    write(root, "etc/systemd/journald.conf", &format!("{journal}\nReadKMsg=no\n"))?;
    if !root.join("sbin/init").exists() {
        symlink("/usr/lib/systemd/systemd", root.join("sbin/init")).context("failed to link /sbin/init")?;
    }
    for arguments in [
        &["enable", "kubelet.service", "containerd.service", "undo-mount-hacks.service"][..],
        &["mask", "systemd-binfmt.service"],
        &["set-default", "multi-user.target"],
    ] {
        let mut command = super::inside(root);
        command.arg("systemctl").args(arguments);
        process::output("choose the node's services", &mut command, Duration::from_secs(60))?;
    }
    Ok(())
}

/// What every container starts from: containerd's default, with kind's hook and without limits of its own.
fn runtime_description(tools: &ToolBox) -> Result<String> {
    let mut command = Command::new(tools.path("ctr")?);
    command.args(["oci", "spec"]);
    let text = process::output("ask ctr for its default", &mut command, Duration::from_secs(30))?;
    let mut description: Value = serde_json::from_str(&text).context("failed to read ctr's default")?;
    description["hooks"]["createContainer"] = json!([{"path": "/kind/bin/mount-product-files.sh"}]);
    let process = description["process"].as_object_mut().ok_or_else(|| anyhow!("ctr's default has no process"))?;
    process.remove("rlimits");
    Ok(description.to_string())
}

fn write(root: &Path, name: &str, text: &str) -> Result<()> {
    let path = root.join(name);
    if let Some(folder) = path.parent() {
        paths::make(folder)?;
    }
    fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    fs::copy(from, to)
        .and_then(|_| fs::set_permissions(to, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("failed to copy {} to {}", from.display(), to.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    paths::make(to)?;
    let entries = fs::read_dir(from).with_context(|| format!("failed to read {}", from.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to read {}", from.display()))?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            // The module cache keeps no modes: programs are what lies in a bin folder.
            copy(&entry.path(), &target, if from.ends_with("bin") { 0o755 } else { 0o644 })?;
        }
    }
    Ok(())
}
