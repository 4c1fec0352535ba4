//! `cargo xtask soak mutants`: what deployment-lite sees, decides and does is changed in each way that `cargo mutants` knows,
//! and the simulations alone have to notice. What they did not notice stands in docs/track-record.md.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::{mutations::Copy, paths, process};

/// The word with which cargo calls us in the place of a test program.
pub const RUNNER: &str = "until-failure";

/// Of those that can be compiled, so many in a hundred have to be noticed.
const NOTICED_MIN: usize = 80;
/// What takes longer than this many seconds to build or to test goes round in circles. All tests take half a minute.
const LIMIT_SECONDS: &str = "150";

/// What became of each, as `cargo mutants` tells it.
#[derive(Deserialize)]
struct Outcomes {
    caught: usize,
    timeout: usize,
    missed: usize,
    unviable: usize,
}

/// Runs a share of them, as in `1/8`, or all.
pub fn run(share: Option<&str>) -> Result<()> {
    ensure!(
        process::find_program("cargo-mutants").is_some(),
        "there is no cargo-mutants: cargo install cargo-mutants --locked"
    );
    let root = paths::workspace_root()?;
    let copy = Copy::make(&root)?;
    let ourselves = std::env::current_exe().context("failed to find this program")?;
    let runner = format!("target.'cfg(all())'.runner = ['{}', '{RUNNER}']", ourselves.display());
    let mut command = process::bound("cargo");
    command.args(["mutants", "--in-place", "--baseline", "skip", "--timeout", LIMIT_SECONDS]);
    command.args(["--cargo-arg=--config", &format!("--cargo-arg={runner}")]);
    command.args(["--sharding", "round-robin"]).args(share.iter().flat_map(|share| ["--shard", share]));
    command.arg("--output").arg(&copy.target).current_dir(&copy.folder).env("CARGO_TARGET_DIR", &copy.target);
    let ended = command.status().context("failed to start cargo mutants")?;
    // Without this, what an earlier run left there would be judged.
    ensure!(
        ended.code().is_some_and(is_whole),
        "cargo mutants did not come to its end: {ended}; what it said stands above"
    );
    judge(&copy.target.join("mutants.out"))
}

/// By its exit code: all were caught, some were missed, or some ran out of time. Which of these is ours to judge.
fn is_whole(code: i32) -> bool {
    matches!(code, 0 | 2 | 3)
}

fn judge(folder: &Path) -> Result<()> {
    let file = folder.join("outcomes.json");
    let text = std::fs::read(&file).with_context(|| format!("failed to read {}", file.display()))?;
    let Outcomes { caught, timeout, missed, unviable } =
        serde_json::from_slice(&text).with_context(|| format!("failed to read {}", file.display()))?;
    let (noticed, judged) = (caught + timeout, caught + timeout + missed);
    ensure!(judged > 0, "no mutant was judged; logs: {}", folder.display());
    let percent = noticed * 100 / judged;
    println!(
        "{noticed} of {judged} noticed ({percent} %), {timeout} of them by a time-out; {unviable} did not compile"
    );
    let survivors = std::fs::read_to_string(folder.join("missed.txt")).unwrap_or_default();
    print!("{survivors}");
    if percent < NOTICED_MIN {
        bail!(
            "fewer than {NOTICED_MIN} in a hundred; those that nothing noticed stand above, their logs in {}",
            folder.display()
        );
    }
    Ok(())
}

/// Runs a test program, and ends it at its first failure: most changes are noticed within a second.
pub fn until_failure(arguments: &[OsString]) -> Result<()> {
    let (program, arguments) = arguments.split_first().context("a program to run is missing")?;
    let mut child = process::bound(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {}", program.display()))?;
    for line in BufReader::new(child.stdout.take().context("its output is not ours")?).lines() {
        let line = line.context("failed to read its output")?;
        println!("{line}");
        if is_failure(&line) {
            child.kill().context("failed to end it")?;
            child.wait().context("failed to wait for it")?;
            bail!("ended at its first failure");
        }
    }
    let ended = child.wait().context("failed to wait for it")?;
    ensure!(ended.success(), "it failed: {ended}");
    Ok(())
}

fn is_failure(line: &str) -> bool {
    line.starts_with("test ") && line.ends_with("... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_is_ended_at_its_first_failure() {
        let run = |script: &str| until_failure(&["sh".into(), "-c".into(), script.into()]);
        assert!(run("echo 'test a ... ok'; echo 'test b ... FAILED'; exec sleep 600").is_err());
        assert!(run("echo 'test result: FAILED. 0 passed; 1 failed'; exit 101").is_err());
        assert!(run("kill -9 $$").is_err());
        run("echo 'test a ... ok'").unwrap();
    }

    #[test]
    fn what_was_refused_or_broken_off_is_not_judged() {
        assert!([0, 2, 3].into_iter().all(is_whole));
        assert!(![1, 4, 70, 130].into_iter().any(is_whole));
    }

    #[test]
    fn four_of_five_have_to_be_noticed() {
        let folder = std::env::temp_dir().join(format!("xtask-mutants-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let judged = |json: &str| {
            std::fs::write(folder.join("outcomes.json"), json).unwrap();
            judge(&folder).map_err(|error| error.to_string())
        };
        judged(r#"{"caught": 7, "timeout": 1, "missed": 2, "unviable": 3}"#).unwrap();
        let too_few = judged(r#"{"caught": 79, "timeout": 0, "missed": 21, "unviable": 0}"#).unwrap_err();
        assert!(too_few.starts_with("fewer than 80 in a hundred"), "{too_few}");
        let none = judged(r#"{"caught": 0, "timeout": 0, "missed": 0, "unviable": 9}"#).unwrap_err();
        assert!(none.starts_with("no mutant was judged"), "{none}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
