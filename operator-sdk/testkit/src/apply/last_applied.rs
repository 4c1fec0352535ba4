//! The annotation in which `kubectl apply` notes what it applied before it did so on the server's side: `kubectl` takes
//! over from itself without a conflict, and keeps the annotation up to date for older programs.

use serde_json::{Value, json};

use super::{compare::compare, conflict::Conflicts, field_set::FieldSet, owned::fields, typed::Type};
use crate::resource::Resource;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
const MANAGER: &str = "kubectl";

/// The conflicts that are left for this manager.
pub(super) fn resolve(conflicts: Conflicts, manager: &str, live: &Value, resource: &Resource) -> Conflicts {
    let mine = if manager == MANAGER { still_as_applied(live, resource) } else { None }.unwrap_or_default();
    Conflicts(conflicts.0.into_iter().filter(|(_, path)| !mine.has(path)).collect())
}

/// Notes the intent in the annotation, if there is one.
pub(super) fn note(object: &mut Value, intent: &Value, manager: &str) {
    if manager != MANAGER || text(object).is_none() {
        return;
    }
    let mut intent = intent.clone();
    if let Some(annotations) = intent.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    intent.sort_all_objects();
    object["metadata"]["annotations"][ANNOTATION] = json!(format!("{intent}\n"));
}

/// What is noted, as far as the object still is so.
fn still_as_applied(live: &Value, resource: &Resource) -> Option<FieldSet> {
    let applied: Value = serde_json::from_str(text(live)?).ok()?;
    if applied["apiVersion"] != resource.api_version() {
        return None;
    }
    let ty = Type::of(&resource.schema);
    let found = compare(&applied, live, ty, &FieldSet::default());
    Some(fields(&applied, ty).difference(&found.changed).difference(&found.removed))
}

fn text(object: &Value) -> Option<&str> {
    let noted = object.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()?;
    Some(noted).filter(|noted| !noted.is_empty())
}
