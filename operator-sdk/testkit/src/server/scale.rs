//! The subresource `scale`: the same three numbers of every kind that has it.

use serde_json::{Value, json};

use super::{
    Answer, Call, Reply, Server,
    options::WriteOptions,
    update::{Written, wrong_uid},
};
use crate::{
    apply,
    cause::{Cause, CauseKind},
    failure::Failure,
    object::Object,
    patch::{self, PatchKind},
    resource::{Resource, ScalePaths},
    schema::Schema,
};

impl Server {
    pub(super) fn get_scale(&mut self, call: Call<'_>) -> Result<Answer, Failure> {
        let live = self.live(call.target)?;
        let paths = paths(&call.target.served.resource)?;
        Ok(Reply::value(200, scale(&live, paths)).into())
    }

    pub(super) fn write_scale(&mut self, call: Call<'_>, is_patch: bool) -> Result<Reply, Failure> {
        let kind = if is_patch { "PatchOptions" } else { "UpdateOptions" };
        let options = WriteOptions::parse(call.request, kind)?;
        let resource = call.target.served.resource.clone();
        let paths = paths(&resource)?;
        let live = self.live(call.target)?;
        let wanted = match is_patch {
            true => patched(call, &scale(&live, paths))?,
            false => super::decode::parse(call.request)?,
        };
        let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or_default();
        if replicas < 0 && !resource.is_custom {
            return Err(negative(&call.target.name, replicas));
        }
        let version = wanted["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        if !version.is_empty() && version != live.resource_version() {
            return Err(Failure::stale(&resource, &call.target.name));
        }
        let uid = wanted["metadata"]["uid"].as_str().unwrap_or_default();
        if !uid.is_empty() && uid != live.uid() {
            return Err(wrong_uid(call, uid, &live));
        }
        let mut new = live.value().clone();
        *at(&mut new, &paths.replicas) = replicas.into();
        let manager = options.manager(call.request);
        let new = apply::update_scale(live.value(), &new, &paths.replicas, &resource, &manager);
        let reply = self.replace(call, &options, &live, Written::plain(new))?;
        Ok(Reply::value(200, scale(&Object::new(reply.to_value()), paths)))
    }
}

fn paths(resource: &Resource) -> Result<&ScalePaths, Failure> {
    resource.scale.as_ref().ok_or_else(Failure::no_such_path)
}

fn patched(call: Call<'_>, scale: &Value) -> Result<Value, Failure> {
    let content_type = call.request.content_type.split(';').next().unwrap_or_default();
    let kind = match content_type {
        "application/json-patch+json" => PatchKind::Json,
        "application/strategic-merge-patch+json" | "application/merge-patch+json" => PatchKind::Merge,
        _ => return Err(Failure::unsupported_media_type("the body of the request was in an unknown format")),
    };
    Ok(patch::apply(scale, kind, &call.request.body, &Schema::default())?)
}

/// The Scale of an object.
fn scale(object: &Object, paths: &ScalePaths) -> Value {
    let number = |path: &str| read(object, path).as_i64().unwrap_or_default();
    let metadata = &object["metadata"];
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": { "name": metadata["name"], "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"] },
        "spec": {},
        "status": { "replicas": number(&paths.status_replicas) },
    });
    if !object.namespace().is_empty() {
        scale["metadata"]["namespace"] = object.namespace().into();
    }
    if let replicas @ 1.. = number(&paths.replicas) {
        scale["spec"]["replicas"] = replicas.into();
    }
    let selector = paths.selector.as_ref().map(|path| selector_text(read(object, path))).unwrap_or_default();
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    scale
}

/// A selector as it stands in a query.
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut terms: Vec<(String, String)> =
        equal.map(|(key, value)| (key.clone(), format!("{key}={}", text(value)))).collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = text(&expression["key"]);
        let mut values: Vec<String> = expression["values"].as_array().into_iter().flatten().map(text).collect();
        values.sort();
        let values = values.join(",");
        let term = match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("Exists") => key.clone(),
            _ => format!("!{key}"),
        };
        terms.push((key, term));
    }
    terms.sort();
    terms.into_iter().map(|(_, term)| term).collect::<Vec<_>>().join(",")
}

fn negative(name: &str, replicas: i64) -> Failure {
    let detail = "must be greater than or equal to 0";
    let cause = Cause::new(CauseKind::Invalid, "spec.replicas", replicas.into(), detail);
    Failure::invalid_kind("autoscaling", "Scale", name, &[cause])
}

fn read<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').filter(|field| !field.is_empty()).fold(object, |value, field| &value[field])
}

fn at<'a>(object: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.').filter(|field| !field.is_empty()).fold(object, |value, field| &mut value[field])
}
