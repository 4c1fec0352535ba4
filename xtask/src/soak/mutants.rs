//! `cargo xtask soak mutants`: what deployment-lite sees, decides and does is changed in each way that `cargo mutants` knows,
//! and the simulations alone have to notice. What they did not notice stands in docs/track-record.md.
//!
//! `cargo mutants` itself builds anew for each change, which takes hours. Here one build has all of them (`weave.rs`), and an
//! environment variable says which is in force.

mod weave;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde::Deserialize;

use self::weave::{IN_FORCE, Mutant, Woven, weave};
use crate::{mutations::Copy, paths, process, test::libtest};

const PACKAGE: &str = "operators/deployment-lite";
const TEST: &str = "simulations";
/// Of those that can be compiled, so many in a hundred have to be noticed.
const NOTICED_MIN: usize = 80;
/// All simulations take 18 seconds of processor time. Who takes five times as many goes round in circles.
const PROCESSOR_SECONDS_MAX: u32 = 90;
/// Reasons not to compile come in rounds: names, then types, then lifetimes.
const ROUNDS_MAX: usize = 10;
const LIST_LIMIT: Duration = Duration::from_secs(60);

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Noticed,
    RoundInCircles,
    Unnoticed,
}

/// What became of all of them.
#[derive(Default)]
struct Tally<'a> {
    noticed: usize,
    round_in_circles: usize,
    unnoticed: Vec<&'a str>,
    uncompiled: usize,
}

/// Runs a share of them, as in `1/8` (of eight shares the second), or all; and of these only those with one of the
/// texts in their name, if there are any.
pub fn run(share: Option<&str>, only: &[String]) -> Result<()> {
    let (share, shares) = share.map_or(Ok((0, 1)), parse_share)?;
    ensure!(
        process::find_program("cargo-mutants").is_some(),
        "there is no cargo-mutants: cargo install cargo-mutants --locked"
    );
    let copy = Copy::make(&paths::workspace_root()?)?;
    let mut list = Command::new("cargo");
    list.args(["mutants", "--list", "--json"]).current_dir(&copy.folder);
    let listed = process::output("list the changes", &mut list, LIST_LIMIT)?;
    let listed: Vec<Mutant> = serde_json::from_str(&listed).context("failed to read the list of changes")?;
    // Zero is for none of them.
    let is_picked = |name: &str| only.is_empty() || only.iter().any(|text| name.contains(text));
    let is_meant = |(number, mutant): &(usize, &Mutant)| number % shares == share && is_picked(&mutant.name);
    let mut mutants: BTreeMap<usize, &Mutant> = (1..).zip(&listed).filter(is_meant).collect();
    let picked = mutants.len();
    ensure!(picked > 0, "none of the {} changes is in this share and has one of {only:?} in its name", listed.len());
    let program = build(&copy, &mut mutants)?;
    let folder = copy.folder.join(PACKAGE);
    let unchanged = try_out(&program, &folder, 0, PROCESSOR_SECONDS_MAX)?;
    ensure!(unchanged == Outcome::Unnoticed, "without a change, too: {unchanged:?}; try cargo test -p deployment-lite");
    let mut tally = Tally { uncompiled: picked - mutants.len(), ..Tally::default() };
    for (number, mutant) in &mutants {
        let begun = Instant::now();
        let outcome = try_out(&program, &folder, *number, PROCESSOR_SECONDS_MAX)?;
        println!("{number}/{} {outcome:?} ({:.1?}) {}", listed.len(), begun.elapsed(), mutant.name);
        tally.count(outcome, &mutant.name);
    }
    tally.judge()
}

/// The number of a share, and how many there are.
fn parse_share(text: &str) -> Result<(usize, usize)> {
    let numbers = text.split_once('/').and_then(|(share, of)| Some((share.parse().ok()?, of.parse().ok()?)));
    numbers.filter(|(share, of)| share < of).with_context(|| format!("--shard {text}: K/N with K from 0 to N-1"))
}

