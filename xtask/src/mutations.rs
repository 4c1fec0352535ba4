//! `cargo xtask mutations`: breaks the code that each behaviour listed in a `BEHAVIOURS.md` depends on, one line at a time,
//! and sees that the test named beside it fails. A test that cannot fail shows nothing.
//!
//! The code that is broken is a copy; the work tree stays as it is.

mod list;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::list::Mutation;
use crate::{cluster::lock::Lock, paths, process};

/// Where the behaviours of deployment-lite are listed.
const LIST: &str = "operators/deployment-lite/BEHAVIOURS.md";

/// For one build and one test.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// What `mutations` can be told.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Only so many of them, chosen anew each time.
    #[arg(long, value_name = "COUNT")]
    sample: Option<usize>,
    /// Only those of behaviours with this number, such as D10; may be repeated.
    #[arg(long, value_name = "NUMBER")]
    only: Vec<String>,
    /// The choice of an earlier sample, as it was printed.
    #[arg(long, value_name = "SEED", requires = "sample")]
    seed: Option<u64>,
}

impl Arguments {
    /// A sample of this size, another one each time.
    pub fn sample(count: usize) -> Self {
        Self { sample: Some(count), only: Vec::new(), seed: None }
    }
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let root = paths::workspace_root()?;
    let text = std::fs::read_to_string(root.join(LIST)).with_context(|| format!("failed to read {LIST}"))?;
    let all = list::read(&text).with_context(|| format!("failed to read {LIST}"))?;
    let chosen = choose(all, arguments)?;
    let copy = Copy::make(&root)?;
    let mut survived = Vec::new();
    for (index, mutation) in chosen.iter().enumerate() {
        let began = Instant::now();
        let verdict = copy.try_out(mutation).with_context(|| format!("{} ({})", mutation.numbers, mutation.file));
        let told = match &verdict {
            Ok(true) => "caught".to_owned(),
            Ok(false) => "SURVIVED".to_owned(),
            Err(error) => format!("BROKEN: {error:#}"),
        };
        let (number, all) = (index + 1, chosen.len());
        println!("{number}/{all} {} {} {told} ({} s)", mutation.numbers, mutation.test, began.elapsed().as_secs());
        if !matches!(verdict, Ok(true)) {
            survived.push(format!("{}: {} {told}", mutation.numbers, mutation.test));
        }
    }
    ensure!(survived.is_empty(), "{} of {} are not caught:\n{}", survived.len(), chosen.len(), survived.join("\n"));
    println!("{} mutations, each caught by its test", chosen.len());
    Ok(())
}

fn choose(mut all: Vec<Mutation>, arguments: &Arguments) -> Result<Vec<Mutation>> {
    if !arguments.only.is_empty() {
        let is_asked =
            |mutation: &Mutation| mutation.numbers.split(", ").any(|n| arguments.only.iter().any(|o| o == n));
        all.retain(is_asked);
        ensure!(!all.is_empty(), "{LIST} has no mutation of {}", arguments.only.join(", "));
    }
    let Some(count) = arguments.sample else { return Ok(all) };
    let seed = arguments.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    println!("{count} of {} mutations; the same again: --sample {count} --seed {seed}", all.len());
    // An LCG of 64 bits (Knuth, MMIX); what matters is only that each is chosen at times.
    let mut state = seed;
    let mut chosen = Vec::new();
    while chosen.len() < count && !all.is_empty() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = usize::try_from(state >> 33).unwrap_or(0) % all.len();
        chosen.push(all.swap_remove(place));
    }
    Ok(chosen)
}

/// A copy of the work tree's files, built into the same target folder, so that only our own crates are built anew. One command
/// at a time has it.
pub struct Copy {
    pub folder: PathBuf,
    pub target: PathBuf,
    _lock: Lock,
}

impl Copy {
    pub fn make(root: &Path) -> Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let lock = Lock::take(&target.join("mutations.lock"), "the copy of the work tree")?;
        let copy = Self { folder: target.join("mutations"), target, _lock: lock };
        let mut list = Command::new("git");
        list.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root);
        let files = process::output("list the files of the work tree", &mut list, Duration::from_secs(60))?;
        for file in files.lines().filter(|file| root.join(file).is_file()) {
            let text = std::fs::read(root.join(file)).with_context(|| format!("failed to read {file}"))?;
            copy.write(file, &text)?;
        }
        Ok(copy)
    }

    /// Writes a file only if it differs, so that cargo sees no change where there is none.
    fn write(&self, file: &str, text: &[u8]) -> Result<()> {
        let path = self.folder.join(file);
        if std::fs::read(&path).is_ok_and(|held| held == text) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            paths::make(folder)?;
        }
        std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    }

    /// True if the test fails on the mutated code, and only then.
    fn try_out(&self, mutation: &Mutation) -> Result<bool> {
        let whole = std::fs::read_to_string(self.folder.join(&mutation.file)).context("failed to read the file")?;
        let mutated = mutation.apply(&whole)?;
        self.write(&mutation.file, mutated.as_bytes())?;
        let outcome = self.fails(mutation);
        self.write(&mutation.file, whole.as_bytes())?;
        outcome
    }

    fn fails(&self, mutation: &Mutation) -> Result<bool> {
        let log = paths::logs()?.join("mutations.log");
        if log.exists() {
            std::fs::remove_file(&log).with_context(|| format!("failed to remove {}", log.display()))?;
        }
        let mut test = Command::new("cargo");
        test.arg("test").args(mutation.cargo_arguments()).args(["--", "--exact", mutation.test_path()]);
        test.current_dir(&self.folder).env("CARGO_TARGET_DIR", &self.target);
        // Properties fail at once, and leave nothing behind.
        test.env("PROPTEST_FAILURE_PERSISTENCE", "off").env("PROPTEST_MAX_SHRINK_ITERS", "0");
        let ended = process::run("run the test", &mut test, &log, LIMIT);
        let told = std::fs::read_to_string(&log).with_context(|| format!("failed to read {}", log.display()))?;
        match ended {
            Err(_) if told.contains("test result: FAILED. 0 passed; 1 failed") => Ok(true),
            Err(error) => Err(error.context("the mutated code does not build, or the test does not end")),
            Ok(()) if told.contains("test result: ok. 1 passed") => Ok(false),
            Ok(()) => bail!("there is no test {}", mutation.test),
        }
    }
}
