//! What becomes of one object, decided by live reads.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Collector, Task,
    graph::{FOREGROUND, Node, ORPHAN, Reference, references},
};
use crate::{
    actor::{
        hand::{Failed, propagation},
        kind::Kind,
    },
    metadata,
    object::Object,
};

/// What an object's owners are to it.
#[derive(Debug, Default)]
struct Owners {
    /// They are there.
    solid: usize,
    /// The uids of those that are not.
    dangling: Vec<String>,
    /// The uids of those that wait for this very object to go.
    waiting: Vec<String>,
}

/// What is known of an owner.
enum Owner {
    Solid,
    Dangling,
    Waiting,
    /// Its kind is not served.
    Unresolved,
    /// It can never be one.
    Impossible,
}

impl Collector {
    /// Deletes an object if all its owners are gone, or helps its own deletion on.
    pub(super) async fn attempt_to_delete(&mut self, uid: &str) -> Result<(), Failed> {
        let Some(node) = self.graph.get(uid).cloned() else { return Ok(()) };
        if node.is_deleting && !node.is_waiting {
            return Ok(());
        }
        let Some(latest) = self.live(&node, uid).await? else { return Ok(()) };
        if node.is_waiting {
            return self.help_waiting(&node, uid).await;
        }
        if references(&latest).is_empty() {
            return Ok(());
        }
        let Some(owners) = self.classify(&node, uid, &latest).await? else { return Ok(()) };
        if owners.solid > 0 {
            let lost: Vec<String> = owners.dangling.into_iter().chain(owners.waiting).collect();
            return if lost.is_empty() { Ok(()) } else { self.disown(&node.kind, &latest, &lost).await };
        }
        if owners.waiting.is_empty() || self.graph.dependents(uid).is_empty() {
            return self.delete(&node, &latest, policy(&latest)).await;
        }
        let is_waiting = |uid: &String| self.graph.get(uid).is_some_and(|dependent| dependent.is_waiting);
        if self.graph.dependents(uid).iter().any(is_waiting) {
            // They may wait for each other in a circle.
            self.unblock(&node.kind, &latest).await?;
        }
        self.delete(&node, &latest, "Foreground").await
    }

    /// Takes an object out of the owners of its dependents, and lets it go.
    pub(super) async fn orphan(&mut self, uid: &str) -> Result<(), Failed> {
        let Some(node) = self.graph.get(uid).cloned() else { return Ok(()) };
        for dependent in self.graph.dependents(uid) {
            let Some(node) = self.graph.get(&dependent).cloned() else { continue };
            if let Some(latest) = self.live(&node, &dependent).await? {
                self.disown(&node.kind, &latest, &[uid.to_owned()]).await?;
            }
        }
        self.remove_finalizer(&node, uid, ORPHAN).await
    }

    /// Lets an object go whose dependents have gone, and sees after those that have not.
    async fn help_waiting(&mut self, node: &Node, uid: &str) -> Result<(), Failed> {
        let blocking = self.graph.blocking_dependents(uid);
        if blocking.is_empty() {
            return self.remove_finalizer(node, uid, FOREGROUND).await;
        }
        for dependent in blocking {
            if !self.graph.get(&dependent).is_some_and(|dependent| dependent.is_waiting) {
                self.agenda.within(&self.takes, Task::Delete(dependent));
            }
        }
        Ok(())
    }

    /// `None`: nothing can be said yet, or ever.
    async fn classify(&mut self, node: &Node, uid: &str, latest: &Object) -> Result<Option<Owners>, Failed> {
        let mut owners = Owners::default();
        for reference in references(latest) {
            match self.look_up(node, &reference).await? {
                Owner::Solid => owners.solid += 1,
                Owner::Dangling => owners.dangling.push(reference.uid),
                Owner::Waiting => owners.waiting.push(reference.uid),
                Owner::Unresolved => {
                    self.unresolved.insert(uid.to_owned());
                    return Ok(None);
                }
                Owner::Impossible => return Ok(None),
            }
        }
        Ok(Some(owners))
    }

    async fn look_up(&self, node: &Node, reference: &Reference) -> Result<Owner, Failed> {
        let Some(kind) = self.resolve(reference).await? else { return Ok(Owner::Unresolved) };
        if kind.is_namespaced && node.namespace.is_empty() {
            return Ok(Owner::Impossible);
        }
        let owner = self.hand.get(&kind, &node.namespace, &reference.name).await?;
        Ok(match owner.filter(|owner| owner.uid() == reference.uid) {
            None => Owner::Dangling,
            Some(owner) if is_waiting(&owner) => Owner::Waiting,
            Some(_) => Owner::Solid,
        })
    }

