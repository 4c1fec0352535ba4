//! What the real server answered to the cases of a file, kept in `testdata/transcripts`.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

/// The normalised answers to each case; none if nothing is recorded.
pub fn load(name: &str) -> BTreeMap<String, Value> {
    let path = path(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        Err(_) => BTreeMap::new(),
    }
}

/// Writes them, one line an answer, so that a change can be read.
#[cfg(feature = "real-server")]
pub fn save(name: &str, cases: &BTreeMap<String, Value>) {
    use std::fmt::Write;
    let mut text = String::from("{");
    for (number, (case, answers)) in cases.iter().enumerate() {
        let separator = if number == 0 { "" } else { "," };
        let _ = write!(text, "{separator}\n{}: {{\n \"answers\": [", Value::from(case.as_str()));
        let all = answers["answers"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (number, answer) in all.iter().enumerate() {
            let _ = write!(text, "{}\n  {answer}", if number == 0 { "" } else { "," });
        }
        let _ = write!(text, "\n ],\n \"watches\": {}\n}}", answers["watches"]);
    }
    text.push_str("\n}\n");
    std::fs::write(path(name), text).expect("a transcript that can be written");
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/transcripts").join(format!("{name}.json"))
}
