//! What an exploration finds, shown by processes that give each ConfigMap a Secret: a careful one, and some with the bugs
//! that are found again and again in operators.

use std::time::Duration;

use futures::StreamExt;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::*;
use crate::{
    fault::{Effect, Moment},
    record::State,
    request::{Reply, Request, User},
    service::Called,
    simulation::{Environment, Manifest, apply, delete},
    store::Commit,
};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// What a process does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Bug {
    None,
    /// It counts on being told of everything: it looks only at what a watch tells.
    EdgeTriggered,
    /// It does not know its own creation again.
    TakesItsOwnForForeign,
    /// Its watch has no time-out.
    WaitsForEver,
    /// It makes one more each time it is unsure.
    MakesTwo,
    /// It gives up at the first error.
    GivesUp,
    /// It tries again at once, until it has what it waits for, which it already has.
    Spins,
}

/// Makes each map's secret, and deletes the secrets of maps that are gone; for ever.
async fn mirror(environment: Environment, bug: Bug) -> Result<(), String> {
    let mut has_listed = false;
    loop {
        if let Some(list) = list(&environment, MAPS).await {
            if !has_listed || bug != Bug::EdgeTriggered {
                has_listed = true;
                level(&environment, &list, bug).await;
            }
            follow(&environment, &list, bug).await;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Makes what lacks, and deletes what is too much.
async fn level(environment: &Environment, maps: &Value, bug: Bug) {
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned)).collect()
    };
    let Some(secrets) = list(environment, SECRETS).await else { return };
    let (wanted, held) = (names(maps), names(&secrets));
    for name in wanted.iter().filter(|name| !held.contains(name)) {
        make(environment, name, bug).await;
    }
    for name in held.iter().filter(|name| !wanted.contains(name)) {
        ask(environment, Request::new(Method::DELETE, format!("{SECRETS}/{name}"))).await;
    }
}

async fn follow(environment: &Environment, list: &Value, bug: Bug) {
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let request = Request::new(Method::GET, MAPS)
        .with_query("watch", "true")
        .with_query("timeoutSeconds", "240")
        .with_query("resourceVersion", version);
    let limit = if bug == Bug::WaitsForEver { Duration::MAX } else { Duration::from_secs(300) };
    let Ok(Ok(Called::Watch(mut lines))) = timeout(Duration::from_secs(30), environment.wire().send(request)).await
    else {
        return;
    };
    while let Ok(Some(Ok(line))) = timeout(limit, lines.next()).await {
        let Ok(event) = serde_json::from_slice::<Value>(&line.bytes()) else { return };
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str() {
            Some("ADDED") => make(environment, &name, bug).await,
            Some("DELETED") => {
                ask(environment, Request::new(Method::DELETE, format!("{SECRETS}/{name}"))).await;
            }
            _ => return,
        }
    }
}

