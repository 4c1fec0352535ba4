//! An object of which nothing is known but its kind: what a creation is compared with. What a built-in kind always has is
//! there already, so that nobody comes to own it.

use serde_json::{Value, json};

use crate::{resource::Resource, schema::decode};

pub(super) fn object(resource: &Resource) -> Value {
    let mut object = json!({});
    if !resource.is_custom {
        // Nothing is in it that could be wrong.
        _ = decode::normalise(&resource.schema, &mut object);
    }
    object["apiVersion"] = json!(resource.api_version());
    object["kind"] = json!(resource.kind);
    object
}
