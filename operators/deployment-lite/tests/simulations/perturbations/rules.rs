//! The rules of the operator's role, and what happens if it is given less for a while.

use std::{collections::BTreeSet, time::Duration};

use operator_testkit::{
    fault::{Effect, Fault, Moment, Plan},
    record::Record,
    simulation::{Limits, Simulation, Step},
};
use serde_json::{Value, json};

use super::last;
use crate::workloads::{Mode, OPERATOR, ask, assert_holds, image, image_of, merge, web};

const HOUR: Duration = Duration::from_secs(3600);

/// Who was refused for long waits for long until it tries again.
pub(crate) fn patient() -> Limits {
    Limits { settles_after: HOUR, settles_within: 6 * HOUR, ..Limits::default() }
}

pub(crate) struct Rules {
    path: String,
    pub(crate) rules: Vec<Value>,
}

impl Rules {
    pub(crate) fn of<M: Mode>() -> Self {
        let record = web::<M>().run(1);
        let roles = last(&record).list("rbac.authorization.k8s.io", "clusterroles");
        let (key, role) = roles.filter(|(key, _)| key.name().contains(OPERATOR)).last().unwrap();
        let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{}", key.name());
        Self { path, rules: role["rules"].as_array().unwrap().clone() }
    }

    /// Each verb of each rule, as in `create pods`, and the rules without it.
    pub(crate) fn without_each_verb(&self) -> Vec<(String, Vec<Value>)> {
        let mut all = Vec::new();
        for (number, rule) in self.rules.iter().enumerate() {
            for verb in rule["verbs"].as_array().unwrap() {
                let mut fewer = self.rules.clone();
                let verbs = fewer[number]["verbs"].as_array_mut().unwrap();
                verbs.retain(|held| held != verb);
                if verbs.is_empty() {
                    fewer.remove(number);
                }
                all.push((right(rule, verb), fewer));
            }
        }
        all
    }

    /// A rollout that begins while the operator has fewer rights and comes to its end when it has them all again. Each
    /// refusal stands in the log with the right that lacks. Returns these, in the words of the server.
    pub(crate) fn refused_without<M: Mode>(&self, fewer: &[Value]) -> BTreeSet<String> {
        let record = self.without::<M>(fewer, &Plan::default());
        let refused = refused(&record);
        for right in &refused {
            assert!(record.log.iter().any(|line| line.text.contains(right)), "nobody is told: {right}");
        }
        refused
    }

    /// The same where the operator is started again while it has fewer rights: what it says then.
    pub(crate) fn told_at_start_without<M: Mode>(&self, fewer: &[Value]) -> BTreeSet<String> {
        let in_between = u64::try_from((HOUR * 3 / 2).as_millis()).unwrap();
        let restart = Fault::new(Moment::time(OPERATOR, in_between), Effect::Stop);
        let record = self.without::<M>(fewer, &Plan::of([restart]));
        let ends = record.log.iter().filter_map(|line| line.text.split_once(" ended: "));
        ends.map(|(_, error)| error.to_owned()).collect()
    }

    fn without<M: Mode>(&self, fewer: &[Value], plan: &Plan) -> Record {
        let steps = [self.put(fewer), image::<M>("web:2"), self.put(&self.rules)];
        let world = steps.into_iter().fold(web::<M>().limits(patient()), Simulation::then);
        let record = world.run_with(1, plan);
        assert_holds(&record, &["O5 answers", "O5 races", "O5 log"]);
        let images: Vec<_> = last(&record).list("", "pods").map(|(_, pod)| image_of(pod)).collect();
        assert_eq!(images, ["web:2"; 3]);
        record
    }

    /// The operator has these rules from now on.
    pub(crate) fn put(&self, rules: &[Value]) -> Step {
        ask(merge(self.path.clone(), &json!({"rules": rules})))
    }
}

/// As in `update deployments.apps/status`.
fn right(rule: &Value, verb: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (verb, group, resource) = (text(verb), text(&rule["apiGroups"][0]), text(&rule["resources"][0]));
    if group.is_empty() {
        return format!("{verb} {resource}");
    }
    match resource.split_once('/') {
        Some((resource, subresource)) => format!("{verb} {resource}.{group}/{subresource}"),
        None => format!("{verb} {resource}.{group}"),
    }
}

/// As in `cannot create resource "pods" in API group ""`.
fn refused(record: &Record) -> BTreeSet<String> {
    let answers = record.requests.iter().filter_map(|request| request.answer.as_ref());
    let denials = answers.filter(|answer| answer.code == 403).map(|answer| &answer.message);
    let right = |message: &String| {
        let (_, right) = message.split_once("cannot ").unwrap();
        let (right, _) = right.split_once(" in the namespace").or_else(|| right.split_once(" at the cluster")).unwrap();
        format!("cannot {right}")
    };
    denials.map(right).collect()
}
