//! What an actor knows of the cluster: the objects of some kinds, and every change of them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    StreamExt,
    stream::{self, BoxStream, SelectAll},
};
use tokio::time::sleep;

use super::{hand::Hand, kind::Kind};
use crate::{
    object::Object,
    request::List,
    service::{Line, Watching},
    store::Key,
    watch::EventKind,
};

/// So long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Lists and watches kinds, and keeps what it was told. It begins anew whatever happens to a watch, and tells as a change
/// what it has missed.
pub struct Sight {
    hand: Hand,
    /// Never locked: it makes a `Sight` one that threads may share, which actors held over an `await` must be.
    told: Mutex<Streams>,
    objects: BTreeMap<Arc<Kind>, Option<BTreeMap<Key, Arc<Object>>>>,
    pending: VecDeque<Seen>,
}

/// A change of an object.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Of which kind.
    pub kind: Arc<Kind>,
    /// As it was known before; `None`: it was not.
    pub before: Option<Arc<Object>>,
    /// As it is; `None`: it is gone.
    pub after: Option<Arc<Object>>,
}

type Streams = SelectAll<BoxStream<'static, (Arc<Kind>, Told)>>;

enum Told {
    Listed(Vec<Arc<Object>>),
    Applied(Arc<Object>),
    Gone(Arc<Object>),
    /// The kind is served no more.
    Unserved,
}

/// Which objects are followed, and how far it has come.
struct Follower {
    hand: Hand,
    kind: Arc<Kind>,
    namespace: String,
    fields: String,
    state: State,
}

enum State {
    Begin,
    Listed(String),
    Watching(Watching),
    Over,
}

impl Sight {
    /// Follows all objects of these kinds.
    pub fn of(hand: &Hand, kinds: impl IntoIterator<Item = Kind>) -> Self {
        let mut sight =
            Self { hand: hand.clone(), told: Mutex::default(), objects: BTreeMap::new(), pending: VecDeque::new() };
        kinds.into_iter().for_each(|kind| sight.follow(kind, "", ""));
        sight
    }

    /// Follows one more kind, in a namespace (empty: in all) and as a field selector wants it (empty: all); nothing
    /// happens if it is followed already.
    pub fn follow(&mut self, kind: Kind, namespace: &str, fields: &str) {
        let kind = Arc::new(kind);
        if self.objects.contains_key(&kind) {
            return;
        }
        self.objects.insert(kind.clone(), None);
        let (namespace, fields) = (namespace.to_owned(), fields.to_owned());
        let follower = Follower { hand: self.hand.clone(), kind, namespace, fields, state: State::Begin };
        self.streams().push(stream::unfold(follower, Follower::next).boxed());
    }

    /// The next change. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Seen {
        loop {
            if let Some(seen) = self.pending.pop_front() {
                return seen;
            }
            match self.streams().next().await {
                Some((kind, told)) => self.take_in(&kind, told),
                None => futures::future::pending().await,
            }
        }
    }

    /// Waits until all kinds have been listed once. What they hold is told as ever.
    pub async fn settle(&mut self) {
        while !self.is_complete() {
            match self.streams().next().await {
                Some((kind, told)) => self.take_in(&kind, told),
                None => futures::future::pending().await,
            }
        }
    }

    /// Whether all kinds have been listed once.
    fn is_complete(&self) -> bool {
        self.objects.values().all(Option::is_some)
    }

    /// What is known of a kind, by key.
    pub fn objects(&self, kind: &Kind) -> impl Iterator<Item = (&Key, &Arc<Object>)> {
        self.objects.get(kind).into_iter().flatten().flatten()
    }

    /// An object as it was told last.
    pub fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(kind)?.as_ref()?.get(&Key::new(namespace, name))
    }

    fn streams(&mut self) -> &mut Streams {
        self.told.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&mut self, kind: &Arc<Kind>, told: Told) {
        let Some(slot) = self.objects.get_mut(kind) else { return };
        let is_unserved = matches!(told, Told::Unserved);
        let known = slot.get_or_insert_default();
        let seen = |before, after| Seen { kind: kind.clone(), before, after };
        match told {
            Told::Applied(object) => {
                let before = known.insert(key(&object), object.clone());
                self.pending.push_back(seen(before, Some(object)));
            }
            Told::Gone(object) => {
                let before = known.remove(&key(&object)).unwrap_or(object);
                self.pending.push_back(seen(Some(before), None));
            }
            Told::Listed(objects) => {
                let mut former = std::mem::take(known);
                for object in objects {
                    let before = former.remove(&key(&object));
                    known.insert(key(&object), object.clone());
                    match before {
                        Some(before) if before.resource_version() == object.resource_version() => {}
                        // One of the same name has taken its place meanwhile.
                        Some(before) if before.uid() != object.uid() => {
                            self.pending.extend([seen(Some(before), None), seen(None, Some(object))]);
                        }
                        before => self.pending.push_back(seen(before, Some(object))),
                    }
                }
                self.pending.extend(former.into_values().map(|before| seen(Some(before), None)));
            }
            Told::Unserved => self.pending.extend(known.values().map(|before| seen(Some(before.clone()), None))),
        }
        if is_unserved {
            self.objects.remove(kind);
        }
    }
}

impl Follower {
    async fn next(mut self) -> Option<((Arc<Kind>, Told), Self)> {
        loop {
            match &mut self.state {
                State::Over => return None,
                State::Begin => match self.hand.list(&self.kind, &self.namespace, &self.fields).await {
                    Ok(List { items, resource_version, .. }) => {
                        self.state = State::Listed(resource_version);
                        return Some((self.tell(Told::Listed(items)), self));
                    }
                    Err(failed) if failed.is_gone() => {
                        self.state = State::Over;
                        return Some((self.tell(Told::Unserved), self));
                    }
                    Err(_) => sleep(RETRY).await,
                },
                State::Listed(revision) => {
                    match self.hand.watch(&self.kind, &self.namespace, &self.fields, revision).await {
                        Ok(watching) => self.state = State::Watching(watching),
                        Err(_) => {
                            self.state = State::Begin;
                            sleep(RETRY).await;
                        }
                    }
                }
                State::Watching(watching) => match watching.next().await {
                    Some(Ok(Line::Event(event))) if event.kind == EventKind::Deleted => {
                        return Some((self.tell(Told::Gone(event.object)), self));
                    }
                    Some(Ok(Line::Event(event))) if event.kind == EventKind::Bookmark => {}
                    Some(Ok(Line::Event(event))) if event.kind != EventKind::Error => {
                        return Some((self.tell(Told::Applied(event.object)), self));
                    }
                    _ => self.state = State::Begin,
                },
            }
        }
    }

    fn tell(&self, told: Told) -> (Arc<Kind>, Told) {
        (self.kind.clone(), told)
    }
}

fn key(object: &Object) -> Key {
    Key::new(object.namespace(), object.name())
}
