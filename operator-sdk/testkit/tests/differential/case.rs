//! A case: a few requests, one after the other, into a namespace of its own.
//!
//! ```yaml
//! definitions: [widgets]     # CustomResourceDefinitions that the cases of this file use: files of ../definitions, or
//!                            # of the repository's crds/, or whole ones
//! cases:
//! - name: an update with an old resourceVersion is a conflict
//!   items: [5]               # of simulator.md §5; 0 are the built-in kinds
//!   steps:
//!   - request: POST configmaps
//!     body: { metadata: { name: a } }
//!   - request: PUT configmaps/a
//!     body: { metadata: { name: a, resourceVersion: "1" } }
//!     code: 409              # what the real server has to answer, where the name does not say it
//! ```
//!
//! A path without a slash in front is that of a kind in the case's namespace (or of the cluster, if the kind is): there
//! `apiVersion` and `kind` of the body may be left out. In all texts stand for other things:
//! `${ns}` the namespace; `${1.metadata.uid}` a field of the first step's answer (`+1` after it: a number more), or of
//! the step with that `id`; `${a*300}` the letter 300 times.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// CustomResourceDefinitions that are there before the first case.
    #[serde(default)]
    pub definitions: Vec<Value>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// A few requests, one after the other.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A promise.
    pub name: String,
    /// The items of simulator.md §5 that it is about.
    pub items: Vec<u8>,
    /// The requests.
    pub steps: Vec<Step>,
}

/// One request.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A name for others to refer to; its number will do, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Method, space, path and query.
    pub request: String,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// A body that is not JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// What kind of patch the body is: `json`, `merge`, `strategic` or `apply`; or a content type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The header `Accept`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// The header `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Who sends it; the administrator if nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The code of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// Ask again until the answer has this code: for what takes the real server a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u16>,
    /// The answer is a watch; its events until the end of the case are recorded under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<String>,
    /// Wait at the end of the case until the server has closed the watch.
    #[serde(default, skip_serializing_if = "is_false")]
    pub closes: bool,
}

impl File {
    /// All files, by name.
    pub fn load_all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/cases");
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
            .expect("the folder of cases")
            .map(|entry| entry.expect("a file").path())
            .collect();
        paths.sort();
        // While one writes cases: only the files whose name contains this.
        let only = std::env::var("DIFFERENTIAL_ONLY").unwrap_or_default();
        paths.iter().map(|path| Self::load(path)).filter(|file| file.name.contains(&only)).collect()
    }

    /// No cases, with these definitions.
    #[cfg(feature = "real-server")]
    pub fn with_definitions(name: &str, definitions: &[&str]) -> Self {
        let definitions = definitions.iter().map(|name| load_definition(name)).collect();
        Self { name: name.to_owned(), definitions, cases: Vec::new() }
    }

    fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a readable file");
        let mut file: Self =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for definition in &mut file.definitions {
            if let Value::String(name) = definition {
                *definition = load_definition(name);
            }
        }
        file.name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        file
    }
}

fn load_definition(name: &str) -> Value {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = match name.starts_with("crds/") {
        true => here.join(format!("../../{name}.yaml")),
        false => here.join(format!("tests/differential/definitions/{name}.yaml")),
    };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}
