//! Perturbations at every moment of something, and of many at once: minutes in a development build.

use std::{collections::BTreeSet, time::Duration};

use deployment_lite::api::{BuiltIn, Lite};
use http::Method;
use operator_testkit::{
    actor::Nodes,
    explore::Faults,
    fault::{Effect, Fault, Moment, Plan, Refusal},
    request::Request,
    simulation::{Limits, Manifest, Simulation},
};
use serde_json::json;

use super::{holds, interloper::Interloper, last, pods, rules::Rules};
use crate::{
    promises::Promises,
    workloads::{
        Mode, OPERATOR, assert_holds, change, changing, cluster, deployment, group, image, image_of, manifest, nodes,
        path, return_of_a_name, rollout, web, with_image,
    },
};

/// Three pods are there after more changes than this, and three of another template after twice as many.
const CHANGES: usize = 24;
/// Every so many-eth of them somebody interferes.
const STEP: usize = 3;

/// Worlds in which somebody asks for this at different moments: while the first pods come, and while others take their place.
fn interfered<M: Mode>(request: &Request) -> impl Iterator<Item = Simulation> {
    let say = |when, number| println!("{}: {when}, change {number}", M::DEPLOYMENT.0);
    let at_first = move |number| {
        say("the first pods", number);
        web::<M>().actor(Interloper::at::<M>("web:1", number, request.clone()))
    };
    let then = move |number| {
        say("the rollout", number);
        rollout::<M>().actor(Interloper::at::<M>("web:2", number, request.clone()))
    };
    (1..CHANGES).step_by(STEP).map(at_first).chain((1..2 * CHANGES).step_by(STEP).map(then))
}

#[test]
fn t06_who_sees_the_past_does_nothing_to_a_namesake_of_what_is_gone() {
    fn check<M: Mode>() {
        let faults =
            Faults::single().only(|fault| matches!(fault.effect, Effect::TimeTravel(_) | Effect::StaleView(_)));
        let faults = faults.behind("soak");
        return_of_a_name::<M>().explore(faults).assert_converges();
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t13_a_thousand_come_through_a_server_that_is_busy() {
    let wanted = (0..1000).map(|number| {
        let mut wanted = deployment::<Lite>(&format!("web-{number}"));
        wanted["spec"]["replicas"] = 0.into();
        wanted
    });
    let busy = |number| {
        let message = "Too many requests, please try again later.".to_owned();
        let reason = "TooManyRequests".to_owned();
        let refusal = Refusal { code: 429, reason, message, retry_after_seconds: 2, times: 2 };
        Fault::new(Moment::write(OPERATOR, number), Effect::Refuse(refusal))
    };
    let storm = cluster::<Lite>().with(wanted.collect());
    let record = storm.run_with(1, &Plan::of((1..2000).step_by(10).map(busy)));
    assert_holds(&record, &[]);
    assert!(record.struck.len() > 100, "{} struck", record.struck.len());
    assert_eq!(last(&record).list("apps.operator-lite.dev", "litereplicasets").count(), 1000);
}

#[test]
fn t16_what_is_deleted_in_the_middle_of_a_rollout_goes_with_all_that_it_owns() {
    fn check<M: Mode>() {
        for simulation in interfered::<M>(&Request::new(Method::DELETE, path::<M>("web"))) {
            let record = holds(&simulation);
            let sets = last(&record).list(group::<M>(), M::REPLICA_SET.1).count();
            assert_eq!((pods(last(&record)), sets), (0, 0));
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t19_a_leader_that_stood_still_at_any_write_does_no_harm_when_it_wakes() {
    let replicas = Simulation::of_replicas(2, Lite::operator)
        .in_cluster(Nodes::new(3))
        .judged_by(Promises::<Lite>::default)
        .with(manifest::<Lite>("web"))
        .then(image::<Lite>("web:2"));
    let frozen = |fault: &Fault| matches!(fault.effect, Effect::Freeze(_) | Effect::ClockStep(_));
    replicas.explore(Faults::single().only(frozen).behind("soak")).assert_converges();
}

#[test]
fn t21_another_wish_in_the_middle_of_a_rollout_is_what_counts() {
    fn check<M: Mode>() {
        for simulation in interfered::<M>(&changing::<M>(with_image("web:3"))) {
            let record = holds(&simulation);
            let images: Vec<_> = last(&record).list("", "pods").map(|(_, pod)| image_of(pod)).collect();
            assert_eq!(images, ["web:3"; 3]);
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t25_five_hundred_are_left_alone_for_a_day() {
    let wanted: Manifest =
        (0..500).flat_map(|number| manifest::<Lite>(&format!("web-{number}")).objects().to_vec()).collect();
    let day = Limits { stays_quiet_for: Duration::from_secs(24 * 3600), ..Limits::default() };
    let record = nodes::<Lite>(Nodes::new(20)).with(wanted).limits(day).run(1);
    assert_holds(&record, &[]);
    assert_eq!(pods(last(&record)), 1500);
}

#[test]
fn t29_a_verb_that_lacks_is_told_of_when_it_is_refused_and_at_every_start() {
    fn check<M: Mode>() {
        let rules = Rules::of::<M>();
        let mut never_refused = BTreeSet::new();
        for (lacking, fewer) in rules.without_each_verb() {
            let refused = rules.refused_without::<M>(&fewer);
            let told = rules.told_at_start_without::<M>(&fewer);
            println!("without {lacking}: {refused:?}, {told:?}");
            // Nobody who may not send Events is kept from working; and whether one is told again is a matter of time.
            let is_event = lacking.ends_with("events.k8s.io");
            if refused.is_empty() && !is_event {
                never_refused.insert(lacking.clone());
            }
            assert_eq!(told.len(), usize::from(!is_event), "{lacking}: {told:?}");
            assert!(told.iter().all(|told| told.contains(&format!("missing permission to {lacking} "))), "{told:?}");
        }
        // What is asked for at the start, for an adoption or by an admission plug-in alone.
        let group = group::<M>();
        let of_kind = |(_, plural): (&str, &str)| {
            ["get", "list", "update"].map(|verb| {
                let subresource = if verb == "update" { "/finalizers" } else { "" };
                format!("{verb} {plural}.{group}{subresource}")
            })
        };
        let of_pods = ["list pods".to_owned(), "patch pods".to_owned()];
        let unasked = [M::DEPLOYMENT, M::REPLICA_SET].into_iter().flat_map(of_kind).chain(of_pods);
        assert_eq!(never_refused, unasked.collect());
    }
    check::<Lite>();
    check::<BuiltIn>();
}

#[test]
fn t32_no_limits_are_broken_whatever_they_are() {
    fn check<M: Mode>() {
        for (surge, unavailable) in
            [("0", "1"), ("1", "0"), ("25%", "25%"), ("100%", "100%"), ("3", "50%"), ("0%", "10%")]
        {
            let number = |text: &str| text.parse::<u32>().map_or_else(|_| json!(text), |number| json!(number));
            let limits = json!({"maxSurge": number(surge), "maxUnavailable": number(unavailable)});
            println!("{limits}");
            holds(
                &web::<M>()
                    .then(change::<M>(json!({"replicas": 5, "strategy": {"rollingUpdate": limits}})))
                    .then(image::<M>("web:2")),
            );
        }
    }
    check::<Lite>();
    check::<BuiltIn>();
}
