//! The simulated API server judged by the real one: the same requests to both, and the same answers from both.
//!
//! Hand-picked cases are data (`cases/*.yaml`, see `case.rs` for the format). What kube-apiserver answered to them is
//! recorded in `testdata/transcripts`, so that a plain `cargo test` compares without one. With the feature
//! `real-server` and a KUBECONFIG, as `cargo xtask differential` sets them, the cases run on a real server again, and
//! generated sequences on both.
#![allow(clippy::expect_used, reason = "what a test needs and does not find fails it")]
#![allow(unreachable_pub, reason = "a test has no public interface; `pub` says: for the other modules")]

mod case;
mod causes;
mod compare;
mod echo;
mod excuse;
mod normal;
mod path;
mod run;
mod simulated;
mod template;
mod transcript;

#[cfg(feature = "real-server")]
mod generate;
#[cfg(feature = "real-server")]
mod real;
#[cfg(feature = "real-server")]
mod sequences;

use case::File;
use compare::Difference;

/// Fewer cases do not show that the simulation can be believed.
const AT_LEAST: usize = 400;
/// So many has simulator.md §5.
const ITEMS: u8 = 38;

#[test]
fn every_case_is_answered_as_the_real_server_did() {
    let mut excuses = excuse::Excuses::load();
    let pending = excuse::pending();
    let (mut differences, mut answered_now) = (Vec::new(), Vec::new());
    for file in File::load_all() {
        let recorded = transcript::load(&file.name);
        for case in &file.cases {
            let not_recorded = "not recorded; run `cargo xtask differential --record`".into();
            let expected = recorded.get(&case.name).unwrap_or(&not_recorded);
            let mut found = compare::differences(expected, &simulated::run(&file, case, run::Pace::Swift));
            found.retain(|found| !excuses.covers(&case.name, found));
            match pending.contains(&case.name) {
                true if found.is_empty() => answered_now.push(case.name.clone()),
                true => {}
                false => {
                    differences.extend(found.into_iter().map(|found| (file.name.clone(), case.name.clone(), found)));
                }
            }
        }
    }
    report(&differences);
    println!("{} cases are pending", pending.len());
    assert_eq!(answered_now, Vec::<String>::new(), "take what is answered now off tests/differential/pending.yaml");
    assert!(differences.is_empty(), "{} differences from the real server", differences.len());
    if !is_partial() {
        assert_eq!(excuses.unused(), Vec::<String>::new(), "documented differences that no case shows");
    }
}

#[test]
fn every_item_has_its_cases() {
    let mut counts = std::collections::BTreeMap::<u8, usize>::new();
    let mut names = std::collections::BTreeSet::new();
    let mut total = 0;
    for file in File::load_all() {
        for case in &file.cases {
            assert!(names.insert(case.name.clone()), "two cases are named {:?}", case.name);
            assert!(!case.items.is_empty(), "{:?} is about no item", case.name);
            total += 1;
            for item in &case.items {
                *counts.entry(*item).or_default() += 1;
            }
        }
    }
    for (item, count) in &counts {
        println!("item {item:>2}: {count} cases");
    }
    println!("in all: {total} cases");
    let without = (1..=ITEMS).filter(|item| !counts.contains_key(item)).collect::<Vec<_>>();
    assert!(without.is_empty() || is_partial(), "no case is about the items {without:?}");
    assert!(total >= AT_LEAST || is_partial(), "{total} cases are too few");
}

/// Whether only some files are looked at.
fn is_partial() -> bool {
    std::env::var("DIFFERENTIAL_ONLY").is_ok_and(|only| !only.is_empty())
}

fn report(differences: &[(String, String, Difference)]) {
    let mut last = None;
    for (file, case, difference) in differences {
        if last != Some((file, case)) {
            println!("{file}: {case}");
            last = Some((file, case));
        }
        println!("    {difference}");
    }
}
