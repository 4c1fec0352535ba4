//! What a door of the server leaves as it is, and who comes through it therefore does not own. Nor does anybody own who owns
//! what.

use std::sync::LazyLock;

use super::field_set::FieldSet;
use crate::resource::Resource;

static MANAGED_FIELDS: LazyLock<FieldSet> = LazyLock::new(|| FieldSet::of(&[&["metadata", "managedFields"]]));

/// `managedFields`, and what a write through this subresource does not change; empty: the object itself.
pub(super) fn fields(resource: &Resource, subresource: &str) -> FieldSet {
    let beside: &[&[&str]] = match subresource {
        "" if resource.has_status => &[&["status"]],
        "status" => beside_status(resource),
        _ => &[],
    };
    FieldSet::of(beside).union(&MANAGED_FIELDS)
}

fn beside_status(resource: &Resource) -> &'static [&'static [&'static str]] {
    if resource.is_custom {
        return &[&["spec"], &["metadata"]];
    }
    match resource.kind.as_str() {
        "Pod" => &[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]],
        "Deployment" => &[&["spec"], &["metadata", "labels"]],
        "VolumeAttachment" | "ValidatingAdmissionPolicy" => &[&["spec"], &["metadata"]],
        _ => &[&["spec"]],
    }
}