/// Builds the simulations with all changes that can be compiled, and takes the others out; returns the program.
fn build(copy: &Copy, mutants: &mut BTreeMap<usize, &Mutant>) -> Result<PathBuf> {
    let library = copy.folder.join(PACKAGE).join("src/lib.rs");
    let text = std::fs::read_to_string(&library).with_context(|| format!("failed to read {}", library.display()))?;
    std::fs::write(&library, text + IN_FORCE).with_context(|| format!("failed to write {}", library.display()))?;
    let files: BTreeSet<&str> = mutants.values().map(|mutant| &*mutant.file).collect();
    let read = |file| std::fs::read_to_string(copy.folder.join(file)).with_context(|| format!("failed to read {file}"));
    let originals = files.into_iter().map(|file| Ok((file, read(file)?))).collect::<Result<BTreeMap<_, _>>>()?;
    for _ in 0..ROUNDS_MAX {
        let woven = weave_all(&copy.folder, &originals, mutants)?;
        let Built { program, errors } = compile(copy)?;
        if let Some(program) = program {
            return Ok(program);
        }
        let before = mutants.len();
        for error in &errors {
            let told = || format!("it does not compile, and not for a change:\n{}", error.rendered);
            let number = error.mutant(&woven).with_context(told)?;
            if let Some(mutant) = mutants.remove(&number) {
                let why = error.rendered.lines().next().unwrap_or_default();
                println!("{number} does not compile: {why}: {}", mutant.name);
            }
        }
        ensure!(mutants.len() < before, "it does not compile, and cargo does not say why");
    }
    bail!("it does not compile after {ROUNDS_MAX} rounds")
}

/// Writes each file with its changes.
fn weave_all<'a>(
    folder: &Path,
    originals: &BTreeMap<&'a str, String>,
    mutants: &BTreeMap<usize, &Mutant>,
) -> Result<BTreeMap<&'a str, Woven>> {
    let mut all = BTreeMap::new();
    for (file, text) in originals {
        let of_file = mutants.iter().filter(|(_, mutant)| mutant.file == *file);
        let of_file: Vec<(usize, &Mutant)> = of_file.map(|(number, mutant)| (*number, *mutant)).collect();
        let woven = weave(text, &of_file).with_context(|| format!("in {file}"))?;
        std::fs::write(folder.join(file), &woven.text).with_context(|| format!("failed to write {file}"))?;
        all.insert(*file, woven);
    }
    Ok(all)
}

fn compile(copy: &Copy) -> Result<Built> {
    let mut cargo = process::bound("cargo");
    cargo.args(["test", "--release", "--package", "deployment-lite", "--test", TEST, "--no-run"]);
    cargo.arg("--message-format=json").current_dir(&copy.folder).env("CARGO_TARGET_DIR", &copy.target);
    let output = cargo.stderr(Stdio::inherit()).output().context("failed to start cargo")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let built = Built::of(told.lines().filter_map(|line| serde_json::from_str(line).ok()));
    Ok(Built { program: built.program.filter(|_| output.status.success()), ..built })
}

/// A line of what cargo tells in JSON, as far as it is of interest.
#[derive(Deserialize)]
struct Message {
    message: Option<Diagnostic>,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    level: String,
    rendered: String,
    spans: Vec<DiagnosticSpan>,
}

#[derive(Debug, Deserialize)]
struct DiagnosticSpan {
    file_name: String,
    line_start: usize,
    is_primary: bool,
}

#[derive(Default)]
struct Built {
    program: Option<PathBuf>,
    errors: Vec<Diagnostic>,
}

impl Built {
    fn of(messages: impl Iterator<Item = Message>) -> Self {
        let mut built = Self::default();
        for Message { message, target, executable } in messages {
            // The operator itself is built, too.
            let is_test = target.is_some_and(|target| target.name == TEST);
            built.program = executable.filter(|_| is_test).or(built.program);
            // "Aborting due to 3 previous errors" has no place.
            built.errors.extend(message.filter(|told| told.level == "error" && !told.spans.is_empty()));
        }
        built
    }
}

impl Diagnostic {
    /// The change in whose arm it is.
    fn mutant(&self, woven: &BTreeMap<&str, Woven>) -> Option<usize> {
        self.spans.iter().filter(|span| span.is_primary).find_map(|span| {
            let arms = &woven.get(&*span.file_name)?.arms;
            arms.iter().find(|(lines, _)| lines.contains(&span.line_start)).map(|(_, number)| *number)
        })
    }
}

/// Runs the simulations until the first fails: most changes are noticed within a second.
fn try_out(program: &Path, folder: &Path, number: usize, processor_seconds: u32) -> Result<Outcome> {
    let mut child = process::bound("prlimit")
        .args([&format!("--cpu={processor_seconds}:"), "--core=0"])
        .arg(program)
        .current_dir(folder)
        .env("MUTANT", number.to_string())
        // All of them are judged by the same faults.
        .env("OPERATOR_LITE_SEED", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("failed to start {}", program.display()))?;
    let lines = BufReader::new(child.stdout.take().context("its output is not ours")?).lines();
    let has_failed = lines.map_while(std::io::Result::ok).any(|line| libtest::failed_test(&line).is_some());
    if has_failed {
        child.kill().context("failed to end it")?;
    }
    let ended = child.wait().context("failed to wait for it")?;
    Ok(match ended.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => Outcome::RoundInCircles,
        _ if has_failed || !ended.success() => Outcome::Noticed,
        _ => Outcome::Unnoticed,
    })
}

