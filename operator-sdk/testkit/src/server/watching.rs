//! Watches: what each wants, how far it has come, and what it has to be told.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{Answer, Call, Server, WatchId, kinds::Served, list, metadata_only, options::is_true};
use crate::{
    cause::{Cause, CauseKind},
    failure::Failure,
    object::Object,
    request::Request,
    selector::Selector,
    store::{Change, Commit},
    view::{HISTORY_WINDOW, ViewId},
    watch::{EventKind, Pulled, WatchEvent},
};

const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
/// So long before the end of a watch the last bookmark comes.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// A watch without time-out lasts between this and twice this.
const SHORTEST_WATCH_SECONDS: u64 = 1800;

/// A watch under way.
#[derive(Debug)]
pub(super) struct Watch {
    view: ViewId,
    served: Arc<Served>,
    scope: Option<String>,
    selector: Selector,
    /// All up to this revision is told.
    position: u64,
    /// What is to be told first.
    initial: Vec<WatchEvent>,
    next_bookmark: Option<Timestamp>,
    /// The one told last: an idle watch tells the same one each minute.
    last_bookmark: Option<WatchEvent>,
    deadline: Timestamp,
    is_ended: bool,
    is_metadata_only: bool,
}

/// What a watch is to begin with.
enum Beginning {
    /// The state as it is.
    State { at_least: u64, ends_with_bookmark: bool },
    /// What comes after this revision.
    After(u64),
}

impl Server {
    pub(super) fn watch(&mut self, call: Call<'_>) -> Result<Answer, Failure> {
        let request = call.request;
        let selector = list::selector(call)?;
        check_watch_options(request)?;
        let beginning = self.beginning(request)?;
        let view = request.view;
        let is_in_time = match beginning {
            Beginning::State { at_least, .. } => match self.wait_for_view(call, at_least) {
                Ok(Some(wait)) => return Ok(wait),
                found => found.map(drop),
            },
            Beginning::After(_) => Ok(()),
        };
        let seconds = match list::number(request, "timeoutSeconds")? {
            0 => SHORTEST_WATCH_SECONDS + self.random.below(SHORTEST_WATCH_SECONDS),
            seconds => seconds,
        };
        let deadline = call.now + Duration::from_secs(seconds);
        let mut watch = Watch {
            view,
            served: call.target.served.clone(),
            scope: call.target.scope().map(str::to_owned),
            selector,
            position: self.view_revision(view),
            initial: Vec::new(),
            next_bookmark: None,
            last_bookmark: None,
            deadline,
            is_ended: false,
            is_metadata_only: metadata_only::is_asked(request),
        };
        match (beginning, is_in_time) {
            (_, Err(failure)) => watch.fail(&failure),
            (Beginning::State { ends_with_bookmark, .. }, _) => self.tell_state(&mut watch, ends_with_bookmark),
            (Beginning::After(revision), _) => self.resume(&mut watch, revision, call.now),
        }
        if is_true(request.query("allowWatchBookmarks")) {
            watch.next_bookmark = Some(next_bookmark(call.now, deadline));
        }
        let id = WatchId(self.next_watch);
        self.next_watch += 1;
        self.watches.insert(id, watch);
        Ok(Answer::Watch(id))
    }

    /// Takes what a watch has to tell now. A watch that is not known (any more) is ended.
    pub fn next_events(&mut self, id: WatchId, now: Timestamp) -> Pulled {
        self.advance(now);
        let revision = self.watches.get(&id).map_or(0, |watch| self.view_revision(watch.view));
        let Some(watch) = self.watches.get_mut(&id) else { return Pulled { events: Vec::new(), is_ended: true } };
        let mut events = std::mem::take(&mut watch.initial);
        if !watch.is_ended {
            let is_cut = self.store.is_forgotten(&watch.served.collection, watch.position);
            if watch.position < revision {
                let commits = self.store.since(&watch.served.collection, watch.position);
                let seen = commits.take_while(|commit| commit.revision <= revision);
                events.extend(seen.filter_map(|commit| watch.event(commit)));
                watch.position = revision;
            }
            if watch.next_bookmark.is_some_and(|due| due <= now) {
                events.push(watch.bookmark());
                watch.next_bookmark = Some(next_bookmark(now, watch.deadline));
            }
            watch.is_ended = is_cut || watch.deadline <= now;
        }
        if watch.is_metadata_only {
            events = events.into_iter().map(metadata_only::strip_event).collect();
        }
        let is_ended = watch.is_ended;
        if is_ended {
            self.watches.remove(&id);
        }
        Pulled { events, is_ended }
    }

    /// When to look at a watch again even if nobody is woken for it.
    pub fn watch_due(&self, id: WatchId) -> Option<Timestamp> {
        let watch = self.watches.get(&id)?;
        let view = self.view_due(watch.view);
        [Some(watch.deadline), watch.next_bookmark, view].into_iter().flatten().min()
    }

    /// The client has gone.
    pub fn end_watch(&mut self, id: WatchId) {
        self.watches.remove(&id);
    }

    /// Lets go of every watch of a view, as when an API server stops.
    pub fn end_watches(&mut self, view: ViewId) {
        for (id, watch) in self.watches.iter_mut().filter(|(_, watch)| watch.view == view) {
            watch.is_ended = true;
            self.woken.push(*id);
        }
    }

    /// How many watches are under way.
    pub fn watch_count(&self) -> usize {
        self.watches.len()
    }

