//! Runs a simulation with everything that can go wrong, one thing at a time, in pairs, or at random; and makes what it finds
//! as small as it can.

mod enumerate;
mod excuse;
mod parallel;
mod random;
mod saved;
mod shrink;
pub(crate) mod target;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

pub(crate) use self::saved::OUT_OF_DATE;
pub use self::{
    excuse::Excuse,
    saved::{REPLAY, Saved, SavedFault},
};
use crate::{
    fault::{Effect, Fault, Plan},
    oracle::{self, reference::Reference},
    record::{Record, Violation},
    simulation::{Right, Simulation},
    store::{Collection, Key},
    verdict::{Finding, Verdict},
};

/// The seed of every run whose plan names requests by number: they are numbered as in the reference.
const SEED: u64 = 1;
/// Seeds of the runs in which nothing goes wrong. What they do not agree on is not compared.
const REFERENCE_SEEDS: [u64; 3] = [SEED, 2, 3];
/// One plan in so many is run twice, to see whether it comes to the same.
const REPEAT_EVERY: usize = 25;
/// After so many plans that fail, the others are left.
const FINDINGS_MAX: usize = 20;

/// What is to go wrong.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    choice: Choice,
    is_hostile: bool,
    after_step: usize,
    keep: fn(&Fault) -> bool,
    excuse: fn(&Fault, &str) -> Option<Excuse>,
    feature: &'static str,
    chance: u64,
}

#[derive(Clone, Copy, Debug)]
enum Choice {
    None,
    Single,
    Some { at_most: usize },
    Pairs { at_most: usize },
    Soak { runs: usize, faults: usize },
}

impl Faults {
    /// Each single fault, at every write, request and notification of the reference.
    pub fn single() -> Self {
        Self {
            choice: Choice::Single,
            is_hostile: false,
            after_step: 0,
            keep: |_| true,
            excuse: |_, _| None,
            feature: "",
            chance: 0,
        }
    }

    /// None: whether it comes to the same end with each of three seeds.
    pub fn none() -> Self {
        Self { choice: Choice::None, ..Self::single() }
    }

    /// Of the single faults so many, by chance.
    pub fn some(at_most: usize) -> Self {
        Self { choice: Choice::Some { at_most }, ..Self::single() }
    }

    /// Two faults at once: all pairs, or, where there are more, so many of them by chance. Where one fault moves another so
    /// that people delete what they have asked for, nothing is judged from then on: they want something else.
    pub fn pairs(at_most: usize) -> Self {
        Self { choice: Choice::Pairs { at_most }, ..Self::single() }
    }

    /// So many runs with a seed and up to so many faults of their own.
    pub fn soak(runs: usize, faults: usize) -> Self {
        Self { choice: Choice::Soak { runs, faults }, ..Self::single() }
    }

    /// Also what no correct server does. That an event is left out on a watch that goes on
    /// ([`WatchDrop`](crate::fault::Effect::WatchDrop)) nobody can notice: [`only`](Self::only) takes it out.
    #[must_use]
    pub fn hostile(self) -> Self {
        Self { is_hostile: true, ..self }
    }

    /// Only at what happens after this step, counted from 1, has settled in the reference: for workloads that begin alike, of
    /// which one is explored whole. A fault that begins before and lasts, such as a watch that hangs, is then not tried with
    /// what comes after. [`explore`](Simulation::explore) panics if no step comes after it.
    #[must_use]
    pub fn after_step(self, step: usize) -> Self {
        Self { after_step: step, ..self }
    }

    /// Only those that `keep` keeps.
    #[must_use]
    pub fn only(self, keep: fn(&Fault) -> bool) -> Self {
        Self { keep, ..self }
    }

    /// Under some of them something does not count. The text is the path of what the fault has struck, without the query:
    /// `/api/v1/namespaces/default/pods/web` of a request, `/api/v1/pods` of a watch. Faults at set times strike none and
    /// have no excuse; nor has a plan that is saved.
    #[must_use]
    pub fn excused(self, excuse: fn(&Fault, &str) -> Option<Excuse>) -> Self {
        Self { excuse, ..self }
    }

    /// The seed of what is left to chance in [`some`](Self::some), [`pairs`](Self::pairs) and [`soak`](Self::soak). Default 0:
    /// the same each time.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { chance: seed, ..self }
    }

    /// The test is there only with this feature of its package: the command that replays what it finds says so, and would run
    /// no test otherwise.
    #[must_use]
    pub fn behind(self, feature: &'static str) -> Self {
        Self { feature, ..self }
    }
}

/// One run to be made.
#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    plan: Plan,
    excuse: fn(&Fault, &str) -> Option<Excuse>,
}

impl Case {
    /// What does not count in this run of it.
    fn excuses(&self, record: &Record) -> Vec<Excuse> {
        let struck = self.plan.faults.iter().enumerate().filter(|(index, _)| record.struck.contains_key(index));
        struck.filter_map(|(_, fault)| (self.excuse)(fault, target::path(record, &fault.at)?)).collect()
    }

