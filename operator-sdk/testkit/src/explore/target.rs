//! What a fault strikes, in words that are the same whatever the seed: names of requests and objects, without the ends of
//! generated names, uids or versions.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    fault::{Moment, Place},
    oracle::canonical::stable_name,
    record::{Counted, Notified, Record, Requested},
};

/// What there is at a moment of this run, as in `PUT /api/v1/…/pods/web-*/status` or `DELETED Pod default/web-*`. Empty:
/// nothing, or the moment is a time.
pub(crate) fn at(record: &Record, moment: &Moment) -> String {
    let told = match moment {
        Moment::Notification(place) => notified(record, place).map(of_notification),
        _ => requested(record, moment).map(|request| of_request(request, record)),
    };
    told.unwrap_or_default()
}

/// When it comes in this run; `None`: never, or the moment is a time.
pub(super) fn time(record: &Record, moment: &Moment) -> Option<Timestamp> {
    match moment {
        Moment::Notification(place) => notified(record, place).map(|told| told.time),
        _ => requested(record, moment).map(|request| request.sent),
    }
}

/// The numbers of this moment's kind at which there is the same in this run.
pub(super) fn numbers_of(record: &Record, moment: &Moment, struck: &str) -> Vec<u32> {
    let is_there = |number: &u32| moment.numbered(*number).map(|moment| at(record, &moment)).as_deref() == Some(struck);
    let last = record.requests.len().max(record.notifications.len()) as u32;
    (1..=last).filter(is_there).collect()
}

/// What is asked for there, without the query: by the request, or by the watch that tells.
pub(super) fn path<'record>(record: &'record Record, moment: &Moment) -> Option<&'record str> {
    let request = match moment {
        Moment::Notification(place) => {
            let watch = notified(record, place)?.request;
            record.requests.iter().find(|request| request.id == watch)
        }
        _ => requested(record, moment),
    };
    request?.path.split('?').next()
}

pub(super) fn requested<'record>(record: &'record Record, moment: &Moment) -> Option<&'record Requested> {
    let (place, number): (&Place, fn(&Counted) -> Option<u32>) = match moment {
        Moment::Write(place) => (place, |counted| counted.write),
        Moment::Request(place) => (place, |counted| counted.request),
        Moment::Election(place) => (place, |counted| counted.election),
        Moment::Notification(_) | Moment::Time(_) => return None,
    };
    let is_it =
        |request: &&Requested| *request.process == *place.process && number(&request.counted) == Some(place.number);
    record.requests.iter().find(is_it)
}

fn notified<'record>(record: &'record Record, place: &Place) -> Option<&'record Notified> {
    let is_it = |told: &&Notified| *told.process == *place.process && told.number == place.number;
    record.notifications.iter().find(is_it)
}

fn of_request(request: &Requested, record: &Record) -> String {
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for commit in &record.commits {
        let name = commit.key.name();
        let stable = match name.rsplit_once('.') {
            // Whoever writes an Event makes its name unique by such an end behind the name of what it is about.
            Some((about, _)) if &*commit.collection.plural == "events" => {
                format!("{}.*", names.get(about).map_or(about, String::as_str))
            }
            _ => stable_name(commit.after.value(), name),
        };
        names.insert(name, stable);
    }
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let parts: Vec<&str> = path.split('/').map(|part| names.get(part).map_or(part, String::as_str)).collect();
    let watch = if query.contains("watch=") { "?watch=true" } else { "" };
    format!("{} {}{watch}", request.method, parts.join("/"))
}

fn of_notification(told: &Notified) -> String {
    let Notified { kind, object, .. } = told;
    let name = stable_name(object.value(), object.name());
    let kind_of_object = object["kind"].as_str().unwrap_or_default();
    match object.namespace() {
        "" => format!("{kind} {kind_of_object} {name}"),
        namespace => format!("{kind} {kind_of_object} {namespace}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        object::Object,
        store::{Change, Collection, Commit, Key},
    };

    fn request(counted: Counted, method: &str, path: &str) -> Requested {
        Requested {
            id: 1,
            sent: Timestamp::UNIX_EPOCH,
            process: "operator".into(),
            counted,
            method: method.to_owned(),
            path: path.to_owned(),
            answer: None,
            faults: Vec::new(),
        }
    }

    fn commit(plural: &str, metadata: serde_json::Value) -> Arc<Commit> {
        let object = Object::new(json!({"kind": "Pod", "metadata": metadata}));
        Arc::new(Commit {
            revision: 1,
            time: Timestamp::UNIX_EPOCH,
            collection: Collection::new("", plural),
            key: Key::new("default", object.name()),
            change: Change::Created,
            before: None,
            after: object,
            request: 0,
        })
    }

    #[test]
    fn what_a_fault_strikes_is_told_without_what_chance_decides() {
        let pod = commit("pods", json!({"name": "web-x7k2p", "generateName": "web-", "namespace": "default"}));
        let event = commit("events", json!({"name": "web.0123456789abcdef", "namespace": "default"}));
        let of_pod = commit("events", json!({"name": "web-x7k2p.0123456789abcdef", "namespace": "default"}));
        let told = Notified {
            time: Timestamp::UNIX_EPOCH,
            process: "operator".into(),
            number: 1,
            request: 1,
            kind: "DELETED",
            object: Arc::clone(&pod.after),
        };
        let counted = |number| Counted { request: Some(number), ..Counted::default() };
        let record = Record {
            commits: vec![pod, event, of_pod],
            notifications: vec![told],
            requests: vec![
                request(counted(1), "GET", "/api/v1/pods?watch=true&resourceVersion=7"),
                request(counted(2), "GET", "/api/v1/pods?resourceVersion=0"),
                request(
                    Counted { write: Some(1), ..counted(3) },
                    "PUT",
                    "/api/v1/namespaces/default/pods/web-x7k2p/status",
                ),
                request(counted(4), "PATCH", "/api/v1/namespaces/default/events/web.0123456789abcdef"),
                request(counted(5), "PATCH", "/api/v1/namespaces/default/events/web-x7k2p.0123456789abcdef"),
                request(Counted { election: Some(1), ..Counted::default() }, "GET", "/apis/leases/web"),
            ],
            ..Record::default()
        };
        let put = "PUT /api/v1/namespaces/default/pods/web-*/status";
        for (moment, expected) in [
            (Moment::request("operator", 1), "GET /api/v1/pods?watch=true"),
            (Moment::request("operator", 2), "GET /api/v1/pods"),
            (Moment::request("operator", 3), put),
            (Moment::write("operator", 1), put),
            (Moment::request("operator", 4), "PATCH /api/v1/namespaces/default/events/web.*"),
            (Moment::request("operator", 5), "PATCH /api/v1/namespaces/default/events/web-*.*"),
            (Moment::election("operator", 1), "GET /apis/leases/web"),
            (Moment::notification("operator", 1), "DELETED Pod default/web-*"),
            (Moment::write("operator", 2), ""),
            (Moment::write("other", 1), ""),
            (Moment::time("operator", 1), ""),
        ] {
            assert_eq!(at(&record, &moment), expected, "{moment}");
        }
        assert_eq!(numbers_of(&record, &Moment::request("operator", 99), put), [3]);
        assert_eq!(path(&record, &Moment::request("operator", 1)), Some("/api/v1/pods"));
        assert_eq!(path(&record, &Moment::notification("operator", 1)), Some("/api/v1/pods"), "the watch that tells");
        assert_eq!(path(&record, &Moment::write("operator", 2)), None);
        assert_eq!(time(&record, &Moment::write("operator", 1)), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(time(&record, &Moment::write("operator", 2)), None);
    }
}