async fn make(environment: &Environment, name: &str, bug: Bug) {
    for attempt in 0..if bug == Bug::Spins { 1000 } else { 10 } {
        let name = if bug == Bug::MakesTwo && attempt > 0 { format!("{name}-{attempt}") } else { name.to_owned() };
        let body = json!({"metadata": {"name": name}});
        match ask(environment, Request::new(Method::POST, SECRETS).with_body(&body)).await {
            Some(reply) if reply.is_success() => return,
            Some(reply) if reply.code == 409 && bug == Bug::TakesItsOwnForForeign => {
                tracing::error!(name, "the name is taken by somebody else");
                ask(environment, Request::new(Method::DELETE, format!("{SECRETS}/{name}"))).await;
                std::future::pending::<()>().await;
            }
            _ if bug == Bug::Spins => sleep(Duration::from_millis(1)).await,
            Some(reply) if reply.code == 409 => return,
            _ if bug == Bug::GivesUp => std::future::pending().await,
            _ => sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn ask(environment: &Environment, request: Request) -> Option<Reply> {
    match timeout(Duration::from_secs(5), environment.wire().send(request)).await {
        Ok(Ok(Called::Reply(reply))) => Some(reply),
        _ => None,
    }
}

/// The list that was asked for; `None` for whatever else may come.
async fn list(environment: &Environment, path: &str) -> Option<Value> {
    let reply = ask(environment, Request::new(Method::GET, path)).await.filter(Reply::is_success)?;
    let list: Value = serde_json::from_slice(&reply.bytes()).ok()?;
    list["items"].is_array().then_some(list)
}

fn maps(names: &[&str]) -> Manifest {
    let map = |name: &&str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    names.iter().map(map).collect()
}

fn simulation(bug: Bug) -> Simulation {
    Simulation::new()
        .process("mirror", User::administrator(), move |environment| mirror(environment, bug))
        .with(maps(&["a", "b"]))
        .then(apply(maps(&["c"])))
        .then(delete(maps(&["a"])))
}

/// What is broken in the end, as reports name it, and by which faults.
fn broken(bug: Bug, faults: Faults) -> (BTreeSet<&'static str>, Vec<Finding>) {
    let verdict = simulation(bug).explore(faults);
    let oracles =
        verdict.findings.iter().flat_map(|finding| finding.violations.iter().map(|violation| violation.oracle));
    (oracles.collect(), verdict.findings.clone())
}

#[test]
fn after_a_step_is_what_comes_when_it_has_settled() {
    let simulation = simulation(Bug::None);
    let record = simulation.run(SEED);
    let singles = |faults| -> Vec<Fault> {
        simulation.cases(faults, &record).into_iter().flat_map(|case| case.plan.faults).collect()
    };
    let (all, later) = (singles(Faults::single()), singles(Faults::single().after_step(1)));
    let is_later = |fault: &&Fault| target::time(&record, &fault.at).unwrap() > record.settled[0].time;
    assert_eq!(later, all.iter().filter(is_later).cloned().collect::<Vec<_>>());
    assert!(!later.is_empty() && later.len() < all.len(), "{} of {}", later.len(), all.len());
}

#[test]
#[should_panic(expected = "after_step(3): nothing comes after it, the workload has 3 steps")]
fn after_the_last_step_there_is_nothing_to_explore() {
    let _ = simulation(Bug::None).explore(Faults::single().after_step(3));
}

#[test]
fn a_careful_process_passes_every_single_fault() {
    let verdict = simulation(Bug::None).explore(Faults::single());
    verdict.assert_converges();
    assert!(verdict.plans > 100 && verdict.runs == verdict.plans, "{verdict}");
    assert!(verdict.struck * 10 >= verdict.runs * 9, "{verdict}");
}

#[test]
fn each_bug_is_found_by_the_fault_that_shows_it() {
    type Bites = fn(&Fault) -> bool;
    let cases: [(Bug, Bites, &str); 7] = [
        (Bug::EdgeTriggered, |fault| matches!(fault.effect, Effect::WatchGap(_)), "O1 convergence"),
        (Bug::TakesItsOwnForForeign, |fault| matches!(fault.effect, Effect::Lost(_)), "O1 convergence"),
        (Bug::EdgeTriggered, |fault| fault.effect == Effect::UserDelete, "O1 convergence"),
        (Bug::WaitsForEver, |fault| fault.effect == Effect::WatchHang, "O1 convergence"),
        (Bug::MakesTwo, |fault| matches!(fault.effect, Effect::Lost(_)), "O3 summary"),
        (Bug::GivesUp, |fault| matches!(fault.effect, Effect::Refuse(_)), "O1 convergence"),
        (Bug::Spins, |fault| matches!(fault.effect, Effect::Lost(_)), "O6 budget"),
    ];
    for (bug, bites, oracle) in cases {
        let (oracles, _) = broken(bug, Faults::single().only(bites));
        assert!(oracles.contains(oracle), "{oracle}: {oracles:?}");
    }
}

#[test]
fn another_end_is_excused_where_it_is_said_and_nothing_else_is() {
    let findings = |excuse| simulation(Bug::GivesUp).explore(Faults::single().only(refuses).excused(excuse)).findings;
    fn refuses(fault: &Fault) -> bool {
        matches!(fault.effect, Effect::Refuse(_))
    }
    let all = findings(|_, _| None).len();
    let of_lists = findings(|_, path| (path == SECRETS).then_some(Excuse::AnotherEnd)).len();
    assert!(of_lists < all, "{of_lists} of {all}");
    let none = findings(|_, _| Some(Excuse::AnotherEnd));
    assert!(none.is_empty(), "{none:?}");
    let judged = simulation(Bug::GivesUp).judged_by(|| {
        |_: &Commit, state: &State| {
            let is_settled = state.list("", "configmaps").count() == 3;
            let lacks = state.list("", "secrets").count() < 2;
            if is_settled && lacks { vec!["a secret lacks".to_owned()] } else { Vec::new() }
        }
    });
    let verdict = judged.explore(Faults::single().only(refuses).excused(|_, _| Some(Excuse::AnotherEnd)));
    assert!(!verdict.is_good(), "{verdict}");
}

#[test]
fn an_excuse_is_looked_for_at_what_a_fault_has_struck_not_where_it_would_have_without_another() {
    let simulation = simulation(Bug::None);
    let (reference, record) = simulation.reference().0.unwrap();
    let deletion = record.effective_writes().find(|write| write.method == "DELETE").unwrap().counted.write.unwrap();
    let refused = |number| Fault::new(Moment::write("mirror", number), Effect::refuse(500, "InternalError", "no"));
    let excuses = |faults: &[u32]| {
        let plan = Plan::of(faults.iter().map(|number| refused(*number)));
        let excuse: fn(&Fault, &str) -> _ =
            |_, path| path.starts_with(&format!("{SECRETS}/")).then_some(Excuse::More(&[]));
        let case = Case { seed: SEED, plan, excuse };
        case.excuses(&simulation.run_once(SEED, &case.plan, Some(&reference)))
    };
    assert_eq!(excuses(&[deletion]), [Excuse::More(&[])]);
    assert_eq!(excuses(&[1, deletion]), [], "the first creation is asked for twice");
    assert_eq!(excuses(&[1, deletion + 1]), [Excuse::More(&[])]);
    assert_eq!(excuses(&[deletion + 9]), [], "nothing is struck");
}

#[test]
fn nothing_is_judged_after_somebody_has_deleted_what_he_asked_for() {
    let simulation = simulation(Bug::None);
    let (mut reference, _) = simulation.reference().0.unwrap();
    let plan = Plan::of([Fault::new(Moment::write("mirror", 1), Effect::UserDelete)]);
    let case = Case { seed: SEED, plan, excuse: |_, _| None };
    let record = simulation.run_once(SEED, &case.plan, Some(&reference));
    assert_eq!(case.change_of_mind(&record, &reference.asked), None, "nobody asked for secrets");
    let secret = record.commits.iter().find(|commit| &*commit.collection.plural == "secrets").unwrap();
    reference.asked.insert((secret.collection.clone(), secret.key.clone()));
    assert_eq!(case.change_of_mind(&record, &reference.asked), Some(record.struck[&0]));
    let judged = simulation.judged_by(|| {
        |commit: &Commit, _: &State| {
            if &*commit.collection.plural == "configmaps" { vec!["a map".to_owned()] } else { Vec::new() }
        }
    });
    let (_, violations) = judged.try_out(&case, &reference);
    assert_eq!(violations.len(), 2, "the first two maps, and neither what happened to others later, nor the end");
}

#[test]
fn a_plan_that_fails_is_made_as_small_as_it_can_be() {
    let simulation = simulation(Bug::GivesUp);
    let findings = simulation.explore(Faults::soak(12, 5)).findings;
    let (reference, _) = simulation.reference().0.unwrap();
    assert!(findings.iter().any(|finding| finding.plan.faults.len() == 1), "{findings:?}");
    for finding in findings.iter().filter(|finding| finding.plan.faults.len() > 1) {
        for index in 0..finding.plan.faults.len() {
            let mut plan = finding.plan.clone();
            plan.faults.remove(index);
            let record = simulation.run_once(finding.seed, &plan, Some(&reference));
            let violations = oracle::judge(&record, Some(&reference), &[]);
            let broken = finding.violations[0].oracle;
            assert!(violations.iter().all(|violation| violation.oracle != broken), "{plan:?} is enough");
        }
    }
}

#[test]
fn a_report_names_what_is_broken_the_plan_the_requests_and_the_way_to_replay_it() {
    let verdict =
        simulation(Bug::GivesUp).explore(Faults::single().only(|fault| matches!(fault.effect, Effect::Refuse(_))));
    let report = verdict.to_string();
    for part in
        ["✗ ", "O1 convergence: step 1", "secrets/default/a", "refuse:", "write 1: POST", "← refuse", "replay: "]
    {
        assert!(report.contains(part), "{part} lacks in\n{report}");
    }
}

#[test]
fn a_report_says_how_many_plans_were_left_when_enough_had_failed() {
    let verdict = simulation(Bug::GivesUp).explore(Faults::single());
    let left = verdict.plans - verdict.runs;
    assert!(verdict.findings.len() >= FINDINGS_MAX && left > 0, "{verdict}");
    assert!(verdict.to_string().contains(&format!("\n{left} plans were left")), "{verdict}");
}

#[test]
fn the_way_to_replay_names_the_feature_that_the_test_stands_behind() {
    let faults = Faults::single().only(|fault| fault.at == Moment::write("mirror", 1));
    let replay = |faults| {
        let report = simulation(Bug::GivesUp).explore(faults).to_string();
        report.lines().find(|line| line.starts_with("replay: ")).unwrap().to_owned()
    };
    assert!(replay(faults.behind("soak")).contains("-p operator-testkit --features soak explore::tests::the_way"));
    assert!(!replay(faults).contains("--features"));
}

#[test]
fn pairs_are_as_many_as_asked_for() {
    let verdict = simulation(Bug::None).explore(Faults::pairs(40));
    assert_eq!(verdict.plans, 40);
    assert!(verdict.is_good(), "{verdict}");
}

#[test]
fn a_simulation_that_fails_without_faults_is_not_explored() {
    let verdict =
        simulation(Bug::None).judged_by(|| |_: &_, _: &_| vec!["never good".to_owned()]).explore(Faults::single());
    assert_eq!((verdict.plans, verdict.is_good()), (0, false));
    assert!(verdict.to_string().contains("\nit is wrong without any fault"), "{verdict}");
}

#[test]
fn who_ends_with_an_error_of_his_own_is_wrong() {
    let gives_up = |_: Environment| async { Err("no configuration".to_owned()) };
    let verdict = Simulation::new().process("gives-up", User::administrator(), gives_up).explore(Faults::single());
    assert_eq!(verdict.findings[0].violations[0].oracle, "O5 log");
    // He is started again and again, and ends so each time, which is told once.
    let report = verdict.findings[0].to_string();
    assert_eq!(report.lines().filter(|line| line.starts_with('✗')).count(), 1, "{report}");
    assert!(report.contains(" times more\n"), "{report}");
}

#[test]
#[should_panic(expected = "nobody on trial asks the server for anything")]
fn that_nothing_can_be_tried_is_no_success() {
    let idle = |_: Environment| async { std::future::pending().await };
    Simulation::new().process("idle", User::administrator(), idle).explore(Faults::single()).assert_converges();
}

#[test]
#[should_panic(expected = "no fault struck")]
fn that_no_fault_is_left_to_be_tried_is_no_success_either() {
    simulation(Bug::None).explore(Faults::single().only(|_| false)).assert_converges();
}

#[test]
fn who_has_nothing_to_do_is_told_so() {
    let told = |manifest: Manifest| {
        let simulation =
            Simulation::new().process("mirror", User::administrator(), |environment| mirror(environment, Bug::None));
        simulation.with(manifest).explore(Faults::none()).to_string().contains("\nnobody on trial wrote anything: ")
    };
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}});
    assert!(told(account.into()), "it looks at maps and secrets");
    assert!(!told(maps(&["a"])));
}

