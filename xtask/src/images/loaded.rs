//! Which images the nodes of a cluster hold.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::process;

const LIMIT: Duration = Duration::from_secs(60);

/// A node, and the images in its store.
#[derive(Clone, Debug)]
pub struct Node {
    /// The node's name.
    pub name: String,
    ids: BTreeMap<String, String>,
}

impl Node {
    /// Whether it holds an image of this name and, if one is given, this id.
    #[must_use]
    pub fn holds(&self, name: &str, id: Option<&str>) -> bool {
        self.ids.get(name).is_some_and(|held| id.is_none_or(|id| held == id))
    }
}

/// Asks every node.
pub fn on_nodes(cluster: &Cluster) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for node in cluster.nodes()? {
        let name = node.name.clone();
        let mut list = cluster.docker()?;
        list.args(["exec", &name, "crictl", "images", "--output", "json"]);
        let text = process::output(&format!("list the images of node {name}"), &mut list, LIMIT)?;
        let ids = ids(&text).with_context(|| format!("failed to read the list of images of node {name}"))?;
        nodes.push(Node { name, ids });
    }
    Ok(nodes)
}

fn ids(text: &str) -> Result<BTreeMap<String, String>> {
    let list: Value = serde_json::from_str(text)?;
    let images = list["images"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut ids = BTreeMap::new();
    for image in images {
        let id = image["id"].as_str().unwrap_or_default().trim_start_matches("sha256:");
        for name in image["repoTags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            ids.insert(name.to_owned(), id.to_owned());
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_with_other_content_under_the_same_name_is_not_the_same() {
        let text = r#"{"images":[{"id":"sha256:aa","repoTags":["a:1","b:1"]},{"id":"sha256:cc","repoTags":[]}]}"#;
        let node = Node { name: "one".into(), ids: ids(text).unwrap() };
        assert!(node.holds("b:1", Some("aa")) && node.holds("a:1", None));
        assert!(!node.holds("a:1", Some("cc")) && !node.holds("c:1", None));
    }
}
