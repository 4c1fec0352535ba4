//! What an author writes, in its plain form: one function from an object to an outcome.
//!
//! Most operators are better served by [`Planner`](crate::plan::Planner), which is driven by the same loop.

use std::{future::Future, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    client::Client,
    clock::Clock,
    error::Error,
    event::Recorder,
    object::{Key, Object},
    permission::Permission,
};

/// What a reconcile that succeeded asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Nothing until something changes.
    Done,
    /// Another look after this long, whatever happens.
    RequeueAfter(Duration),
}

/// What a reconcile that failed leaves behind; `?` makes it of any error.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub error: Box<Error>,
    /// Something is due after this long: the back-off must not last beyond it.
    pub look_again: Option<Duration>,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: Box::new(error.into()), look_again: None }
    }
}

/// Moves the world toward what one object declares.
///
/// # Guarantees
/// Never two calls at once for the same object; a call sees caches that show all writes of the former call.
///
/// # Cancel safety
/// A call may be dropped at any await (loss of leadership): whatever it wrote is found by the next one.
pub trait Reconciler: Send + Sync + 'static {
    /// The kind that is reconciled.
    type Object: Object<Scope = k8s_openapi::NamespaceResourceScope>;

    /// One pass. Must be idempotent: it is called for every change, and for no reason at all.
    fn reconcile(&self, context: &Context<Self::Object>) -> impl Future<Output = Result<Outcome, Failure>> + Send;

    /// Forgets what it keeps about an object, which is gone.
    fn forget(&self, _key: &Key) {}

    /// All that [`reconcile`](Self::reconcile) may ask of the API server, reads from watches aside.
    fn permissions(&self) -> Vec<Permission>;
}

/// A reconciler of objects that leave something behind outside the cluster. What is inside goes with its owner.
///
/// # Guarantees
/// The finalizer is there before the first reconcile. Clean-up begins on a fresh read. Only the incarnation that was
/// cleaned up is let go.
pub trait Cleanup: Reconciler {
    /// Keeps the object until it is cleaned up, such as `greetings.example.com/cleanup`.
    const FINALIZER: &'static str;

    /// One pass over an object that is being deleted, read afresh. Must be idempotent. [`Outcome::Done`] lets it go.
    ///
    /// It is not called for an object that went before its finalizer was added, of which there was no reconcile either.
    fn cleanup(&self, context: &Context<Self::Object>) -> impl Future<Output = Result<Outcome, Failure>> + Send;
}

/// What one call of a reconciler has at hand.
#[derive(Clone)]
pub struct Context<K> {
    /// The object as the cache has it, without its `managedFields`.
    pub object: Arc<K>,
    /// Writes, noted so that the next call sees them.
    pub client: Client,
    /// Tells people what was done to the object.
    pub events: Recorder,
    /// The time.
    pub clock: Clock,
    /// Failures of this object in a row before this call.
    pub failures: u32,
    /// Set when the process wants to stop: end between two steps.
    pub cancellation: CancellationToken,
}