#[test]
fn who_wants_no_faults_says_so() {
    let verdict = simulation(Bug::GivesUp).explore(Faults::none());
    verdict.assert_converges();
    assert_eq!((verdict.references, verdict.plans), (3, 0));
}

#[test]
fn a_process_that_ends_of_itself_is_told_whatever_others_do() {
    let brief = |_: Environment| async { Ok(()) };
    let verdict = simulation(Bug::None).process("brief", User::administrator(), brief).explore(Faults::none());
    let broken = &verdict.findings[0].violations[0];
    assert_eq!(
        (broken.oracle, broken.title()),
        ("O5 log", "brief ended, and is to run until it is stopped, awaiting `Environment::stopped` if all is done")
    );
}

#[test]
fn who_asks_for_a_kind_that_nobody_installed_is_told_how() {
    for (path, kind) in [("/apis/example.com/v1/widgets", "example.com/v1 widgets"), ("/api/v1/widgets", "v1 widgets")]
    {
        let lists = move |environment: Environment| async move {
            while list(&environment, path).await.is_none() {
                sleep(Duration::from_secs(60)).await;
            }
            std::future::pending().await
        };
        let simulation = Simulation::new().process("lists", User::administrator(), lists).with(maps(&["a"]));
        let verdict = simulation.explore(Faults::none()).to_string();
        let told = format!("the server never serves {kind}: give the definition by `Simulation::installed`");
        assert!(verdict.contains(&told), "{verdict}");
    }
}

