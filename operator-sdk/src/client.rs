//! The write client: the only code of an operator that changes anything in the cluster, its Lease and Events aside.
//!
//! Every request is declared beforehand (or refused before it is sent), has a time-out, is refused once leadership may
//! have lapsed, and is noted, so that the next reconcile of the same key waits until the caches show it. It sends again
//! only reads, and what the server did not look at: all else is tried again by the queue, on fresh data.

#![expect(clippy::disallowed_methods, reason = "this is the module that writes")]

mod connect;
mod fence;
mod journal;
mod retry;

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

pub use connect::{ConnectError, Connector, connect};
pub use fence::Fence;
use http::header::CONTENT_TYPE;
pub use journal::{Journal, Mark, Written};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, Request},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    error::RequestError,
    object::{Key, Object, Target, Uid},
    permission::{Permission, Verb},
};

/// A write that has not been answered after this long is treated as lost. Part of the fencing arithmetic: no write is
/// sent later than this before the lease may have another holder.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What all writes of a process share.
#[derive(Clone)]
pub struct Writes {
    client: kube::Client,
    allowed: Arc<BTreeSet<Permission>>,
    fence: Fence,
    /// Who sets the fields that are applied.
    manager: &'static str,
}

impl Writes {
    /// Writes over `client`, restricted to `allowed`, while `fence` holds. To be called within a runtime.
    pub fn new(client: kube::Client, allowed: Arc<BTreeSet<Permission>>, fence: Fence) -> Self {
        Self { client: retry::retrying(client, fence.clone()), allowed, fence, manager: "operator-sdk" }
    }

    /// The same under the name of an operator, which the fields that it applies carry.
    pub fn named(self, manager: &'static str) -> Self {
        Self { manager, ..self }
    }

    /// A client whose writes are noted in a journal of their own.
    pub fn client(&self) -> Client {
        Client { writes: self.clone(), journal: Journal::default() }
    }
}

/// The write client of one reconcile.
#[derive(Clone)]
pub struct Client {
    writes: Writes,
    journal: Journal,
}

/// What became of a create.
#[derive(Clone, Debug)]
pub enum Created<K> {
    /// It was made now.
    New(K),
    /// It was there already, made earlier for the same owner (an answer was lost, or the cache was late).
    Existing(K),
}

