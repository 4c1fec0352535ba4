//! Makes answers comparable: what differs from run to run gets a name that does not.
//!
//! - uids: `uid1`, `uid2` … in the order in which they appear;
//! - resourceVersions of objects: their rank among all that the case saw; those of lists and bookmarks, which other
//!   writers move: from which of these on (`from rv3`);
//! - times within the case: `now`; the end of a grace period: `now+30s`;
//! - names made from `generateName`, addresses of Services, node ports, continue tokens, hashes, the namespace's name;
//! - `managedFields`: by manager, as two that wrote within a second may stand either way;
//! - Go's picture of what an update changes in a pod, after the refusal: gone;
//! - the order of the causes of a refusal, and what is too long to read;
//! - bookmarks, except the one that ends the initial events: they come when they come.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{
    causes, echo,
    run::{Answer, Observed},
};

const UID_LENGTH: usize = 36;

/// Of a longer text its beginning is kept, and how long it is.
const LONGEST: usize = 4000;

/// The answers and watches of a case, comparable.
pub fn normalise(observed: &Observed) -> Value {
    let mut raw: Vec<Value> = observed.answers.iter().map(answer).collect();
    let watches = observed.watches.iter().map(|(name, watch)| {
        let events: Vec<Value> = watch.events.iter().filter(|event| !is_plain_bookmark(event)).cloned().collect();
        (name.clone(), json!({ "events": events, "closed": watch.is_closed }))
    });
    raw.push(Value::Object(watches.collect()));
    let mut names = Names {
        started: observed.started,
        took: i64::try_from(observed.took.as_secs()).unwrap_or(i64::MAX),
        bases: observed.bases.clone(),
        ..Names::default()
    };
    names.texts.push((observed.namespace.clone(), "NS".to_owned()));
    raw.iter().for_each(|value| names.gather(value, false));
    let mut normal: Vec<Value> = raw.iter().map(|value| names.rename(value, "", false)).collect();
    let watches = normal.pop();
    json!({ "answers": normal, "watches": watches })
}

fn answer(answer: &Answer) -> Value {
    let mut fields = Map::new();
    fields.insert("code".into(), json!(answer.code));
    if !answer.warnings.is_empty() {
        fields.insert("warnings".into(), json!(answer.warnings));
    }
    if let Some(retry_after) = &answer.retry_after {
        fields.insert("retryAfter".into(), json!(retry_after));
    }
    let mut body = answer.body.clone();
    causes::sort(&mut body);
    fields.insert("body".into(), body);
    Value::Object(fields)
}

fn is_plain_bookmark(event: &Value) -> bool {
    event["type"] == "BOOKMARK" && event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"].is_null()
}

#[derive(Default)]
struct Names {
    started: Timestamp,
    /// In seconds.
    took: i64,
    bases: Vec<String>,
    uids: BTreeMap<String, usize>,
    revisions: BTreeSet<u64>,
    texts: Vec<(String, String)>,
    generated: usize,
}

impl Names {
    /// Learns what there is to rename. `is_floating`: the revision is not one of an object.
    fn gather(&mut self, value: &Value, is_floating: bool) {
        match value {
            Value::String(text) => {
                self.gather_uids(text);
                self.gather_volume(text);
            }
            Value::Array(items) => items.iter().for_each(|item| self.gather(item, false)),
            Value::Object(fields) => {
                self.gather_metadata(fields, is_floating || is_floating_one(fields));
                let events_object = fields.get("type") == Some(&json!("BOOKMARK"));
                for (name, value) in sorted(fields) {
                    self.gather_uids(name);
                    self.gather(value, events_object);
                }
            }
            _ => {}
        }
    }

    fn gather_metadata(&mut self, fields: &Map<String, Value>, is_floating: bool) {
        if let Some(details) = fields.get("details") {
            self.gather_generated(&details["name"]);
        }
        let Some(metadata) = fields.get("metadata") else { return };
        if let (Some(revision), false) = (revision(&metadata["resourceVersion"]), is_floating) {
            self.revisions.insert(revision);
        }
        self.gather_generated(&metadata["name"]);
        self.gather_volumes(fields);
        if let Some(address) = fields.get("spec").and_then(|spec| spec["clusterIP"].as_str())
            && address.contains('.')
        {
            self.name(address, |count| format!("<address{count}>"));
        }
    }

