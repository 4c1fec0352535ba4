//! A kind that the server serves: its names, its shape, and the rules of its own.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;

use crate::{
    cause::Cause,
    schema::{
        Schema,
        decode::normalise,
        openapi,
        prune::{decode_embedded, prune, shorten_numbers},
    },
};

/// A kind in one version.
#[derive(Clone)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    /// As in `v1alpha1`.
    pub version: String,
    /// As in `Deployment`.
    pub kind: String,
    /// As in `DeploymentList`.
    pub list_kind: String,
    /// As in `deployments`.
    pub plural: String,
    /// As in `deployment`.
    pub singular: String,
    /// As in `deploy`.
    pub short_names: Vec<String>,
    /// As in `all`.
    pub categories: Vec<String>,
    /// Whether its objects lie in namespaces.
    pub is_namespaced: bool,
    /// Whether it is defined by a CustomResourceDefinition.
    pub is_custom: bool,
    /// Whether it has the subresource `status`.
    pub has_status: bool,
    /// Where the subresource `scale` reads and writes; `None`: there is none.
    pub scale: Option<ScalePaths>,
    /// The shape of an object.
    pub schema: Arc<Schema>,
    /// The shapes of a custom kind in its other versions, by `apiVersion`.
    pub other_schemas: BTreeMap<String, Arc<Schema>>,
    /// What is told to whoever uses this version; `None`: it is not deprecated.
    pub deprecation: Option<String>,
    /// Paths of the fields that a field selector may name besides `metadata.name` and `metadata.namespace`.
    pub selectable_fields: Vec<String>,
    /// What only this kind does.
    pub rules: Arc<dyn Rules>,
}

/// Where `scale` lies in an object: JSON paths as in a CustomResourceDefinition (`.spec.replicas`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// `specReplicasPath`.
    pub replicas: String,
    /// `statusReplicasPath`.
    pub status_replicas: String,
    /// `labelSelectorPath`, whose value is a text, or of built-in kinds a selector.
    pub selector: Option<String>,
}

/// Which part of an object a request writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The object itself.
    Main,
    /// `/status`.
    Status,
}

/// What only one kind does. `metadata` is the server's own matter.
pub trait Rules: Send + Sync {
    /// Sets what is not given, on write and on read from the store.
    fn default(&self, object: &mut Value);

    /// The same for what an apply has made: of a custom kind, a `null` that is no value stays, to be refused.
    fn default_applied(&self, object: &mut Value) {
        self.default(object);
    }

    /// Changes what is about to be written, before it is validated: takes away what may not be set, keeps what may not
    /// change. `old` is `None` at a creation.
    fn prepare(&self, _new: &mut Value, _old: Option<&Value>, _part: Part) {}

    /// What is wrong with what is about to be written; empty: nothing.
    fn validate(&self, new: &Value, old: Option<&Value>, part: Part) -> Vec<Cause>;

    /// What is told beside the answer of a write that passes.
    fn warn(&self, _new: &Value, _old: Option<&Value>, _part: Part) -> Vec<String> {
        Vec::new()
    }
}

impl Resource {
    /// Brings an object that is sent into the form in which it is stored, but for defaults: unknown fields go, and of
    /// built-in kinds every value is written in the one way that the server writes it. Gives the paths of the unknown
    /// fields; or why it is no object of this kind, in the words of the server.
    pub fn decode(&self, object: &mut Value) -> Result<Vec<String>, String> {
        if !self.is_custom {
            return normalise(&self.schema, object);
        }
        shorten_numbers(object);
        let mut unknown = decode_metadata(object)?;
        unknown.extend(prune(&self.schema, object, true));
        unknown.extend(decode_embedded(&self.schema, object)?);
        Ok(unknown)
    }

    /// Group and version, as an object says them.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

fn decode_metadata(object: &mut Value) -> Result<Vec<String>, String> {
    let Some(metadata) = object.get_mut("metadata").filter(|metadata| !metadata.is_null()) else {
        return Ok(Vec::new());
    };
    let unknown = normalise(&openapi::METADATA, metadata)?;
    Ok(unknown.into_iter().map(|path| format!("metadata.{path}")).collect())
}

impl fmt::Debug for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}/{}", self.plural, self.group, self.version)
    }
}
