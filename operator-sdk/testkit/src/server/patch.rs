//! Patches and server-side apply.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Call, Reply, Server,
    create::{place, revision_of},
    decode::{self, Decoded},
    options::WriteOptions,
    update::{Written, check_name, part},
};
use crate::{
    apply::{self, Refusal, Writer},
    cause::{Cause, CauseKind},
    failure::Failure,
    go_text::json_name,
    object::Object,
    patch::{self, PatchError, PatchKind},
    resource::Part,
};

impl Server {
    pub(super) fn patch(&mut self, call: Call<'_>) -> Result<Reply, Failure> {
        let content_type = call.request.content_type.split(';').next().unwrap_or_default().trim();
        let kind = match content_type {
            "application/json-patch+json" => PatchKind::Json,
            "application/merge-patch+json" => PatchKind::Merge,
            "application/strategic-merge-patch+json" if !call.target.served.resource.is_custom => PatchKind::Strategic,
            "application/apply-patch+yaml" => return self.apply(call),
            "application/strategic-merge-patch+json" => return Err(unsupported()),
            _ if call.target.served.resource.is_custom => return Err(unsupported()),
            _ => {
                return Err(
                    Failure::new(415, "UnsupportedMediaType", "415: Unsupported Media Type").with_empty_details()
                );
            }
        };
        let options = WriteOptions::parse(call.request, "PatchOptions")?;
        let live = self.live(call.target)?;
        let served = call.target.served.clone();
        let shown = served.present(&live);
        let make = || patch::apply(&shown, kind, &call.request.body, &served.resource.schema);
        let mut decoded = decode::patched(make, &served, options.field_validation)?;
        place(call, &mut decoded.object)?;
        check_name(call, &decoded.object)?;
        self.write_patched(call, &options, &live, decoded)
    }

    fn write_patched(
        &mut self,
        call: Call<'_>,
        options: &WriteOptions,
        live: &Arc<Object>,
        decoded: Decoded,
    ) -> Result<Reply, Failure> {
        let manager = options.manager(call.request);
        let writer = Writer { manager: &manager, subresource: &call.target.subresource };
        let resource = &call.target.served.resource;
        let new = apply::update(Some(live), decoded.object, resource, writer, call.now);
        self.replace(call, options, live, Written::plain(new)).map(|reply| decode::warn(reply, &decoded.warnings))
    }

    fn apply(&mut self, call: Call<'_>) -> Result<Reply, Failure> {
        let options = WriteOptions::parse(call.request, "PatchOptions")?;
        let served = call.target.served.clone();
        let resource = &served.resource;
        let intent = parse_intent(&call.request.body)?;
        let live = match self.live(call.target) {
            Err(failure) if part(call) == Part::Status => return Err(failure),
            live => live.ok(),
        };
        let writer = Writer { manager: &options.field_manager, subresource: &call.target.subresource };
        let shown = live.as_ref().map(|live| served.present(live));
        let shown = shown.as_ref().map(|live| live.value());
        let mut merged = apply::apply(shown, &intent, resource, writer, options.force, call.now)?;
        if let Some(uid) = merged["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty() && live.is_none()) {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Failure::conflict(resource, &call.target.name, &why));
        }
        check_name(call, &merged)?;
        merged["apiVersion"] = served.api_version.as_str().into();
        let warnings = decode::unknown_fields(intent, &served, options.field_validation)?;
        let is_empty = |map: &Value| map.as_object().is_none_or(Map::is_empty);
        let may_hide = resource.is_custom && part(call) == Part::Main && self.kinds.is_stored(&served);
        let bags = ["labels", "annotations"].into_iter().filter(|_| may_hide);
        let empty =
            bags.filter_map(|field| Some((field, merged["metadata"].get(field)?))).filter(|(_, map)| is_empty(map));
        let hidden: Map<String, Value> = empty.map(|(field, map)| (field.to_owned(), map.clone())).collect();
        let object = decode::applied(merged, &served)?;
        let reply = match live {
            Some(live) => self.replace(call, &options, &live, Written { object, hidden })?,
            None => {
                self.authorize_creation(call)?;
                revision_of(&object)?;
                let reply = self.insert(call, &options, object)?;
                let made = self.store.get(&served.collection, &call.target.key()).filter(|_| !hidden.is_empty());
                self.hidden_empties.extend(made.map(|made| made.revision()));
                reply
            }
        };
        Ok(decode::warn(reply, &warnings))
    }
}

fn parse_intent(body: &[u8]) -> Result<Value, Failure> {
    let intent = decode::parse_yaml(body)?;
    if intent.is_object() || intent.is_null() {
        return Ok(intent);
    }
    Err(Failure::bad_request(format!(
        "error decoding patch: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
        json_name(&intent)
    )))
}

impl From<PatchError> for Failure {
    fn from(error: PatchError) -> Self {
        let message = error.to_string();
        match error {
            PatchError::BadRequest(_) => Self::bad_request(message),
            PatchError::TooLarge(_) => Self::new(413, "RequestEntityTooLarge", message),
            PatchError::Unprocessable => Self::new(422, "Invalid", message).with_empty_details(),
            PatchError::Mistyped { patch, .. } => {
                Self::invalid_kind("", "", "", &[Cause::new(CauseKind::Invalid, "patch", patch.into(), message)])
            }
            PatchError::Unfit(_) => Self::new(500, "", message),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Conflicts(conflicts) => {
                let text = |cause: &Value, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
                let causes = conflicts.causes();
                let causes = causes.as_array().into_iter().flatten();
                causes.fold(Self::new(409, "Conflict", message), |failure, cause| {
                    failure.because(&text(cause, "reason"), text(cause, "message"), &text(cause, "field"))
                })
            }
            Refusal::BadRequest(_) => Self::bad_request(message),
            Refusal::Unfit(_) => Self::new(500, "", message),
        }
    }
}

fn unsupported() -> Failure {
    Failure::unsupported_media_type(
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
         application/merge-patch+json, application/apply-patch+yaml",
    )
}
