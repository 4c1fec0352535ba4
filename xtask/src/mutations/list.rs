//! The list of behaviours: Markdown for people, with lines of one form for the mutations.
//!
//! ```text
//! - **D10, D12** What is promised.
//!   - test `package::path::to::the_test`
//!   - mutation `folder/file.rs`: `old` → `new`
//! ```
//!
//! `⏎` stands for a line break.

use anyhow::{Context, Result, bail, ensure};

/// One change that a test has to notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The numbers of the behaviours, as they stand in the list.
    pub numbers: String,
    /// Package, path of the test; an integration test has its file between them, as in `deployment-lite/effects::name`.
    pub test: String,
    /// From the root of the workspace.
    pub file: String,
    old: String,
    new: String,
}

impl Mutation {
    /// The text of its file with the change.
    pub fn apply(&self, text: &str) -> Result<String> {
        let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
        let count = text[..end].matches(&self.old).count();
        ensure!(count == 1, "`{}` is in {} {count} times, and should be once", self.old, self.file);
        Ok(text.replacen(&self.old, &self.new, 1))
    }

    /// What tells cargo where the test is.
    pub fn cargo_arguments(&self) -> Vec<&str> {
        let (place, _) = self.test.split_once("::").unwrap_or((&self.test, ""));
        match place.split_once('/') {
            Some((package, file)) => vec!["-p", package, "--test", file],
            None => vec!["-p", place, "--lib"],
        }
    }

    /// The path of the test in its program.
    pub fn test_path(&self) -> &str {
        self.test.split_once("::").map_or("", |(_, path)| path)
    }
}

/// Reads the list. Each entry has as many tests as mutations, in pairs.
pub fn read(text: &str) -> Result<Vec<Mutation>> {
    let (mut numbers, mut test, mut mutations) = (String::new(), None, Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("- **") {
            ensure!(test.is_none(), "{numbers} has a test without a mutation");
            numbers = rest.split("**").next().unwrap_or_default().to_owned();
        } else if let Some(rest) = line.strip_prefix("  - test `") {
            test = Some(rest.trim_end_matches('`').to_owned());
        } else if let Some(rest) = line.strip_prefix("  - mutation `") {
            let parts: Vec<&str> = rest.split('`').collect();
            let [file, ": ", old, " → ", new, ""] = parts[..] else {
                bail!("{numbers}: this is no mutation: {line}")
            };
            let test = test.take().with_context(|| format!("{numbers} has a mutation without a test"))?;
            // A line break in the code, as a list has none.
            let [old, new] = [old, new].map(|code| code.replace('⏎', "\n"));
            let file = file.to_owned();
            mutations.push(Mutation { numbers: numbers.clone(), test, file, old, new });
        }
    }
    ensure!(test.is_none(), "{numbers} has a test without a mutation");
    Ok(mutations)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
# Behaviours
- **D10, D12** The oldest.
  - test `one::core::tests::a_test`
  - mutation `one/src/core.rs`: `a < b` → `a > b`
  - test `one/effects::another_test`
  - mutation `one/src/act.rs`: `send(⏎|x| x)` → ``
- **D11** Left to the API server.
";

    #[test]
    fn each_test_has_its_mutation() {
        let mutations = read(LIST).unwrap();
        assert_eq!(mutations.len(), 2);
        assert_eq!(mutations[0].numbers, "D10, D12");
        assert_eq!(mutations[0].cargo_arguments(), ["-p", "one", "--lib"]);
        assert_eq!(mutations[0].test_path(), "core::tests::a_test");
        assert_eq!(mutations[1].cargo_arguments(), ["-p", "one", "--test", "effects"]);
        assert_eq!(mutations[1].apply("send(\n|x| x);").unwrap(), ";");
        assert!(read("- **D1** a\n  - test `b`\n").is_err());
        assert!(read("- **D1** a\n  - mutation `b`: `c` → `d`\n").is_err());
        assert!(read("- **D1** a\n  - test `b`\n  - mutation `b` `c` → `d`\n").is_err());
    }

    #[test]
    fn a_change_has_one_place_outside_of_the_tests() {
        let mutation = &read(LIST).unwrap()[0];
        assert!(mutation.apply("if a < b {} if a < b {}").is_err());
        assert!(mutation.apply("").is_err());
        let with_tests = "if a < b {}\n#[cfg(test)]\nmod tests { a < b }";
        assert_eq!(mutation.apply(with_tests).unwrap(), "if a > b {}\n#[cfg(test)]\nmod tests { a < b }");
    }

    #[test]
    fn every_listed_change_has_its_place() {
        let root = crate::paths::workspace_root().unwrap();
        let text = std::fs::read_to_string(root.join(super::super::LIST)).unwrap();
        for mutation in read(&text).unwrap() {
            let file = std::fs::read_to_string(root.join(&mutation.file)).unwrap();
            mutation.apply(&file).unwrap();
        }
    }
}
