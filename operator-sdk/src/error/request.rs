//! Why a request failed, and what that means for the next attempt.

use std::time::Duration;

use super::Class;
use crate::{object::Key, permission::Permission};

/// A request that did not succeed. Each variant names what was asked and of which object.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The server refused it, or the connection failed.
    #[error("failed to {permission} {key}: {}", cause(source))]
    Failed {
        /// What was asked.
        permission: Permission,
        /// Of which object.
        key: Key,
        /// The client's own error.
        source: Box<kube::Error>,
    },
    /// No answer in time; it may have been applied.
    #[error("failed to {permission} {key}: no answer within {} s", timeout.as_secs())]
    TimedOut {
        /// What was asked.
        permission: Permission,
        /// Of which object.
        key: Key,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// The code asks for something that it did not declare; it was not sent.
    #[error(
        "refused to {permission} {key}: it is not declared; add it to the permissions of the reconciler, or of the step"
    )]
    Undeclared {
        /// What was asked.
        permission: Permission,
        /// Of which object.
        key: Key,
    },
    /// The lease may have lapsed by the time an answer came; it was not sent.
    #[error("refused to {permission} {key}: this process may no longer be the leader")]
    Fenced {
        /// What was asked.
        permission: Permission,
        /// Of which object.
        key: Key,
    },
}

impl RequestError {
    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Undeclared { .. } => Class::Terminal,
            Self::TimedOut { .. } | Self::Fenced { .. } => Class::Transient,
            // Nothing that belongs there will ever be made again.
            Self::Failed { .. } if self.is_namespace_terminating() => Class::Terminal,
            Self::Failed { .. } => match self.code() {
                Some(409) => Class::Conflict,
                Some(400 | 404 | 405 | 413 | 415 | 422) => Class::Invalid,
                Some(401 | 403) => Class::Denied,
                _ => Class::Transient,
            },
        }
    }

    /// True if the name was taken.
    pub fn is_already_exists(&self) -> bool {
        self.reason() == Some("AlreadyExists")
    }

    /// True if the object was not as the request said: at another version, or another incarnation.
    pub fn is_conflict(&self) -> bool {
        self.reason() == Some("Conflict")
    }

    /// True if there was no such object.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// True if nothing can be made any more because the namespace is being deleted.
    pub fn is_namespace_terminating(&self) -> bool {
        let details = self.status().and_then(|status| status.details.as_ref());
        details.is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
    }

    /// True unless it is certain that the server did not carry it out.
    pub fn may_have_been_applied(&self) -> bool {
        match self {
            Self::Undeclared { .. } | Self::Fenced { .. } => false,
            Self::TimedOut { .. } => true,
            Self::Failed { .. } => self.code().is_none_or(|code| code >= 500),
        }
    }

    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Failed { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            _ => None,
        }
    }

    fn code(&self) -> Option<u16> {
        self.status().map(|status| status.code)
    }

    fn reason(&self) -> Option<&str> {
        self.status().map(|status| status.reason.as_str())
    }
}

/// The server's own words where it answered; the client would add all fields of its answer.
fn cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;
    use crate::permission::Verb;

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_server() {
        let status = kube::core::Status::failure("exceeded quota", "Forbidden").with_code(403);
        let error = RequestError::Failed {
            permission: Permission::of::<Pod>(Verb::Create),
            key: Key::namespaced("default", "web-"),
            source: Box::new(kube::Error::Api(status.boxed())),
        };
        assert_eq!(error.to_string(), "failed to create pods default/web-: exceeded quota");
    }
}
