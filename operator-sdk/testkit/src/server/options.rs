//! The options of a request, checked as the real server checks them.

use serde_json::{Value, json};

use super::Call;
use crate::{
    apply::{self, Writer},
    cause::{Cause, CauseKind},
    failure::Failure,
    metadata,
    request::Request,
};

const META: &str = "meta.k8s.io";

/// Options of a write.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteOptions {
    pub(crate) is_dry_run: bool,
    /// The manager as given; empty: none.
    pub(crate) field_manager: String,
    pub(crate) field_validation: FieldValidation,
    pub(crate) force: bool,
}

/// What becomes of unknown and duplicate fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// Options of a deletion, from the query and from the body.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) is_dry_run: bool,
    pub(crate) grace_period_seconds: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

impl WriteOptions {
    /// `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub(crate) fn parse(request: &Request, kind: &str) -> Result<Self, Failure> {
        let is_patch = kind == "PatchOptions";
        let is_apply = is_patch && request.content_type.contains("apply-patch");
        let manager = request.query("fieldManager").unwrap_or_default();
        let force = request.query("force");
        let mut causes = Vec::new();
        if is_apply && manager.is_empty() {
            causes.push(Cause::required("fieldManager", "is required for apply patch"));
        }
        if is_patch && !is_apply && force.is_some() {
            causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
        }
        if manager.len() > 128 {
            causes.push(Cause::new(CauseKind::TooLong, "fieldManager", Value::Null, "may not be more than 128 bytes"));
        }
        for (position, letter) in manager.char_indices().filter(|(_, letter)| letter.is_control()) {
            let detail = format!("invalid character U+{:04X} (at position {position})", u32::from(letter));
            causes.push(Cause::new(CauseKind::Invalid, "fieldManager", manager.into(), detail));
        }
        let is_dry_run = dry_run(request, &[], &mut causes);
        let field_validation = match request.query("fieldValidation") {
            None | Some("" | "Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let detail = r#"supported values: "", "Ignore", "Strict", "Warn""#;
                causes.push(Cause::new(CauseKind::NotSupported, "fieldValidation", other.into(), detail));
                FieldValidation::Warn
            }
        };
        if !causes.is_empty() {
            return Err(Failure::invalid_kind(META, kind, "", &causes));
        }
        let force = is_true(force);
        Ok(Self { is_dry_run, field_manager: manager.to_owned(), field_validation, force })
    }

    /// Who is noted as the writer of fields.
    pub(crate) fn manager(&self, request: &Request) -> String {
        match self.field_manager.as_str() {
            "" => apply::manager_name(&request.user_agent),
            given => given.to_owned(),
        }
    }

    /// Notes who creates an object.
    pub(crate) fn note_creation(&self, call: Call<'_>, mut object: Value) -> Value {
        // What only the server sets is nobody's.
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            metadata::of(&mut object).remove(field);
        }
        let manager = self.manager(call.request);
        let writer = Writer { manager: &manager, subresource: "" };
        apply::update(None, object, &call.target.served.resource, writer, call.now)
    }
}

impl DeleteOptions {
    pub(crate) fn parse(request: &Request) -> Result<Self, Failure> {
        let body = body(request)?;
        let number = |text: &str| {
            text.parse::<i64>()
                .map_err(|_| Failure::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
        };
        let mut causes = Vec::new();
        let mut given: Vec<&str> = texts(&body["dryRun"]);
        given.retain(|value| !value.is_empty());
        let is_dry_run = dry_run(request, &given, &mut causes);
        let is_from_query = body.is_null();
        let query = |name: &str| request.query(name).filter(|_| is_from_query);
        let grace = query("gracePeriodSeconds").map(number).transpose()?;
        let policy = body["propagationPolicy"].as_str().or_else(|| query("propagationPolicy"));
        let orphans =
            body["orphanDependents"].as_bool().or_else(|| query("orphanDependents").map(|value| is_true(Some(value))));
        if let (Some(policy), Some(_)) = (policy, orphans) {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            causes.push(Cause::new(CauseKind::Invalid, "propagationPolicy", policy.into(), detail));
        }
        let propagation = match (policy, orphans) {
            (None, None) => None,
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (Some(other), _) => {
                let detail = r#"supported values: "Foreground", "Background", "Orphan", "nil""#;
                causes.push(Cause::new(CauseKind::NotSupported, "propagationPolicy", other.into(), detail));
                None
            }
        };
        if !causes.is_empty() {
            return Err(Failure::invalid_kind(META, "DeleteOptions", "", &causes));
        }
        let precondition = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
        Ok(Self {
            is_dry_run,
            grace_period_seconds: body["gracePeriodSeconds"]
                .as_i64()
                .or(grace)
                .map(|grace| if grace < 0 { 1 } else { grace }),
            propagation,
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
        })
    }
}

/// Whether a parameter is set, as Go's conversion of queries reads it.
pub(crate) fn is_true(value: Option<&str>) -> bool {
    !matches!(value, None | Some("0") | Some("false"))
}

fn body(request: &Request) -> Result<Value, Failure> {
    if request.body.is_empty() {
        return Ok(Value::Null);
    }
    let body = super::decode::parse(request).map_err(|mut failure| {
        failure.message = failure.message.split(" (").next().unwrap_or_default().to_owned();
        failure
    })?;
    let kind = body["kind"].as_str().unwrap_or("DeleteOptions");
    if kind != "DeleteOptions" {
        let version = body["apiVersion"].as_str().unwrap_or("v1");
        return Err(Failure::bad_request(format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\""
        )));
    }
    Ok(body)
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn dry_run(request: &Request, given: &[&str], causes: &mut Vec<Cause>) -> bool {
    let queried = request.query.iter().filter(|(name, _)| name == "dryRun").map(|(_, value)| value.as_str());
    let values: Vec<&str> = queried.chain(given.iter().copied()).collect();
    if values.iter().any(|value| *value != "All") {
        causes.push(Cause::new(CauseKind::NotSupported, "dryRun", json!(values), r#"supported values: "All""#));
    }
    !values.is_empty()
}
