//! The steps of a tier: run one after the other, each with a log, each counted, and none stops the others.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::libtest;
use super::table::Tally;
use crate::{process, progress};

/// The steps run so far.
#[derive(Debug)]
pub struct Steps {
    logs: PathBuf,
    tally: Tally,
    failures: Vec<String>,
}

impl Steps {
    /// None yet; logs go into this folder.
    #[must_use]
    pub fn new(logs: PathBuf) -> Self {
        Self { logs, tally: Tally::default(), failures: Vec::new() }
    }

    /// The counts so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What failed or was skipped, one line each.
    #[must_use]
    pub fn into_failures(self) -> Vec<String> {
        self.failures
    }

    /// A step that passes or fails as a whole; gives its value if it passed.
    pub fn check<T>(&mut self, what: &str, body: impl FnOnce() -> Result<T>) -> Option<T> {
        let step = progress::step(what);
        match body() {
            Ok(value) => {
                step.done();
                self.tally.passed += 1;
                Some(value)
            }
            Err(error) => {
                drop(step);
                self.fail(what, &format!("{error:#}"));
                None
            }
        }
    }

    /// A command that passes or fails as a whole.
    pub fn command(&mut self, what: &str, command: &mut Command, limit: Duration) {
        match self.fresh_log(what) {
            Ok(log) => {
                self.check(what, || process::run(&format!("pass {what}"), command, &log, limit));
            }
            Err(error) => self.fail(what, &format!("{error:#}")),
        }
    }

    /// A `cargo test`, counted test by test.
    pub fn tests(&mut self, what: &str, command: &mut Command, limit: Duration) {
        let step = progress::step(what);
        let result = self.fresh_log(what).map(|log| {
            let ended = process::run(&format!("pass {what}"), command, &log, limit);
            (log, ended)
        });
        let (log, ended) = match result {
            Ok(result) => result,
            Err(error) => return self.fail(what, &format!("{error:#}")),
        };
        let output = std::fs::read_to_string(&log).unwrap_or_default();
        let outcome = libtest::read(&output);
        self.tally += outcome.tally;
        for name in &outcome.failed {
            self.failures.push(format!("{name} failed; log: {}", log.display()));
        }
        match ended {
            Ok(()) => step.done_with(&outcome.tally.to_string()),
            // A failure that no test stands for: it did not compile, was killed, took too long.
            Err(error) if outcome.tally.failed == 0 => {
                drop(step);
                self.fail(what, &format!("{error:#}"));
            }
            Err(_) => {
                drop(step);
                progress::say(format!(
                    "{what}: {}; failed: {}\nlog: {}\n{}",
                    outcome.tally,
                    outcome.failed.join(", "),
                    log.display(),
                    libtest::last_words(&output)
                ));
            }
        }
    }

    /// Something that did not run, and why.
    pub fn skip(&mut self, what: &str, why: &str) {
        progress::say(format!("skipped {what}: {why}"));
        self.tally.skipped += 1;
        self.failures.push(format!("skipped {what}: {}", first_line(why)));
    }

    /// Something that failed, and why.
    pub fn fail(&mut self, what: &str, why: &str) {
        progress::say(format!("{what} failed: {why}"));
        self.tally.failed += 1;
        self.failures.push(format!("{what} failed: {}", first_line(why)));
    }

    /// The log of a step, empty.
    fn fresh_log(&self, what: &str) -> Result<PathBuf> {
        let log = self.log(what);
        if log.exists() {
            std::fs::remove_file(&log)?;
        }
        Ok(log)
    }

    fn log(&self, what: &str) -> PathBuf {
        let name: String =
            what.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        Path::new(&self.logs).join(format!("{name}.log"))
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failed_step_does_not_stop_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut steps = Steps::new(folder.path().into());
        steps.command("one", &mut shell("echo why >&2; false"), Duration::from_secs(10));
        steps.command("two", &mut shell("true"), Duration::from_secs(10));
        assert_eq!(steps.tally(), Tally { passed: 1, failed: 1, skipped: 0 });
        assert!(steps.into_failures()[0].starts_with("one failed"));
    }

    #[test]
    fn tests_that_never_ran_because_of_a_compile_error_count_as_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let mut steps = Steps::new(folder.path().into());
        steps.tests("tests", &mut shell("echo 'error[E0308]'; exit 101"), Duration::from_secs(10));
        assert_eq!(steps.tally().failed, 1);
    }

    #[test]
    fn tests_are_counted_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut steps = Steps::new(folder.path().into());
        let output = "test a ... ok\\ntest b ... FAILED\\ntest result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out";
        steps.tests("tests", &mut shell(&format!("printf '{output}\\n'; exit 101")), Duration::from_secs(10));
        assert_eq!(steps.tally(), Tally { passed: 1, failed: 1, skipped: 2 });
    }
}
