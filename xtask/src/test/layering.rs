//! Which part may know which (ARCHITECTURE, "Data flow and dependency direction"), checked from `use` lines and from
//! `cargo metadata`. It reads lines, not Rust: it shall be small, and it shall fail on what people really write.

mod effect;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{paths, process};

/// Modules of an operator that only decide.
const PURE_MODULES: [&str; 8] = ["api", "observed", "core", "plan", "build", "status", "invariants", "planner"];

/// What a module that only decides must not name: clients, runtimes, clocks, chance, order by hash.
const IMPURE_NAMES: [&str; 13] = [
    "kube::Client",
    "kube::Api",
    "kube::client",
    "operator_sdk::client",
    "tokio",
    "futures",
    "async fn",
    "std::time::Instant",
    "SystemTime",
    "Timestamp::now",
    "rand::",
    "HashMap",
    "HashSet",
];

/// The modules of the SDK in layers; one may name those of its own layer and of the layers before it.
const SDK_LAYERS: [&[&str]; 5] = [
    &["object", "error", "clock", "permission", "backoff", "selector", "task"],
    &["client"],
    &["cache", "finalizer", "condition", "event", "leader", "intent", "owner"],
    &["queue", "controller", "reconcile", "plan"],
    &["operator"],
];

/// Modules of the SDK that only `operator` wires.
const SDK_LEAVES: [&str; 5] = ["webhook", "admin", "telemetry", "crd", "manifest"];

/// Checks the whole workspace.
pub fn check() -> Result<()> {
    let root = paths::workspace_root()?;
    let mut broken = dependencies(&metadata(&root)?);
    let client = root.join("operator-sdk/src/client.rs");
    let client = std::fs::read_to_string(&client).with_context(|| format!("failed to read {}", client.display()))?;
    let write_methods = effect::write_methods(&client);
    for file in rust_files(&root.join("operators"))? {
        broken.extend(judge_file(&root, &file, operator_file)?);
        broken.extend(judge_file(&root, &file, |path, text| effect::judge(path, text, &write_methods))?);
    }
    for file in rust_files(&root.join("operator-sdk/src"))? {
        broken.extend(judge_file(&root, &file, sdk_file)?);
    }
    if !broken.is_empty() {
        bail!("{} broken rules of layering:\n{}", broken.len(), broken.join("\n"));
    }
    Ok(())
}

/// Rule 1: operators know the SDK and not each other, the SDK knows no operator, nothing knows examples and tests.
fn dependencies(metadata: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let place = |name: &str| {
        let package = packages.iter().find(|package| package["name"] == name)?;
        let manifest = package["manifest_path"].as_str()?;
        let root = metadata["workspace_root"].as_str()?;
        Some(manifest.strip_prefix(root)?.trim_start_matches('/').split('/').next()?.to_owned())
    };
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(from) = place(name) else { continue };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            let Some(to) = place(used) else { continue };
            // An operator's tests may use the SDK's test kit.
            let is_allowed = matches!(
                (from.as_str(), to.as_str()),
                ("examples" | "tests", _) | ("operators" | "operator-sdk", "operator-sdk")
            );
            if !is_allowed {
                broken.push(format!("{name} (in {from}/) must not depend on {used} (in {to}/)"));
            }
        }
    }
    broken
}

/// Rule 2: what decides names no client, no runtime, no clock, no chance, no hash map.
fn operator_file(path: &Path, text: &str) -> Vec<String> {
    let is_pure =
        path.iter().filter_map(|part| part.to_str()).any(|part| PURE_MODULES.contains(&part.trim_end_matches(".rs")));
    let is_code = path.iter().any(|part| part == "src");
    if !is_pure || !is_code {
        return Vec::new();
    }
    code_lines(text)
        .filter_map(|(number, line)| {
            let found = IMPURE_NAMES.iter().find(|name| line.contains(*name))?;
            Some(format!("{}:{number}: a module that only decides names {found}", path.display()))
        })
        .collect()
}

/// Rule 4: the layers of the SDK.
fn sdk_file(path: &Path, text: &str) -> Vec<String> {
    let module = path.iter().skip_while(|part| *part != "src").nth(1).and_then(|part| part.to_str());
    let Some(from) = module.map(|name| name.trim_end_matches(".rs")) else { return Vec::new() };
    let Some(layer) = layer(from) else { return Vec::new() };
    let is_above = |name: &str| {
        self::layer(name).is_some_and(|other| other > layer) || SDK_LEAVES.contains(&name) && from != "operator"
    };
    let named = own_modules(text).into_iter().filter(|(_, to)| to != from && is_above(to));
    named.map(|(number, to)| format!("{}:{number}: {from} must not name {to}", path.display())).collect()
}

