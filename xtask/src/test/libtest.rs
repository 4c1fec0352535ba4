//! What `cargo test` prints, counted.

use super::table::Tally;

/// The tests of one `cargo test`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many.
    pub tally: Tally,
    /// The names of those that failed.
    pub failed: Vec<String>,
}

/// Reads the output of one `cargo test`, of any number of test programs.
#[must_use]
pub fn read(output: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in output.lines() {
        if let Some(counts) = line.strip_prefix("test result: ") {
            outcome.tally += tally(counts);
        } else if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            outcome.failed.push(name.to_owned());
        }
    }
    // With `--nocapture` a test's own output stands between its name and its result; then the list at the end helps.
    if outcome.failed.is_empty() && outcome.tally.failed > 0 {
        outcome.failed = listed_failures(output);
    }
    outcome
}

fn tally(counts: &str) -> Tally {
    let count = |word: &str| {
        counts.split([';', '.']).find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok()).unwrap_or(0)
    };
    Tally { passed: count("passed"), failed: count("failed"), skipped: count("ignored") }
}

fn listed_failures(output: &str) -> Vec<String> {
    // A test may have written anything, indented as it likes: only the block after the last heading counts.
    let listed = output.split("\nfailures:\n").skip(1).flat_map(|block| {
        block.lines().take_while(|line| !line.starts_with("test result: ")).filter_map(|line| line.strip_prefix("    "))
    });
    let mut names: Vec<String> =
        listed.filter(|name| !name.is_empty() && !name.contains(' ')).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_programs_are_summed_up() {
        let output = "running 2 tests\ntest one ... ok\ntest two ... FAILED\n\
                      test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.46s\n\
                      test result: ok. 5 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 2.49s\n";
        let outcome = read(output);
        assert_eq!(outcome.tally, Tally { passed: 6, failed: 1, skipped: 3 });
        assert_eq!(outcome.failed, ["two"]);
    }

    #[test]
    fn with_output_in_between_the_list_at_the_end_names_the_failed() {
        let output = "test one ... \n    noise\nFAILED\n\nfailures:\n    one\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored";
        assert_eq!(read(output).failed, ["one"]);
    }
}
