//! The API server's audit log: who asked for what, and with which outcome, so that a test can judge an operator by its
//! requests. Of others only writes are kept, of all only who and what, never a body; the log is bounded in size.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The folder of the log on the control plane's node; `tests/e2e/src/audit.rs` reads it.
const LOG_FOLDER: &str = "/var/log/kubernetes/audit";
const POLICY_FOLDER: &str = "/etc/kubernetes/audit";
const POLICY_FILE: &str = "policy.json";
const FILE_SIZE_MEGABYTES: u32 = 50;
/// Files besides the one that is being written.
const FULL_FILES: u32 = 1;

/// Writes the policy into a folder of the cluster's own; gives that folder.
pub fn write_policy(cluster: &Path) -> Result<PathBuf> {
    let folder = cluster.join("audit");
    crate::paths::make(&folder)?;
    let file = folder.join(POLICY_FILE);
    std::fs::write(&file, policy().to_string()).with_context(|| format!("failed to write {}", file.display()))?;
    Ok(folder)
}

/// How the control plane's node gets the policy from its folder on this machine.
pub fn mount(folder: &Path) -> Value {
    json!({"hostPath": folder, "containerPath": POLICY_FOLDER, "readOnly": true})
}

/// What kubeadm shall give to the API server.
pub fn api_server() -> Value {
    let argument = |name: &str, value: String| json!({"name": name, "value": value});
    let volume = |name: &str, path: &str, is_read_only: bool| {
        json!({
            "name": name, "hostPath": path, "mountPath": path, "readOnly": is_read_only,
            "pathType": "DirectoryOrCreate",
        })
    };
    json!({
        "extraArgs": [
            argument("audit-policy-file", format!("{POLICY_FOLDER}/{POLICY_FILE}")),
            argument("audit-log-path", format!("{LOG_FOLDER}/audit.log")),
            argument("audit-log-maxsize", FILE_SIZE_MEGABYTES.to_string()),
            argument("audit-log-maxbackup", FULL_FILES.to_string()),
        ],
        "extraVolumes": [volume("audit-policy", POLICY_FOLDER, true), volume("audit-log", LOG_FOLDER, false)],
    })
}

/// Every request of our operators, and the writes of everybody.
pub fn policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": true,
        "rules": [
            {"level": "Metadata", "userGroups": ["system:serviceaccounts:operator-lite-system"]},
            {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
            {"level": "None"},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_finds_the_policy_where_the_node_has_it() {
        let (mount, server) = (mount(Path::new("/state/audit")), api_server());
        let on_node = mount["containerPath"].as_str().unwrap();
        let value = |name: &str| -> String {
            let arguments = server["extraArgs"].as_array().unwrap();
            let found = arguments.iter().find(|argument| argument["name"] == name).unwrap();
            found["value"].as_str().unwrap().to_owned()
        };
        let volumes: Vec<&str> = server["extraVolumes"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|volume| volume["mountPath"].as_str())
            .collect();
        for (path, folder) in [(value("audit-policy-file"), on_node), (value("audit-log-path"), LOG_FOLDER)] {
            assert!(path.starts_with(folder) && volumes.contains(&folder), "{path} in {volumes:?}");
        }
    }

    #[test]
    fn a_policy_is_where_the_mount_takes_it_from() {
        let cluster = tempfile::tempdir().unwrap();
        let folder = write_policy(cluster.path()).unwrap();
        let written = std::fs::read_to_string(folder.join(POLICY_FILE)).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), policy());
    }
}
