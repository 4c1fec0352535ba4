//! Deletion: preconditions, grace, finalizers, and what becomes of dependents.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Call, Reply, Server,
    create::{has_generation, seconds},
    decode,
    definition::definitions,
    list::{self, key_of},
    namespace::{has_finalizers, is_namespace},
    options::{DeleteOptions, Propagation},
};
use crate::{
    failure::Failure,
    metadata,
    object::Object,
    request::{Body, List},
    resource::Resource,
    store::Change,
};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const ORPHANED_PODS: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to \
                             remove them or set propagationPolicy=Orphan to suppress this warning";

/// What a deletion comes to.
pub(super) enum Outcome {
    /// The object goes at once.
    Gone(Arc<Object>),
    /// It stays, marked.
    Marked(Arc<Object>),
}

impl Server {
    pub(super) fn delete(&mut self, call: Call<'_>) -> Result<Reply, Failure> {
        let options = DeleteOptions::parse(call.request)?;
        let live = self.live(call.target)?;
        let served = call.target.served.clone();
        if served.collection == definitions() && !options.is_dry_run {
            check_preconditions(&served.resource, &options, &live)?;
            return Ok(Reply::object(200, self.remove_definition(call, &live)));
        }
        let warnings = match served.resource.group == "batch" && served.resource.plural == "jobs" {
            true if options.propagation.is_none() => vec![ORPHANED_PODS.to_owned()],
            _ => Vec::new(),
        };
        let reply = match self.delete_object(call, &options, &live)? {
            Outcome::Marked(object) => Reply::object(200, served.present(&object)),
            Outcome::Gone(object) if returns_object(&served.resource) => Reply::object(200, served.present(&object)),
            Outcome::Gone(object) => Reply::value(200, success(&served.resource, &object)),
        };
        Ok(decode::warn(reply, &warnings))
    }

    pub(super) fn delete_collection(&mut self, call: Call<'_>) -> Result<Reply, Failure> {
        let options = DeleteOptions::parse(call.request)?;
        let selector = list::selector(call)?;
        let served = call.target.served.clone();
        let found: Vec<Arc<Object>> =
            self.store.list(&served.collection, call.target.scope()).map(|(_, object)| object.clone()).collect();
        let revision = self.store.revision();
        let mut items = Vec::new();
        for object in found.into_iter().filter(|object| selector.matches(object)) {
            match self.delete_object(call, &options, &object)? {
                Outcome::Gone(_) | Outcome::Marked(_) => items.push(served.present(&object)),
            }
        }
        let list = List {
            api_version: served.api_version.clone(),
            kind: served.resource.list_kind.clone(),
            resource_version: revision.to_string(),
            is_custom: served.resource.is_custom,
            items,
            ..List::default()
        };
        Ok(Reply { code: 200, headers: Vec::new(), body: Body::List(list) })
    }

    fn remove_definition(&mut self, call: Call<'_>, live: &Object) -> Arc<Object> {
        let (now, request) = (call.now, call.request.id);
        if live["metadata"]["deletionTimestamp"].is_null() {
            self.delete_definition(now, request, live);
        }
        let marked = self.store.get(&definitions(), &call.target.key()).cloned();
        self.delete_instances(now, request, live);
        marked.unwrap_or_else(|| Object::new(live.value().clone()))
    }

    pub(super) fn delete_object(
        &mut self,
        call: Call<'_>,
        options: &DeleteOptions,
        live: &Arc<Object>,
    ) -> Result<Outcome, Failure> {
        let resource = &call.target.served.resource;
        check_preconditions(resource, options, live)?;
        if is_namespace(resource) && (live["metadata"]["deletionTimestamp"].is_null() || has_finalizers(live)) {
            return self.delete_namespace(call, options, live).map(Outcome::Marked);
        }
        let grace = grace(call.now, resource, options, live);
        if matches!(grace, Grace::Pending) {
            return Ok(Outcome::Marked(live.clone()));
        }
        let finalizers = finalizers_of_deletion(resource, options, live);
        let mut marked = live.value().clone();
        set_finalizers(&mut marked, &finalizers);
        let is_held = !finalizers.is_empty();
        match grace {
            Grace::Until(time, seconds) => mark(&mut marked, resource, live, time, seconds),
            _ if is_held => {
                let already = live["metadata"]["deletionTimestamp"].as_str().and_then(|time| time.parse().ok());
                let time = already.map_or(call.now, |already: Timestamp| already.min(call.now));
                mark(&mut marked, resource, live, time, 0);
            }
            _ => {}
        }
        let is_kept = is_held || matches!(grace, Grace::Until(_, seconds) if seconds > 0);
        if options.is_dry_run {
            let object = Object::new(marked);
            return Ok(if is_kept { Outcome::Marked(object) } else { Outcome::Gone(object) });
        }
        let key = key_of(live);
        if !is_kept && matches!(grace, Grace::Until(..)) && marked != *live.value() {
            marked = self.commit(call, key.clone(), Change::Updated, marked).after.value().clone();
        }
        if !is_kept {
            // What goes at once goes as it was stored.
            let last = if matches!(grace, Grace::None) { live.value().clone() } else { marked };
            let commit = self.commit(call, key, Change::Deleted, last);
            return Ok(Outcome::Gone(commit.after.clone()));
        }
        if self.is_no_change(&marked, live) {
            return Ok(Outcome::Marked(live.clone()));
        }
        let commit = self.commit(call, key, Change::Updated, marked);
        Ok(Outcome::Marked(commit.after.clone()))
    }
}

