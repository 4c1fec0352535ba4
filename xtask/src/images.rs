//! `cargo xtask images`: the container images that the cluster needs and no registry has to serve.
//!
//! An operator's image is its static binary in an otherwise empty file system; agnhost and pause are there under the
//! names that upstream's suite asks for. An image that a node holds already is not loaded again.

mod build;
mod loaded;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cluster::Cluster;
use crate::image::{self, Entry, ImageSpec};
use crate::tools::{self, Tool};
use crate::{digest, paths, progress};

/// The operators, as packages of this workspace. Each has an image of its own.
pub const OPERATORS: [&str; 1] = ["deployment-lite"];

/// The image of the client that counts requests in the demo and in the tests.
pub const REQUEST_COUNTER: &str = "operator-lite.dev/request-counter:dev";

/// The names of agnhost in upstream's suite of this Kubernetes version.
const AGNHOST: [&str; 2] =
    ["registry.k8s.io/e2e-test-images/agnhost:2.66.1", "registry.k8s.io/e2e-test-images/agnhost:2.55"];
const PAUSE: &str = "registry.k8s.io/pause:3.10.2";

/// Nobody: a numeric user, so that the kubelet can see that it is not root.
const USER: &str = "65532:65532";

/// What `images` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// The cluster to load them into.
    #[arg(long, default_value = crate::cluster::DEFAULT_NAME)]
    name: String,
    /// Only build them, into this folder.
    #[arg(long)]
    only_build: Option<PathBuf>,
}

/// An image that lies as a tar on this machine.
#[derive(Clone, Debug)]
pub struct Built {
    /// Name and tag.
    pub name: String,
    /// Where it lies.
    pub tar: PathBuf,
    /// The digest of its configuration, which nodes know it by.
    pub id: String,
    /// Whether any image that a node has under this name will do.
    is_any_good: bool,
}

/// All images, built.
#[derive(Clone, Debug)]
pub struct Images {
    all: Vec<Built>,
    operators: Vec<Operator>,
}

/// An operator's static binary, and its image.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The package.
    pub name: &'static str,
    /// The binary on this machine, which runs here too.
    pub program: PathBuf,
    /// Name and tag of its image; the tag changes with the binary, so that an installation rolls over to it.
    pub image: String,
}

impl Images {
    /// An operator by the name of its package.
    pub fn operator(&self, name: &str) -> Result<&Operator> {
        self.operators
            .iter()
            .find(|operator| operator.name == name)
            .with_context(|| format!("there is no operator {name}"))
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(folder) = &arguments.only_build {
        for image in build(folder)?.all {
            println!("{}  {}", image.name, image.tar.display());
        }
        return Ok(());
    }
    prepare(&Cluster::open(&arguments.name)?)?;
    Ok(())
}

/// Builds all images and loads those into the cluster that it does not hold.
pub fn prepare(cluster: &Cluster) -> Result<Images> {
    let images = build(&paths::cache()?.join("images"))?;
    load(cluster, &images)?;
    Ok(images)
}

/// Builds all images into a folder.
pub fn build(folder: &Path) -> Result<Images> {
    paths::make(folder)?;
    let step = progress::step("building the images of the operators");
    let programs = build::static_programs()?;
    let agnhost = tools::ensure(&[Tool::Agnhost])?;
    let agnhost = agnhost.path("agnhost")?;

    let mut all = Vec::new();
    let mut operators = Vec::new();
    for name in OPERATORS {
        let program = build::find(&programs, name)?;
        let bytes = std::fs::read(program).with_context(|| format!("failed to read {}", program.display()))?;
        let image = format!("operator-lite.dev/{name}:{}", digest::short(&[&bytes]));
        all.push(write(folder, &single_program(&image, &format!("/{name}"), program, USER))?);
        operators.push(Operator { name, program: program.to_path_buf(), image });
    }
    let counter = build::find(&programs, "request_counter")?;
    all.push(write(folder, &single_program(REQUEST_COUNTER, "/request-counter", counter, USER))?);
    for name in AGNHOST {
        // Upstream's image runs as root, and some of its tests rely on that.
        let spec = ImageSpec { command: vec!["pause".into()], ..single_program(name, "/agnhost", agnhost, "") };
        all.push(write(folder, &spec)?);
    }
    let mut pause = single_program(PAUSE, "/agnhost", agnhost, USER);
    pause.entrypoint.push("pause".into());
    all.push(Built { is_any_good: true, ..write(folder, &pause)? });
    step.done();
    Ok(Images { all, operators })
}

/// Loads those images into the cluster that it does not hold.
pub fn load(cluster: &Cluster, images: &Images) -> Result<()> {
    let nodes = loaded::on_nodes(cluster)?;
    let missing: Vec<&Built> = images
        .all
        .iter()
        .filter(|image| {
            !nodes.iter().all(|node| node.holds(&image.name, (!image.is_any_good).then_some(image.id.as_str())))
        })
        .collect();
    if missing.is_empty() {
        progress::say("✓ every node holds the images already");
        return Ok(());
    }
    let step = progress::step("loading images into the nodes");
    for image in &missing {
        step.detail(&image.name);
        cluster.load_image(&image.tar).with_context(|| format!("failed to load {} into the cluster", image.name))?;
    }
    let nodes = loaded::on_nodes(cluster)?;
    for image in &missing {
        if let Some(node) = nodes.iter().find(|node| !node.holds(&image.name, None)) {
            bail!(
                "node {} does not hold {} although it was loaded; try `{}`",
                node.name,
                image.name,
                cluster.line("cluster", "logs")
            );
        }
    }
    step.done_with(&format!("{} of {}", missing.len(), images.all.len()));
    Ok(())
}

fn single_program(name: &str, path: &str, program: &Path, user: &str) -> ImageSpec {
    ImageSpec {
        name: name.to_owned(),
        entries: vec![Entry::program(path, program)],
        entrypoint: vec![path.to_owned()],
        user: user.to_owned(),
        ..ImageSpec::default()
    }
}

fn write(folder: &Path, spec: &ImageSpec) -> Result<Built> {
    let file: String =
        spec.name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let tar = folder.join(format!("{file}.tar"));
    let id = image::write(spec, &tar)?;
    Ok(Built { name: spec.name.clone(), tar, id, is_any_good: false })
}
