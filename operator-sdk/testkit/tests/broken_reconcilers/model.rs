//! What the controllers are about: a Database has members (ConfigMaps), a role (ClusterRole), and a key (Secret)
//! without which its data is lost.

use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Secret},
        rbac::v1::ClusterRole,
    },
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, OwnerReference},
};
use kube::{CustomResource, Resource};
use operator_testkit::simulation::Manifest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// By which a child says whose it is.
pub(crate) const LABEL: &str = "database";
/// What holds a Database until its controller has cleaned up.
pub(crate) const FINALIZER: &str = "judges.operator-lite.dev/clean-up";

#[derive(Clone, Debug, CustomResource, Deserialize, Serialize)]
#[kube(
    group = "judges.operator-lite.dev",
    version = "v1",
    kind = "Database",
    status = "DatabaseStatus",
    schema = "disabled",
    namespaced
)]
pub(crate) struct DatabaseSpec {
    pub(crate) members: usize,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) image: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings_from: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct DatabaseStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) members: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phase: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) conditions: Vec<Condition>,
}

/// A Database `a` as people write it.
pub(crate) fn database(spec: Value) -> Manifest {
    let api_version = "judges.operator-lite.dev/v1";
    Manifest::from(json!({"apiVersion": api_version, "kind": "Database", "metadata": {"name": "a"}, "spec": spec}))
}

impl Database {
    pub(crate) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// A member of this name.
    pub(crate) fn member(&self, name: &str) -> ConfigMap {
        let data = [("image".to_owned(), self.spec.image.clone())].into();
        ConfigMap { metadata: self.child(name), data: Some(data), ..ConfigMap::default() }
    }

    /// The names of all members that it is to have.
    pub(crate) fn member_names(&self) -> Vec<String> {
        (0..self.spec.members).map(|number| format!("{}-{number}", self.name())).collect()
    }

    /// The key to its data.
    pub(crate) fn key(&self) -> Secret {
        Secret { metadata: self.child(&key_name(self.name())), ..Secret::default() }
    }

    /// The role of its members, which stands outside all namespaces: nobody collects it.
    pub(crate) fn role(&self) -> ClusterRole {
        let metadata = ObjectMeta { owner_references: None, ..self.child(&format!("database-{}", self.name())) };
        ClusterRole { metadata, ..ClusterRole::default() }
    }

    /// What each child says of itself.
    pub(crate) fn child(&self, name: &str) -> ObjectMeta {
        let owner = OwnerReference {
            api_version: Self::api_version(&()).into_owned(),
            kind: Self::kind(&()).into_owned(),
            name: self.name().to_owned(),
            uid: self.uid().to_owned(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some([(LABEL.to_owned(), self.name().to_owned())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        }
    }

    /// The same without a name of its own: the server makes one up.
    pub(crate) fn child_of_any_name(&self) -> ObjectMeta {
        ObjectMeta { name: None, generate_name: Some(format!("{}-", self.name())), ..self.child("") }
    }
}

pub(crate) fn key_name(database: &str) -> String {
    format!("key-{database}")
}

/// Whether this child belongs to that incarnation of a Database.
pub(crate) fn is_of(child: &ObjectMeta, database: &Database) -> bool {
    child.owner_references.iter().flatten().any(|owner| owner.uid == database.uid())
}
