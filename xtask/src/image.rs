//! Makes a container image from files, without a registry and without a container runtime.
//!
//! The result is one tar that is both a `docker save` archive and an OCI layout, so `docker load`,
//! `ctr images import` and `kind load image-archive` all take it. The same files give the same bytes.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use oci_spec::image::{Arch, Os};
use oci_spec::image::{ConfigBuilder, ImageConfiguration, ImageConfigurationBuilder, RootFsBuilder};
use serde_json::json;

use crate::digest;

/// What an image is made of.
#[derive(Clone, Debug, Default)]
pub struct ImageSpec {
    /// Name and tag.
    pub name: String,
    /// Files, in any order; folders above them are added.
    pub entries: Vec<Entry>,
    /// The program, as a list of arguments.
    pub entrypoint: Vec<String>,
    /// The arguments a user may replace.
    pub command: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
    /// `uid`, `uid:gid` or empty for root.
    pub user: String,
    /// The folder the program starts in; empty for `/`.
    pub working_directory: String,
}

/// One file of an image.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The path inside the image, with or without a leading slash.
    pub path: String,
    /// The file of this machine that is copied.
    pub source: PathBuf,
    /// Permission bits.
    pub mode: u32,
}

impl Entry {
    /// An executable copied from this machine.
    #[must_use]
    pub fn program(path: &str, source: &Path) -> Self {
        Self { path: path.to_owned(), source: source.to_path_buf(), mode: 0o755 }
    }
}

/// Writes the image as a tar; gives its id (the digest of its configuration).
pub fn write(spec: &ImageSpec, path: &Path) -> Result<String> {
    let context = || format!("failed to write the image {} to {}", spec.name, path.display());
    let layer = layer(&spec.entries).with_context(context)?;
    let layer_digest = digest::full(&layer);
    let configuration = serde_json::to_vec(&configuration(spec, &layer_digest)?)?;
    let configuration_digest = digest::full(&configuration);
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &configuration),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    }))?;
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = json!({
        "io.containerd.image.name": spec.name,
        "org.opencontainers.image.ref.name": spec.name.rsplit_once(':').map_or("latest", |(_, tag)| tag),
    });
    let index = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    }))?;
    let blob = |name: &str| format!("blobs/sha256/{name}");
    let docker = serde_json::to_vec(&json!([{
        "Config": blob(&configuration_digest),
        "RepoTags": [spec.name],
        "Layers": [blob(&layer_digest)],
    }]))?;
    let file = File::create(path).with_context(context)?;
    let mut archive = tar::Builder::new(std::io::BufWriter::new(file));
    let parts: [(&str, &[u8]); 6] = [
        (&blob(&configuration_digest), &configuration),
        (&blob(&layer_digest), &layer),
        (&blob(&digest::full(&manifest)), &manifest),
        ("index.json", &index),
        ("manifest.json", &docker),
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
    ];
    for (name, bytes) in parts {
        archive.append_data(&mut header(bytes.len() as u64, 0o644), name, bytes).with_context(context)?;
    }
    archive.into_inner().and_then(|mut file| file.flush()).with_context(context)?;
    Ok(configuration_digest)
}

fn configuration(spec: &ImageSpec, layer_digest: &str) -> Result<ImageConfiguration> {
    let mut config = ConfigBuilder::default();
    if !spec.entrypoint.is_empty() {
        config = config.entrypoint(spec.entrypoint.clone());
    }
    if !spec.command.is_empty() {
        config = config.cmd(spec.command.clone());
    }
    if !spec.environment.is_empty() {
        config = config.env(spec.environment.clone());
    }
    if !spec.user.is_empty() {
        config = config.user(spec.user.clone());
    }
    if !spec.working_directory.is_empty() {
        config = config.working_dir(spec.working_directory.clone());
    }
    let layers = vec![format!("sha256:{layer_digest}")];
    Ok(ImageConfigurationBuilder::default()
        .architecture(Arch::default())
        .os(Os::Linux)
        .config(config.build()?)
        .rootfs(RootFsBuilder::default().typ("layers").diff_ids(layers).build()?)
        .history(Vec::new())
        .build()?)
}

fn layer(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut sorted = std::collections::BTreeMap::new();
    for entry in entries {
        let path = entry.path.trim_matches('/').to_owned();
        for (position, _) in path.match_indices('/') {
            let folder = path[..position].to_owned();
            sorted.entry(folder).or_insert((None, 0o755));
        }
        sorted.insert(path, (Some(entry.source.clone()), entry.mode));
    }
    let mut archive = tar::Builder::new(Vec::new());
    for (path, (source, mode)) in sorted {
        let Some(file) = source else {
            let mut header = header(0, mode);
            header.set_entry_type(tar::EntryType::Directory);
            archive.append_data(&mut header, format!("{path}/"), std::io::empty())?;
            continue;
        };
        let source = File::open(&file).with_context(|| format!("failed to open {}", file.display()))?;
        let length = source.metadata()?.len();
        archive.append_data(&mut header(length, mode), &path, source)?;
    }
    Ok(archive.into_inner()?)
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{}", digest::full(bytes)), "size": bytes.len()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ImageSpec {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        ImageSpec {
            name: "operator-lite.dev/sample:1".into(),
            entries: vec![Entry::program("/usr/bin/b", &source), Entry::program("/a", &source)],
            entrypoint: vec!["/a".into()],
            user: "65532".into(),
            ..ImageSpec::default()
        }
    }

    #[test]
    fn the_same_files_in_another_order_give_the_same_bytes() {
        let folder = tempfile::tempdir().expect("folder");
        let mut other = sample();
        other.entries.reverse();
        let paths = [folder.path().join("one.tar"), folder.path().join("two.tar")];
        let first = write(&sample(), &paths[0]).expect("write");
        let second = write(&other, &paths[1]).expect("write");
        assert_eq!(first, second);
        assert_eq!(std::fs::read(&paths[0]).expect("read"), std::fs::read(&paths[1]).expect("read"));
    }

    #[test]
    fn the_tar_is_a_docker_archive_and_an_oci_layout() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("image.tar");
        write(&sample(), &path).expect("write");
        let mut archive = tar::Archive::new(File::open(&path).expect("open"));
        let names: Vec<String> = archive
            .entries()
            .expect("entries")
            .map(|entry| entry.expect("entry").path().expect("path").display().to_string())
            .collect();
        for name in ["manifest.json", "index.json", "oci-layout"] {
            assert!(names.iter().any(|found| found == name), "{names:?}");
        }
        assert_eq!(names.iter().filter(|name| name.starts_with("blobs/sha256/")).count(), 3);
    }

    #[test]
    fn folders_above_a_file_come_before_it() {
        let bytes = layer(&sample().entries).expect("layer");
        let mut archive = tar::Archive::new(&*bytes);
        let names: Vec<String> = archive
            .entries()
            .expect("entries")
            .map(|entry| entry.expect("entry").path().expect("path").display().to_string())
            .collect();
        assert_eq!(names, ["a", "usr/", "usr/bin/", "usr/bin/b"]);
    }
}
