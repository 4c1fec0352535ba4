//! Makes answers comparable: what differs from run to run gets a name that does not.
//!
//! - uids: `uid1`, `uid2` … in the order in which they appear;
//! - resourceVersions of objects: their rank among all that the case saw; those of lists and bookmarks, which other
//!   writers move: from which of these on (`from rv3`);
//! - times near the case's own: `now`, or `now+30s`;
//! - names made from `generateName`, addresses of Services, node ports, continue tokens, the namespace's name;
//! - `managedFields`: by manager, as two that wrote within a second may stand either way;
//! - bookmarks, except the one that ends the initial events: they come when they come.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::run::{Answer, Observed};

/// The answers and watches of a case, comparable.
pub fn normalise(observed: &Observed) -> Value {
    let mut raw: Vec<Value> = observed.answers.iter().map(answer).collect();
    let watches = observed.watches.iter().map(|(name, watch)| {
        let events: Vec<Value> = watch.events.iter().filter(|event| !is_plain_bookmark(event)).cloned().collect();
        (name.clone(), json!({ "events": events, "closed": watch.is_closed }))
    });
    raw.push(Value::Object(watches.collect()));
    let mut names = Names { started: observed.started, ..Names::default() };
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
    fields.insert("body".into(), answer.body.clone());
    Value::Object(fields)
}

fn is_plain_bookmark(event: &Value) -> bool {
    event["type"] == "BOOKMARK" && event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"].is_null()
}

#[derive(Default)]
struct Names {
    started: Timestamp,
    uids: BTreeMap<String, usize>,
    revisions: BTreeSet<u64>,
    texts: Vec<(String, String)>,
    generated: usize,
}

impl Names {
    /// Learns what there is to rename. `is_floating`: the revision is not one of an object.
    fn gather(&mut self, value: &Value, is_floating: bool) {
        match value {
            Value::String(text) => self.gather_uids(text),
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
        let Some(metadata) = fields.get("metadata") else { return };
        if let (Some(revision), false) = (revision(&metadata["resourceVersion"]), is_floating) {
            self.revisions.insert(revision);
        }
        if let (Some(base), Some(name)) = (metadata["generateName"].as_str(), metadata["name"].as_str())
            && name.len() == base.len().min(58) + 5
            && name.starts_with(&base[..name.len() - 5])
        {
            self.name(name, |count| format!("{}<random{count}>", &base[..name.len() - 5]));
        }
        if let Some(address) = fields.get("spec").and_then(|spec| spec["clusterIP"].as_str())
            && address.contains('.')
        {
            self.name(address, |count| format!("<address{count}>"));
        }
    }

    fn name(&mut self, text: &str, name: impl FnOnce(usize) -> String) {
        if self.texts.iter().all(|(known, _)| known != text) {
            self.generated += 1;
            self.texts.push((text.to_owned(), name(self.generated)));
        }
    }

    fn gather_uids(&mut self, text: &str) {
        for (start, end) in uids(text) {
            let next = self.uids.len() + 1;
            self.uids.entry(text[start..end].to_owned()).or_insert(next);
        }
    }

    fn rename(&self, value: &Value, name: &str, is_floating: bool) -> Value {
        match value {
            Value::String(text) if name == "resourceVersion" => json!(self.revision(text, is_floating)),
            Value::String(text) if name == "continue" && !text.is_empty() => json!("<continue>"),
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
                    (self.text(name), self.rename(value, name, inner))
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
        if let Some(time) = self.time(text) {
            return time;
        }
        let mut renamed = String::new();
        let mut rest = 0;
        for (start, end) in uids(text) {
            renamed.push_str(&text[rest..start]);
            renamed.push_str(&format!("uid{}", self.uids.get(&text[start..end]).copied().unwrap_or(0)));
            rest = end;
        }
        renamed.push_str(&text[rest..]);
        let renamed = self.texts.iter().fold(renamed, |text, (from, to)| text.replace(from, to));
        mask_revisions(&renamed)
    }

    /// Ten-second steps from the beginning of the case, so that its own few seconds do not show.
    fn time(&self, text: &str) -> Option<String> {
        if !(20..=27).contains(&text.len()) || !text.ends_with('Z') {
            return None;
        }
        let time: Timestamp = text.parse().ok()?;
        let seconds = time.as_second() - self.started.as_second();
        match seconds {
            -3600..10 => Some("now".to_owned()),
            10..200_000 => Some(format!("now+{}s", seconds / 10 * 10)),
            _ => None,
        }
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

/// Messages that name revisions, as numbers.
fn mask_revisions(text: &str) -> String {
    const BEFORE: [&str; 6] = [
        "ResourceVersion in precondition: ",
        "ResourceVersion in object meta: ",
        "too old resource version: ",
        "Too large resource version: ",
        "current: ",
        "(",
    ];
    let is_about_revisions = text.to_lowercase().contains("resource version") || text.contains("ResourceVersion in");
    if !is_about_revisions {
        return text.to_owned();
    }
    BEFORE.iter().fold(text.to_owned(), |text, before| {
        let Some((head, tail)) = text.split_once(before) else { return text };
        let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
        let shown = if digits > 0 { "<rv>" } else { "" };
        format!("{head}{before}{shown}{}", &tail[digits..])
    })
}

fn sorted(fields: &Map<String, Value>) -> BTreeMap<&String, &Value> {
    fields.iter().collect()
}

/// Where uids stand in a text.
fn uids(text: &str) -> Vec<(usize, usize)> {
    const LENGTH: usize = 36;
    let bytes = text.as_bytes();
    let is_uid = |part: &[u8]| {
        part.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
        })
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at + LENGTH <= bytes.len() {
        if is_uid(&bytes[at..at + LENGTH]) {
            found.push((at, at + LENGTH));
            at += LENGTH;
        } else {
            at += 1;
        }
    }
    found
}
