//! Makes sequences of requests from a seed: many kinds of writes to few objects, so that they meet.
//!
//! Most of what they ask is right; what is not has to be refused by both servers alike. Reads that a real server may
//! answer from a cache that lags are left out.

mod body;

use serde_json::{Value, json};

use crate::case::{Case, Step};

/// Longer sequences find no more.
const LONGEST: usize = 50;
const MOST_WATCHES: usize = 3;
const NAMES: [&str; 3] = ["a", "b", "c"];
const MANAGERS: [&str; 3] = ["one", "two", "three"];
const KINDS: [&str; 5] = ["configmaps", "pods", "deployments", "leases", "widgets"];

/// A sequence, always the same for a seed.
pub fn sequence(seed: u64) -> Case {
    let mut generator = Generator { chance: Chance(seed), steps: Vec::new(), watches: 0 };
    let length = 10 + generator.chance.below(LONGEST - 9);
    // A few kinds at a time, so that requests meet the same objects.
    let kinds = [generator.chance.of(&KINDS), generator.chance.of(&KINDS)];
    while generator.steps.len() < length {
        let kind = generator.chance.of(&kinds);
        generator.add(kind);
    }
    Case { name: format!("sequence {seed}"), items: vec![1], steps: generator.steps }
}

/// Numbers from a seed (SplitMix64).
pub struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another one.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

struct Generator {
    chance: Chance,
    steps: Vec<Step>,
    watches: usize,
}

impl Generator {
    fn add(&mut self, kind: &str) {
        let name = self.chance.of(&NAMES);
        let step = match self.chance.below(100) {
            0..24 => self.create(kind, name),
            24..36 => self.update(kind, name),
            36..48 => self.merge_patch(kind, name),
            48..54 => self.json_patch(kind, name),
            54..60 => self.strategic_patch(kind, name),
            60..72 => self.apply(kind, name),
            72..77 => self.status(kind, name),
            77..80 => self.scale(kind, name),
            80..90 => self.delete(kind, name),
            90..92 => self.delete_collection(kind),
            92..97 => self.read(kind, name),
            _ => self.watch(kind, name),
        };
        let id = format!("s{}", self.steps.len() + 1);
        self.steps.push(Step { id: Some(id), ..step });
    }

    fn create(&mut self, kind: &str, name: &str) -> Step {
        let mut body = body::whole(&mut self.chance, kind);
        match self.chance.percent(5) {
            // A prefix of its own: which of two generated names comes first, chance decides.
            true => body["metadata"]["generateName"] = json!(format!("{name}{}-", self.steps.len())),
            false => body["metadata"]["name"] = json!(name),
        }
        let query = self.write_query();
        step(format!("POST {kind}{query}"), Some(body), None)
    }

    fn update(&mut self, kind: &str, name: &str) -> Step {
        let mut body = body::whole(&mut self.chance, kind);
        body["metadata"]["name"] = json!(name);
        let needs_revision = kind == "widgets";
        if self.chance.percent(if needs_revision { 95 } else { 40 }) {
            self.lock(kind, name, &mut body);
        }
        let query = self.write_query();
        step(format!("PUT {kind}/{name}{query}"), Some(body), None)
    }

    fn merge_patch(&mut self, kind: &str, name: &str) -> Step {
        let mut body = body::part(&mut self.chance, kind, true);
        if self.chance.percent(10) {
            self.lock(kind, name, &mut body);
        }
        let query = self.write_query();
        step(format!("PATCH {kind}/{name}{query}"), Some(body), Some("merge"))
    }

    fn json_patch(&mut self, kind: &str, name: &str) -> Step {
        let body = body::json_patch(&mut self.chance, kind);
        let query = self.write_query();
        step(format!("PATCH {kind}/{name}{query}"), Some(body), Some("json"))
    }

    fn strategic_patch(&mut self, kind: &str, name: &str) -> Step {
        let body = body::part(&mut self.chance, kind, true);
        let query = self.write_query();
        step(format!("PATCH {kind}/{name}{query}"), Some(body), Some("strategic"))
    }

    fn apply(&mut self, kind: &str, name: &str) -> Step {
        let mut body = match kind {
            "pods" | "deployments" => body::whole(&mut self.chance, kind),
            _ => body::part(&mut self.chance, kind, false),
        };
        body["metadata"]["name"] = json!(name);
        if self.chance.percent(5) {
            let field = self.chance.of(&["labels", "annotations"]);
            body["metadata"][field] = if self.chance.percent(50) { json!({}) } else { Value::Null };
        }
        if self.chance.percent(5) {
            self.lock(kind, name, &mut body);
        }
        let manager = self.chance.of(&MANAGERS);
        let force = if self.chance.percent(30) { "&force=true" } else { "" };
        step(format!("PATCH {kind}/{name}?fieldManager={manager}{force}"), Some(body), Some("apply"))
    }

    fn status(&mut self, kind: &str, name: &str) -> Step {
        let body = body::status(&mut self.chance, kind);
        let query = self.write_query();
        step(format!("PATCH {kind}/{name}/status{query}"), Some(body), Some("merge"))
    }

