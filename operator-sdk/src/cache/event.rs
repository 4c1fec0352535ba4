//! What a watch tells: lines, each with the sort of an event and an object.

use kube::core::Status;
use serde::{Deserialize, de::Error as _};
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
    /// Reads a line.
    ///
    /// # Errors
    /// If it is no event; with the words of the server, if it is a bare `Status`.
    pub(super) fn parse(line: &str) -> serde_json::Result<Self> {
        let Line { r#type, object } = serde_json::from_str(line).map_err(|error| said(line).unwrap_or(error))?;
        let json = object.get();
        Ok(match r#type {
            Sort::Added | Sort::Modified => Self::Is(Read::parse(json)?),
            Sort::Deleted => Self::Gone(Read::parse(json)?),
            Sort::Bookmark => Self::Bookmark(serde_json::from_str::<Bookmark>(json)?.metadata.resource_version),
            Sort::Error => Self::Error(serde_json::from_str(json)?),
        })
    }
}

/// Whether this is wrong with the line because only its beginning has come.
pub(super) fn is_cut_off(line: &str, error: &serde_json::Error) -> bool {
    // A number that is cut off is to the parser a wrong one.
    error.is_eof() || error.is_syntax() && error.column() >= line.len()
}

/// What a server says that fails on the way and writes a `Status` where events were.
fn said(line: &str) -> Option<serde_json::Error> {
    let status: Status = serde_json::from_str(line).ok()?;
    status.status.is_some().then(|| serde_json::Error::custom(status))
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
        let name = |read: &Read<ConfigMap>| read.key().name;
        for sort in ["ADDED", "MODIFIED"] {
            let event = parse(&format!(r#"{{"type":"{sort}","object":{MAP}}}"#)).unwrap();
            assert!(matches!(event, Event::Is(read) if name(&read) == "a"), "{sort}");
        }
        let event = parse(&format!(r#"{{"object":{MAP},"type":"DELETED"}}"#)).unwrap();
        assert!(matches!(event, Event::Gone(read) if name(&read) == "a"));
        let event = parse(&format!(r#"{{"type":"BOOKMARK","object":{MAP}}}"#)).unwrap();
        assert!(matches!(event, Event::Bookmark(version) if version == "7"));
        let event = parse(r#"{"type":"ERROR","object":{"status":"Failure","code":410}}"#).unwrap();
        assert!(matches!(event, Event::Error(status) if status.code == 410));
    }

    #[test]
    fn what_is_no_event_is_wrong_and_a_bare_status_is_told() {
        let status = r#"{"kind":"Status","status":"Failure","message":"etcd is gone","reason":"InternalError"}"#;
        assert_eq!(parse(status).unwrap_err().to_string(), "etcd is gone: InternalError");
        for wrong in ["upstream connect error", "{}", MAP, r#"{"type":"MOVED","object":{}}"#] {
            assert!(!is_cut_off(wrong, &parse(wrong).unwrap_err()), "{wrong}");
        }
        assert!(parse(r#"{"type":"BOOKMARK","object":{"metadata":{}}}"#).is_err());
    }

    #[test]
    fn the_beginning_of_a_line_is_told_from_a_wrong_one() {
        let line = r#"{"type":"ADDED","object":{"metadata":{"name":"a"},"n":[-1.5e+3,true,null]}}"#;
        for end in 1..line.len() {
            assert!(is_cut_off(&line[..end], &parse(&line[..end]).unwrap_err()), "{}", &line[..end]);
        }
    }
}
