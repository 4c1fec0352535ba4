//! What a reconcile wrote: the next one of the same key waits until the caches show it.

use std::{
    any::TypeId,
    sync::{Arc, Mutex, PoisonError},
};

use crate::object::{Key, Object, Revision, Target, Uid};

/// One write, as a cache can tell whether it has seen it.
#[derive(Clone, Debug)]
pub enum Written {
    /// Created or changed; the answer carried this revision.
    Revision {
        /// The type written.
        kind: TypeId,
        /// The revision of the answer.
        revision: Revision,
    },
    /// Deleted, or marked as terminating.
    Deleted {
        /// The type deleted.
        kind: TypeId,
        /// The object.
        key: Key,
        /// The incarnation.
        uid: Uid,
    },
    /// Sent, but no answer says what became of it; only a list that is asked for afterwards can tell.
    Unknown {
        /// The type concerned.
        kind: TypeId,
    },
}

impl Written {
    /// True if it concerns objects of this type.
    pub fn is_of<K: Object>(&self) -> bool {
        let kind = match self {
            Self::Revision { kind, .. } | Self::Deleted { kind, .. } | Self::Unknown { kind } => kind,
        };
        *kind == TypeId::of::<K>()
    }
}

/// The writes of one reconcile. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Vec<Written>>>);

impl Journal {
    /// All writes so far; empties the journal.
    pub fn take(&self) -> Vec<Written> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn note_revision<K: Object>(&self, object: &K) {
        if let Some(revision) = object.revision() {
            self.note(Written::Revision { kind: TypeId::of::<K>(), revision });
        }
    }

    pub(super) fn note_deleted<K: Object>(&self, target: &Target) {
        self.note(Written::Deleted { kind: TypeId::of::<K>(), key: target.key.clone(), uid: target.uid.clone() });
    }

    pub(super) fn note_unknown<K: Object>(&self) {
        self.note(Written::Unknown { kind: TypeId::of::<K>() });
    }

    fn note(&self, written: Written) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(written);
    }
}
