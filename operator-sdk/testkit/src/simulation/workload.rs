//! What people ask of the cluster in the course of a run: objects applied and deleted, step by step.

use std::{fmt, sync::Arc};

use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use super::world::World;
use crate::{
    record::State,
    request::{Reply, Request},
    server::{Answer, Server},
};

/// Objects, as they stand in a YAML file.
#[derive(Clone, Debug, Default)]
pub struct Manifest(Vec<Value>);

/// The objects of a YAML file of the crate, by its path from the crate's root.
#[macro_export]
macro_rules! yaml {
    ($path:literal) => {
        $crate::simulation::Manifest::parse(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)))
    };
}

/// What somebody does, once everything that came before has settled.
#[derive(Clone)]
pub enum Step {
    /// Creates the objects, or changes them to be so.
    Apply(Manifest),
    /// Deletes the objects.
    Delete(Manifest),
    /// Sends what follows from what there is.
    Act(Act),
}

/// What somebody makes of what there is: requests, sent one after the other.
pub type Act = Arc<dyn Fn(&State) -> Vec<Request> + Send + Sync>;

impl fmt::Debug for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, manifest) = match self {
            Self::Apply(manifest) => ("apply", manifest),
            Self::Delete(manifest) => ("delete", manifest),
            Self::Act(_) => return formatter.write_str("act"),
        };
        let name = |object: &Value| format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]));
        let names: Vec<String> = manifest.0.iter().map(name).collect();
        write!(formatter, "{verb} {}", if names.is_empty() { "nothing".to_owned() } else { names.join(", ") })
    }
}

/// Creates these objects, or changes them to be so.
pub fn apply(manifest: Manifest) -> Step {
    Step::Apply(manifest)
}

/// Deletes these objects.
pub fn delete(manifest: Manifest) -> Step {
    Step::Delete(manifest)
}

/// Sends requests that follow from what there is.
pub fn act(requests: impl Fn(&State) -> Vec<Request> + Send + Sync + 'static) -> Step {
    Step::Act(Arc::new(requests))
}

impl Manifest {
    /// Reads a stream of YAML documents; a `List` counts as its items.
    ///
    /// # Panics
    /// If it is no YAML: it is a part of the test.
    pub fn parse(yaml: &str) -> Self {
        let documents: Vec<Value> = match serde_saphyr::from_multiple(yaml) {
            Ok(documents) => documents,
            Err(error) => panic!("failed to read the manifest: {error}"),
        };
        documents.into_iter().filter(|document| !document.is_null()).collect()
    }

    /// The objects.
    pub fn objects(&self) -> &[Value] {
        &self.0
    }
}

impl FromIterator<Value> for Manifest {
    fn from_iter<I: IntoIterator<Item = Value>>(objects: I) -> Self {
        let items = |object: Value| match object.get("items").and_then(Value::as_array) {
            Some(items) => items.clone(),
            None => vec![object],
        };
        Self(objects.into_iter().flat_map(items).collect())
    }
}

impl From<Value> for Manifest {
    fn from(object: Value) -> Self {
        Self::from_iter([object])
    }
}

/// Does one step, and tells of it in the log.
///
/// # Errors
/// What the server does not accept.
pub(super) fn perform(world: &World, number: usize, step: &Step) -> Result<(), String> {
    world.log(false, format!("step {number}: {step:?}"));
    match step {
        Step::Apply(manifest) => world.network().with(|server, now| install(server, now, manifest)),
        Step::Delete(manifest) => manifest.objects().iter().try_for_each(|object| {
            let (collection, name) = world.network().with(|server, _| place(server, object))?;
            accepted(world.ask(&Request::new(Method::DELETE, format!("{collection}/{name}"))), object)
        }),
        Step::Act(act) => {
            let requests = act(world.recorder().state());
            requests.iter().try_for_each(|request| {
                let told = format!("{} {}", request.method, request.path);
                world.log(false, format!("step {number}: {told}"));
                accepted(world.ask(request), &Value::String(told))
            })
        }
    }
}

/// As `kubectl apply --server-side --force-conflicts`.
///
/// # Errors
/// What the server does not accept.
pub(super) fn install(server: &mut Server, now: Timestamp, manifest: &Manifest) -> Result<(), String> {
    manifest.objects().iter().try_for_each(|object| {
        let (collection, name) = place(server, object)?;
        let apply = Request::new(Method::PATCH, format!("{collection}/{name}"))
            .with_query("fieldManager", "kubectl")
            .with_query("force", "true")
            .with_content("application/apply-patch+yaml", object.to_string());
        accepted(ask(server, now, &apply), object)
    })
}

/// Asks a server on the spot.
pub(super) fn ask(server: &mut Server, now: Timestamp, request: &Request) -> Reply {
    match server.handle(now, &Request { received: now, ..request.clone() }) {
        Answer::Reply(reply) => reply,
        Answer::Watch(_) | Answer::Wait { .. } => Reply::text(500, "no answer on the spot"),
    }
}

/// The path of an object's collection, and its name.
fn place(server: &Server, object: &Value) -> Result<(String, String), String> {
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let resource = server.resource(api_version, kind);
    let resource = resource.ok_or_else(|| {
        format!(
            "the server does not know {api_version} {kind}: give the definition by `Simulation::installed`, or by \
             `installs` of your operator"
        )
    })?;
    let root = if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") };
    let name = text(&object["metadata"]["name"]).to_owned();
    if !resource.is_namespaced {
        return Ok((format!("{root}/{}", resource.plural), name));
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
    Ok((format!("{root}/namespaces/{namespace}/{}", resource.plural), name))
}

fn accepted(reply: Reply, what: &Value) -> Result<(), String> {
    if reply.is_success() {
        return Ok(());
    }
    let what = what
        .as_str()
        .map(str::to_owned)
        .unwrap_or_else(|| format!("{} {}", text(&what["kind"]), text(&what["metadata"]["name"])));
    Err(format!("the server refuses {what}: {} {}", reply.code, reply.to_value()["message"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
