//! What a door of the server leaves as it is, and who comes through it therefore does not own.

use super::field_set::FieldSet;
use crate::resource::Resource;

/// The fields that a write through this subresource does not change; empty: the object itself.
pub(super) fn fields(resource: &Resource, subresource: &str) -> FieldSet {
    match subresource {
        "" if resource.has_status => FieldSet::of(&[&["status"]]),
        "status" => FieldSet::of(beside_status(resource)),
        _ => FieldSet::default(),
    }
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