    fn scale(&mut self, kind: &str, name: &str) -> Step {
        let kind = if kind == "deployments" { kind } else { "widgets" };
        let body = json!({ "spec": { "replicas": self.chance.below(4) } });
        step(format!("PATCH {kind}/{name}/scale"), Some(body), Some("merge"))
    }

    fn delete(&mut self, kind: &str, name: &str) -> Step {
        let mut body = json!({ "apiVersion": "v1", "kind": "DeleteOptions" });
        if self.chance.percent(20) {
            body["preconditions"]["uid"] = json!(self.field_of(kind, name, "uid"));
        }
        if self.chance.percent(10) {
            body["preconditions"]["resourceVersion"] = json!(self.field_of(kind, name, "resourceVersion"));
        }
        if self.chance.percent(20) {
            body["propagationPolicy"] = json!(self.chance.of(&["Background", "Foreground", "Orphan"]));
        }
        if self.chance.percent(30) {
            body["gracePeriodSeconds"] = json!(self.chance.of(&[0, 0, 30, 60]));
        }
        step(format!("DELETE {kind}/{name}"), Some(body), None)
    }

    fn delete_collection(&mut self, kind: &str) -> Step {
        let selector = self.selector();
        step(format!("DELETE {kind}?{selector}"), None, None)
    }

    fn read(&mut self, kind: &str, name: &str) -> Step {
        let request = match self.chance.below(6) {
            0 => format!("GET {kind}/{name}"),
            1 => format!("GET {kind}?{}", self.selector()),
            2 => format!("GET {kind}?limit={}", 1 + self.chance.below(2)),
            3 => match self.last(|step| step.request.starts_with(&format!("GET {kind}?limit="))) {
                Some(page) => format!("GET {kind}?limit=1&continue=${{{page}.metadata.continue}}"),
                None => format!("GET {kind}"),
            },
            4 => match self.last(|step| step.request.starts_with(&format!("POST {kind}"))) {
                Some(made) => {
                    format!(
                        "GET {kind}?resourceVersionMatch=Exact&resourceVersion=${{{made}.metadata.resourceVersion}}"
                    )
                }
                None => format!("GET {kind}"),
            },
            _ => format!("GET {kind}"),
        };
        step(request, None, None)
    }

    fn watch(&mut self, kind: &str, name: &str) -> Step {
        if self.watches == MOST_WATCHES {
            return self.read(kind, name);
        }
        self.watches += 1;
        let listed = self.last(|step| step.request == format!("GET {kind}"));
        let from = listed.map_or(String::new(), |id| format!("&resourceVersion=${{{id}.metadata.resourceVersion}}"));
        let selector = if self.chance.percent(40) { format!("&{}", self.selector()) } else { String::new() };
        let watch = Some(format!("w{}", self.watches));
        Step { watch, ..step(format!("GET {kind}?watch=true{from}{selector}"), None, None) }
    }

    fn selector(&mut self) -> String {
        let all = ["labelSelector=l=one", "labelSelector=l!=one", "labelSelector=l in (one,two)", "labelSelector=!l"];
        if self.chance.percent(20) {
            "fieldSelector=metadata.name=a".to_owned()
        } else {
            self.chance.of(&all).to_owned()
        }
    }

    fn write_query(&mut self) -> String {
        match self.chance.below(10) {
            0 => "?dryRun=All".to_owned(),
            1..5 => format!("?fieldManager={}", self.chance.of(&MANAGERS)),
            _ => String::new(),
        }
    }

    fn lock(&mut self, kind: &str, name: &str, body: &mut Value) {
        body["metadata"]["resourceVersion"] = json!(self.field_of(kind, name, "resourceVersion"));
    }

    /// What an earlier answer about an object said; mostly the last one.
    fn field_of(&mut self, kind: &str, name: &str, field: &str) -> String {
        let is_about = |step: &Step| {
            let path = step.request.split_once(' ').map(|(_, path)| path).unwrap_or_default();
            let path = path.split('?').next().unwrap_or_default();
            let is_made = path == kind && step.body.as_ref().is_some_and(|body| body["metadata"]["name"] == name);
            is_made || path == format!("{kind}/{name}") && !step.request.starts_with("DELETE")
        };
        let about: Vec<&str> =
            self.steps.iter().filter(|step| is_about(step)).filter_map(|step| step.id.as_deref()).collect();
        let id = match (about.last(), self.chance.percent(80)) {
            (Some(last), true) => (*last).to_owned(),
            (Some(_), false) => about[self.chance.below(about.len())].to_owned(),
            (None, _) => {
                return if field == "uid" { "11111111-2222-3333-4444-555555555555".into() } else { "1".into() };
            }
        };
        format!("${{{id}.metadata.{field}}}")
    }

    fn last(&self, is_meant: impl Fn(&Step) -> bool) -> Option<String> {
        self.steps.iter().rev().find(|step| is_meant(step)).and_then(|step| step.id.clone())
    }
}

fn step(request: String, body: Option<Value>, content: Option<&str>) -> Step {
    Step { request, body, content: content.map(str::to_owned), ..Step::default() }
}