    /// Wakes the watches of one view, or of all, for which a commit has come in sight.
    pub(super) fn wake_watches(&mut self, only: Option<ViewId>) {
        for (id, watch) in &self.watches {
            let is_asked = only.is_none_or(|view| view == watch.view);
            if is_asked && self.store.last_commit(&watch.served.collection) > watch.position {
                self.woken.push(*id);
            }
        }
    }

    fn beginning(&self, request: &Request) -> Result<Beginning, Failure> {
        let asked = list::revision(request, "resourceVersion")?;
        if request.query("sendInitialEvents").is_some_and(|value| is_true(Some(value))) {
            let ends_with_bookmark = is_true(request.query("allowWatchBookmarks"));
            let at_least = asked.unwrap_or_else(|| self.store.revision());
            return Ok(Beginning::State { at_least, ends_with_bookmark });
        }
        let is_later = request.query("sendInitialEvents").is_some();
        Ok(match asked {
            None | Some(0) if is_later => Beginning::After(self.view_revision(request.view)),
            None | Some(0) => Beginning::State { at_least: 0, ends_with_bookmark: false },
            Some(revision) => Beginning::After(revision),
        })
    }

    fn tell_state(&self, watch: &mut Watch, ends_with_bookmark: bool) {
        let collection = &watch.served.collection;
        let mut objects = self.store.list_at(collection, watch.scope.as_deref(), watch.position);
        for object in &mut objects {
            *object = watch.served.present(object);
        }
        objects.retain(|object| watch.selector.matches(object));
        let added = |object| WatchEvent { kind: EventKind::Added, object };
        let mut initial: Vec<WatchEvent> = objects.into_iter().map(added).collect();
        if ends_with_bookmark {
            let kind = &watch.served.resource.kind;
            initial.push(WatchEvent::bookmark(&watch.served.api_version, kind, watch.position, true));
        }
        watch.initial = initial;
    }

    fn resume(&self, watch: &mut Watch, revision: u64, now: Timestamp) {
        let Some(view) = self.views.get(&watch.view) else { return };
        let oldest = now.checked_sub(HISTORY_WINDOW).unwrap_or(Timestamp::MIN);
        let start = self.store.history_start(&watch.served.collection, oldest, view.keeps_last).max(view.forgotten);
        watch.position = revision;
        if revision < start {
            let message = format!("too old resource version: {revision} ({start})");
            watch.fail(&Failure::expired(message));
        }
    }
}

impl Watch {
    /// Tells why there is nothing to tell, and ends.
    fn fail(&mut self, failure: &Failure) {
        self.initial = vec![WatchEvent::error(failure)];
        self.is_ended = true;
    }

    /// How far it has come.
    fn bookmark(&mut self) -> WatchEvent {
        let last = self.last_bookmark.take().filter(|last| last.object.revision() == self.position);
        let Served { resource, api_version, .. } = &*self.served;
        let bookmark = last.unwrap_or_else(|| WatchEvent::bookmark(api_version, &resource.kind, self.position, false));
        self.last_bookmark = Some(bookmark.clone());
        bookmark
    }

    /// What a commit is to this watch.
    fn event(&self, commit: &Commit) -> Option<WatchEvent> {
        if self.scope.as_ref().is_some_and(|scope| *scope != commit.key.namespace()) {
            return None;
        }
        let is_wanted =
            |object: &Arc<Object>| self.selector.is_empty() || self.selector.matches(&self.served.present(object));
        let was = commit.before.as_ref().filter(|before| is_wanted(before));
        let is = commit.change != Change::Deleted && is_wanted(&commit.after);
        let (kind, object) = match (was, is) {
            (None, false) => return None,
            (None, true) => (EventKind::Added, commit.after.clone()),
            (Some(_), true) => (EventKind::Modified, commit.after.clone()),
            (Some(_), false) if commit.change == Change::Deleted => (EventKind::Deleted, commit.after.clone()),
            // It left the selector: its state before, at the revision of the change.
            (Some(before), false) => {
                let mut last = before.value().clone();
                last["metadata"]["resourceVersion"] = commit.revision.to_string().into();
                (EventKind::Deleted, Object::new(last))
            }
        };
        Some(WatchEvent { kind, object: self.served.present(&object) })
    }
}

fn next_bookmark(now: Timestamp, deadline: Timestamp) -> Timestamp {
    let regular = now + BOOKMARK_INTERVAL;
    let last = deadline.checked_sub(LAST_BOOKMARK).unwrap_or(deadline);
    if last > now && last < regular { last } else { regular }
}

fn check_watch_options(request: &Request) -> Result<(), Failure> {
    let mut causes = Vec::new();
    let given = |name: &str| request.query(name).filter(|value| !value.is_empty());
    let how = given("resourceVersionMatch");
    let sends_initial = request.query("sendInitialEvents").is_some();
    let mut forbid = |detail: &str| causes.push(Cause::forbidden("resourceVersionMatch", detail));
    if sends_initial && how != Some("NotOlderThan") {
        forbid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    }
    if let Some(how) = how {
        if !sends_initial {
            forbid("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        }
        if how != "NotOlderThan" {
            let detail = r#"supported values: "NotOlderThan""#;
            causes.push(Cause::new(CauseKind::NotSupported, "resourceVersionMatch", how.into(), detail));
        }
        if given("continue").is_some() {
            let detail = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(Cause::forbidden("resourceVersionMatch", detail));
        }
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid_kind("meta.k8s.io", "ListOptions", "", &causes)) }
}
