//! Reads: one object, or a page of a consistent snapshot.

use std::sync::Arc;

use super::{Answer, Call, List, Reply, Server};
use crate::{
    base64,
    cause::{Cause, CauseKind},
    failure::Failure,
    object::Object,
    request::{Body, Request},
    selector::Selector,
    store::Key,
    syntax,
};

/// Which state a read wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Snapshot {
    /// The last state of the store.
    Latest,
    /// What the view has, if it is not older than this.
    NotOlderThan(u64),
    /// This one.
    Exact(u64),
}

/// Where a page begins.
struct Token {
    revision: Option<u64>,
    start: String,
}

impl Server {
    pub(super) fn get(&mut self, call: Call<'_>) -> Result<Answer, Failure> {
        let served = &call.target.served;
        let asked = revision(call.request, "resourceVersion")?;
        let found = match asked {
            None => self.store.get(&served.collection, &call.target.key()).cloned(),
            Some(minimum) => {
                if let Some(wait) = self.wait_for_view(call, minimum)? {
                    return Ok(wait);
                }
                let seen = self.view_revision(call.request.view);
                self.store.get_at(&served.collection, &call.target.key(), seen).cloned()
            }
        };
        let found = found.ok_or_else(|| Failure::not_found(&served.resource, &call.target.name))?;
        Ok(Reply::object(200, served.present(&found)).into())
    }

    pub(super) fn list(&mut self, call: Call<'_>) -> Result<Answer, Failure> {
        let request = call.request;
        let selector = selector(call)?;
        check_list_options(request)?;
        let token = request.query("continue").filter(|token| !token.is_empty()).map(Token::parse).transpose()?;
        let limit = usize::try_from(number(request, "limit")?).unwrap_or(usize::MAX);
        number(request, "timeoutSeconds")?;
        let snapshot = self.snapshot(request, token.as_ref(), limit)?;
        if let Snapshot::NotOlderThan(minimum) = snapshot
            && let Some(wait) = self.wait_for_view(call, minimum)?
        {
            return Ok(wait);
        }
        let revision = match snapshot {
            Snapshot::Latest => self.store.revision(),
            Snapshot::NotOlderThan(_) => self.view_revision(request.view),
            Snapshot::Exact(revision) => revision,
        };
        // Any state that is cached is given whole.
        let limit = if request.query("resourceVersion") == Some("0") { 0 } else { limit };
        let start = token.map(|token| token.start);
        Ok(self.page(call, &selector, revision, start.as_deref(), limit).into())
    }

    fn snapshot(&self, request: &Request, token: Option<&Token>, limit: usize) -> Result<Snapshot, Failure> {
        let asked = revision(request, "resourceVersion")
            .map_err(|failure| Failure::bad_request(format!("invalid resource version: {}", failure.message)))?;
        if let Some(token) = token {
            if asked.is_some_and(|revision| revision != 0) {
                return Err(Failure::bad_request("specifying resource version is not allowed when using continue"));
            }
            return match token.revision {
                None => Ok(Snapshot::Latest),
                Some(revision) if revision < self.store.compacted() => Err(self.continue_expired(&token.start)),
                Some(revision) => Ok(Snapshot::Exact(revision)),
            };
        }
        // Without a word on it, a page is of that very revision.
        let is_exact = match request.query("resourceVersionMatch") {
            None | Some("") => limit > 0 && asked != Some(0),
            how => how == Some("Exact"),
        };
        match asked {
            None => Ok(Snapshot::Latest),
            Some(revision) if is_exact => {
                if revision > self.store.revision() {
                    return Err(Failure::too_large_revision(revision, self.store.revision()));
                }
                if revision < self.store.compacted() {
                    return Err(Failure::expired("The resourceVersion for the provided list is too old."));
                }
                Ok(Snapshot::Exact(revision))
            }
            Some(revision) => Ok(Snapshot::NotOlderThan(revision)),
        }
    }

