//! What a client sent, as a value.

mod double;

use serde_json::Value;

use super::{kinds::Served, options::FieldValidation};
use crate::{
    cause::{Cause, CauseKind},
    failure::Failure,
    go_text::json_name,
    patch::PatchError,
    request::{Reply, Request},
    resource::Resource,
    syntax,
};

/// What a body may be at most.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// So much of a body is quoted in a refusal, in bytes.
const SUMMARY_LIMIT: usize = 30;
/// What the real server looks for in a body first, as Go names it.
const TYPE_OF_TYPE: &str =
    r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// The body as a value.
pub(crate) fn parse(request: &Request) -> Result<Value, Failure> {
    parse_with_doubles(request).map(|(value, _)| value)
}

/// The body as a value, and which of its fields are named twice.
fn parse_with_doubles(request: &Request) -> Result<(Value, Vec<String>), Failure> {
    if request.body.len() > BODY_LIMIT {
        let message = format!("Request entity too large: limit is {BODY_LIMIT}");
        return Err(Failure::new(413, "RequestEntityTooLarge", message));
    }
    let content_type = request.content_type.split(';').next().unwrap_or_default().trim();
    match content_type {
        "" | "application/json" => double::read(&request.body).map_err(|error| unreadable(request, &error)),
        "application/yaml" | "application/apply-patch+yaml" => match double::read(&request.body) {
            Ok(read) => Ok(read),
            Err(_) => Ok((parse_yaml(&request.body)?, Vec::new())),
        },
        _ => Err(Failure::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: application/json, \
             application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

fn unreadable(request: &Request, error: &serde_json::Error) -> Failure {
    let what = syntax::problem(&request.body).unwrap_or_else(|| error.to_string());
    let what = format!("couldn't get version/kind; json parse error: {what} ({})", summary(&request.body));
    Failure::bad_request(what)
}

/// A body as the real server quotes it: the beginning of what looks like an object, or else its bytes.
fn summary(body: &[u8]) -> String {
    let (start, end) = match body.split_at_checked(SUMMARY_LIMIT) {
        Some((start, [_, ..])) => (start, " ..."),
        _ => (body, ""),
    };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{end}", String::from_utf8_lossy(start)),
        Some(_) => start.iter().map(|byte| format!("{byte:02x}")).chain([end.to_owned()]).collect(),
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
    let unrecognized = format!("the object provided is unrecognized (must be of type {}): ", served.resource.kind);
    let (mut object, double) = parse_with_doubles(request).map_err(|mut failure| {
        if failure.code == 400 {
            failure.message.insert_str(0, &unrecognized);
        }
        failure
    })?;
    check_kind(request, &object, served)?;
    object["apiVersion"] = served.api_version.as_str().into();
    object["kind"] = served.resource.kind.as_str().into();
    // An empty list has a meaning here that decoding would lose.
    let is_reset = object["metadata"]["managedFields"].as_array().is_some_and(Vec::is_empty);
    let mut decoded = decode(object, served, validation, double)?;
    if is_reset {
        decoded.object["metadata"]["managedFields"] = Value::Array(Vec::new());
    }
    Ok(decoded)
}

/// What a patch has made, as an object of a kind. It is made anew for the words of a refusal.
pub(crate) fn patched(
    make: impl Fn() -> Result<Value, PatchError>,
    served: &Served,
    validation: FieldValidation,
) -> Result<Decoded, Failure> {
    let object = make()?;
    if served.resource.is_custom && object["kind"] != served.resource.kind.as_str() {
        return Err(wrong_kind(&object, served));
    }
    decode(object, served, validation, Vec::new()).map_err(|failure| {
        let text = make().unwrap_or_default().to_string();
        let start =
            format!("{0} in version {1:?} cannot be handled as a {0}: ", served.resource.kind, served.resource.version);
        let error = failure.message.strip_prefix(&start).unwrap_or(&failure.message);
        Failure::invalid_kind("", "", "", &[Cause::new(CauseKind::Invalid, "patch", text.into(), error)])
    })
}

/// What an apply has made, as an object of a kind.
pub(crate) fn applied(mut object: Value, served: &Served) -> Result<Value, Failure> {
    served.resource.decode(&mut object).map_err(|error| unfit(served, &error))?;
    served.resource.rules.default_applied(&mut object);
    Ok(object)
}

fn decode(
    mut object: Value,
    served: &Served,
    validation: FieldValidation,
    double: Vec<String>,
) -> Result<Decoded, Failure> {
    let unknown = served.resource.decode(&mut object).map_err(|error| unfit(served, &error))?;
    let warnings = judge(unknown, double, served, validation)?;
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
    judge(unknown, Vec::new(), served, validation)
}

/// The reply with its warnings.
pub(crate) fn warn(mut reply: Reply, warnings: &[String]) -> Reply {
    reply.headers.extend(warnings.iter().map(|warning| ("warning", format!("299 - {warning:?}"))));
    reply
}

fn judge(
    unknown: Vec<String>,
    double: Vec<String>,
    served: &Served,
    validation: FieldValidation,
) -> Result<Vec<String>, Failure> {
    let double = double.iter().map(|path| format!("duplicate field {path:?}"));
    let told: Vec<String> = double.chain(unknown.iter().map(|path| format!("unknown field {path:?}"))).collect();
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
fn check_kind(request: &Request, object: &Value, served: &Served) -> Result<(), Failure> {
    let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    let resource = &served.resource;
    let unrecognized = |what: String| {
        let must = format!("the object provided is unrecognized (must be of type {})", resource.kind);
        Err(Failure::bad_request(format!("{must}: {what} ({})", summary(&request.body))))
    };
    if !object.is_object() && !object.is_null() {
        let what = format!("json: cannot unmarshal {} into Go value of type {TYPE_OF_TYPE}", json_name(object));
        return unrecognized(format!("couldn't get version/kind; json parse error: {what}"));
    }
    if resource.is_custom {
        let whole = String::from_utf8_lossy(&request.body);
        let missing = |field: &str| unrecognized(format!("Object '{field}' is missing in '{whole}'"));
        let Some(kind) = kind else { return missing("Kind") };
        let Some(version) = version else { return missing("apiVersion") };
        if version != served.api_version {
            return Err(Failure::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({})",
                served.api_version
            )));
        }
        if kind != resource.kind {
            return Err(wrong_kind(object, served));
        }
        return Ok(());
    }
    let (given_version, given_kind) = (version.unwrap_or(&served.api_version), kind.unwrap_or(&resource.kind));
    if given_version == served.api_version && given_kind == resource.kind {
        return Ok(());
    }
    let is_known =
        crate::kinds::builtin().iter().any(|known| known.kind == given_kind && known.api_version() == given_version);
    let short = |version: &str| version.rsplit('/').next().unwrap_or_default().to_owned();
    let what = if is_known {
        let group = resource.group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
        format!("converting ({}.{given_kind}) to ({group}.{}): unknown conversion", short(given_version), resource.kind)
    } else {
        format!(
            "no kind {given_kind:?} is registered for version {given_version:?} in scheme \"pkg/runtime/scheme.go:111\""
        )
    };
    Err(Failure::bad_request(format!(
        "{given_kind} in version {:?} cannot be handled as a {}: {what}",
        short(given_version),
        resource.kind
    )))
}

/// 422: a custom object of another kind.
fn wrong_kind(object: &Value, served: &Served) -> Failure {
    let (kind, name) = (&object["kind"], object["metadata"]["name"].as_str().unwrap_or_default());
    let cause = Cause::new(CauseKind::Invalid, "kind", kind.clone(), format!("must be {}", served.resource.kind));
    Failure::invalid_kind(&served.resource.group, kind.as_str().unwrap_or_default(), name, &[cause])
}