impl<'a> Tally<'a> {
    fn count(&mut self, outcome: Outcome, name: &'a str) {
        match outcome {
            Outcome::Noticed => self.noticed += 1,
            Outcome::RoundInCircles => self.round_in_circles += 1,
            Outcome::Unnoticed => self.unnoticed.push(name),
        }
    }

    fn judge(&self) -> Result<()> {
        let Self { noticed, round_in_circles, unnoticed, uncompiled } = self;
        let noticed = noticed + round_in_circles;
        let judged = noticed + unnoticed.len();
        ensure!(judged > 0, "no change was judged: {uncompiled} did not compile");
        let percent = noticed * 100 / judged;
        println!(
            "{noticed} of {judged} noticed ({percent} %), {round_in_circles} of them by a time-out; {uncompiled} did not \
             compile; not noticed:\n{}",
            unnoticed.join("\n")
        );
        ensure!(percent >= NOTICED_MIN, "fewer than {NOTICED_MIN} in a hundred; the others stand above");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the script came to its end, and what was made of it.
    fn tried_out(script: &str) -> (bool, Outcome) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\ntouch ended\n")).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let outcome = try_out(&program, folder.path(), 7, 1).unwrap();
        (folder.path().join("ended").exists(), outcome)
    }

    #[test]
    fn a_program_is_ended_at_its_first_failure_or_when_its_time_is_over() {
        for script in
            ["echo 'test a ... ok'; echo 'test b ... FAILED'; sleep 5", "exit 101", "kill -9 $$", "exit $MUTANT"]
        {
            assert_eq!(tried_out(script), (false, Outcome::Noticed), "{script}");
        }
        assert_eq!(tried_out("echo 'test a ... ok'"), (true, Outcome::Unnoticed));
        assert_eq!(tried_out("while :; do :; done"), (false, Outcome::RoundInCircles));
    }

    #[test]
    fn four_of_five_have_to_be_noticed() {
        let tally = |noticed, unnoticed| Tally {
            noticed,
            round_in_circles: 1,
            unnoticed: vec!["a change"; unnoticed],
            uncompiled: 3,
        };
        tally(7, 2).judge().unwrap();
        let error = tally(78, 21).judge().unwrap_err().to_string();
        assert!(error.starts_with("fewer than 80 in a hundred"), "{error}");
        let none = Tally { uncompiled: 9, ..Tally::default() }.judge().unwrap_err().to_string();
        assert!(none.starts_with("no change was judged"), "{none}");
    }

    #[test]
    fn a_share_is_one_of_some() {
        assert_eq!(parse_share("1/8").unwrap(), (1, 8));
        for wrong in ["8/8", "1", "a/b", "1/0", ""] {
            assert!(parse_share(wrong).unwrap_err().to_string().contains("K/N"), "{wrong}");
        }
    }

    #[test]
    fn an_error_is_laid_to_the_change_in_whose_arm_it_is() {
        let told = [
            r#"{"reason": "compiler-artifact", "target": {"name": "simulations"}, "executable": "/target/simulations"}"#,
            r#"{"reason": "compiler-artifact", "target": {"name": "operator"}, "executable": "/target/operator"}"#,
            r#"{"reason": "compiler-message", "message": {"level": "warning", "rendered": "hm", "spans": []}}"#,
            r#"{"reason": "compiler-message", "message": {"level": "error", "rendered": "no", "spans":
                [{"file_name": "src/b.rs", "line_start": 5, "is_primary": false},
                 {"file_name": "src/a.rs", "line_start": 5, "is_primary": true}]}}"#,
            r#"{"reason": "compiler-message", "message": {"level": "error", "rendered": "aborting", "spans": []}}"#,
            r#"{"reason": "build-finished", "success": false}"#,
        ];
        let Built { program, errors } = Built::of(told.iter().map(|line| serde_json::from_str(line).unwrap()));
        assert_eq!(program, Some(PathBuf::from("/target/simulations")));
        let woven = |lines, number| Woven { text: String::new(), arms: vec![(lines, number)] };
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(error.mutant(&[("src/a.rs", woven(4..6, 1)), ("src/b.rs", woven(4..6, 2))].into()), Some(1));
        // What an arm only has to do with is not its error.
        assert_eq!(error.mutant(&[("src/a.rs", woven(6..8, 1)), ("src/b.rs", woven(4..6, 2))].into()), None);
    }
}
