//! The second form of the loop: observe, plan, act, report.
//!
//! The author's decisions are pure functions over what was observed; all effects are [`Planner::Step`]s, each at most
//! one write. So a crash between two steps is the only kind of crash there is, and a plan can be printed, tested and
//! compared.

use std::{fmt::Debug, future::Future, time::Duration};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tracing::info;

use crate::{
    error::{Class, Error, Result},
    object::Object,
    permission::{Permission, Verb},
    reconcile::{Context, Failure, Outcome, Reconciler},
};

/// Steps of one group that are under way at once.
const STEPS_AT_ONCE: usize = 16;

/// A step, and why it is to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned<S> {
    /// What to do.
    pub step: S,
    /// Why, for people: it stands in logs.
    pub reason: String,
}

/// Something that the plan cannot hurry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What is awaited, for people.
    pub what: String,
    /// When to look again even if nothing changes; `None` where a watch will tell.
    pub until: Option<Timestamp>,
}

/// What to do next, in order, and what to wait for.
///
/// The steps of a group run at once; the next group begins only if all of the last succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<S> {
    /// Groups of steps, in order.
    pub groups: Vec<Vec<Planned<S>>>,
    /// What is waited for; may stand beside steps.
    pub waits: Vec<Wait>,
}

impl<S> Default for Plan<S> {
    fn default() -> Self {
        Self { groups: Vec::new(), waits: Vec::new() }
    }
}

impl<S> Plan<S> {
    /// Adds a group of one step.
    pub fn step(&mut self, step: S, reason: impl Into<String>) {
        self.groups.push(vec![Planned { step, reason: reason.into() }]);
    }

    /// Adds steps in groups of 1, 2, 4, 8 …: where all would fail for the same reason, few are tried.
    pub fn slow_start(&mut self, steps: impl IntoIterator<Item = Planned<S>>) {
        let mut steps = steps.into_iter().peekable();
        let mut size = 1;
        while steps.peek().is_some() {
            self.groups.push(steps.by_ref().take(size).collect());
            size *= 2;
        }
    }

    /// Adds something to wait for that a watch will tell.
    pub fn wait(&mut self, what: impl Into<String>) {
        self.waits.push(Wait { what: what.into(), until: None });
    }

    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Planned<S>> {
        self.groups.iter().flatten()
    }

    /// True if there is nothing to do; there may be something to wait for.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(Vec::is_empty)
    }
}

/// What became of a plan's steps: those that were tried, in the plan's order.
pub type Results<S, O> = Vec<(Planned<S>, Result<O>)>;

/// A reconciler whose decisions are pure.
pub trait Planner: Send + Sync + 'static {
    /// The kind that is reconciled.
    type Object: Object<Scope = k8s_openapi::NamespaceResourceScope>;
    /// Everything the decision depends on, the time included.
    type Observed: Send + Sync;
    /// The closed list of effects on the world, as data.
    type Step: Clone + Debug + Send + Sync + 'static;
    /// What a step returns.
    type Output: Send;
    /// The object's status.
    type Status: Serialize + DeserializeOwned + PartialEq + Send;

    /// Collects what is known. Reads only.
    fn observe(&self, context: &Context<Self::Object>) -> impl Future<Output = Result<Self::Observed>> + Send;

    /// Decides. Pure.
    fn plan(&self, observed: &Self::Observed) -> Plan<Self::Step>;

    /// Carries out one step: one write at the most.
    fn act(
        &self,
        context: &Context<Self::Object>,
        step: &Self::Step,
    ) -> impl Future<Output = Result<Self::Output>> + Send;

    /// What the steps may ask of the API server, all variants together.
    fn permissions(&self) -> Vec<Permission>;

    /// Reports. Pure; `results` tells what became of the plan.
    fn status(
        &self,
        observed: &Self::Observed,
        plan: &Plan<Self::Step>,
        results: &Results<Self::Step, Self::Output>,
    ) -> Self::Status;
}

/// Drives a [`Planner`] as a [`Reconciler`].
#[derive(Debug)]
pub struct Planning<P>(pub P);

impl<P: Planner> Reconciler for Planning<P> {
    type Object = P::Object;