    /// When somebody deleted what he had asked for, because another fault had moved it there: after that, nobody wants what
    /// the reference comes to.
    fn change_of_mind(&self, record: &Record, asked: &BTreeSet<(Collection, Key)>) -> Option<Timestamp> {
        let deletions = self.plan.faults.iter().enumerate().filter(|(_, fault)| fault.effect == Effect::UserDelete);
        let of_asked = deletions.filter(|(_, fault)| {
            let Some(write) = target::requested(record, &fault.at) else { return false };
            let mut commits = record.commits.iter().filter(|commit| commit.request == write.id);
            commits.any(|commit| asked.contains(&(commit.collection.clone(), commit.key.clone())))
        });
        of_asked.filter_map(|(index, _)| record.struck.get(&index).copied()).min()
    }
}

impl Simulation {
    /// Runs with nothing going wrong, and then with each plan of these faults.
    ///
    /// # Panics
    /// If nobody on trial asks the server for anything, which would prove nothing.
    #[track_caller]
    pub fn explore(&self, faults: Faults) -> Verdict {
        let mut verdict = self.explored(faults);
        verdict.findings.iter_mut().for_each(|finding| finding.feature = faults.feature);
        verdict
    }

    #[track_caller]
    fn explored(&self, faults: Faults) -> Verdict {
        let (reference, mut verdict) = self.reference();
        let Some((reference, record)) = reference else { return verdict };
        if let Some((path, saved)) = Saved::to_be_replayed() {
            self.replay(&path, &saved, faults, &reference, &mut verdict);
            return verdict;
        }
        let cases = self.cases(faults, &record);
        self.examine(cases, &reference, &mut verdict, |_, _| None);
        verdict.is_vain = verdict.struck == 0 && !matches!(faults.choice, Choice::None);
        verdict
    }

    /// Runs one plan once more, to be looked at. One that does not strike what it struck shows nothing, and is broken.
    fn replay(&self, path: &Path, saved: &Saved, faults: Faults, reference: &Reference, verdict: &mut Verdict) {
        let case = Case { seed: saved.seed, plan: saved.plan(), excuse: faults.excuse };
        let (record, mut violations) = self.try_out(&case, reference);
        violations.extend(saved.moved(path, &record));
        verdict.replayed = true;
        (verdict.plans, verdict.runs, verdict.struck) = (1, 1, usize::from(!record.struck.is_empty()));
        verdict.findings.push(Finding::new(&record, violations));
    }

    /// Runs every plan that is saved in a folder, as `*.yaml`; the path is that of the crate, or a whole one. A plan that does
    /// not strike what it struck when it was saved is found broken: a moment that is numbered moves with every change of
    /// what is asked before it, and a plan that is out of date guards nothing.
    ///
    /// # Panics
    /// If there is no plan, or one cannot be read.
    pub fn replay_saved(&self, folder: impl AsRef<Path>) -> Verdict {
        let (reference, mut verdict) = self.reference();
        let Some((reference, _)) = reference else { return verdict };
        let folder = folder.as_ref();
        let saved = Saved::all_of(folder);
        assert!(!saved.is_empty(), "there is no plan (*.yaml) in {}", folder.display());
        let plans = saved.iter().map(|(_, saved)| (saved.seed, saved.plan()));
        let cases = plans.map(|(seed, plan)| Case { seed, plan, excuse: |_, _| None }).collect();
        self.examine(cases, &reference, &mut verdict, |index, record| {
            let (path, saved) = saved.get(index)?;
            saved.moved(path, record)
        });
        verdict
    }

    /// What a run comes to if nothing goes wrong; `None`, and the reason in the verdict, if even then something does.
    fn reference(&self) -> (Option<(Reference, Record)>, Verdict) {
        let (mut verdict, mut used) = (Verdict::default(), Used::default());
        let plan = Plan::default();
        let twice: Vec<u64> = REFERENCE_SEEDS.into_iter().chain(REFERENCE_SEEDS).collect();
        let mut runs = parallel::map(&twice, |seed| self.run_once(*seed, &plan, None));
        let again = runs.split_off(REFERENCE_SEEDS.len());
        for (run, again) in runs.iter().zip(&again) {
            used.extend_from(run);
            let mut violations = oracle::judge(run, None, &[]);
            violations.extend(unrepeated(run, again));
            if !violations.is_empty() {
                verdict.findings.push(Finding::new(run, violations));
            }
        }
        verdict.references = runs.len();
        verdict.is_idle = !runs.iter().any(|run| run.effective_writes().any(|write| run.is_on_trial(write)));
        verdict.unused_rights = self.unused_rights(&used.0);
        if !verdict.findings.is_empty() {
            return (None, verdict);
        }
        let reference = Reference::of(&runs);
        for (run, step, differences) in reference.disagreements(&runs) {
            let message = format!("step {}: runs with other seeds come to something else:\n  {differences}", step + 1);
            let violation = Violation { oracle: "O1 convergence", time: run.end, message };
            verdict.findings.push(Finding::new(run, vec![violation]));
        }
        if !verdict.findings.is_empty() {
            return (None, verdict);
        }
        (Some((reference, runs.remove(0))), verdict)
    }