    /// The kind that a reference names, in the version that it names.
    async fn resolve(&self, reference: &Reference) -> Result<Option<Kind>, Failed> {
        let (group, version) = reference.api_version.split_once('/').unwrap_or(("", &reference.api_version));
        let found = self.kinds.iter().find(|kind| kind.group == group && kind.kind == reference.kind);
        let Some(kind) = found.filter(|kind| kind.version != version) else { return Ok(found.cloned()) };
        match self.hand.read(&format!("/apis/{group}/{version}")).await {
            Ok(_) => Ok(Some(Kind { version: version.to_owned(), ..kind.clone() })),
            Err(failed) if failed.is_gone() => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// The object of this uid as it is.
    async fn live(&self, node: &Node, uid: &str) -> Result<Option<Arc<Object>>, Failed> {
        let latest = self.hand.get(&node.kind, &node.namespace, &node.name).await?;
        Ok(latest.filter(|latest| latest.uid() == uid))
    }

    async fn delete(&self, node: &Node, latest: &Object, policy: &str) -> Result<(), Failed> {
        let mut options = propagation(policy);
        options["preconditions"]["resourceVersion"] = latest.resource_version().into();
        let deleted = match self.hand.delete(&node.kind, latest, options).await {
            Err(failed) if failed.is_conflict() => {
                let Some(now) = self.live(node, latest.uid()).await? else { return Ok(()) };
                if references(&now) != references(latest) {
                    return Err(failed);
                }
                self.hand.delete(&node.kind, &now, propagation(policy)).await
            }
            deleted => deleted,
        };
        ignore_gone(deleted.map(drop))
    }

    /// Takes these uids out of the owners of an object.
    async fn disown(&self, kind: &Kind, latest: &Object, lost: &[String]) -> Result<(), Failed> {
        let is_lost = |owner: &Value| owner["uid"].as_str().is_some_and(|uid| lost.iter().any(|lost| lost == uid));
        let owners: Vec<Value> = owners(latest).filter(|owner| !is_lost(owner)).cloned().collect();
        self.write_owners(kind, latest, owners).await
    }

    async fn unblock(&self, kind: &Kind, latest: &Object) -> Result<(), Failed> {
        let unblocked = owners(latest).cloned().map(|mut owner| {
            owner["blockOwnerDeletion"] = false.into();
            owner
        });
        self.write_owners(kind, latest, unblocked.collect()).await
    }

    async fn write_owners(&self, kind: &Kind, latest: &Object, owners: Vec<Value>) -> Result<(), Failed> {
        let patch = json!({ "metadata": { "resourceVersion": latest.resource_version(), "ownerReferences": owners } });
        ignore_gone(self.hand.patch(kind, latest, "", &patch).await.map(drop))
    }

    async fn remove_finalizer(&self, node: &Node, uid: &str, finalizer: &str) -> Result<(), Failed> {
        let Some(latest) = self.live(node, uid).await? else { return Ok(()) };
        let finalizers: Vec<&str> = metadata::finalizers(&latest).collect();
        let left: Vec<&str> = finalizers.iter().copied().filter(|present| *present != finalizer).collect();
        if left.len() == finalizers.len() {
            return Ok(());
        }
        let patch = json!({ "metadata": { "resourceVersion": latest.resource_version(), "finalizers": left } });
        ignore_gone(self.hand.patch(&node.kind, &latest, "", &patch).await.map(drop))
    }
}

fn owners(object: &Object) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

/// What the object's own finalizers want for its dependents.
fn policy(object: &Object) -> &'static str {
    let has = |wanted: &str| metadata::finalizers(object).any(|finalizer| finalizer == wanted);
    match () {
        () if has(ORPHAN) => "Orphan",
        () if has(FOREGROUND) => "Foreground",
        () => "Background",
    }
}

fn is_waiting(owner: &Object) -> bool {
    !owner["metadata"]["deletionTimestamp"].is_null()
        && metadata::finalizers(owner).any(|finalizer| finalizer == FOREGROUND)
}

fn ignore_gone(result: Result<(), Failed>) -> Result<(), Failed> {
    result.or_else(|failed| if failed.is_gone() { Ok(()) } else { Err(failed) })
}