#[test]
fn a_kind_that_is_not_served_is_told_with_the_way_to_have_it() {
    let strange = json!({"apiVersion": "example.com/v1", "kind": "Strange", "metadata": {"name": "a"}});
    let verdict = Simulation::new().with(strange.into()).explore(Faults::none()).to_string();
    assert!(
        verdict.contains("does not know example.com/v1 Strange: give the definition by `Simulation::installed`"),
        "{verdict}"
    );
    assert!(verdict.contains("\nalso seed 3, no fault: "), "{verdict}");
}

#[test]
fn some_are_so_many_and_others_with_another_seed() {
    let simulation = simulation(Bug::None);
    let record = simulation.run(SEED);
    let some = |seed| -> BTreeSet<Fault> {
        let cases = simulation.cases(Faults::some(20).seed(seed), &record).into_iter();
        cases.flat_map(|case| case.plan.faults).collect()
    };
    assert_eq!((some(1).len(), some(1)), (20, some(1)));
    assert_ne!(some(1), some(2));
    let all = simulation.cases(Faults::single(), &record).len();
    assert_eq!(simulation.cases(Faults::some(usize::MAX), &record).len(), all);
}

#[test]
fn a_page_that_comes_too_late_is_tried() {
    let pages = |environment: Environment| async move {
        loop {
            let mut request = Request::new(Method::GET, MAPS).with_query("limit", "1");
            while let Some(page) = ask(&environment, request).await.map(|reply| reply.to_value()) {
                let Some(next) = page["metadata"]["continue"].as_str() else { break };
                request = Request::new(Method::GET, MAPS).with_query("limit", "1").with_query("continue", next);
            }
            sleep(Duration::from_secs(60)).await;
        }
    };
    let simulation = Simulation::new()
        .process("pages", User::administrator(), pages)
        .with(maps(&["a", "b"]))
        .then(apply(maps(&["c"])));
    let record = simulation.run(SEED);
    let cases = simulation.cases(Faults::single(), &record);
    let is_too_late = |fault: &Fault| matches!(&fault.effect, Effect::Refuse(refusal) if refusal.code == 410);
    let late: Vec<&Fault> =
        cases.iter().flat_map(|case| &case.plan.faults).filter(|fault| is_too_late(fault)).collect();
    assert!(!late.is_empty());
    for fault in late {
        let struck = target::requested(&record, &fault.at).unwrap();
        assert!(struck.path.contains("continue="), "{struck}");
    }
}