    #[track_caller]
    fn cases(&self, faults: Faults, record: &Record) -> Vec<Case> {
        let processes: BTreeSet<&str> = self.process_names().collect();
        let mut singles = enumerate::singles(record, &processes);
        assert!(!singles.is_empty(), "there is nothing to explore: nobody on trial asks the server for anything");
        if faults.is_hostile {
            singles.extend(enumerate::hostile(record, &processes));
        }
        let (step, steps) = (faults.after_step, record.settled.len());
        assert!(step < steps, "after_step({step}): nothing comes after it, the workload has {steps} steps");
        let begins = step.checked_sub(1).map_or(Timestamp::MIN, |step| record.settled[step].time);
        let is_meant = |fault: &Fault| target::time(record, &fault.at) > Some(begins) && (faults.keep)(fault);
        singles.retain(is_meant);
        let case = |seed, plan| Case { seed, plan, excuse: faults.excuse };
        let of_one = |fault| case(SEED, Plan::of([fault]));
        match faults.choice {
            Choice::None => Vec::new(),
            Choice::Single => singles.into_iter().map(of_one).collect(),
            Choice::Some { at_most } => {
                random::some(&singles, at_most, faults.chance).into_iter().map(of_one).collect()
            }
            Choice::Pairs { at_most } => {
                let pairs = random::pairs(&singles, at_most, faults.chance);
                pairs.into_iter().map(|pair| case(SEED, Plan::of(pair))).collect()
            }
            Choice::Soak { runs, faults: at_most } => {
                let seeds = (0..runs as u64).map(|number| faults.chance.wrapping_add(1000 + number));
                seeds.map(|seed| case(seed, Plan::of(random::up_to(&singles, at_most, seed)))).collect()
            }
        }
    }

    /// Runs all cases, and notes those that fail, each as small as it can be made. `judge` is told the case's place.
    fn examine(
        &self,
        cases: Vec<Case>,
        reference: &Reference,
        verdict: &mut Verdict,
        judge: impl Fn(usize, &Record) -> Option<Violation> + Sync,
    ) {
        verdict.plans = cases.len();
        let used = Mutex::new(Used::default());
        let failing = parallel::find(&cases, FINDINGS_MAX, |index, case| {
            let (record, mut violations) = self.try_out(case, reference);
            violations.extend(judge(index, &record));
            if index % REPEAT_EVERY == 0 {
                violations.extend(unrepeated(&record, &self.try_out(case, reference).0));
            }
            lock(&used).extend_from(&record);
            let fired = record.struck.len();
            (fired, (!violations.is_empty()).then(|| Finding::new(&record, violations)))
        });
        let unused = self.unused_rights(&lock(&used).0);
        verdict.unused_rights.retain(|right| unused.contains(right));
        verdict.runs = failing.runs;
        verdict.struck = failing.struck;
        verdict.findings = parallel::map(&failing.findings, |(index, finding)| {
            let is_small = finding.plan.faults.len() < 2 || finding.is_out_of_date();
            if is_small { finding.clone() } else { shrink::shrink(self, &cases[*index], finding, reference) }
        });
    }

    /// Runs a case; returns what does not hold.
    fn try_out(&self, case: &Case, reference: &Reference) -> (Record, Vec<Violation>) {
        let mut record = self.run_once(case.seed, &case.plan, Some(reference));
        let mut excuses = case.excuses(&record);
        if excuses.contains(&Excuse::AnotherEnd) {
            record = self.patient().run_once(case.seed, &case.plan, None);
            excuses = case.excuses(&record);
            excuses.push(Excuse::AnotherEnd);
        }
        let mut violations = oracle::judge(&record, Some(reference), &excuses);
        if let Some(time) = case.change_of_mind(&record, &reference.asked) {
            violations.retain(|violation| violation.time < time);
        }
        (record, violations)
    }
}

/// What each user did in many runs.
#[derive(Default)]
struct Used(BTreeMap<String, BTreeSet<Right>>);

impl Used {
    fn extend_from(&mut self, record: &Record) {
        for (user, rights) in &record.used_permissions {
            self.0.entry(user.clone()).or_default().extend(rights.iter().cloned());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// O8: the same seed and the same plan give the same run, to the byte.
fn unrepeated(run: &Record, again: &Record) -> Option<Violation> {
    let violation = || Violation { oracle: "O8 determinism", time: run.end, message: unlike(run, again) };
    (run.digest() != again.digest()).then(violation)
}

/// How two runs differ that should not.
fn unlike(run: &Record, again: &Record) -> String {
    let line = |run: &Record, index| run.requests.get(index).map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let count = run.requests.len().max(again.requests.len());
    let differing = (0..count).map(|index| (line(run, index), line(again, index))).find(|(line, other)| line != other);
    match differing {
        Some((line, other)) => format!("the same seed gives two different runs; first\n  {line}\n  {other}"),
        None => "the same seed gives two different runs, with the same requests: something else than the seed decides, such \
                 as a thread, the world outside, a map of `ahash`, a `select!` of tokio without `biased`"
            .to_owned(),
    }
}
