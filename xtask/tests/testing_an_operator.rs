//! What `docs/testing-an-operator.md` tells a newcomer to do, done: its files are written, its changes are made, its commands
//! are run, and what they print holds the lines that the page shows.
//!
//! A fenced block whose first line names a file is that file, or, if the page has written it already, goes to its end; a
//! `diff` changes it. A `console` block is commands and, under each, lines of its output: `…` stands for any others, and at
//! the end of a line for its rest. Numbers may differ, words may not.

#![allow(missing_docs, reason = "a test")]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

const PAGE: &str = include_str!("../../docs/testing-an-operator.md");

/// A fenced block of the page.
#[derive(Debug)]
struct Block<'a> {
    language: &'a str,
    /// The file that it is of; may be empty.
    file: &'a str,
    text: &'a str,
}

/// A newcomer's shell.
struct Walk {
    folder: PathBuf,
    written: BTreeSet<PathBuf>,
}

#[test]
fn the_page_leads_from_nothing_to_a_caught_bug() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask stands in the workspace")?;
    let home = tempfile::tempdir()?;
    let page = PAGE
        .replace("/tmp/", &format!("{}/", home.path().display()))
        .replace("../operator-lite/", &format!("{}/", root.display()));
    let mut walk = Walk { folder: home.path().into(), written: BTreeSet::new() };
    for block in blocks(&page) {
        walk.follow(&block, root, home.path()).with_context(|| format!("at the block\n{}", block.text))?;
    }
    Ok(())
}

impl Walk {
    fn follow(&mut self, block: &Block<'_>, root: &Path, home: &Path) -> Result<()> {
        let file = self.folder.join(block.file);
        match (block.language, block.file) {
            ("console", _) => self.console(block.text, root, home),
            (_, "") => Ok(()),
            ("diff", _) => Ok(fs::write(&file, changed(&fs::read_to_string(&file)?, block.text)?)?),
            _ if self.written.insert(file.clone()) => {
                fs::create_dir_all(file.parent().context("a file stands in a folder")?)?;
                Ok(fs::write(file, block.text)?)
            }
            _ => Ok(fs::write(&file, fs::read_to_string(&file)? + block.text)?),
        }
    }

    fn console(&mut self, session: &str, root: &Path, home: &Path) -> Result<()> {
        for part in session.split("$ ").filter(|part| !part.is_empty()) {
            let (command, shown) = part.split_once('\n').unwrap_or((part, ""));
            if let Some(folder) = command.strip_prefix("cd ") {
                self.folder.push(folder);
                // No registry is asked: every dependency is one of the workspace's, at its version.
                fs::copy(root.join("Cargo.lock"), self.folder.join("Cargo.lock"))?;
                continue;
            }
            let printed = self.run(command, root, home)?;
            if let Err(line) = holds(&printed, shown) {
                bail!("{command}\nprints\n{printed}\nand the page shows\n{line}");
            }
        }
        Ok(())
    }

    /// All that a command prints, whether or not it succeeds.
    fn run(&self, command: &str, root: &Path, home: &Path) -> Result<String> {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{command}")])
            .current_dir(&self.folder)
            .env("TMPDIR", home)
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TERM_COLOR", "never")
            // As in the workspace's own profile, so that what is built there serves here.
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .env_remove("OPERATOR_TESTKIT_REPLAY")
            .output()
            .with_context(|| format!("failed to start {command}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|block| {
            let (heading, text) = block.split_once('\n')?;
            let (language, file) = heading.split_once(' ').unwrap_or((heading, ""));
            Some(Block { language, file, text })
        })
        .collect()
}

/// The text with a change made, which must fit in one place.
fn changed(text: &str, diff: &str) -> Result<String> {
    let side = |sign: char| -> String {
        let lines = diff.lines().filter(|line| !line.starts_with(sign));
        lines.map(|line| format!("{}\n", line.get(1..).unwrap_or_default())).collect()
    };
    let (before, after) = (side('+'), side('-'));
    ensure!(text.matches(&before).count() == 1, "the change fits in {} places", text.matches(&before).count());
    Ok(text.replacen(&before, &after, 1))
}

/// Whether the lines that are shown are printed in this order; if not, the first that is not.
fn holds<'a>(printed: &str, shown: &'a str) -> Result<(), &'a str> {
    let mut printed = printed.lines().map(without_numbers);
    for line in shown.lines().filter(|line| !line.is_empty() && *line != "…") {
        let wanted = without_numbers(line);
        let fits = |printed: String| match wanted.strip_suffix('…') {
            Some(start) => printed.starts_with(start),
            None => printed == wanted,
        };
        if !printed.any(fits) {
            return Err(line);
        }
    }
    Ok(())
}

fn without_numbers(line: &str) -> String {
    line.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}