    /// The volumes with tokens that admission gives to pods.
    fn gather_volumes(&mut self, fields: &Map<String, Value>) {
        const BASE: &str = "kube-api-access-";
        let volumes = fields.get("spec").and_then(|spec| spec["volumes"].as_array());
        for name in volumes.into_iter().flatten().filter_map(|volume| volume["name"].as_str()) {
            if name.starts_with(BASE) {
                self.name(name, |count| format!("{BASE}<random{count}>"));
            }
        }
    }

    fn gather_generated(&mut self, name: &Value) {
        let Some(name) = name.as_str() else { return };
        let is_of = |base: &&String| {
            let kept = base.len().min(58);
            name.len() == kept + 5 && name.starts_with(&base[..kept])
        };
        if self.bases.iter().any(|base| is_of(&base)) {
            self.name(name, |count| format!("{}<random{count}>", &name[..name.len() - 5]));
        }
    }

    fn name(&mut self, text: &str, name: impl FnOnce(usize) -> String) {
        if self.texts.iter().all(|(known, _)| known != text) {
            self.generated += 1;
            self.texts.push((text.to_owned(), name(self.generated)));
        }
    }

    /// The volume that a pod gets for its token.
    fn gather_volume(&mut self, text: &str) {
        const BASE: &str = "kube-api-access-";
        if text.len() == BASE.len() + 5 && text.starts_with(BASE) {
            self.name(text, |count| format!("{BASE}<random{count}>"));
        }
    }

    fn gather_uids(&mut self, text: &str) {
        let ends = text.char_indices().map(|(at, _)| at);
        let found: Vec<&str> = ends.filter_map(|at| text.get(at..at + UID_LENGTH).filter(|uid| is_uid(uid))).collect();
        for uid in found {
            let next = self.uids.len() + 1;
            self.uids.entry(uid.to_owned()).or_insert(next);
        }
    }

    fn rename(&self, value: &Value, name: &str, is_floating: bool) -> Value {
        match value {
            Value::String(text) if name == "resourceVersion" => json!(self.revision(text, is_floating)),
            Value::String(text) if name == "continue" && !text.is_empty() => json!("<continue>"),
            Value::String(_) if name == "storageVersionHash" => json!("<hash>"),
            Value::Number(number) if name == "nodePort" && number.as_u64() >= Some(30_000) => json!("<port>"),
            Value::String(text) => json!(self.text(text)),
            Value::Array(items) => {
                let mut items: Vec<Value> = items.iter().map(|item| self.rename(item, "", false)).collect();
                if name == "managedFields" {
                    items.sort_by_key(|entry| {
                        ["manager", "operation", "apiVersion", "subresource"].map(|name| entry[name].to_string())
                    });
                }
                Value::Array(items)
            }
            Value::Object(fields) => {
                let is_floating = is_floating || is_floating_one(fields);
                let is_bookmark = fields.get("type") == Some(&json!("BOOKMARK"));
                let renamed = fields.iter().map(|(name, value)| {
                    let inner = match name.as_str() {
                        "metadata" | "resourceVersion" => is_floating,
                        "object" => is_bookmark,
                        _ => false,
                    };
                    let end = (name == "deletionTimestamp").then(|| self.end_of_grace(fields)).flatten();
                    (self.text(name), end.unwrap_or_else(|| self.rename(value, name, inner)))
                });
                Value::Object(renamed.collect())
            }
            other => other.clone(),
        }
    }

    fn revision(&self, text: &str, is_floating: bool) -> String {
        let Some(number) = revision(&json!(text)) else { return text.to_owned() };
        let rank = self.revisions.range(..=number).count();
        match is_floating || !self.revisions.contains(&number) {
            true => format!("from rv{rank}"),
            false => format!("rv{rank}"),
        }
    }