    fn continue_expired(&self, start: &str) -> Failure {
        let mut failure = Failure::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
             results. Continuing with the provided token results in an inconsistent list - objects that were created, \
             modified, or deleted between the time the first chunk was returned and now may show up in the list.",
        );
        failure.continue_token = Some(Token { revision: None, start: start.to_owned() }.to_string());
        failure
    }

    fn page(&self, call: Call<'_>, selector: &Selector, revision: u64, start: Option<&str>, limit: usize) -> Reply {
        let served = &call.target.served;
        let scope = call.target.scope();
        let mut items: Vec<Arc<Object>> = if revision == self.store.revision() {
            self.store.list(&served.collection, scope).map(|(_, object)| object.clone()).collect()
        } else {
            self.store.list_at(&served.collection, scope, revision)
        };
        if let Some(start) = start {
            items.retain(|object| key_of(object).to_string().as_str() > start);
        }
        for object in &mut items {
            *object = served.present(object);
        }
        if !selector.is_empty() {
            items.retain(|object| selector.matches(object));
        }
        let mut list = List {
            api_version: served.api_version.clone(),
            kind: served.resource.list_kind.clone(),
            resource_version: revision.to_string(),
            is_custom: served.resource.is_custom,
            ..List::default()
        };
        if limit > 0 && items.len() > limit {
            list.remaining = selector.is_empty().then_some(items.len() - limit);
            items.truncate(limit);
            let start = items.last().map(|object| key_of(object).to_string()).unwrap_or_default();
            list.continue_token = Some(Token { revision: Some(revision), start }.to_string());
        }
        list.items = items;
        Reply { code: 200, headers: Vec::new(), body: Body::List(list) }
    }
}

impl Token {
    /// A revision, or nothing of an inconsistent one, and the last key of the page before.
    fn parse(text: &str) -> Result<Self, Failure> {
        let invalid = || {
            // A real token is base64 of JSON, and is read as such.
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let held = text.bytes().all(is_letter).then(|| base64::decode(text));
            let problem = held.and_then(|held| syntax::problem(&held));
            let problem = problem.unwrap_or_else(|| "it is none of this server's".to_owned());
            Failure::bad_request(format!("invalid continue token: continue key is not valid: {problem}"))
        };
        let (revision, start) = text.split_once('.').ok_or_else(invalid)?;
        let revision = match revision {
            "r" => None,
            number => Some(number.strip_prefix('r').and_then(|number| number.parse().ok()).ok_or_else(invalid)?),
        };
        Ok(Self { revision, start: start.to_owned() })
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.revision {
            Some(revision) => write!(formatter, "r{revision}.{}", self.start),
            None => write!(formatter, "r.{}", self.start),
        }
    }
}

/// The selectors of a list, a watch or a deletion of many.
pub(super) fn selector(call: Call<'_>) -> Result<Selector, Failure> {
    let text = |name| call.request.query(name).unwrap_or_default();
    Selector::parse(&call.target.served.resource, text("labelSelector"), text("fieldSelector"))
}

/// A revision in a query; empty and absent are the same.
pub(super) fn revision(request: &Request, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = request.query(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let what =
            format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
        Failure::new(500, "", what)
    })
}

pub(super) fn key_of(object: &Object) -> Key {
    Key::new(object.namespace(), object.name())
}

/// A number in a query; less than zero is none.
pub(super) fn number(request: &Request, name: &str) -> Result<u64, Failure> {
    let text = request.query(name).filter(|text| !text.is_empty()).unwrap_or("0");
    let number = text.parse::<i64>();
    number
        .map(|number| u64::try_from(number).unwrap_or(0))
        .map_err(|_| Failure::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
}

fn check_list_options(request: &Request) -> Result<(), Failure> {
    let mut causes = Vec::new();
    let given = |name: &str| request.query(name).is_some_and(|value| !value.is_empty());
    if let Some(how) = request.query("resourceVersionMatch").filter(|how| !how.is_empty()) {
        let mut forbid = |detail: &str| causes.push(Cause::forbidden("resourceVersionMatch", detail));
        if !given("resourceVersion") {
            forbid("resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if given("continue") {
            forbid("resourceVersionMatch is forbidden when continue is provided");
        }
        if !matches!(how, "Exact" | "NotOlderThan") {
            let detail = r#"supported values: "Exact", "NotOlderThan", """#;
            causes.push(Cause::new(CauseKind::NotSupported, "resourceVersionMatch", how.into(), detail));
        }
        if how == "Exact" && request.query("resourceVersion") == Some("0") {
            let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(Cause::forbidden("resourceVersionMatch", detail));
        }
    }
    if given("sendInitialEvents") {
        causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid_kind("meta.k8s.io", "ListOptions", "", &causes)) }
}
