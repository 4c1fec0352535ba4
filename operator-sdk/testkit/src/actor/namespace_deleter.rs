//! The namespace deleter: empties a namespace that is being deleted, pods first, and lets it go.
//!
//! What is left it tells in the namespace's conditions, in the words of the real one. Other than that, it does not look
//! again every few seconds: it waits until something of what is left goes.

mod report;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use futures::future::BoxFuture;
use http::Method;
use serde_json::json;

use self::report::Left;
use super::{
    Actor,
    agenda::{Agenda, Span},
    condition::changes_nothing,
    hand::{Failed, Hand, propagation},
    kind::Kind,
    sight::{Seen, Sight},
};
use crate::{object::Object, request::Request, simulation::Environment};

/// Holds a namespace until it is empty.
const FINALIZER: &str = "kubernetes";
const RETRY: Duration = Duration::from_secs(1);

/// The namespace deleter, which takes its time: by default up to a second for each look.
#[derive(Clone, Debug)]
pub struct NamespaceDeleter {
    takes: Span,
}

struct Emptying {
    environment: Environment,
    hand: Hand,
    namespaces: Kind,
    sight: Sight,
    /// Namespaces to be looked at.
    agenda: Agenda<String>,
    /// What is left in each, watched for what goes.
    left: BTreeMap<String, Sight>,
    takes: Span,
}

impl Default for NamespaceDeleter {
    fn default() -> Self {
        Self { takes: Duration::ZERO..=Duration::from_secs(1) }
    }
}

impl NamespaceDeleter {
    /// One that takes so long before it looks at a namespace.
    pub fn taking(takes: Span) -> Self {
        Self { takes }
    }
}

impl Actor for NamespaceDeleter {
    fn name(&self) -> &str {
        "namespace-deleter"
    }

    fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
        let takes = self.takes.clone();
        Box::pin(async move {
            let hand = Hand::new(&environment, "kube-controller-manager");
            let namespaces = Kind::core("namespaces", false);
            let sight = Sight::of(&hand, [namespaces.clone()]);
            let (agenda, left) = (Agenda::default(), BTreeMap::new());
            let mut emptying = Emptying { environment, hand, namespaces, sight, agenda, left, takes };
            loop {
                emptying.step().await;
            }
        })
    }
}

impl Emptying {
    async fn step(&mut self) {
        tokio::select! {
            biased;
            seen = self.sight.next() => self.see(&seen),
            namespace = something_goes(&mut self.left) => self.agenda.within(&self.takes, namespace),
            namespace = self.agenda.next() => {
                if self.empty(&namespace).await.is_err() {
                    self.agenda.within(&(RETRY..=RETRY), namespace);
                }
            }
        }
    }

    fn see(&mut self, seen: &Seen) {
        match &seen.after {
            Some(namespace) if is_ending(namespace) => {
                if !self.left.contains_key(namespace.name()) {
                    self.agenda.within(&self.takes, namespace.name().to_owned());
                }
            }
            Some(_) => {}
            None => {
                let name = seen.before.as_ref().map(|namespace| namespace.name()).unwrap_or_default();
                self.left.remove(name);
            }
        }
    }

    async fn empty(&mut self, name: &str) -> Result<(), Failed> {
        self.left.remove(name);
        let Some(namespace) = self.hand.get(&self.namespaces, "", name).await? else { return Ok(()) };
        if !is_ending(&namespace) {
            return Ok(());
        }
        let left = self.delete_content(name).await?;
        self.tell(&namespace, &left).await?;
        if left.is_empty() {
            return self.finalize(name).await;
        }
        let mut sight = Sight::of(&self.hand, []);
        left.kinds().for_each(|kind| sight.follow(kind.clone(), name, ""));
        self.left.insert(name.to_owned(), sight);
        // What has gone since then is not seen to go.
        match left.is_still_so(&self.hand, name).await? {
            true => Ok(()),
            false => Err(Failed::Lost),
        }
    }

    /// Deletes the pods, and once they are gone, everything else; returns what is left.
    async fn delete_content(&self, namespace: &str) -> Result<Left, Failed> {
        let mut left = Left::default();
        let pods = Kind::core("pods", true);
        self.delete_all(&pods, namespace, &mut left).await?;
        if !left.is_empty() {
            return Ok(left);
        }
        let kinds = Kind::discover(&self.hand).await?;
        for kind in kinds.iter().filter(|kind| kind.is_namespaced && kind.plural != pods.plural) {
            self.delete_all(kind, namespace, &mut left).await?;
        }
        Ok(left)
    }

    async fn delete_all(&self, kind: &Kind, namespace: &str, left: &mut Left) -> Result<(), Failed> {
        let list = match self.hand.list(kind, namespace, "").await {
            Err(failed) if failed.is_gone() => return Ok(()),
            list => list?,
        };
        if list.items.is_empty() {
            return Ok(());
        }
        let request = Request::new(Method::DELETE, kind.collection(namespace));
        self.hand.call(request.with_body(&propagation("Background"))).await?;
        let remaining = self.hand.list(kind, namespace, "").await?;
        left.add(kind, &remaining.items);
        Ok(())
    }

    async fn tell(&self, namespace: &Object, left: &Left) -> Result<(), Failed> {
        let patch = json!({ "status": { "conditions": left.conditions(namespace, self.environment.wall()) } });
        if changes_nothing(&patch, namespace) {
            return Ok(());
        }
        self.hand.merge(&self.namespaces, namespace, "status", &patch).await.map(drop)
    }

    async fn finalize(&self, name: &str) -> Result<(), Failed> {
        let Some(namespace) = self.hand.get(&self.namespaces, "", name).await? else { return Ok(()) };
        let mut finalized = namespace.value().clone();
        if let Some(finalizers) = finalized["spec"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        let path = format!("{}/finalize", self.namespaces.path("", name));
        match self.hand.call(Request::new(Method::PUT, path).with_body(&finalized)).await {
            Err(failed) if !failed.is_gone() => Err(failed),
            _ => Ok(()),
        }
    }
}

/// Waits until something goes that was left in a namespace; returns which.
async fn something_goes(left: &mut BTreeMap<String, Sight>) -> String {
    let waiting = left.iter_mut().map(|(name, sight)| {
        Box::pin(async move {
            while sight.next().await.after.is_some() {}
            name.clone()
        })
    });
    let waiting: Vec<_> = waiting.collect();
    if waiting.is_empty() {
        return futures::future::pending().await;
    }
    futures::future::select_all(waiting).await.0
}

fn is_ending(namespace: &Object) -> bool {
    let mut finalizers = namespace["spec"]["finalizers"].as_array().into_iter().flatten();
    !namespace["metadata"]["deletionTimestamp"].is_null() && finalizers.any(|finalizer| finalizer == FINALIZER)
}
