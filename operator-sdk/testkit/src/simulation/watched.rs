//! The guarantees of a watch, as etcd's robustness tests state them, held against everything that any watch of a run tells:
//! ordered, unique, reliable, atomic, resumable, bookmarkable, filtered, with the state before, and true about creation.
//!
//! The judge is the list of commits, which the watch does not see. What is told of an object that only selects, by labels
//! or by fields other than its name, is not judged for gaps.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use super::place::Place;
use crate::{
    request::{Reply, Request},
    store::{Change, Commit},
    watch::{EventKind, WatchEvent},
};

/// All watches of a run.
#[derive(Debug, Default)]
pub(crate) struct Guarantees {
    watches: BTreeMap<u64, Watched>,
}

/// One watch.
#[derive(Debug)]
struct Watched {
    place: Place,
    /// Everything up to this revision has been told.
    told: u64,
    /// Whether the state of the beginning is still being told.
    is_initial: bool,
    selects_by_more_than_name: bool,
}

impl Guarantees {
    /// Takes in that the server has begun a watch.
    pub(crate) fn begin(&mut self, request: &Request, reply: &Reply) {
        if !reply.is_success() || !matches!(request.query("watch"), Some("true" | "1")) {
            return;
        }
        let mut place = Place::of(&request.path);
        let fields = request.query("fieldSelector").unwrap_or_default();
        if let Some(name) = fields.strip_prefix("metadata.name=") {
            place.name = name.trim_start_matches('=').to_owned();
        }
        let from = request.query("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
        let watched = Watched {
            selects_by_more_than_name: request.query("labelSelector").is_some_and(|selector| !selector.is_empty())
                || !fields.is_empty() && place.name.is_empty()
                || fields.contains(','),
            place,
            told: from,
            is_initial: from == 0 || request.query("sendInitialEvents") == Some("true"),
        };
        self.watches.insert(request.id, watched);
    }

    /// What an event of a watch breaks.
    pub(crate) fn check(&mut self, request: u64, event: &WatchEvent, commits: &[Arc<Commit>]) -> Result<(), String> {
        let Some(watched) = self.watches.get_mut(&request) else { return Ok(()) };
        if event.kind == EventKind::Error {
            return Ok(());
        }
        let revision = event.object.revision();
        if watched.is_initial {
            return watched.check_initial(event, revision);
        }
        if event.kind == EventKind::Bookmark {
            if revision < watched.told {
                return Err(format!("bookmarkable: a bookmark at {revision} after revision {}", watched.told));
            }
            watched.check_gap(revision + 1, commits)?;
            watched.told = revision;
            return Ok(());
        }
        match revision.cmp(&watched.told) {
            Ordering::Less => return Err(format!("ordered: revision {revision} after {}", watched.told)),
            Ordering::Equal => return Err(format!("unique: revision {revision} twice")),
            Ordering::Greater => {}
        }
        watched.check_gap(revision, commits)?;
        watched.told = revision;
        watched.check_truth(event, commits, revision)
    }
}

impl Watched {
    /// The state of the beginning: objects as they are, until a bookmark or a change that is no creation. What was deleted
    /// before it began is in no state, so that nothing is judged for gaps until then.
    fn check_initial(&mut self, event: &WatchEvent, revision: u64) -> Result<(), String> {
        self.told = self.told.max(revision);
        self.is_initial = event.kind == EventKind::Added;
        Ok(())
    }

    /// Reliable and resumable: nothing between what was told last and `before` was left out.
    fn check_gap(&self, before: u64, commits: &[Arc<Commit>]) -> Result<(), String> {
        if self.selects_by_more_than_name {
            return Ok(());
        }
        let start = commits.partition_point(|commit| commit.revision <= self.told);
        let between = commits[start..].iter().take_while(|commit| commit.revision < before);
        match between.into_iter().find(|commit| self.wants(commit)) {
            Some(missing) => Err(format!(
                "reliable: revision {} of {} {} was not told between {} and {before}",
                missing.revision, missing.collection.plural, missing.key, self.told
            )),
            None => Ok(()),
        }
    }

    /// Filtered, with the state before, true about creation: the event says what its commit did.
    fn check_truth(&self, event: &WatchEvent, commits: &[Arc<Commit>], revision: u64) -> Result<(), String> {
        let Ok(index) = commits.binary_search_by_key(&revision, |commit| commit.revision) else { return Ok(()) };
        let commit = &commits[index];
        if !self.wants(commit) || commit.key.name() != event.object.name() {
            return Err(format!("filtered: {} {} was not asked for", commit.collection.plural, commit.key));
        }
        if self.selects_by_more_than_name {
            return Ok(());
        }
        let kind = match commit.change {
            Change::Created => EventKind::Added,
            Change::Updated => EventKind::Modified,
            Change::Deleted => EventKind::Deleted,
        };
        if event.kind != kind {
            let told = event.kind.as_str();
            return Err(format!("is-create: {} is told as {told}, and was {:?}", commit.key, commit.change));
        }
        if event.object.uid() != commit.after.uid() {
            return Err(format!("prev-kv: {} is told with the uid of another incarnation", commit.key));
        }
        // Metadata alone, and another version than is stored, are told in a form of their own.
        let (told, written) = (event.object.value(), commit.after.value());
        let is_of_one_form = ["apiVersion", "kind"].iter().all(|field| told[field] == written[field]);
        if !Arc::ptr_eq(&event.object, &commit.after) && is_of_one_form && told != written {
            return Err(format!("prev-kv: {} is told as something else than was written", commit.key));
        }
        Ok(())
    }

