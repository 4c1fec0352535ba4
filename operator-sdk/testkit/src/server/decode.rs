//! What a client sent, as a value.

use serde_json::Value;

use super::{kinds::Served, options::FieldValidation};
use crate::{
    failure::Failure,
    request::{Reply, Request},
    resource::Resource,
};

/// What a body may be at most.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// The body as a value.
pub(crate) fn parse(request: &Request) -> Result<Value, Failure> {
    if request.body.len() > BODY_LIMIT {
        let message = format!("Request entity too large: limit is {BODY_LIMIT}");
        return Err(Failure::new(413, "RequestEntityTooLarge", message));
    }
    let content_type = request.content_type.split(';').next().unwrap_or_default().trim();
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::bad_request(format!("the object provided is unrecognized (must be of type): {error}"))
    };
    match content_type {
        "" | "application/json" => serde_json::from_slice(&request.body).map_err(|error| unreadable(&error)),
        "application/yaml" | "application/apply-patch+yaml" => parse_yaml(&request.body),
        _ => Err(Failure::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// YAML, or JSON as most clients send it there.
pub(crate) fn parse_yaml(body: &[u8]) -> Result<Value, Failure> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = std::str::from_utf8(body).map_err(|error| Failure::bad_request(error.to_string()))?;
    serde_saphyr::from_str(text).map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))
}

/// An object in the form in which it is stored, with its defaults.
pub(crate) struct Decoded {
    pub(crate) object: Value,
    /// What the client is to be warned of.
    pub(crate) warnings: Vec<String>,
}

/// The body as an object of a kind.
pub(crate) fn object(request: &Request, served: &Served, validation: FieldValidation) -> Result<Decoded, Failure> {
    let mut object = parse(request)?;
    check_kind(&object, served)?;
    object["apiVersion"] = served.api_version.as_str().into();
    object["kind"] = served.resource.kind.as_str().into();
    value(object, served, validation)
}

/// A value as an object of a kind.
pub(crate) fn value(mut object: Value, served: &Served, validation: FieldValidation) -> Result<Decoded, Failure> {
    let unknown = served.resource.decode(&mut object).map_err(|error| unfit(served, &error))?;
    let warnings = judge(unknown, served, validation)?;
    served.resource.rules.default(&mut object);
    Ok(Decoded { object, warnings })
}

/// What of an applied intent is unknown.
pub(crate) fn unknown_fields(
    mut intent: Value,
    served: &Served,
    validation: FieldValidation,
) -> Result<Vec<String>, Failure> {
    let unknown = served.resource.decode(&mut intent).map_err(|error| unfit(served, &error))?;
    judge(unknown, served, validation)
}

/// The reply with its warnings.
pub(crate) fn warn(mut reply: Reply, warnings: &[String]) -> Reply {
    reply.headers.extend(warnings.iter().map(|warning| ("warning", format!("299 - {warning:?}"))));
    reply
}

fn judge(unknown: Vec<String>, served: &Served, validation: FieldValidation) -> Result<Vec<String>, Failure> {
    let told: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    match validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(told),
        FieldValidation::Strict if told.is_empty() => Ok(told),
        FieldValidation::Strict => Err(unfit(served, &format!("strict decoding error: {}", told.join(", ")))),
    }
}

fn unfit(served: &Served, error: &str) -> Failure {
    let Resource { kind, version, .. } = &served.resource;
    Failure::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {error}"))
}

/// Refuses what is of another kind or version.
pub(crate) fn check_kind(object: &Value, served: &Served) -> Result<(), Failure> {
    let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    let resource = &served.resource;
    if !object.is_object() {
        let message = "couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct \
                       { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
        return Err(Failure::bad_request(message));
    }
    if resource.is_custom && (version.is_none() || kind.is_none()) {
        let missing = if kind.is_none() { "Object 'Kind' is missing" } else { "Object 'apiVersion' is missing" };
        return Err(Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {missing} in '{object}'",
            resource.kind
        )));
    }
    if let Some(version) = version.filter(|version| *version != served.api_version) {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            served.api_version
        )));
    }
    if let Some(kind) = kind.filter(|kind| *kind != resource.kind) {
        return Err(Failure::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {}: converting",
            resource.version, resource.kind
        )));
    }
    Ok(())
}
