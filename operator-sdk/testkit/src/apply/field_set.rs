//! A set of fields: who owns what, and what a comparison found. A tree whose nodes may themselves belong to the set.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::path::{Element, Path};

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    members: BTreeSet<Element>,
    children: BTreeMap<Element, FieldSet>,
}

impl FieldSet {
    /// The set of these paths, each a row of field names.
    pub(super) fn of(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Path = path.iter().map(|name| Element::field(name)).collect();
            set.insert(&path);
        }
        set
    }

    /// Reads `fieldsV1`; steps of an unknown kind are left out.
    pub(super) fn decode(fields: &Value) -> Self {
        let mut set = Self::default();
        for (name, below) in fields.as_object().into_iter().flatten() {
            let Some(element) = Element::decode(name) else { continue };
            let child = Self::decode(below);
            if child.is_empty() || below.get(".").is_some() {
                set.members.insert(element.clone());
            }
            set.add_child(element, child);
        }
        set
    }

    /// As `fieldsV1`.
    pub(super) fn encode(&self) -> Value {
        let mut fields = Map::new();
        for element in &self.members {
            fields.insert(element.encode(), Value::Object(Map::new()));
        }
        for (element, child) in &self.children {
            let mut below = child.encode();
            if self.members.contains(element) {
                below["."] = Value::Object(Map::new());
            }
            fields.insert(element.encode(), below);
        }
        Value::Object(fields)
    }

    /// Whether a path belongs to this set and to the one that [`FieldSet::encode`] wrote.
    pub(super) fn meets_encoded(&self, encoded: &Value) -> bool {
        self.members.iter().any(|element| is_member(encoded, element))
            || self
                .children
                .iter()
                .any(|(element, child)| encoded.get(element.encode()).is_some_and(|below| child.meets_encoded(below)))
    }

    /// Whether all its paths belong to the set that [`FieldSet::encode`] wrote.
    pub(super) fn is_within_encoded(&self, encoded: &Value) -> bool {
        self.members.iter().all(|element| is_member(encoded, element))
            && self.children.iter().all(|(element, child)| {
                encoded.get(element.encode()).is_some_and(|below| child.is_within_encoded(below))
            })
    }

    /// Adds a path, and none of those above it. The empty path belongs to no set.
    pub(super) fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [element] => _ = self.members.insert(element.clone()),
            [element, below @ ..] => self.children.entry(element.clone()).or_default().insert(below),
        }
    }

    /// Whether the path itself belongs to the set.
    pub(super) fn has(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [element] => self.members.contains(element),
            [element, below @ ..] => self.children.get(element).is_some_and(|child| child.has(below)),
        }
    }

    /// Whether no path belongs to the set.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    /// What belongs to one or the other.
    #[must_use]
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        union.members.extend(other.members.iter().cloned());
        for (element, child) in &other.children {
            let merged = union.children.get(element).map_or_else(|| child.clone(), |mine| mine.union(child));
            union.children.insert(element.clone(), merged);
        }
        union
    }

    /// What belongs to both.
    #[must_use]
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut both = Self { members: &self.members & &other.members, children: BTreeMap::new() };
        for (element, child) in &self.children {
            if let Some(others) = other.children.get(element) {
                both.add_child(element.clone(), child.intersection(others));
            }
        }
        both
    }

    /// What belongs to this and not to the other; what lies below a path of the other stays.
    #[must_use]
    pub(super) fn difference(&self, other: &Self) -> Self {
        self.without(other, Below::Stays)
    }

    /// What belongs to this and neither to the other nor lies below one of its paths.
    #[must_use]
    pub(super) fn difference_with_all_below(&self, other: &Self) -> Self {
        self.without(other, Below::Goes)
    }

    /// Only the paths below which there is no other.
    #[cfg(test)]
    #[must_use]
    pub(super) fn leaves(&self) -> Self {
        let mut leaves = Self::default();
        leaves.members.extend(self.members.iter().filter(|element| !self.children.contains_key(element)).cloned());
        leaves.children.extend(self.children.iter().map(|(element, child)| (element.clone(), child.leaves())));
        leaves
    }

    /// All paths: first those of this level, then those below.
    pub(super) fn paths(&self) -> Vec<Path> {
        let mut paths: Vec<Path> = self.members.iter().map(|element| vec![element.clone()]).collect();
        for (element, child) in &self.children {
            paths.extend(child.paths().into_iter().map(|mut below| {
                below.insert(0, element.clone());
                below
            }));
        }
        paths
    }

    pub(super) fn has_member(&self, element: &Element) -> bool {
        self.members.contains(element)
    }

    pub(super) fn child(&self, element: &Element) -> Option<&Self> {
        self.children.get(element)
    }

    pub(super) fn children(&self) -> impl Iterator<Item = (&Element, &Self)> {
        self.children.iter()
    }

    pub(super) fn add_member(&mut self, element: Element) {
        self.members.insert(element);
    }

    /// Adds what lies below a step; nothing if that is empty.
    pub(super) fn add_child(&mut self, element: Element, child: Self) {
        if !child.is_empty() {
            self.children.insert(element, child);
        }
    }

    fn without(&self, other: &Self, below: Below) -> Self {
        let mut rest = Self { members: &self.members - &other.members, children: BTreeMap::new() };
        for (element, child) in &self.children {
            if below == Below::Goes && other.members.contains(element) {
                continue;
            }
            let child =
                other.children.get(element).map_or_else(|| child.clone(), |others| child.without(others, below));
            rest.add_child(element.clone(), child);
        }
        rest
    }
}

