//! What a watch tells.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::json;

use crate::{failure::Failure, object::Object};

/// One event of a watch.
#[derive(Clone, Debug)]
pub struct WatchEvent {
    /// What happened.
    pub kind: EventKind,
    /// To which object; of an error the Status, of a bookmark a bare object with a resource version.
    pub object: Arc<Object>,
}

/// What a watch event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of Kubernetes")]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

/// What a watch has to say now.
#[derive(Debug, Default)]
pub struct Pulled {
    /// In order.
    pub events: Vec<WatchEvent>,
    /// Whether nothing comes after them.
    pub is_ended: bool,
}

impl WatchEvent {
    /// The error that the revision is not in history any more.
    pub fn expired() -> Self {
        Self::error(&Failure::expired("The resourceVersion for the provided watch is too old."))
    }

    /// An error.
    pub fn error(failure: &Failure) -> Self {
        Self { kind: EventKind::Error, object: Object::new(failure.status()) }
    }

    /// A bookmark; `ends_initial` if it ends the events of the first state.
    pub fn bookmark(api_version: &str, kind: &str, revision: u64, ends_initial: bool) -> Self {
        let mut object =
            json!({ "kind": kind, "apiVersion": api_version, "metadata": { "resourceVersion": revision.to_string() } });
        if ends_initial {
            object["metadata"]["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        Self { kind: EventKind::Bookmark, object: Object::new(object) }
    }

    /// The event as a line of JSON.
    pub fn line(&self) -> Bytes {
        let json = self.object.json();
        let mut line = BytesMut::with_capacity(json.len() + 32);
        line.put_slice(br#"{"type":""#);
        line.put_slice(self.kind.as_str().as_bytes());
        line.put_slice(br#"","object":"#);
        line.put_slice(json);
        line.put_slice(b"}\n");
        line.freeze()
    }
}

impl EventKind {
    /// As in `ADDED`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
            Self::Bookmark => "BOOKMARK",
            Self::Error => "ERROR",
        }
    }
}
