//! An error as Kubernetes tells it: a `Status`, in the words of the real server.

use serde_json::{Map, Value, json};

use crate::{cause::Cause, resource::Resource};

/// A request that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The HTTP code.
    pub code: u16,
    /// As in `AlreadyExists`; empty: none.
    pub reason: &'static str,
    /// In words.
    pub message: String,
    /// What of.
    pub details: Box<Details>,
    /// `metadata.continue`: how to go on with a list that has expired.
    pub continue_token: Option<String>,
}

/// What a failure is about; what is empty is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The name of the object.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its kind, or its resource.
    pub kind: String,
    /// Its uid.
    pub uid: String,
    /// Each thing that is wrong.
    pub causes: Vec<StatusCause>,
    /// When to try again.
    pub retry_after_seconds: u32,
    /// Whether they are shown even if nothing is in them.
    pub is_shown_empty: bool,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct StatusCause {
    pub reason: String,
    pub message: String,
    pub field: String,
}

impl Failure {
    /// A failure without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Box::default(), continue_token: None }
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 404 of an object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", title(resource))).of(resource, name)
    }

    /// 404 of a path that is not served.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource").with_empty_details()
    }

    /// 409: there is one already.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", title(resource))).of(resource, name)
    }

    /// 409: the object is not what the writer thinks it is.
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", title(resource));
        Self::new(409, "Conflict", message).of(resource, name)
    }

    /// 409 because of another resource version.
    pub fn stale(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 403 of an object.
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let object = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        Self::new(403, "Forbidden", format!("{}{object} is forbidden: {why}", title(resource))).of(resource, name)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
            .with_empty_details()
    }

    /// 405 of a custom kind.
    pub fn not_supported(resource: &Resource, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind {:?}", title(resource));
        Self::new(405, "MethodNotAllowed", message).of(resource, "")
    }

    /// 410: the revision is not in history any more.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 415.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 422 of an object of a kind.
    pub fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        // Events of both groups are judged as those of the core group.
        let group = if resource.group == "events.k8s.io" { "" } else { &resource.group };
        Self::invalid_kind(group, &resource.kind, name, causes)
    }

    /// 422 of something that may not be an object, such as options.
    pub fn invalid_kind(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let mut messages: Vec<String> = Vec::new();
        for cause in causes {
            let message = format!("{}: {}", field(cause), cause.message());
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
        let what = match messages.as_slice() {
            [] => String::new(),
            [message] => format!(": {message}"),
            messages => format!(": [{}]", messages.join(", ")),
        };
        let mut failure = Self::new(422, "Invalid", format!("{qualified} {name:?} is invalid{what}"));
        failure.details.group = group.to_owned();
        failure.details.kind = kind.to_owned();
        failure.details.name = name.to_owned();
        failure.details.causes = causes.iter().map(StatusCause::from).collect();
        failure
    }

    /// 500.
    pub fn internal(why: &str) -> Self {
        let mut failure = Self::new(500, "InternalError", format!("Internal error occurred: {why}"));
        failure.details.causes.push(StatusCause { message: why.to_owned(), ..StatusCause::default() });
        failure
    }

    /// 504: a read asks for a revision that the view has not seen.
    pub fn too_large_revision(revision: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {revision}, current: {current}");
        let mut failure = Self::new(504, "Timeout", message);
        failure.details.retry_after_seconds = 1;
        failure.details.causes.push(StatusCause {
            reason: "ResourceVersionTooLarge".to_owned(),
            message: "Too large resource version".to_owned(),
            field: String::new(),
        });
        failure
    }

    /// 429.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        let mut failure = Self::new(429, "TooManyRequests", message);
        failure.details.retry_after_seconds = retry_after_seconds;
        failure
    }

    /// The same about an object.
    #[must_use]
    pub fn of(mut self, resource: &Resource, name: &str) -> Self {
        self.details.group.clone_from(&resource.group);
        self.details.kind.clone_from(&resource.plural);
        name.clone_into(&mut self.details.name);
        self
    }

    /// The same with `details`, even if there is nothing in them.
    #[must_use]
    pub fn with_empty_details(mut self) -> Self {
        self.details.is_shown_empty = true;
        self
    }

    /// The same with a cause more.
    #[must_use]
    pub fn because(mut self, reason: &str, message: impl Into<String>, field: &str) -> Self {
        self.details.causes.push(StatusCause {
            reason: reason.to_owned(),
            message: message.into(),
            field: field.to_owned(),
        });
        self
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "details": self.details.to_value(), "code": self.code,
        });
        if let Some(token) = &self.continue_token {
            status["metadata"]["continue"] = token.as_str().into();
        }
        if let Some(status) = status.as_object_mut() {
            status.retain(|_, value| !matches!(value.as_str(), Some("")) && !value.is_null());
        }
        status
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut details = Map::new();
        for (field, text) in [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)] {
            if !text.is_empty() {
                details.insert(field.to_owned(), Value::String(text.clone()));
            }
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(StatusCause::to_value).collect();
            details.insert("causes".to_owned(), Value::Array(causes));
        }
        if self.retry_after_seconds > 0 {
            details.insert("retryAfterSeconds".to_owned(), self.retry_after_seconds.into());
        }
        if details.is_empty() && !self.is_shown_empty { Value::Null } else { Value::Object(details) }
    }
}

impl StatusCause {
    fn to_value(&self) -> Value {
        let fields = [("reason", &self.reason), ("message", &self.message), ("field", &self.field)];
        let given = fields.into_iter().filter(|(_, text)| !text.is_empty());
        given.map(|(field, text)| (field.to_owned(), Value::String(text.clone()))).collect::<Map<_, _>>().into()
    }
}

impl From<&Cause> for StatusCause {
    fn from(cause: &Cause) -> Self {
        Self { reason: cause.kind.reason().to_owned(), message: cause.message(), field: field(cause).to_owned() }
    }
}

/// As in `deployments.apps`.
pub(crate) fn qualified(plural: &str, group: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

fn title(resource: &Resource) -> String {
    qualified(&resource.plural, &resource.group)
}

/// The path of a field; of the object as a whole what Go prints for no path.
fn field(cause: &Cause) -> &str {
    if cause.field.is_empty() { "<nil>" } else { &cause.field }
}