    fn text(&self, text: &str) -> String {
        let text = &without_picture(text);
        let mut renamed = String::new();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let found = self.uid(rest).or_else(|| self.time(rest));
            match (found, rest.chars().next()) {
                (Some((length, name)), _) => {
                    renamed.push_str(&name);
                    at += length;
                }
                (None, Some(letter)) => {
                    renamed.push(letter);
                    at += letter.len_utf8();
                }
                (None, None) => break,
            }
        }
        let renamed = self.texts.iter().fold(renamed, |text, (from, to)| text.replace(from, to));
        shorten(echo::mask(&mask_revisions(&renamed)))
    }

    /// The uid that a text begins with.
    fn uid(&self, text: &str) -> Option<(usize, String)> {
        let uid = text.get(..UID_LENGTH).filter(|uid| is_uid(uid))?;
        Some((UID_LENGTH, format!("uid{}", self.uids.get(uid).copied().unwrap_or(0))))
    }

    /// The time that a text begins with.
    fn time(&self, text: &str) -> Option<(usize, String)> {
        if !text.as_bytes().first()?.is_ascii_digit() || text.as_bytes().get(10) != Some(&b'T') {
            return None;
        }
        let length = text.bytes().take(30).position(|byte| byte == b'Z')? + 1;
        let time: Timestamp = text[..length].parse().ok()?;
        self.is_within(time, 0).then(|| (length, "now".to_owned()))
    }

    /// Whether a time is in the case, moved by so many seconds. A busy machine's clocks do not agree well.
    fn is_within(&self, time: Timestamp, moved_by: i64) -> bool {
        const SLACK: i64 = 60;
        let seconds = time.as_second() - self.started.as_second() - moved_by;
        let earliest = if moved_by > 0 { 0 } else { -3600 };
        (earliest..=self.took + SLACK).contains(&seconds)
    }

    /// When a grace period ends.
    fn end_of_grace(&self, metadata: &Map<String, Value>) -> Option<Value> {
        let grace = metadata.get("deletionGracePeriodSeconds")?.as_i64()?;
        let end: Timestamp = metadata.get("deletionTimestamp")?.as_str()?.parse().ok()?;
        (grace > 0 && self.is_within(end, grace)).then(|| json!(format!("now+{grace}s")))
    }
}

/// Lists, bookmarks and tables: their revision is the store's.
fn is_floating_one(fields: &Map<String, Value>) -> bool {
    let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
    let is_list = fields.get("items").is_some_and(Value::is_array) && kind.ends_with("List");
    is_list || matches!(kind, "Table" | "Status")
}

fn revision(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

/// What is long is long to see what the server does with it; nobody reads it.
fn shorten(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… of {} bytes", &text[..end], text.len()),
        None => text,
    }
}

/// Messages that name revisions: numbers after a colon, a quote or a bracket.
fn mask_revisions(text: &str) -> String {
    let lower = text.to_lowercase();
    if !["resource version", "resourceversion"].iter().any(|words| lower.contains(words)) {
        return text.to_owned();
    }
    let mut masked = String::new();
    for part in text.split_inclusive([':', '(', '"']) {
        let digits = part.trim_start_matches(' ');
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        let is_number = length > 0 && !masked.is_empty() && masked.ends_with([':', '(', '"', ' ']);
        if is_number {
            masked.push_str(&part[..part.len() - digits.len()]);
            masked.push_str("<rv>");
            masked.push_str(&digits[length..]);
        } else {
            masked.push_str(part);
        }
    }
    masked
}

/// A refusal without Go's picture of what changed, which ends with a line of its own.
fn without_picture(text: &str) -> String {
    match (text.find("\n@@ "), text.rfind('\n')) {
        (Some(start), Some(end)) => format!("{}{}", &text[..start], &text[end + 1..]),
        _ => text.to_owned(),
    }
}

fn sorted(fields: &Map<String, Value>) -> BTreeMap<&String, &Value> {
    fields.iter().collect()
}

fn is_uid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    })
}
