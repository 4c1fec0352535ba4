//! What `cargo test` prints, counted.

use super::table::Tally;

/// How many lines before a panic are shown: what a test prints of its own accord stands there.
const SHOWN_BEFORE: usize = 30;
/// How many after it at most: a difference of two values can be long.
const SHOWN_AFTER: usize = 40;
/// How many failures are shown.
const SHOWN_FAILURES: usize = 5;

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
        } else if let Some(name) = failed_test(line) {
            outcome.failed.push(name.to_owned());
        }
    }
    // With `--nocapture` a test's own output stands between its name and its result; then the list at the end helps.
    if outcome.failed.is_empty() && outcome.tally.failed > 0 {
        outcome.failed = listed_failures(output);
    }
    outcome
}

/// The test of which a line says that it failed.
#[must_use]
pub fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

/// What the first failed tests said before they failed and when they did, by a panic or by an error that they returned,
/// without backtraces: the log may lie on a machine that is gone when somebody reads this.
#[must_use]
pub fn last_words(output: &str) -> String {
    let lines = without_backtraces(output);
    let is_failure =
        |line: &str| line.starts_with("Error: ") || line.starts_with("thread '") && line.contains(" panicked at ");
    let mut shown = Vec::new();
    let mut next = 0;
    for at in (0..lines.len()).filter(|&at| is_failure(lines[at])).take(SHOWN_FAILURES) {
        let begin = at.saturating_sub(SHOWN_BEFORE).max(next);
        next = (at + SHOWN_AFTER).min(lines.len()).max(next);
        shown.extend_from_slice(&lines[begin..next]);
    }
    shown.join("\n")
}

fn without_backtraces(output: &str) -> Vec<&str> {
    let mut is_inside = false;
    let is_kept = |line: &&str| {
        let text = line.trim_start();
        let number = text.bytes().take_while(u8::is_ascii_digit).count();
        let is_frame = text.starts_with("at ") || number > 0 && text[number..].starts_with(": ");
        is_inside = line.eq_ignore_ascii_case("stack backtrace:") || is_inside && is_frame;
        !is_inside
    };
    output.lines().filter(is_kept).collect()
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

    #[test]
    fn a_failed_test_is_shown_with_what_it_said_but_without_its_backtrace() {
        let early = "early\n".repeat(SHOWN_BEFORE);
        let output = format!(
            "far away\n{early}- name: sequence 7\n\nthread 'one' (12) panicked at src/a.rs:1:1:\nleft: 1\nright: 2\n\n\
             Stack backtrace:\n   0: anyhow_unwind\nstack backtrace:\n   0: rust_begin_unwind\n\n\
             thread 'two' panicked at src/b.rs:1:1:\nthat\nnote: x\n"
        );
        let words = last_words(&output);
        assert!(words.contains("sequence 7") && words.contains("right: 2") && words.ends_with("that\nnote: x"));
        assert!(!words.contains("far away"));
        assert!(!words.contains("backtrace") && !words.contains("unwind"));
        assert_eq!(words.matches("sequence 7").count(), 1, "nothing is shown twice");
        assert_eq!(last_words("test one ... ok\n"), "");
        assert_eq!(
            last_words("Error: failed to\n\nCaused by:\n    0: this\n"),
            "Error: failed to\n\nCaused by:\n    0: this"
        );
    }
}
