//! What came of worlds of chance, one for each seed.

use std::{collections::BTreeMap, ops::Range, panic, thread};

use crate::{run, weather};

/// What came of many worlds.
#[derive(Default)]
pub(crate) struct Tally {
    worlds: u64,
    hand_overs: u64,
    /// How many faults of each sort struck.
    struck: BTreeMap<String, u64>,
    /// By seed, what must not be.
    broken: BTreeMap<u64, Vec<String>>,
}

impl Tally {
    /// Of a world for each seed, run twice, on two cores.
    pub(crate) fn of(seeds: Range<u64>) -> Self {
        println!("seeds {} to {}", seeds.start, seeds.end - 1);
        let halves = thread::scope(|scope| {
            let half = |begin| {
                let own = seeds.clone().skip(begin).step_by(2);
                scope.spawn(|| own.map(Self::of_one).fold(Self::default(), Self::and))
            };
            [half(0), half(1)].map(|half| half.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
        });
        halves.into_iter().fold(Self::default(), Self::and)
    }

    fn of_one(seed: u64) -> Self {
        let plan = weather::of(seed);
        let (record, judged, mut said) = run(seed, &plan);
        if record.digest() != run(seed, &plan).0.digest() {
            said.push("the same seed gives two different runs".to_owned());
        }
        let mut struck = BTreeMap::new();
        for index in record.struck.keys() {
            let effect = format!("{:?}", plan.faults[*index].effect);
            let name = effect.split('(').next().unwrap_or_default().to_owned();
            *struck.entry(name).or_default() += 1;
        }
        let broken = if said.is_empty() { BTreeMap::new() } else { [(seed, said)].into() };
        Self { worlds: 1, hand_overs: judged.hand_overs, struck, broken }
    }

    fn and(mut self, other: Self) -> Self {
        self.worlds += other.worlds;
        self.hand_overs += other.hand_overs;
        other.struck.into_iter().for_each(|(effect, times)| *self.struck.entry(effect).or_default() += times);
        self.broken.extend(other.broken);
        self
    }

    /// Passes, and tells of what there was, if all of them ended well.
    pub(crate) fn assert_good(&self) {
        let struck: Vec<String> = self.struck.iter().map(|(effect, times)| format!("{effect} {times}")).collect();
        println!("{} worlds, {} hand-overs; faults that struck: {}", self.worlds, self.hand_overs, struck.join(", "));
        let broken = |(seed, said): (&u64, &Vec<String>)| {
            format!("seed {seed}: {}\n  replay: cargo xtask soak election --seeds 1 --seed {seed}\n", said.join("\n  "))
        };
        let broken: Vec<String> = self.broken.iter().map(broken).collect();
        assert!(broken.is_empty(), "{} of {} worlds ended badly\n{}", broken.len(), self.worlds, broken.concat());
    }
}
