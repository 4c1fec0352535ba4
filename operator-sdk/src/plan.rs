//! The second form of the loop: observe, plan, act, report.
//!
//! The author's decisions are pure functions over what was observed; all effects are [`Step`]s, each at most one write.
//! So a crash between two steps is the only kind of crash there is, and a plan can be printed, tested and compared.

mod livelock;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    future::Future,
    ops::Range,
    time::Duration,
};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use livelock::{Guard, Verdict};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tracing::info;

use crate::{
    controller::RECONCILE_TIMEOUT,
    error::{Class, Error, Result},
    object::{Key, Object},
    permission::{Permission, Verb},
    reconcile::{Context, Failure, Outcome, Reconciler},
};

/// Steps of one group that are under way at once.
const STEPS_AT_ONCE: usize = 16;
/// A step that takes longer is dropped; what it wrote is found by the next pass. Below the time-out of a whole run, so that
/// the others of its group, and the status, still have time.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);
const _: () = assert!(STEP_TIMEOUT.as_secs() < RECONCILE_TIMEOUT.as_secs());

/// The closed list of a planner's effects, as data: an enum, each variant one write or one external effect.
pub trait Step: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The name of the variant, as it stands in logs and in what [`Planner::permissions`] declares.
    fn variant(&self) -> &'static str;
}

