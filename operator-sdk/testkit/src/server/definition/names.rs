//! The names of a definition: of those that another definition of the group has already, none is accepted, and what is not
//! accepted from the first is not served.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::{definitions, set_condition};
use crate::store::Store;

/// Accepts the names that are free, and says whether the definition is established: at once after it says that it will be.
pub(super) fn accept(definition: &mut Value, store: &Store, now: Timestamp) {
    let taken = Taken::by_others(definition, store);
    let wanted = definition["spec"]["names"].clone();
    let accepted = &mut definition["status"]["acceptedNames"];
    let mut conflict = None;
    for (name, names, reason) in [
        ("plural", &taken.resources, "PluralConflict"),
        ("singular", &taken.resources, "SingularConflict"),
        ("shortNames", &taken.resources, "ShortNamesConflict"),
        ("kind", &taken.kinds, "KindConflict"),
        ("listKind", &taken.kinds, "ListKindConflict"),
    ] {
        match in_use(&wanted[name], &accepted[name], names) {
            Some(words) => conflict = Some((reason, words)),
            None => take(accepted, &wanted, name),
        }
    }
    take(accepted, &wanted, "categories");
    let (status, reason, words) = match &conflict {
        None => ("True", "NoConflicts", "no conflicts found"),
        Some((reason, words)) => ("False", *reason, words.as_str()),
    };
    set_condition(definition, now, "NamesAccepted", status, reason, words);
    if is_established(definition) {
        return;
    }
    let accepted = "the initial names have been accepted";
    let (status, reason, words) = match (&conflict, reason_of(definition, "Established")) {
        (None, Some("Installing")) => ("True", "InitialNamesAccepted", accepted),
        (None, _) => ("False", "Installing", accepted),
        (Some(_), _) => ("False", "NotAccepted", "not all names are accepted"),
    };
    set_condition(definition, now, "Established", status, reason, words);
}

fn reason_of<'a>(definition: &'a Value, kind: &str) -> Option<&'a str> {
    let mut conditions = definition["status"]["conditions"].as_array()?.iter();
    conditions.find(|condition| condition["type"] == kind)?["reason"].as_str()
}

/// Whether what it defines is served.
pub(super) fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

/// The definition with the names that are accepted in the place of those that are wanted.
pub(super) fn with_accepted_names(definition: &Value) -> Value {
    let mut served = definition.clone();
    served["spec"]["names"] = definition["status"]["acceptedNames"].clone();
    served
}

/// The names that other definitions of a group have.
#[derive(Default)]
struct Taken {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Taken {
    fn by_others(definition: &Value, store: &Store) -> Self {
        let mut taken = Self::default();
        let is_other = |other: &Value| {
            other["spec"]["group"] == definition["spec"]["group"]
                && other["metadata"]["name"] != definition["metadata"]["name"]
        };
        for (_, other) in store.list(&definitions(), None).filter(|(_, other)| is_other(other)) {
            let names = &other["status"]["acceptedNames"];
            taken.resources.extend(["plural", "singular", "shortNames"].iter().flat_map(|name| texts(&names[*name])));
            taken.kinds.extend(["kind", "listKind"].iter().flat_map(|name| texts(&names[*name])));
        }
        taken
    }
}

/// What is said of a name that is taken; one that is accepted already is not.
fn in_use(wanted: &Value, accepted: &Value, taken: &BTreeSet<String>) -> Option<String> {
    let own: Vec<String> = texts(accepted).collect();
    let conflicts = texts(wanted).filter(|name| taken.contains(name) && !own.contains(name));
    let words: Vec<String> = conflicts.map(|name| format!("{name:?} is already in use")).collect();
    match words.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}

fn take(accepted: &mut Value, wanted: &Value, name: &str) {
    match &wanted[name] {
        Value::Null => drop(accepted.as_object_mut().map(|names| names.remove(name))),
        value => accepted[name] = value.clone(),
    }
}

fn texts(value: &Value) -> impl Iterator<Item = String> {
    let all = match value {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    all.iter().filter_map(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_is_taken_is_in_use_unless_it_is_ones_own() {
        let taken = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        assert_eq!(in_use(&json!("c"), &Value::Null, &taken), None);
        assert_eq!(in_use(&json!("a"), &json!("a"), &taken), None);
        assert_eq!(in_use(&json!("a"), &json!(""), &taken).as_deref(), Some("\"a\" is already in use"));
        let both = "[\"a\" is already in use, \"b\" is already in use]";
        assert_eq!(in_use(&json!(["a", "c", "b"]), &Value::Null, &taken).as_deref(), Some(both));
    }
}
