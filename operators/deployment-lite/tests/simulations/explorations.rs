//! deployment-lite under everything that can go wrong at each of its writes, requests and notifications, one thing at a
//! time or two at once: it comes to what it comes to without faults, and its promises hold after every commit
//! ([`deployment_lite::invariants`]). They take minutes: `cargo xtask soak faults` runs them.

use deployment_lite::api::{BuiltIn, Lite};
use operator_testkit::{explore::Faults, fault::Effect, simulation::Simulation};

use crate::workloads::{Excused, Mode, made_anew_or_unheard_of_two, misread, workloads};

fn single<M: Mode>(workload: &str) {
    let (simulation, excused) = of_name::<M>(workload);
    simulation.explore(Faults::single().excused(excused).behind("soak")).assert_converges();
}

/// So many by chance: there are millions.
fn pairs<M: Mode>(workload: &str) {
    let (simulation, excused) = of_name::<M>(workload);
    let goes = matches!(workload, "deletion" | "return of a name");
    let excused = if goes { made_anew_or_unheard_of_two::<M> } else { excused };
    simulation.explore(Faults::pairs(500).excused(excused).behind("soak")).assert_converges();
}

/// What no correct server does, and what can be noticed: who is not told of an event on a watch that goes on cannot know.
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
