//! What is told, and the Event that tells it. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use serde_json::{Value, json};

use super::{Reporter, Type};
use crate::object::{Key, Object, Uid};

// Limits of the API server's validation, in bytes.
const NOTE_LIMIT: usize = 1024;
const WORD_LIMIT: usize = 128;
const NAME_LIMIT: usize = 253;
/// Where the Events of objects without a namespace stand.
const CLUSTER_NAMESPACE: &str = "default";

/// What happened, to which object. Occurrences that agree in all of it make a series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Happening {
    pub(super) uid: Uid,
    pub(super) r#type: Type,
    pub(super) reason: &'static str,
    pub(super) action: &'static str,
    pub(super) note: String,
}

/// One time that it happened.
#[derive(Clone, Debug)]
pub(super) struct Occurrence {
    pub(super) happening: Arc<Happening>,
    pub(super) key: Key,
    regarding: ObjectReference,
    at: Timestamp,
}

impl Occurrence {
    /// `None` if the object has no uid.
    pub(super) fn of<K: Object>(
        object: &K,
        r#type: Type,
        reason: &'static str,
        action: &'static str,
        mut note: String,
        at: Timestamp,
    ) -> Option<Self> {
        note.truncate(note.floor_char_boundary(NOTE_LIMIT));
        note.shrink_to_fit();
        let (reason, action) = (cut(reason, WORD_LIMIT), cut(action, WORD_LIMIT));
        let happening = Arc::new(Happening { uid: object.uid_of()?, r#type, reason, action, note });
        Some(Self { happening, key: object.key(), regarding: object.object_ref(&()), at })
    }

    /// Where its Event stands.
    pub(super) fn namespace(&self) -> &str {
        self.key.namespace.as_deref().unwrap_or(CLUSTER_NAMESPACE)
    }

    /// A name for its Event, made unique by `random`.
    pub(super) fn event_name(&self, random: u64) -> String {
        let suffix = format!(".{random:016x}");
        // What is left of a name that was cut may not end like this before a dot.
        let name = cut(&self.key.name, NAME_LIMIT - suffix.len()).trim_end_matches(['.', '-']);
        format!("{name}{suffix}")
    }

    /// An Event of this name that tells it as something new.
    pub(super) fn event(&self, name: String, reporter: &Reporter) -> Event {
        let Happening { r#type, reason, action, note, .. } = self.happening.as_ref();
        Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(self.namespace().to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(self.at)),
            regarding: Some(self.regarding.clone()),
            type_: Some(r#type.as_str().to_owned()),
            reason: Some((*reason).to_owned()),
            action: Some((*action).to_owned()),
            note: Some(note.clone()),
            reporting_controller: Some(reporter.controller.clone()),
            reporting_instance: Some(cut(&reporter.instance, WORD_LIMIT).to_owned()),
            ..Event::default()
        }
    }

    /// What makes it the last of a series of so many. The API server lets nothing else of an Event be changed.
    pub(super) fn series_patch(&self, count: i32) -> Value {
        json!({"series": {"count": count, "lastObservedTime": MicroTime(self.at)}})
    }
}

/// As much of `text` as fits in so many bytes.
fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