/// What each variant of a [`Step`] may ask of the API server.
pub type Declared = Vec<(&'static str, Vec<Permission>)>;

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

/// The time, as a part of an observation. It passes anyway, so it makes no two observations differ: all are equal.
#[derive(Clone, Copy, Debug)]
pub struct Now(pub Timestamp);

impl PartialEq for Now {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What became of a plan's steps: those that were tried, in the plan's order.
pub type Results<S, O> = Vec<(Planned<S>, Result<O>)>;

/// A reconciler whose decisions are pure.
///
/// # Guarantees
/// A plan that comes again on an equal observation although all its steps succeeded is a livelock. Its steps are not taken,
/// each results in [`Error::Livelock`], of which [`status`](Self::status) can tell, and the key backs off. Then they are
/// tried again, once for every second run, until another plan comes; the back-off grows meanwhile.
pub trait Planner: Send + Sync + 'static {
    /// The kind that is reconciled.
    type Object: Object<Scope = k8s_openapi::NamespaceResourceScope>;
    /// Everything the decision depends on, the time included (as [`Now`]).
    type Observed: PartialEq + Send + Sync;
    /// The effects on the world.
    type Step: Step;
    /// What a step returns.
    type Output: Send;
    /// The object's status.
    type Status: Serialize + DeserializeOwned + PartialEq + Send;

    /// Collects what is known. Reads only: the client refuses all else.
    fn observe(&self, context: &Context<Self::Object>) -> impl Future<Output = Result<Self::Observed>> + Send;

    /// Decides. Pure.
    fn plan(&self, observed: &Self::Observed) -> Plan<Self::Step>;

    /// Carries out one step: one write at the most. The client refuses what the step's variant does not declare.
    fn act(
        &self,
        context: &Context<Self::Object>,
        step: &Self::Step,
    ) -> impl Future<Output = Result<Self::Output>> + Send;

    /// What each variant may ask of the API server, its reads included. A variant that is not named here may ask nothing.
    fn permissions(&self) -> Declared;

    /// Reports. Pure; `results` tells what became of the plan.
    fn status(
        &self,
        observed: &Self::Observed,
        plan: &Plan<Self::Step>,
        results: &Results<Self::Step, Self::Output>,
    ) -> Self::Status;
}

/// Drives a [`Planner`] as a [`Reconciler`].
pub struct Planning<P: Planner> {
    planner: P,
    declared: BTreeMap<&'static str, BTreeSet<Permission>>,
    guard: Guard<P::Observed, P::Step>,
}

impl<P: Planner> Reconciler for Planning<P> {
    type Object = P::Object;

    async fn reconcile(&self, context: &Context<P::Object>) -> Result<Outcome, Failure> {
        let began = context.clock.wall();
        let (key, uid) = (context.object.key(), context.object.uid_of());
        let reads = self.all_declared().filter(|permission| matches!(permission.verb, Verb::Get | Verb::List));
        let observed = self.planner.observe(&restricted(context, &reads.cloned().collect())).await?;
        let plan = self.planner.plan(&observed);
        let verdict = self.guard.judge(&key, uid.as_ref(), &observed, &plan);
        let mut results = match verdict {
            Verdict::Refuse => Vec::new(),
            Verdict::Go | Verdict::TryAgain => self.carry_out(context, &plan).await,
        };
        let is_repeatable = verdict == Verdict::Refuse || has_succeeded(&plan, &results);
        if is_repeatable && verdict != Verdict::Go {
            results = livelocked(&plan);
        }
        let status = self.planner.status(&observed, &plan, &results);
        let reported = report(context, status).await;
        let outcome = outcome(&plan, results, reported, began..context.clock.wall());
        if is_repeatable {
            self.guard.note(key, uid, observed, plan, verdict);
        }
        outcome
    }

    fn forget(&self, key: &Key) {
        self.guard.forget(key);
    }

    fn permissions(&self) -> Vec<Permission> {
        let status = Permission::on_subresource::<P::Object>(Verb::Update, "status");
        self.all_declared().cloned().chain([status]).collect()
    }
}

impl<P: Planner> Planning<P> {
    /// Drives this planner.
    pub fn new(planner: P) -> Self {
        let mut declared = BTreeMap::<_, BTreeSet<_>>::new();
        for (variant, permissions) in planner.permissions() {
            declared.entry(variant).or_default().extend(permissions);
        }
        Self { planner, declared, guard: Guard::default() }
    }

    /// What the variants declare, all together.
    fn all_declared(&self) -> impl Iterator<Item = &Permission> {
        self.declared.values().flatten()
    }

    /// Runs group after group, until one has a failure or the process wants to stop.
    async fn carry_out(&self, context: &Context<P::Object>, plan: &Plan<P::Step>) -> Results<P::Step, P::Output> {
        let mut results = Vec::new();
        for group in &plan.groups {
            let outcomes: Vec<_> = stream::iter(group.clone())
                .map(|planned| async move {
                    if context.cancellation.is_cancelled() {
                        return None;
                    }
                    let result = self.take(context, &planned).await;
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

    /// Takes one step, with no more rights than its variant declares.
    async fn take(&self, context: &Context<P::Object>, planned: &Planned<P::Step>) -> Result<P::Output> {
        let variant = planned.step.variant();
        info!(step = %variant, effect = ?planned.step, reason = %planned.reason, "taking a step");
        let nothing = BTreeSet::new();
        let declared = self.declared.get(variant).unwrap_or(&nothing);
        let context = restricted(context, declared);
        match tokio::time::timeout(STEP_TIMEOUT, self.planner.act(&context, &planned.step)).await {
            Ok(result) => result,
            Err(_) => {
                let dropped = format!("{variant} was dropped: it took longer than {} s", STEP_TIMEOUT.as_secs());
                Err(Error::other(Class::Transient, dropped))
            }
        }
    }
}

/// The same context with a client that refuses all but these.
fn restricted<K: Object>(context: &Context<K>, permissions: &BTreeSet<Permission>) -> Context<K> {
    Context { client: context.client.restricted_to(permissions), ..context.clone() }
}

/// Writes the status unless the object has it already, or a step has written the object itself: a status goes out with the
/// metadata of its object, and that at hand would take back what the step wrote. The write of the step is an event, so
/// that the next pass comes soon.
async fn report<K, S>(context: &Context<K>, status: S) -> Result<()>
where
    K: Object<Scope = k8s_openapi::NamespaceResourceScope>,
    S: Serialize + DeserializeOwned + PartialEq,
{
    let written = context.object.uid_of().and_then(|uid| context.client.journal().version_of(&uid));
    if written.is_some() && written != context.object.meta().resource_version {
        return Ok(());
    }
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
    context.client.replace_status_with(context.object.as_ref(), &object).await?;
    Ok(())
}

/// True if there were steps and all of them were taken and succeeded.
fn has_succeeded<S, O>(plan: &Plan<S>, results: &Results<S, O>) -> bool {
    !plan.is_empty() && results.len() == plan.steps().count() && results.iter().all(|(_, result)| result.is_ok())
}

/// The results of a plan that comes again and again: whatever its steps return, they do not help.
fn livelocked<S: Step, O>(plan: &Plan<S>) -> Results<S, O> {
    let variants: BTreeSet<_> = plan.steps().map(|planned| planned.step.variant()).collect();
    let steps = variants.into_iter().collect::<Vec<_>>().join(", ");
    plan.steps().map(|planned| (planned.clone(), Err(Error::Livelock { steps: steps.clone() }))).collect()
}

/// What a pass asks for that lasted from the start to the end of `pass`.
fn outcome<S, O>(
    plan: &Plan<S>,
    results: Results<S, O>,
    reported: Result<()>,
    pass: Range<Timestamp>,
) -> Result<Outcome, Failure> {
    let mut failures: Vec<Error> = results.into_iter().filter_map(|(_, result)| result.err()).collect();
    failures.extend(reported.err());
    // The most hopeful failure decides: one that is worth another try must not be lost behind one that is not.
    failures.sort_by_key(|error| error.class() == Class::Terminal);
    match failures.into_iter().next() {
        None => Ok(next_look(plan, Timestamp::MIN, pass.end).map_or(Outcome::Done, Outcome::RequeueAfter)),
        // What was due before this pass began did not help it, and must not make it spin.
        Some(error) => Err(Failure { error: Box::new(error), look_again: next_look(plan, pass.start, pass.end) }),
    }
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
