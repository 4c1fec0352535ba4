//! Which of the four ways to a cluster this machine offers: facts are probed, the decision is pure.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::docker::Docker;
use crate::{process, progress};

/// kind's own node image for its version, with the digest kind was released with.
pub const STOCK_IMAGE: &str =
    "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5";
const STOCK_NAME: &str = "kindest/node:v1.37.0";

const REGISTRY_ANSWERS_WITHIN: Duration = Duration::from_secs(15);
const PULL_LIMIT: Duration = Duration::from_secs(20 * 60);

/// What the decision rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// A Docker daemon answers the user's own client.
    pub docker_answers: bool,
    /// The stock node image is in that daemon's store, or was pulled just now.
    pub has_stock_image: bool,
    /// The user is root.
    pub is_root: bool,
    /// The system installs packages by apt.
    pub is_debian: bool,
    /// What the user typed.
    pub command: String,
}

/// A way to a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Situation {
    /// The user's Docker with kind's stock image.
    StockImage,
    /// The user's Docker with a node image of our own.
    OwnImage,
    /// A Docker daemon of our own, with a node image of our own.
    PrivateDocker,
    /// No way; the text says what is missing and the command that gets it.
    Impossible(String),
}

/// Decides from facts alone.
#[must_use]
pub fn decide(facts: &Facts) -> Situation {
    let can_build = facts.is_root && facts.is_debian;
    match (facts.docker_answers, facts.has_stock_image, can_build) {
        (true, true, _) => Situation::StockImage,
        (true, false, true) => Situation::OwnImage,
        (false, _, true) => Situation::PrivateDocker,
        (true, false, false) => Situation::Impossible(format!(
            "Docker runs but cannot pull {STOCK_NAME}, and building a node image needs root on Debian: {}",
            if facts.is_debian { format!("sudo -E {}", facts.command) } else { format!("docker pull {STOCK_NAME}") }
        )),
        (false, _, false) => Situation::Impossible(match (facts.is_debian, facts.is_root) {
            (true, false) => format!("no Docker answers, and installing one needs root: sudo -E {}", facts.command),
            _ => "no Docker answers, and only on Debian it can be installed here: see https://docs.docker.com/engine/install"
                .into(),
        }),
    }
}

/// Looks at the machine; this pulls the stock image where a registry answers.
pub fn probe() -> Result<Facts> {
    let docker = Docker::of_user();
    let docker_answers = docker.answers();
    Ok(Facts {
        docker_answers,
        has_stock_image: docker_answers && (docker.has_image(STOCK_NAME) || pull(&docker)),
        is_root: rustix::process::geteuid().is_root(),
        command: format!("cargo xtask {}", std::env::args().skip(1).collect::<Vec<_>>().join(" ")),
        is_debian: is_debian(&fs::read_to_string("/etc/os-release").unwrap_or_default()),
    })
}

/// The image to give to kind: by digest only if it was pulled that way.
#[must_use]
pub fn stock_image(docker: &Docker) -> &'static str {
    if docker.has_image(STOCK_IMAGE) { STOCK_IMAGE } else { STOCK_NAME }
}

fn is_debian(release: &str) -> bool {
    release.lines().any(|line| {
        let (name, value) = line.split_once('=').unwrap_or_default();
        (name == "ID" || name == "ID_LIKE") && value.trim_matches('"').split(' ').any(|word| word == "debian")
    })
}

/// Pulls, and gives up early if the registry does not even name the image.
fn pull(docker: &Docker) -> bool {
    let step = progress::step(format!("pulling {STOCK_NAME}"));
    let mut command = docker.command();
    command.args(["pull", STOCK_IMAGE]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let (sender, receiver) = mpsc::channel();
    let reader = child.stdout.take().map(|pipe| {
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if line.contains("Pulling from") {
                    let _ = sender.send(());
                }
            }
        })
    });
    if receiver.recv_timeout(REGISTRY_ANSWERS_WITHIN).is_err() {
        let _ = child.kill();
        let _ = child.wait();
        step.done_with("no registry answers, a node image is built instead");
        return false;
    }
    let waited = process::wait_for("the stock node image", PULL_LIMIT, || match child.try_wait() {
        Ok(Some(status)) => Ok(status.success()),
        Ok(None) => Err("still pulling".to_owned()),
        Err(error) => Err(error.to_string()),
    });
    if waited.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    drop(reader);
    let is_pulled = waited.unwrap_or(false);
    step.done_with(if is_pulled { "" } else { "failed, a node image is built instead" });
    is_pulled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(docker_answers: bool, has_stock_image: bool, is_root: bool, is_debian: bool) -> Facts {
        Facts { docker_answers, has_stock_image, is_root, is_debian, command: "cargo xtask cluster up".to_owned() }
    }

    #[test]
    fn the_stock_image_wins_wherever_it_is_there() {
        for (root, debian) in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(decide(&facts(true, true, root, debian)), Situation::StockImage);
        }
    }

    #[test]
    fn without_a_registry_root_on_debian_builds_an_image() {
        assert_eq!(decide(&facts(true, false, true, true)), Situation::OwnImage);
    }

    #[test]
    fn without_docker_root_on_debian_gets_a_private_one() {
        assert_eq!(decide(&facts(false, false, true, true)), Situation::PrivateDocker);
    }

    #[test]
    fn else_one_line_names_what_is_missing_and_the_command() {
        for (docker, root, debian, word) in [
            (true, false, true, "sudo"),
            (true, false, false, "docker pull"),
            (true, true, false, "docker pull"),
            (false, false, true, "sudo"),
            (false, false, false, "docs.docker.com"),
            (false, true, false, "docs.docker.com"),
        ] {
            let Situation::Impossible(line) = decide(&facts(docker, false, root, debian)) else {
                panic!("possible for {docker} {root} {debian}")
            };
            assert!(line.contains(word) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn derivatives_of_debian_count() {
        assert!(is_debian("ID=debian\n"));
        assert!(is_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(is_debian("ID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nNAME=\"not debian\"\n"));
    }
}
