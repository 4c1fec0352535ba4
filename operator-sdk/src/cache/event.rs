//! What a watch tells: lines, each with the sort of an event and an object.

use kube::core::Status;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::read::Read;
use crate::object::Object;

/// What a line of a watch says.
#[derive(Debug)]
pub(super) enum Event<K: Object> {
    /// The object is so now.
    Is(Read<K>),
    /// The object is gone; its last state, at the revision of the deletion.
    Gone(Read<K>),
    /// All that happened up to this `resourceVersion` has been told.
    Bookmark(String),
    /// Why nothing more comes.
    Error(Box<Status>),
}

#[derive(Deserialize)]
struct Line<'a> {
    r#type: Sort,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Sort {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: Position,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Position {
    resource_version: String,
}

impl<K: Object> Event<K> {
    /// Reads a line. A server that fails on the way may write a bare `Status`, which counts as an error event.
    ///
    /// # Errors
    /// If it is neither; at the end of input ([`serde_json::Error::is_eof`]), if it is the beginning of one.
    pub(super) fn parse(line: &str) -> serde_json::Result<Self> {
        let Line { r#type, object } = match serde_json::from_str(line) {
            Ok(line) => line,
            Err(error) => return bare_status(line).map(Self::Error).ok_or(error),
        };
        let json = object.get();
        Ok(match r#type {
            Sort::Added | Sort::Modified => Self::Is(Read::parse(json)?),
            Sort::Deleted => Self::Gone(Read::parse(json)?),
            Sort::Bookmark => Self::Bookmark(serde_json::from_str::<Bookmark>(json)?.metadata.resource_version),
            Sort::Error => Self::Error(serde_json::from_str(json)?),
        })
    }
}

fn bare_status(line: &str) -> Option<Box<Status>> {
    let status: Box<Status> = serde_json::from_str(line).ok()?;
    (status.code > 0).then_some(status)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    const MAP: &str = r#"{"metadata":{"name":"a","resourceVersion":"7"}}"#;

    fn parse(line: &str) -> serde_json::Result<Event<ConfigMap>> {
        Event::parse(line)
    }

    #[test]
    fn each_sort_of_event_is_read_in_whatever_order_it_is_written() {
        let name = |read: Read<ConfigMap>| read.key().name;
        for sort in ["ADDED", "MODIFIED"] {
            let event = parse(&format!(r#"{{"type":"{sort}","object":{MAP}}}"#)).unwrap();
            assert!(matches!(event, Event::Is(read) if name(read.clone()) == "a"), "{sort}");
        }
        let event = parse(&format!(r#"{{"object":{MAP},"type":"DELETED"}}"#)).unwrap();
        assert!(matches!(event, Event::Gone(read) if name(read.clone()) == "a"));
        let event = parse(&format!(r#"{{"type":"BOOKMARK","object":{MAP}}}"#)).unwrap();
        assert!(matches!(event, Event::Bookmark(version) if version == "7"));
        let event = parse(r#"{"type":"ERROR","object":{"status":"Failure","code":410}}"#).unwrap();
        assert!(matches!(event, Event::Error(status) if status.code == 410));
    }

    #[test]
    fn a_bare_status_is_an_error_event_and_anything_else_is_wrong() {
        let event = parse(r#"{"kind":"Status","status":"Failure","reason":"InternalError","code":500}"#).unwrap();
        assert!(matches!(event, Event::Error(status) if status.code == 500));
        for wrong in ["upstream connect error", "{}", MAP, r#"{"type":"MOVED","object":{}}"#] {
            assert!(!parse(wrong).unwrap_err().is_eof(), "{wrong}");
        }
        assert!(parse(r#"{"type":"BOOKMARK","object":{"metadata":{}}}"#).is_err());
    }

    #[test]
    fn the_beginning_of_a_line_is_told_from_a_wrong_one() {
        let line = format!(r#"{{"type":"ADDED","object":{MAP}}}"#);
        for end in 1..line.len() {
            assert!(parse(&line[..end]).unwrap_err().is_eof(), "{}", &line[..end]);
        }
    }
}
