//! What can go wrong in a reconcile, and what the framework does about it.

mod request;

use std::error::Error as StdError;

pub use request::RequestError;

use crate::object::Key;

/// The result of an author's code.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; decides whether and how a key is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The server or the network did not answer; try again with back-off.
    Transient,
    /// Somebody else wrote first; try again on fresh data.
    Conflict,
    /// The server refused the content; only another spec helps.
    Invalid,
    /// Not permitted; only somebody with more rights helps.
    Denied,
    /// Trying again is pointless; wait for the next event.
    Terminal,
}

/// A failed reconcile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request to the API server failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The object lacks what the API server always sets; names the field.
    #[error("object has no {0}")]
    MissingField(&'static str),
    /// An object that the reconcile depends on does not fit its type; the others go on without it.
    #[error("failed to read {kind} {key}: {problem}; correct or delete it")]
    Unreadable {
        /// As in `Pod`.
        kind: String,
        /// Which object.
        key: Key,
        /// The field, and what is wrong with it.
        problem: String,
    },
    /// The last pass took the same steps on an equal observation, and they succeeded: doing so for ever helps nobody.
    #[error(
        "the same plan comes again and again although its steps succeed ({steps}): something undoes them, or the operator \
        has a bug; it goes on more and more slowly"
    )]
    Livelock {
        /// The variants of the steps.
        steps: String,
    },
    /// An author's own error, with the class it asks for.
    #[error("{source}")]
    Other {
        /// How it is to be treated.
        class: Class,
        /// What happened.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl Error {
    /// An author's own error.
    pub fn other(class: Class, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other { class, source: source.into() }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Request(error) => error.class(),
            Self::MissingField(_) => Class::Terminal,
            Self::Unreadable { .. } => Class::Invalid,
            Self::Livelock { .. } => Class::Transient,
            Self::Other { class, .. } => *class,
        }
    }
}
