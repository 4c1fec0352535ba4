//! Some of many faults, as a seed has it.

use std::collections::BTreeSet;

use crate::{fault::Fault, random::Random};

/// All pairs, or so many of them.
pub(super) fn pairs(singles: &[Fault], at_most: usize, seed: u64) -> Vec<[Fault; 2]> {
    let count = singles.len();
    let pair = |first: usize, second: usize| [singles[first].clone(), singles[second].clone()];
    if count * count.saturating_sub(1) / 2 <= at_most {
        let all = (0..count).flat_map(|first| (first + 1..count).map(move |second| (first, second)));
        return all.map(|(first, second)| pair(first, second)).collect();
    }
    let mut random = Random::new(seed);
    let mut chosen = BTreeSet::new();
    while chosen.len() < at_most {
        let (one, other) = (below(&mut random, count), below(&mut random, count));
        if one != other {
            chosen.insert((one.min(other), one.max(other)));
        }
    }
    chosen.into_iter().map(|(first, second)| pair(first, second)).collect()
}

/// All, or so many of them.
pub(super) fn some(singles: &[Fault], at_most: usize, seed: u64) -> Vec<Fault> {
    choose(singles, at_most, &mut Random::new(seed))
}

/// One to so many.
pub(super) fn up_to(singles: &[Fault], at_most: usize, seed: u64) -> Vec<Fault> {
    let mut random = Random::new(seed);
    let number = 1 + below(&mut random, at_most.max(1));
    choose(singles, number, &mut random)
}

fn choose(singles: &[Fault], number: usize, random: &mut Random) -> Vec<Fault> {
    let mut chosen = BTreeSet::new();
    while chosen.len() < number.min(singles.len()) {
        chosen.insert(below(random, singles.len()));
    }
    chosen.into_iter().map(|index| singles[index].clone()).collect()
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).unwrap_or_default()
}
