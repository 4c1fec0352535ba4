//! Objects of which a client wants the metadata only: `PartialObjectMetadata`.

use std::sync::Arc;

use serde_json::json;

use super::{Answer, Body};
use crate::{
    object::Object,
    request::Request,
    watch::{EventKind, WatchEvent},
};

const API_VERSION: &str = "meta.k8s.io/v1";

/// Whether a client wants no more than the metadata.
pub(super) fn is_asked(request: &Request) -> bool {
    let first = request.accept.split(',').next().unwrap_or_default();
    first.contains("as=PartialObjectMetadata") && first.contains("g=meta.k8s.io")
}

/// The same answer with metadata only.
pub(super) fn strip(answer: Answer) -> Answer {
    let Answer::Reply(mut reply) = answer else { return answer };
    match &mut reply.body {
        Body::Object(object) => *object = of(object),
        Body::List(list) => {
            API_VERSION.clone_into(&mut list.api_version);
            "PartialObjectMetadataList".clone_into(&mut list.kind);
            // Here every item has its kind and version.
            list.has_kinds = true;
            list.is_custom = false;
            list.items.iter_mut().for_each(|object| *object = of(object));
        }
        _ => {}
    }
    Answer::Reply(reply)
}

/// The same event with metadata only.
pub(super) fn strip_event(mut event: WatchEvent) -> WatchEvent {
    if event.kind != EventKind::Error {
        event.object = of(&event.object);
    }
    event
}

fn of(object: &Arc<Object>) -> Arc<Object> {
    Object::new(json!({ "kind": "PartialObjectMetadata", "apiVersion": API_VERSION, "metadata": object["metadata"] }))
}
