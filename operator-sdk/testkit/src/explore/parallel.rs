//! Runs on all cores. What comes of it does not depend on how many there are, but for which findings are told where there are
//! more than enough.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::verdict::Finding;

/// What was found in many runs.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How many were made.
    pub(super) runs: usize,
    /// In how many of them a fault struck.
    pub(super) struck: usize,
    /// With the places of their cases, in that order.
    pub(super) findings: Vec<(usize, Finding)>,
}

/// What `work` makes of each input, in their order.
pub(super) fn map<I: Sync, T: Send>(inputs: &[I], work: impl Fn(&I) -> T + Sync) -> Vec<T> {
    let results = Mutex::new(Vec::new());
    each(inputs, &AtomicBool::new(false), |index, input| {
        let result = work(input);
        results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Runs until so many findings are there. `run` says how many faults struck, and what was found.
pub(super) fn find<I: Sync>(
    inputs: &[I],
    findings_max: usize,
    run: impl Fn(usize, &I) -> (usize, Option<Finding>) + Sync,
) -> Found {
    let (is_enough, found) = (AtomicBool::new(false), Mutex::new((Found::default(), Vec::new())));
    each(inputs, &is_enough, |index, input| {
        let (struck, finding) = run(index, input);
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.0.runs += 1;
        found.0.struck += usize::from(struck > 0);
        found.1.extend(finding.map(|finding| (index, finding)));
        is_enough.store(found.1.len() >= findings_max, Ordering::SeqCst);
    });
    let (mut found, mut findings) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    findings.sort_by_key(|(index, _)| *index);
    found.findings = findings;
    found
}

fn each<I: Sync>(inputs: &[I], is_enough: &AtomicBool, work: impl Fn(usize, &I) + Sync) {
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from).min(inputs.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while !is_enough.load(Ordering::SeqCst) {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    let Some(input) = inputs.get(index) else { break };
                    work(index, input);
                }
            });
        }
    });
}
