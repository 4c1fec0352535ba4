//! Somebody who edits and deletes things while others are at work on them.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Actor,
    agenda::{Span, pause},
    hand::{Failed, Hand},
    kind::Kind,
};
use crate::{object::Object, simulation::Environment};

/// Makes edits now and then, and then lets it be.
#[derive(Clone, Debug)]
pub struct UserMonkey {
    edits: Vec<Edit>,
    /// How many edits at random; `None`: each once, in order.
    times: Option<usize>,
    every: Span,
}

/// Something that somebody does to an object of a kind: to a certain one, or to any.
#[derive(Clone, Debug)]
pub struct Edit {
    kind: Kind,
    namespace: String,
    name: Option<String>,
    /// A JSON merge patch; `None`: it is deleted.
    patch: Option<Value>,
}

impl Edit {
    /// Changes an object by a JSON merge patch.
    pub fn change(kind: Kind, namespace: &str, patch: Value) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: None, patch: Some(patch) }
    }

    /// Deletes an object.
    pub fn delete(kind: Kind, namespace: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: None, patch: None }
    }

    /// Not any object, but this.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    async fn make(&self, hand: &Hand) -> Result<(), Failed> {
        let Some(object) = self.choose(hand).await? else { return Ok(()) };
        match &self.patch {
            Some(patch) => hand.patch(&self.kind, &object, "", patch).await.map(drop),
            None => hand.delete(&self.kind, &object, json!({})).await.map(drop),
        }
    }

    async fn choose(&self, hand: &Hand) -> Result<Option<Arc<Object>>, Failed> {
        if let Some(name) = &self.name {
            return hand.get(&self.kind, &self.namespace, name).await;
        }
        let mut found = hand.list(&self.kind, &self.namespace, "").await?.items;
        found.retain(|object| object["metadata"]["deletionTimestamp"].is_null());
        if found.is_empty() {
            return Ok(None);
        }
        let chosen = rand::random_range(0..found.len());
        Ok(Some(found.swap_remove(chosen)))
    }
}

impl UserMonkey {
    /// One that makes so many of these edits, any of them each time.
    pub fn at_random(edits: impl IntoIterator<Item = Edit>, times: usize) -> Self {
        Self { times: Some(times), ..Self::in_order(edits) }
    }

    /// One that makes each of these edits once, in this order.
    pub fn in_order(edits: impl IntoIterator<Item = Edit>) -> Self {
        let every = Duration::from_secs(1)..=Duration::from_secs(20);
        Self { edits: edits.into_iter().collect(), times: None, every }
    }

    /// With such pauses in between. Default: 1 to 20 seconds.
    #[must_use]
    pub fn every(self, every: Span) -> Self {
        Self { every, ..self }
    }
}

impl Actor for UserMonkey {
    fn name(&self) -> &str {
        "user-monkey"
    }

    fn run(&self, environment: Environment) -> BoxFuture<'static, ()> {
        let monkey = self.clone();
        Box::pin(async move {
            let hand = Hand::new(&environment, "kubectl-edit");
            // One that was stopped does not begin again.
            if environment.restarts() > 0 || monkey.edits.is_empty() {
                return;
            }
            for number in 0..monkey.times.unwrap_or(monkey.edits.len()) {
                sleep(pause(&monkey.every)).await;
                let index = if monkey.times.is_some() { rand::random_range(0..monkey.edits.len()) } else { number };
                // Who is refused shrugs, and goes on.
                let _ = monkey.edits[index].make(&hand).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::Record,
        simulation::{Manifest, Simulation},
        store::Change,
    };

    fn maps() -> Kind {
        Kind::core("configmaps", true)
    }

    fn label(value: &str) -> Edit {
        Edit::change(maps(), "default", json!({ "metadata": { "labels": { "edited": value } } }))
    }

    fn record(seed: u64, monkey: UserMonkey) -> Record {
        let map = |name: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
        let manifest: Manifest = ["a", "b", "c"].into_iter().map(map).collect();
        Simulation::new().actor(monkey).with(manifest).run(seed)
    }

    fn edits(record: &Record) -> Vec<(Change, String)> {
        let edits = record.commits.iter().filter(|commit| commit.change != Change::Created);
        edits.map(|commit| (commit.change, commit.key.name().to_owned())).collect()
    }

    #[test]
    fn edits_in_order_are_made_once_each() {
        let order = [label("x").named("b"), Edit::delete(maps(), "default").named("b"), label("y").named("c")];
        let record = record(1, UserMonkey::in_order(order));
        assert_eq!(record.violations, []);
        let expected = [(Change::Updated, "b"), (Change::Deleted, "b"), (Change::Updated, "c")];
        assert_eq!(edits(&record), expected.map(|(change, name)| (change, name.to_owned())));
    }

    #[test]
    fn edits_at_random_follow_from_the_seed() {
        let monkey = || UserMonkey::at_random((0..100).map(|value| label(&value.to_string())), 5);
        let first = edits(&record(1, monkey()));
        assert_eq!((first.len(), &first), (5, &edits(&record(1, monkey()))));
        assert!((2..6).any(|seed| edits(&record(seed, monkey())) != first));
    }
}