/// Makes a secret, trying every ten minutes.
async fn slowly(environment: Environment) -> Result<(), String> {
    let create = || Request::new(Method::POST, SECRETS).with_body(&json!({"metadata": {"name": "one"}}));
    while !ask(&environment, create()).await.is_some_and(|reply| reply.is_success() || reply.code == 409) {
        sleep(Duration::from_secs(600)).await;
    }
    std::future::pending().await
}

#[test]
fn there_is_time_until_an_hour_after_a_fault_has_struck_for_the_last_time() {
    let simulation = Simulation::new().process("slow", User::administrator(), slowly).with(maps(&["a"]));
    let (reference, _) = simulation.reference().0.unwrap();
    let broken = |times: u32, code: u16| {
        let Effect::Refuse(mut refusal) = Effect::refuse(code, "InternalError", "no") else { unreachable!() };
        refusal.times = times;
        let plan = Plan::of([Fault::new(Moment::write("slow", 1), Effect::Refuse(refusal))]);
        let case = Case { seed: SEED, plan, excuse: |_, _| None };
        let (_, violations) = simulation.try_out(&case, &reference);
        violations.into_iter().map(|violation| violation.oracle).collect::<Vec<_>>()
    };
    assert_eq!(broken(12, 500), [""; 0], "two hours");
}

#[test]
fn who_is_not_himself_again_after_a_fault_is_found_by_what_he_logs() {
    let grumbles = |environment: Environment| async move {
        if environment.restarts() == 0 {
            return mirror(environment, Bug::None).await;
        }
        let grumbling = async {
            loop {
                sleep(Duration::from_secs(600)).await;
                tracing::error!("where is everybody?");
            }
        };
        futures::future::join(grumbling, mirror(environment.clone(), Bug::None)).await.1
    };
    let simulation = Simulation::new()
        .process("mirror", User::administrator(), grumbles)
        .with(maps(&["a"]))
        .then(apply(maps(&["b"])));
    let verdict = simulation.explore(Faults::single().only(|fault| fault.effect == Effect::crash(false)));
    let broken = &verdict.findings[0].violations[0];
    assert_eq!(broken.oracle, "O5 log");
    assert!(broken.message.contains("errors in the log long after everything had settled: "), "{broken}");
}

