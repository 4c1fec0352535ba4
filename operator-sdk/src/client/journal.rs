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
        /// Whether by this write; if not, it found that somebody else had done it.
        is_own: bool,
    },
    /// Not written: a write found that somebody else had written it, or made another of its name.
    Outdated {
        /// The type.
        kind: TypeId,
        /// The object.
        key: Key,
        /// What the write was based on; the least of all if that is not known.
        revision: Revision,
    },
    /// Sent, but no answer says what became of it; only a list that is asked for later can tell.
    Unknown {
        /// The type concerned.
        kind: TypeId,
    },
}

impl Written {
    /// True if it concerns objects of this type.
    pub fn is_of<K: Object>(&self) -> bool {
        let kind = match self {
            Self::Revision { kind, .. }
            | Self::Deleted { kind, .. }
            | Self::Outdated { kind, .. }
            | Self::Unknown { kind } => kind,
        };
        *kind == TypeId::of::<K>()
    }

    /// How it shows in an event; `None` if that is not known.
    pub fn mark(&self) -> Option<Mark> {
        match self {
            Self::Revision { revision, .. } => Some(Mark::Revision(*revision)),
            Self::Deleted { uid, is_own: true, .. } => Some(Mark::Deletion(uid.clone())),
            // The event of what a stranger did is news.
            Self::Deleted { .. } | Self::Outdated { .. } | Self::Unknown { .. } => None,
        }
    }
}

/// How a write shows in an event: a key can tell by it which events are the echo of what it wrote itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// An object is at this revision.
    Revision(Revision),
    /// The deletion of this incarnation has begun, or ended at once.
    Deletion(Uid),
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
    /// The kinds of writes that were sent and have not been answered.
    open: Vec<TypeId>,
    /// The `resourceVersion` of each object after its last write.
    latest: BTreeMap<Uid, String>,
}

impl Journal {
    /// All writes so far; empties the journal.
    pub fn take(&self) -> Vec<Written> {
        let entries = std::mem::take(&mut *self.entries());
        let open = entries.open.into_iter().map(|kind| Written::Unknown { kind });
        entries.known.into_iter().chain(open).collect()
    }

    /// The `resourceVersion` that an object has got by a write noted here.
    pub fn version_of(&self, uid: &Uid) -> Option<String> {
        self.entries().latest.get(uid).cloned()
    }

    /// Notes that a write of this kind is about to be sent.
    pub(super) fn open<K: Object>(&self) {
        self.entries().open.push(TypeId::of::<K>());
    }

    /// An answer has come; whoever has it notes what was written.
    pub(super) fn close<K: Object>(&self) {
        let mut entries = self.entries();
        if let Some(place) = entries.open.iter().position(|kind| *kind == TypeId::of::<K>()) {
            entries.open.swap_remove(place);
        }
    }

    pub(super) fn note_revision<K: Object>(&self, object: &K) {
        if let Some(revision) = object.revision() {
            self.note(Written::Revision { kind: TypeId::of::<K>(), revision });
        }
        if let (Some(uid), Some(version)) = (object.uid_of(), object.meta().resource_version.clone()) {
            self.entries().latest.insert(uid, version);
        }
    }

    /// Notes that this incarnation is gone, by this write or as it found.
    pub(super) fn note_deleted<K: Object>(&self, key: &Key, uid: &Uid, is_own: bool) {
        self.note(Written::Deleted { kind: TypeId::of::<K>(), key: key.clone(), uid: uid.clone(), is_own });
    }

    pub(super) fn note_outdated<K: Object>(&self, target: &Target) {
        let revision = Revision::parse(&target.resource_version).unwrap_or_default();
        self.note(Written::Outdated { kind: TypeId::of::<K>(), key: target.key.clone(), revision });
    }

    fn note(&self, written: Written) {
        self.entries().known.push(written);
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    #[test]
    fn what_somebody_else_did_is_news_and_a_deletion_of_our_own_is_not() {
        let uid = Uid::from("1");
        let target =
            Target { key: Key::namespaced("default", "web"), uid: uid.clone(), resource_version: "1".to_owned() };
        let journal = Journal::default();
        for is_own in [true, false] {
            journal.note_deleted::<Pod>(&target.key, &uid, is_own);
        }
        journal.note_outdated::<Pod>(&target);
        let marks: Vec<Option<Mark>> = journal.take().iter().map(Written::mark).collect();
        assert_eq!(marks, [Some(Mark::Deletion(uid)), None, None]);
    }
}
