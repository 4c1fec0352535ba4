//! Some of many faults, as a seed has it.

use std::collections::BTreeSet;

use crate::{fault::Fault, random::Random};

/// All pairs, or so many of them.
pub(super) fn pairs(singles: &[Fault], at_most: usize) -> Vec<[Fault; 2]> {
    let count = singles.len();
    let pair = |first: usize, second: usize| [singles[first].clone(), singles[second].clone()];
    if count * count.saturating_sub(1) / 2 <= at_most {
        let all = (0..count).flat_map(|first| (first + 1..count).map(move |second| (first, second)));
        return all.map(|(first, second)| pair(first, second)).collect();
    }
    let mut random = Random::new(0);
    let mut chosen = BTreeSet::new();
    while chosen.len() < at_most {
        let (one, other) = (below(&mut random, count), below(&mut random, count));
        if one != other {
            chosen.insert((one.min(other), one.max(other)));
        }
    }
    chosen.into_iter().map(|(first, second)| pair(first, second)).collect()
}

/// Up to so many.
pub(super) fn some(singles: &[Fault], at_most: usize, seed: u64) -> Vec<Fault> {
    if singles.is_empty() {
        return Vec::new();
    }
    let mut random = Random::new(seed);
    let number = 1 + below(&mut random, at_most.max(1));
    let chosen: BTreeSet<usize> = (0..number).map(|_| below(&mut random, singles.len())).collect();
    chosen.into_iter().map(|index| singles[index].clone()).collect()
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).unwrap_or_default()
}