/// Replays these files: their names and what they hold.
fn replayed_files(bug: Bug, files: &[(String, String)]) -> Verdict {
    let test = std::thread::current().name().unwrap_or_default().replace("::", "-");
    let folder = std::env::temp_dir().join(format!("operator-testkit-test-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let verdict = simulation(bug).replay_saved(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
    verdict
}

/// Replays plans that are saved under these names, each a refusal of the write of this number that struck this.
fn replayed(bug: Bug, plans: &[(&str, u32, &str)]) -> Verdict {
    let mut files = vec![("notes.md".to_owned(), "no plan".to_owned())];
    for (name, number, struck) in plans {
        let refused = Effect::refuse(500, "InternalError", "no");
        let plan = Plan::of([Fault::new(Moment::write("mirror", *number), refused)]);
        let text = Saved::of(1, &plan, &[(*struck).to_owned()]).text().unwrap();
        files.push((format!("{name}.yaml"), text));
    }
    replayed_files(bug, &files)
}

#[test]
fn saved_plans_are_run_again_in_the_order_of_their_names() {
    let creation = format!("POST {SECRETS}");
    let verdict = replayed(Bug::GivesUp, &[("b", 2, &creation), ("a", 1, &creation)]);
    assert_eq!((verdict.plans, verdict.findings.len()), (2, 2));
    assert_eq!(verdict.findings[0].plan.faults[0].at, Moment::write("mirror", 1));
}

#[test]
fn a_saved_plan_that_strikes_something_else_by_now_or_nothing_is_out_of_date() {
    let (creation, deletion) = (format!("POST {SECRETS}"), format!("DELETE {SECRETS}/a"));
    assert!(replayed(Bug::None, &[("good", 1, &creation)]).is_good());
    for (number, struck, now) in [
        (1, deletion.as_str(), format!("now strikes {creation}\n")),
        (1, "", format!("now strikes {creation}\n")),
        (99, &creation, "now strikes nothing".to_owned()),
    ] {
        let verdict = replayed(Bug::None, &[("old", number, struck)]);
        assert_eq!(verdict.findings.len(), 1, "{number} {struck}");
        let message = verdict.findings[0].violations[0].to_string();
        for part in ["old.yaml is out of date", &format!("at write {number} of mirror"), struck, &now, "explore"] {
            assert!(message.contains(part), "{part} lacks in\n{message}");
        }
        let place = "\n    what it struck has the number ";
        assert_eq!(message.contains(place), !struck.is_empty(), "{message}");
    }
}

#[test]
fn a_plan_that_is_looked_at_once_more_says_that_it_strikes_something_else_by_now() {
    let plan = Plan::of([Fault::new(Moment::write("mirror", 1), Effect::refuse(500, "InternalError", "no"))]);
    let looked_at = |struck: String| {
        let simulation = simulation(Bug::None);
        let (reference, mut verdict) = simulation.reference();
        let (saved, path) = (Saved::of(1, &plan, &[struck]), Path::new("old.yaml"));
        simulation.replay(path, &saved, Faults::single(), &reference.unwrap().0, &mut verdict);
        verdict
    };
    assert!(looked_at(format!("POST {SECRETS}")).is_good());
    let moved = looked_at(format!("DELETE {SECRETS}/a"));
    assert!(!moved.is_good() && moved.to_string().contains("old.yaml is out of date"), "{moved}");
}

#[test]
fn what_a_saved_plan_struck_stands_on_one_line() {
    let long = format!("PUT /apis/example.com/v1/namespaces/default/{}/status", "x".repeat(80));
    let plan = Plan::of([Fault::new(Moment::write("mirror", 1), Effect::Stop)]);
    let text = Saved::of(1, &plan, std::slice::from_ref(&long)).text().unwrap();
    assert!(text.lines().any(|line| line.trim() == format!("struck: {long}")), "{text}");
}

#[test]
fn what_is_kept_of_a_finding_strikes_the_same_when_it_is_replayed() {
    let (_, findings) = broken(Bug::GivesUp, Faults::single().only(|fault| matches!(fault.effect, Effect::Refuse(_))));
    let kept = findings.iter().enumerate().map(|(index, finding)| {
        let report = finding.to_string();
        let plan = report.split_once("plan:\n").unwrap().1.split_once("log (").unwrap().0;
        (format!("{index}.yaml"), plan.to_owned())
    });
    let verdict = replayed_files(Bug::None, &kept.collect::<Vec<_>>());
    assert_eq!(verdict.plans, findings.len());
    assert!(verdict.is_good(), "{verdict}");
}
