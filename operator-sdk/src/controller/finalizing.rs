//! Which of an author's functions an object needs: a finalizer comes before the first reconcile, and goes after clean-up.

use crate::{
    finalizer,
    object::{Key, Object},
    permission::{Permission, Verb},
    reconcile::{Cleanup, Context, Failure, Outcome, Reconciler},
};

/// Drives a [`Cleanup`] as a [`Reconciler`].
#[derive(Debug)]
pub struct Finalizing<R>(pub(super) R);

impl<R: Cleanup> Reconciler for Finalizing<R> {
    type Object = R::Object;

    async fn reconcile(&self, context: &Context<R::Object>) -> Result<Outcome, Failure> {
        let object = context.object.as_ref();
        match (object.is_terminating(), finalizer::is_held(object, R::FINALIZER)) {
            (false, true) => self.0.reconcile(context).await,
            (false, false) => {
                // And nothing else: the event of it brings the first reconcile.
                finalizer::add(&context.client, object, R::FINALIZER).await?;
                Ok(Outcome::Done)
            }
            (true, true) => self.clean_up(context).await,
            (true, false) => Ok(Outcome::Done),
        }
    }

    fn forget(&self, key: &Key) {
        self.0.forget(key);
    }

    fn permissions(&self) -> Vec<Permission> {
        let own = [Verb::Get, Verb::Patch].map(Permission::of::<R::Object>);
        self.0.permissions().into_iter().chain(own).collect()
    }
}

impl<R: Cleanup> Finalizing<R> {
    /// Cleans up what belongs to the object as it is now, not as the cache has it; then lets it go.
    async fn clean_up(&self, context: &Context<R::Object>) -> Result<Outcome, Failure> {
        let fresh = finalizer::read_again(&context.client, context.object.as_ref()).await?;
        let Some(fresh) = fresh.filter(|fresh| finalizer::is_held(fresh, R::FINALIZER)) else {
            return Ok(Outcome::Done);
        };
        let context = Context { object: fresh.into(), ..context.clone() };
        let outcome = self.0.cleanup(&context).await?;
        if outcome == Outcome::Done {
            finalizer::remove(&context.client, context.object.as_ref(), R::FINALIZER).await?;
        }
        Ok(outcome)
    }
}