    async fn reconcile(&self, context: &Context<P::Object>) -> Result<Outcome, Failure> {
        let began = context.clock.wall();
        let observed = self.0.observe(context).await?;
        let plan = self.0.plan(&observed);
        let results = self.carry_out(context, &plan).await;
        let status = self.0.status(&observed, &plan, &results);
        let reported = report(context, status).await;
        let mut failures: Vec<Error> = results.into_iter().filter_map(|(_, result)| result.err()).collect();
        failures.extend(reported.err());
        // The most hopeful failure decides: one that is worth another try must not be lost behind one that is not.
        failures.sort_by_key(|error| error.class() == Class::Terminal);
        let now = context.clock.wall();
        match failures.into_iter().next() {
            None => Ok(next_look(&plan, Timestamp::MIN, now).map_or(Outcome::Done, Outcome::RequeueAfter)),
            // What was due before this pass began did not help it, and must not make it spin.
            Some(error) => Err(Failure { error, look_again: next_look(&plan, began, now) }),
        }
    }

    fn permissions(&self) -> Vec<Permission> {
        let mut permissions = self.0.permissions();
        permissions.push(Permission::on_subresource::<P::Object>(Verb::Update, "status"));
        permissions
    }
}

impl<P: Planner> Planning<P> {
    /// Runs group after group, until one has a failure or the process wants to stop.
    async fn carry_out(&self, context: &Context<P::Object>, plan: &Plan<P::Step>) -> Results<P::Step, P::Output> {
        let mut results = Vec::new();
        for group in &plan.groups {
            let outcomes: Vec<_> = stream::iter(group.clone())
                .map(|planned| async move {
                    if context.cancellation.is_cancelled() {
                        return None;
                    }
                    info!(step = ?planned.step, reason = %planned.reason, "taking a step");
                    let result = self.0.act(context, &planned.step).await;
                    Some((planned, result))
                })
                .buffered(STEPS_AT_ONCE)
                .collect()
                .await;
            let is_complete = outcomes.iter().all(|outcome| matches!(outcome, Some((_, Ok(_)))));
            results.extend(outcomes.into_iter().flatten());
            if !is_complete {
                break;
            }
        }
        results
    }
}

/// Writes the status unless the object has it already.
async fn report<K, S>(context: &Context<K>, status: S) -> Result<()>
where
    K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    S: Serialize + DeserializeOwned + PartialEq,
{
    let encoding = |source: serde_json::Error| Error::other(Class::Terminal, source);
    let mut object = serde_json::to_value(context.object.as_ref()).map_err(encoding)?;
    let held: Option<S> = match object.get_mut("status").map(Value::take) {
        None | Some(Value::Null) => None,
        Some(held) => serde_json::from_value(held).ok(),
    };
    if held.as_ref() == Some(&status) {
        return Ok(());
    }
    object["status"] = serde_json::to_value(status).map_err(encoding)?;
    let object: K = serde_json::from_value(object).map_err(encoding)?;
    context.client.replace_status(&object).await?;
    Ok(())
}

/// How long it is to the earliest time that a wait names, of those later than `after`.
fn next_look<S>(plan: &Plan<S>, after: Timestamp, now: Timestamp) -> Option<Duration> {
    let times = plan.waits.iter().filter_map(|wait| wait.until);
    let until = times.filter(|until| *until > after).min()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(step: u8) -> Planned<u8> {
        Planned { step, reason: String::new() }
    }

    #[test]
    fn slow_start_doubles_its_groups() {
        let mut plan = Plan::default();
        plan.slow_start((0..10).map(planned));
        let sizes: Vec<usize> = plan.groups.iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 2, 4, 3]);
    }

    #[test]
    fn the_earliest_wait_decides_when_to_look_again() {
        let mut plan = Plan::<u8>::default();
        plan.wait("something a watch tells");
        assert_eq!(next_look(&plan, Timestamp::MIN, Timestamp::UNIX_EPOCH), None);
        for seconds in [9, 5] {
            plan.waits.push(Wait { what: String::new(), until: Timestamp::from_second(seconds).ok() });
        }
        let at = |second| Timestamp::from_second(second).unwrap();
        let look = |after, now| next_look(&plan, at(after), at(now));
        assert_eq!(look(0, 1), Some(Duration::from_secs(4)));
        assert_eq!(look(4, 6), Some(Duration::ZERO), "it came while the pass ran");
        assert_eq!(look(5, 6), Some(Duration::from_secs(3)), "it was due before");
    }
}