    fn wants(&self, commit: &Commit) -> bool {
        *commit.collection.plural == *self.place.plural
            && *commit.collection.group == *self.place.group
            && self.place.namespace.as_deref().is_none_or(|namespace| namespace == commit.key.namespace())
            && (self.place.name.is_empty() || self.place.name == commit.key.name())
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{
        object::Object,
        store::{Collection, Key},
    };

    fn object(name: &str, revision: u64) -> Arc<Object> {
        Object::new(json!({"metadata": {"name": name, "uid": name, "resourceVersion": revision.to_string()}}))
    }

    fn commit(revision: u64, name: &str, change: Change) -> Arc<Commit> {
        Arc::new(Commit {
            revision,
            time: Timestamp::UNIX_EPOCH,
            collection: Collection::new("", "pods"),
            key: Key::new("default", name),
            change,
            before: None,
            after: object(name, revision),
            request: 0,
        })
    }

    /// What a watch of all pods from revision 1 breaks by telling these.
    fn told(query: &[(&str, &str)], events: &[(EventKind, &str, u64)]) -> Result<(), String> {
        let commits = [
            commit(2, "a", Change::Created),
            commit(3, "b", Change::Created),
            commit(4, "a", Change::Updated),
            commit(5, "a", Change::Deleted),
        ];
        let mut request = Request::new(Method::GET, "/api/v1/pods").with_query("watch", "true");
        for (name, value) in [("resourceVersion", "1")].iter().chain(query) {
            request = request.with_query(name, *value);
        }
        let mut guarantees = Guarantees::default();
        guarantees.begin(&request, &Reply::text(200, ""));
        events.iter().try_for_each(|(kind, name, revision)| {
            guarantees.check(request.id, &WatchEvent { kind: *kind, object: object(name, *revision) }, &commits)
        })
    }

    #[test]
    fn a_watch_that_tells_all_is_right() {
        use EventKind::{Added, Bookmark, Deleted, Modified};
        assert_eq!(told(&[], &[(Added, "a", 2), (Added, "b", 3), (Modified, "a", 4), (Deleted, "a", 5)]), Ok(()));
        assert_eq!(told(&[], &[(Added, "a", 2), (Bookmark, "", 2), (Added, "b", 3)]), Ok(()));
        assert_eq!(told(&[("fieldSelector", "metadata.name=b")], &[(Added, "b", 3), (Bookmark, "", 5)]), Ok(()));
    }

    #[test]
    fn a_watch_that_begins_with_the_state_is_judged_from_the_first_thing_that_happens() {
        use EventKind::{Added, Bookmark, Deleted, Modified};
        let told = |events: &[(EventKind, &str, u64)]| told(&[("sendInitialEvents", "true")], events);
        assert_eq!(told(&[(Added, "b", 3), (Added, "a", 2), (Bookmark, "", 3), (Modified, "a", 4)]), Ok(()));
        assert_eq!(told(&[(Added, "b", 3), (Modified, "a", 4), (Deleted, "a", 5)]), Ok(()));
        for begun in [(Bookmark, "", 3), (Modified, "a", 4)] {
            let broken = told(&[(Added, "b", 3), begun, (Deleted, "a", 5), (Deleted, "a", 5)]).unwrap_err();
            assert!(broken.starts_with(if begun.0 == Bookmark { "reliable" } else { "unique" }), "{broken}");
        }
    }

    #[test]
    fn what_is_told_is_what_was_written() {
        let commits = [commit(2, "a", Change::Created)];
        let request = Request::new(Method::GET, "/api/v1/pods").with_query("watch", "true");
        let mut guarantees = Guarantees::default();
        let mut told = |field: &str, value| {
            guarantees.begin(&request.clone().with_query("resourceVersion", "1"), &Reply::text(200, ""));
            let mut object = object("a", 2).value().clone();
            object[field] = value;
            let event = WatchEvent { kind: EventKind::Added, object: Object::new(object) };
            guarantees.check(request.id, &event, &commits)
        };
        let broken = told("spec", json!({"nodeName": "elsewhere"})).unwrap_err();
        assert!(broken.starts_with("prev-kv: default/a is told as something else"), "{broken}");
        assert_eq!(told("kind", json!("PartialObjectMetadata")), Ok(()));
    }

    #[test]
    fn each_broken_guarantee_is_named() {
        use EventKind::{Added, Bookmark, Modified};
        let names = |query: &[(&str, &str)], events: &[(EventKind, &str, u64)]| {
            told(query, events).unwrap_err().split(':').next().unwrap().to_owned()
        };
        assert_eq!(names(&[], &[(Added, "a", 2), (Added, "b", 3), (Added, "a", 2)]), "ordered");
        assert_eq!(names(&[], &[(Added, "a", 2), (Added, "a", 2)]), "unique");
        assert_eq!(names(&[], &[(Added, "b", 3)]), "reliable");
        assert_eq!(names(&[], &[(Bookmark, "", 2)]), "reliable");
        assert_eq!(names(&[], &[(Added, "a", 2), (Added, "b", 3), (Bookmark, "", 2)]), "bookmarkable");
        assert_eq!(names(&[("fieldSelector", "metadata.name=b")], &[(Added, "a", 2)]), "filtered");
        assert_eq!(names(&[], &[(Modified, "a", 2)]), "is-create");
    }
}
