//! What a reconcile wrote: the next one of the same key waits until the caches show it.

use std::{
    any::TypeId,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
///
/// A write stands here as [`Written::Unknown`] from before it is sent until its answer has come: a reconcile may be
/// dropped, or panic, at any time.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    known: Vec<Written>,
    /// Sent and not answered, by a number of their own.
    open: BTreeMap<u64, Written>,
    opened: u64,
}

/// A write that stands in a journal as sent and not answered.
#[must_use]
pub(super) struct Open(u64);

impl Journal {
    /// All writes so far; empties the journal.
    pub fn take(&self) -> Vec<Written> {
        let entries = std::mem::take(&mut *self.entries());
        entries.known.into_iter().chain(entries.open.into_values()).collect()
    }

    /// Notes that a write of this kind is about to be sent.
    pub(super) fn open<K: Object>(&self) -> Open {
        let mut entries = self.entries();
        entries.opened += 1;
        let number = entries.opened;
        entries.open.insert(number, Written::Unknown { kind: TypeId::of::<K>() });
        Open(number)
    }

    /// The answer has come; whoever has it notes what was written.
    pub(super) fn close(&self, open: Open) {
        self.entries().open.remove(&open.0);
    }

    pub(super) fn note_revision<K: Object>(&self, object: &K) {
        if let Some(revision) = object.revision() {
            self.note(Written::Revision { kind: TypeId::of::<K>(), revision });
        }
    }

    pub(super) fn note_deleted<K: Object>(&self, target: &Target) {
        self.note(Written::Deleted { kind: TypeId::of::<K>(), key: target.key.clone(), uid: target.uid.clone() });
    }

    fn note(&self, written: Written) {
        self.entries().known.push(written);
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