impl Client {
    /// Creates an object. With a fixed name, an object that the same controller owns counts as made
    /// ([`Created::Existing`]).
    ///
    /// # Errors
    /// [`RequestError::is_already_exists`] if the name is taken by something that the owner does not control.
    pub async fn create<K>(&self, object: &K) -> Result<Created<K>, RequestError>
    where
        K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let api: Api<K> = self.namespaced(&object.key());
        let name = object.meta().name.clone().unwrap_or_default();
        let key = Key {
            name: object.meta().name.clone().or_else(|| object.meta().generate_name.clone()).unwrap_or_default(),
            ..object.key()
        };
        let created = self
            .write::<K, _>(Permission::of::<K>(Verb::Create), &key, api.create(&PostParams::default(), object))
            .await;
        match created {
            Ok(created) => {
                self.journal.note_revision(&created);
                Ok(Created::New(created))
            }
            Err(error) if error.is_already_exists() && !name.is_empty() => {
                let existing: K = self.get(&key).await?;
                let owner = object.controller().map(|owner| owner.uid.as_str().into());
                if owner.is_some_and(|owner| existing.is_controlled_by(&owner)) {
                    self.journal.note_revision(&existing);
                    Ok(Created::Existing(existing))
                } else {
                    Err(error)
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes this very incarnation of an object. One that is gone already counts as deleted.
    ///
    /// # Errors
    /// A conflict if the name belongs to another incarnation by now.
    pub async fn delete<K>(&self, target: &Target) -> Result<(), RequestError>
    where
        K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let key = &target.key;
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(target.uid.as_str().to_owned()), resource_version: None }),
            ..DeleteParams::background()
        };
        let api: Api<K> = self.namespaced(key);
        let deleted =
            self.write::<K, _>(Permission::of::<K>(Verb::Delete), key, api.delete(&key.name, &parameters)).await;
        match deleted {
            Err(error) if !error.is_not_found() => {
                // No version was asked for, so it is another incarnation; if it is not, a fresh list says so.
                if error.is_conflict() {
                    self.journal.note_deleted::<K>(key, &target.uid, false);
                }
                Err(error)
            }
            _ => {
                self.journal.note_deleted::<K>(key, &target.uid, true);
                Ok(())
            }
        }
    }

    /// Changes an object by JSON merge patch, provided that it is still at the revision of `target`.
    ///
    /// # Errors
    /// A conflict if somebody else wrote first.
    pub async fn patch<K>(&self, target: &Target, mut patch: Value) -> Result<K, RequestError>
    where
        K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let key = &target.key;
        patch["metadata"]["uid"] = json!(target.uid.as_str());
        patch["metadata"]["resourceVersion"] = json!(target.resource_version);
        let api: Api<K> = self.namespaced(key);
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        let patched =
            self.write::<K, _>(Permission::of::<K>(Verb::Patch), key, api.patch(&key.name, &parameters, &patch)).await;
        let patched = self.unless_outdated::<K, _>(target, patched)?;
        self.journal.note_revision(&patched);
        Ok(patched)
    }

    /// Changes an object by JSON patch (RFC 6902); its tests say on what it depends, the uid above all.
    ///
    /// # Errors
    /// [`Class::Invalid`](crate::Class::Invalid) if a test fails.
    pub(crate) async fn json_patch<K>(&self, key: &Key, operations: Value) -> Result<K, RequestError>
    where
        K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let path = format!("{}/{}", K::url_path(&(), key.namespace.as_deref()), key.name);
        let request = async {
            let request = http::Request::patch(path).header(CONTENT_TYPE, "application/json-patch+json");
            let request = request.body(operations.to_string().into_bytes()).map_err(kube::Error::HttpError)?;
            self.writes.client.request::<K>(request).await
        };
        let patched = self.write::<K, _>(Permission::of::<K>(Verb::Patch), key, request).await?;
        self.journal.note_revision(&patched);
        Ok(patched)
    }

    /// Makes an object so by server-side apply, whoever has set its fields so far; see [`intent`](crate::intent).
    ///
    /// # Errors
    /// A conflict if it has another uid than `object` says.
    pub(crate) async fn apply<K>(&self, key: &Key, object: Value) -> Result<K, RequestError>
    where
        K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let api: Api<K> = self.namespaced(key);
        let parameters = PatchParams::apply(self.writes.manager).force();
        let uid = object["metadata"]["uid"].as_str().map(Uid::from);
        let patch = Patch::Apply(object);
        let request = api.patch(&key.name, &parameters, &patch);
        let applied = self.write::<K, _>(Permission::of::<K>(Verb::Patch), key, request).await;
        if let (Err(error), Some(uid)) = (&applied, &uid)
            && error.is_conflict()
        {
            self.journal.note_deleted::<K>(key, uid, false);
        }
        let applied = applied?;
        self.journal.note_revision(&applied);
        Ok(applied)
    }

    /// The object as it is now, with its `managedFields`, read from the API server's store and not from a cache.
    ///
    /// # Errors
    /// [`RequestError::is_not_found`] if there is none.
    pub async fn get<K>(&self, key: &Key) -> Result<K, RequestError>
    where
        K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let api: Api<K> = self.namespaced(key);
        self.send(Permission::of::<K>(Verb::Get), key, api.get(&key.name)).await
    }

    /// Writes the status of an object, provided that it is still at the revision of `object`.
    ///
    /// # Errors
    /// A conflict if somebody else wrote first.
    pub async fn replace_status<K>(&self, object: &K) -> Result<K, RequestError>
    where
        K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        self.replace_status_with(object, object).await
    }

    /// The same, where `object` is `based_on` with another status.
    pub(crate) async fn replace_status_with<K>(&self, based_on: &K, object: &impl Serialize) -> Result<K, RequestError>
    where
        K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        let key = based_on.key();
        let request = async {
            let body = serde_json::to_vec(object).map_err(kube::Error::SerdeError)?;
            let requests = Request::new(K::url_path(&(), key.namespace.as_deref()));
            let request = requests.replace_subresource("status", &key.name, &PostParams::default(), body);
            let mut request = request.map_err(kube::Error::BuildRequest)?;
            // As kube names it in its traces.
            request.extensions_mut().insert("replace_status");
            self.writes.client.request::<K>(request).await
        };
        let written = self.write::<K, _>(Permission::on_subresource::<K>(Verb::Update, "status"), &key, request).await;
        let written = match Target::of(based_on) {
            Ok(target) => self.unless_outdated::<K, _>(&target, written)?,
            Err(_) => written?,
        };
        self.journal.note_revision(&written);
        Ok(written)
    }

    /// That an object turns out to be gone, or other than it was, is news that the cache may lack: nothing more is done for
    /// it until it has it.
    fn unless_outdated<K: Object, T>(
        &self,
        target: &Target,
        answer: Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        match &answer {
            Err(error) if error.is_not_found() => self.journal.note_deleted::<K>(&target.key, &target.uid, false),
            Err(error) if error.is_conflict() => self.journal.note_outdated::<K>(target),
            _ => {}
        }
        answer
    }

    /// The same client, which refuses all but `permissions`.
    pub(crate) fn restricted_to(&self, permissions: &BTreeSet<Permission>) -> Self {
        let allowed = Arc::new(self.writes.allowed.intersection(permissions).cloned().collect());
        Self { writes: Writes { allowed, ..self.writes.clone() }, journal: self.journal.clone() }
    }

    /// What has been written so far.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    fn namespaced<K>(&self, key: &Key) -> Api<K>
    where
        K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.writes.client.clone(), key.namespace.as_deref().unwrap_or_default())
    }

    /// Sends a mutating request: fenced, and noted as of unknown effect until an answer says what became of it.
    ///
    /// Whoever gets the answer notes it before the next await: nothing may be lost if the reconcile is dropped there.
    async fn write<K: Object, T>(
        &self,
        permission: Permission,
        key: &Key,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, RequestError> {
        if !self.writes.fence.allows_request_of(REQUEST_TIMEOUT) {
            return Err(RequestError::Fenced { permission, key: key.clone() });
        }
        self.journal.open::<K>();
        let answer = self.send(permission, key, request).await;
        if !answer.as_ref().is_err_and(RequestError::may_have_been_applied) {
            self.journal.close::<K>();
        }
        answer
    }

    async fn send<T>(
        &self,
        permission: Permission,
        key: &Key,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, RequestError> {
        let key = key.clone();
        if !self.writes.allowed.contains(&permission) {
            return Err(RequestError::Undeclared { permission, key });
        }
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(RequestError::Failed { permission, key, source: Box::new(source) }),
            Err(_) => Err(RequestError::TimedOut { permission, key, timeout: REQUEST_TIMEOUT }),
        }
    }
}