/// Whether a set as [`FieldSet::encode`] wrote it has this step itself.
fn is_member(encoded: &Value, element: &Element) -> bool {
    let below = encoded.get(element.encode()).and_then(Value::as_object);
    below.is_some_and(|below| below.is_empty() || below.contains_key("."))
}

/// What becomes of the paths below one that is taken away.
#[derive(Clone, Copy, PartialEq)]
enum Below {
    Stays,
    Goes,
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*, sample};
    use serde_json::json;

    use super::*;
    use crate::apply::path::Atom;

    fn element() -> impl Strategy<Value = Element> {
        prop_oneof![
            sample::select(vec!["a", "b", "c.d/e"]).prop_map(Element::field),
            (0..3).prop_map(|port| Element::key([("port".into(), json!(port)), ("protocol".into(), json!("TCP"))])),
            sample::select(vec![json!("x"), json!(1), json!(1.0), json!(true)])
                .prop_map(|value| Element::Value(Atom(value))),
            (0..2_usize).prop_map(Element::Index),
        ]
    }

    fn set() -> impl Strategy<Value = FieldSet> {
        collection::vec(collection::vec(element(), 1..4), 0..12).prop_map(|paths| {
            let mut set = FieldSet::default();
            paths.iter().for_each(|path| set.insert(path));
            set
        })
    }

    proptest! {
        #[test]
        fn a_set_is_read_as_it_was_written(set in set()) {
            prop_assert_eq!(FieldSet::decode(&set.encode()), set);
        }

        #[test]
        fn what_is_written_is_compared_as_the_set_is(left in set(), right in set()) {
            let written = right.encode();
            prop_assert_eq!(left.meets_encoded(&written), !left.intersection(&right).is_empty());
            prop_assert_eq!(left.is_within_encoded(&written), left.difference(&right).is_empty());
            prop_assert!(left.intersection(&right).is_within_encoded(&written));
        }

        #[test]
        fn union_intersection_and_difference_are_those_of_sets_of_paths(left in set(), right in set()) {
            let paths = |set: &FieldSet| set.paths().into_iter().collect::<BTreeSet<_>>();
            prop_assert_eq!(paths(&left.union(&right)), &paths(&left) | &paths(&right));
            prop_assert_eq!(paths(&left.intersection(&right)), &paths(&left) & &paths(&right));
            prop_assert_eq!(paths(&left.difference(&right)), &paths(&left) - &paths(&right));
            prop_assert!(left.difference(&left).is_empty());
            prop_assert!(left.paths().iter().all(|path| left.has(path)));
        }

        #[test]
        fn a_difference_with_all_below_leaves_no_path_that_begins_with_one_taken_away(left in set(), right in set()) {
            let taken = right.paths();
            let kept = |path: &Path| !taken.iter().any(|taken| path.starts_with(taken));
            let expected: Vec<_> = left.paths().into_iter().filter(kept).collect();
            prop_assert_eq!(left.difference_with_all_below(&right).paths(), expected);
        }

        #[test]
        fn leaves_have_nothing_below_them_and_are_the_ends_of_all_paths(set in set()) {
            let (leaves, paths) = (set.leaves().paths(), set.paths());
            let is_end = |path: &Path| !paths.iter().any(|other| other.len() > path.len() && other.starts_with(path));
            prop_assert_eq!(leaves, paths.iter().filter(|path| is_end(path)).cloned().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_dot_says_that_a_field_with_fields_below_it_belongs_to_the_set_itself() {
        let written = json!({"f:a": {".": {}, "f:b": {}}, "f:c": {"f:d": {}}});
        let set = FieldSet::decode(&written);
        assert_eq!(set, FieldSet::of(&[&["a"], &["a", "b"], &["c", "d"]]));
        assert_eq!(set.encode(), written);
    }
}
