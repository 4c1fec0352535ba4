//! deployment-lite under everything that can go wrong at each of its writes, requests and notifications, one thing at a
//! time or several at once: it comes to what it comes to without faults, and its promises hold after every commit
//! ([`deployment_lite::invariants`]). All of them take many minutes: `cargo xtask soak faults` runs them, and each run of the
//! tests some others.

use std::env;

use deployment_lite::api::{BuiltIn, Lite};
#[cfg(feature = "soak")]
use operator_testkit::fault::Effect;
use operator_testkit::{explore::Faults, simulation::Simulation};

use crate::workloads::{Excused, Mode, workloads};
#[cfg(feature = "soak")]
use crate::workloads::{made_anew_or_unheard_of_two, misread};

/// Some that nobody has tried before, unless the environment names them.
fn some<M: Mode>(workload: &str) {
    let named = env::var("OPERATOR_LITE_SEED").ok().and_then(|text| text.parse().ok());
    let seed = named.unwrap_or_else(|| rand::random_range(0..1_000_000_000));
    println!("OPERATOR_LITE_SEED={seed}");
    let (simulation, excused) = of_name::<M>(workload);
    simulation.explore(Faults::some(8).seed(seed).excused(excused)).assert_converges();
}

#[cfg(feature = "soak")]
fn single<M: Mode>(workload: &str) {
    let (simulation, excused) = of_name::<M>(workload);
    simulation.explore(Faults::single().excused(excused).behind("soak")).assert_converges();
}

/// So many by chance: there are millions.
#[cfg(feature = "soak")]
fn pairs<M: Mode>(workload: &str) {
    let (simulation, excused) = of_name::<M>(workload);
    let goes = matches!(workload, "deletion" | "return of a name");
    let excused = if goes { made_anew_or_unheard_of_two::<M> } else { excused };
    simulation.explore(Faults::pairs(500).excused(excused).behind("soak")).assert_converges();
}

/// What no correct server does, and what can be noticed: who is not told of an event on a watch that goes on cannot know.
#[cfg(feature = "soak")]
fn hostile<M: Mode>(workload: &str) {
    let faults = Faults::single().hostile().behind("soak");
    let faults = faults.only(|fault| matches!(fault.effect, Effect::WatchTwice | Effect::WatchGarbage));
    of_name::<M>(workload).0.explore(faults.excused(misread::<M>)).assert_converges();
}

fn of_name<M: Mode>(workload: &str) -> (Simulation, Excused) {
    let (_, simulation, excused) = workloads::<M>().into_iter().find(|(name, ..)| *name == workload).unwrap();
    (simulation, excused)
}

/// Faults at one workload, in both forms: a test for each, so that a plan which is replayed meets the world that it was
/// found in.
macro_rules! explorations {
    ($($faults:ident $workload:literal $lite:ident $built_in:ident)*) => {$(
        #[test]
        fn $lite() {
            $faults::<Lite>($workload);
        }

        #[test]
        fn $built_in() {
            $faults::<BuiltIn>($workload);
        }
    )*};
}

explorations! {
    some "rollout" some_of_a_rollout_of_a_lite_deployment some_of_a_rollout_of_a_deployment
    some "recreation" some_of_a_recreation_of_a_lite_deployment some_of_a_recreation_of_a_deployment
    some "scaling" some_of_scaling_of_a_lite_deployment some_of_scaling_of_a_deployment
    some "deletion" some_of_deletion_of_a_lite_deployment some_of_deletion_of_a_deployment
    some "return of a name" some_of_return_of_a_name_of_a_lite_deployment some_of_return_of_a_name_of_a_deployment
}

#[cfg(feature = "soak")]
explorations! {
    single "rollout" a_rollout_of_a_lite_deployment a_rollout_of_a_deployment
    single "recreation" a_recreation_of_a_lite_deployment a_recreation_of_a_deployment
    single "scaling" scaling_of_a_lite_deployment scaling_of_a_deployment
    single "deletion" deletion_of_a_lite_deployment deletion_of_a_deployment
    single "return of a name" return_of_a_name_of_a_lite_deployment return_of_a_name_of_a_deployment
    pairs "rollout" two_at_a_rollout_of_a_lite_deployment two_at_a_rollout_of_a_deployment
    pairs "recreation" two_at_a_recreation_of_a_lite_deployment two_at_a_recreation_of_a_deployment
    pairs "scaling" two_at_scaling_of_a_lite_deployment two_at_scaling_of_a_deployment
    pairs "deletion" two_at_deletion_of_a_lite_deployment two_at_deletion_of_a_deployment
    pairs "return of a name" two_at_return_of_a_name_of_a_lite_deployment two_at_return_of_a_name_of_a_deployment
    hostile "rollout" a_hostile_rollout_of_a_lite_deployment a_hostile_rollout_of_a_deployment
    hostile "return of a name" a_hostile_return_of_a_name_of_a_lite_deployment a_hostile_return_of_a_name_of_a_deployment
    hostile "deletion" a_hostile_deletion_of_a_lite_deployment a_hostile_deletion_of_a_deployment
}