/// How much time an object gets.
enum Grace {
    /// None.
    None,
    /// It has been told already, and nothing changes.
    Pending,
    /// Until then, so many seconds from the first telling.
    Until(Timestamp, i64),
}

fn grace(now: Timestamp, resource: &Resource, options: &DeleteOptions, live: &Object) -> Grace {
    if !(resource.group.is_empty() && resource.plural == "pods") {
        return Grace::None;
    }
    let metadata = &live["metadata"];
    if let Some(deleted) = metadata["deletionTimestamp"].as_str().and_then(|time| time.parse::<Timestamp>().ok()) {
        let had = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or_default();
        return match options.grace_period_seconds {
            _ if had == 0 => Grace::None,
            Some(wanted) if wanted < had => {
                let time =
                    deleted - Duration::from_secs(had.unsigned_abs()) + Duration::from_secs(wanted.unsigned_abs());
                match time < now && wanted != 0 {
                    true => Grace::Until(now, 1),
                    false => Grace::Until(time.max(now), wanted),
                }
            }
            _ => Grace::Pending,
        };
    }
    let own = live["spec"]["terminationGracePeriodSeconds"].as_i64();
    let is_over = matches!(live["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
    let is_placed = !live["spec"]["nodeName"].as_str().unwrap_or_default().is_empty();
    let seconds = match is_placed && !is_over {
        true => options.grace_period_seconds.or(own).unwrap_or_default(),
        false => 0,
    };
    Grace::Until(now + Duration::from_secs(seconds.unsigned_abs()), seconds)
}

fn mark(marked: &mut Value, resource: &Resource, live: &Object, time: Timestamp, grace: i64) {
    let is_first = live["metadata"]["deletionTimestamp"].is_null();
    let generation = live["metadata"]["generation"].as_i64().unwrap_or_default();
    if is_first && generation > 0 && has_generation(resource) {
        marked["metadata"]["generation"] = (generation + 1).into();
    }
    marked["metadata"]["deletionTimestamp"] = seconds(time).into();
    marked["metadata"]["deletionGracePeriodSeconds"] = grace.into();
}

fn check_preconditions(resource: &Resource, options: &DeleteOptions, live: &Object) -> Result<(), Failure> {
    let conflict = |why: String| {
        // The real server names the kind here where it names the resource elsewhere.
        let mut named = resource.clone();
        named.plural.clone_from(&resource.kind);
        Err(Failure::conflict(&named, live.name(), &why))
    };
    if let Some(uid) = options.uid.as_ref().filter(|uid| **uid != live.uid()) {
        return conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted \
             and then recreated",
            live.uid()
        ));
    }
    if let Some(version) = options.resource_version.as_ref().filter(|version| **version != live.resource_version()) {
        return conflict(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The \
             object might have been modified",
            live.resource_version()
        ));
    }
    Ok(())
}

/// The finalizers of an object that is being deleted: an explicit policy takes the place of those already there.
fn finalizers_of_deletion(resource: &Resource, options: &DeleteOptions, live: &Object) -> Vec<String> {
    let present: Vec<String> = metadata::finalizers(live).map(str::to_owned).collect();
    let has = |finalizer: &str| present.iter().any(|present| present == finalizer);
    let wanted = match options.propagation {
        Some(Propagation::Orphan) => Some(ORPHAN),
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Background) => None,
        None if orphans_by_default(resource) && !has(FOREGROUND) => Some(ORPHAN),
        None => [ORPHAN, FOREGROUND].into_iter().find(|finalizer| has(finalizer)),
    };
    let is_policy = |finalizer: &str| finalizer == ORPHAN || finalizer == FOREGROUND;
    let is_same = present.iter().filter(|finalizer| is_policy(finalizer)).map(String::as_str).eq(wanted);
    if is_same {
        return present;
    }
    let others = present.iter().filter(|finalizer| !is_policy(finalizer)).cloned();
    others.chain(wanted.map(str::to_owned)).collect()
}

fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    let metadata = metadata::of(object);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), json!(finalizers));
    }
}

/// Kinds whose dependents stay unless the request says otherwise.
fn orphans_by_default(resource: &Resource) -> bool {
    matches!((resource.group.as_str(), resource.plural.as_str()), ("batch", "jobs") | ("", "replicationcontrollers"))
}

/// Kinds whose deletion is answered with the object.
fn returns_object(resource: &Resource) -> bool {
    matches!(
        (resource.group.as_str(), resource.plural.as_str()),
        (
            "",
            "pods"
                | "services"
                | "serviceaccounts"
                | "resourcequotas"
                | "persistentvolumes"
                | "persistentvolumeclaims"
                | "podtemplates"
        )
    )
}

fn success(resource: &Resource, object: &Object) -> Value {
    let mut details =
        json!({ "name": object.name(), "group": resource.group, "kind": resource.plural, "uid": object.uid() });
    if let Some(details) = details.as_object_mut() {
        details.retain(|_, value| value.as_str() != Some(""));
    }
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}
