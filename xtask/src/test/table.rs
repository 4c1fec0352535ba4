//! The table at the end of a test run.

use std::fmt;
use std::time::Duration;

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that passed.
    pub passed: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that did not run.
    pub skipped: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// One tier.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub tier: &'static str,
    /// Its counts.
    pub tally: Tally,
    /// How long it took.
    pub took: Duration,
    /// What failed or was skipped, one line each.
    pub failures: Vec<String>,
}

/// All tiers.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a tier.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The counts of all tiers.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.rows.iter().fold(Tally::default(), |mut sum, row| {
            sum += row.tally;
            sum
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            for failure in &row.failures {
                writeln!(out, "{}: {failure}", row.tier)?;
            }
        }
        writeln!(out, "{:<8} {:>7} {:>7} {:>8} {:>8}", "tier", "passed", "failed", "skipped", "minutes")?;
        let mut line = |name: &str, tally: Tally, took: Duration| {
            let minutes = took.as_secs_f64() / 60.0;
            writeln!(out, "{name:<8} {:>7} {:>7} {:>8} {minutes:>8.1}", tally.passed, tally.failed, tally.skipped)
        };
        for row in &self.rows {
            line(row.tier, row.tally, row.took)?;
        }
        line("all", self.total(), self.rows.iter().map(|row| row.took).sum())?;
        write!(out, "{}", self.total())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_sum_alone() {
        let mut table = Table::default();
        for (tier, failed) in [("static", 0), ("unit", 2)] {
            let tally = Tally { passed: 10, failed, skipped: 1 };
            table.add(Row {
                tier,
                tally,
                took: Duration::from_secs(90),
                failures: vec!["broken".into(); failed as usize],
            });
        }
        let text = table.to_string();
        assert_eq!(text.lines().last(), Some("20 passed, 2 failed, 2 skipped"));
        assert!(text.contains("unit          10       2        1      1.5"), "{text}");
        assert!(text.starts_with("unit: broken"), "{text}");
    }
}