/// The modules of its own crate that a file names, alone or in a group, with line numbers.
fn own_modules(text: &str) -> Vec<(usize, String)> {
    let code = code(text);
    let mut found = Vec::new();
    for (start, word) in code.match_indices("crate::") {
        let rest = &code[start + word.len()..];
        let number = line_number(&code, start);
        let first_word = |text: &str| -> String {
            text.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
        };
        match rest.strip_prefix('{') {
            Some(group) => found.extend(items(group).into_iter().map(|item| (number, first_word(item)))),
            None => found.push((number, first_word(rest))),
        }
    }
    found
}

/// The items of a group of imports, up to the brace that ends it.
fn items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (index, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&group[start..index]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    items
}

fn layer(module: &str) -> Option<usize> {
    // Leaves stand on everything below `operator`.
    if SDK_LEAVES.contains(&module) {
        return Some(SDK_LAYERS.len() - 2);
    }
    SDK_LAYERS.iter().position(|modules| modules.contains(&module))
}

/// A file without its comments and tests; lines keep their numbers.
fn code(text: &str) -> String {
    let code = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    code.map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect::<Vec<_>>().join("\n")
}

fn line_number(code: &str, position: usize) -> usize {
    code[..position].matches('\n').count() + 1
}

/// Lines that are neither comments nor in a file's tests, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn metadata(root: &Path) -> Result<Value> {
    let mut command = Command::new("cargo");
    command.args(["metadata", "--format-version=1", "--no-deps", "--offline"]).current_dir(root);
    let text = process::output("read the workspace's packages", &mut command, Duration::from_secs(60))?;
    serde_json::from_str(&text).context("failed to read what cargo metadata printed")
}

fn judge_file(root: &Path, file: &Path, judge: impl Fn(&Path, &str) -> Vec<String>) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    Ok(judge(file.strip_prefix(root).unwrap_or(file), &text))
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("failed to list {}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(end) if end == "rs" => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn this_workspace_keeps_the_rules() {
        check().unwrap();
    }

    #[test]
    fn an_operator_that_depends_on_another_breaks_rule_1() {
        let package = |name: &str, folder: &str, needs: &[&str]| {
            let needs: Vec<Value> = needs.iter().map(|need| json!({"name": need})).collect();
            json!({"name": name, "manifest_path": format!("/w/{folder}/Cargo.toml"), "dependencies": needs})
        };
        let packages = json!({"workspace_root": "/w", "packages": [
            package("operator-sdk", "operator-sdk", &["serde"]),
            package("one", "operators/one", &["operator-sdk", "two"]),
            package("two", "operators/two", &["operator-sdk"]),
            package("e2e", "tests/e2e", &["one", "two"]),
        ]});
        assert_eq!(dependencies(&packages), ["one (in operators/) must not depend on two (in operators/)"]);
    }

    #[test]
    fn a_clock_in_a_module_that_decides_breaks_rule_2() {
        let file = Path::new("operators/one/src/core/scale.rs");
        assert_eq!(operator_file(file, "use std::time::SystemTime;").len(), 1);
        assert!(operator_file(file, "// not a HashMap\nuse std::collections::BTreeMap;").is_empty());
        assert!(operator_file(Path::new("operators/one/src/act.rs"), "use kube::Client;").is_empty());
    }

    #[test]
    fn a_lower_layer_that_names_a_higher_one_breaks_rule_4() {
        assert_eq!(sdk_file(Path::new("operator-sdk/src/client.rs"), "use crate::queue::Queue;").len(), 1);
        assert_eq!(sdk_file(Path::new("operator-sdk/src/queue/state.rs"), "use crate::admin::Admin;").len(), 1);
        let group = "use crate::{\n    clock::{Boot, Clock},\n    queue::{Backoff, Queue},\n    admin,\n};";
        assert_eq!(sdk_file(Path::new("operator-sdk/src/cache/store.rs"), group).len(), 2);
        assert!(sdk_file(Path::new("operator-sdk/src/queue.rs"), "use crate::clock::Clock;").is_empty());
        assert!(sdk_file(Path::new("operator-sdk/src/operator.rs"), "use crate::{admin::Admin};").is_empty());
        assert!(sdk_file(Path::new("operator-sdk/src/client/write.rs"), "use crate::client::Client;").is_empty());
    }
}
