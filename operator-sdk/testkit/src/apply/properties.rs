//! What holds of any writes by any managers.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _};
use proptest::{collection, option, prelude::*, sample};
use serde_json::{Map, Value, json};

use super::{
    FieldSet, Managers, NEVER_OWNED, Refusal, Writer, apply, fixture, ignored,
    merge::merge,
    owned,
    path::{Element, Path},
    typed::{Form, Type},
    update,
};

fn word() -> impl Strategy<Value = &'static str> {
    sample::select(vec!["a", "b", "c"])
}

fn words() -> impl Strategy<Value = Value> {
    collection::btree_map(word(), word(), 1..3).prop_map(|map| json!(map))
}

fn set_of_words() -> impl Strategy<Value = Value> {
    sample::subsequence(vec!["a", "b", "c"], 1..3).prop_shuffle().prop_map(|words| json!(words))
}

fn object(fields: Vec<(&'static str, Option<Value>)>) -> Value {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn ports() -> impl Strategy<Value = Value> {
    let port = (1..3, option::of(sample::select(vec!["TCP", "UDP"])), option::of(word()));
    collection::vec(port, 1..3).prop_map(|ports| {
        let mut keyed = BTreeMap::new();
        for (port, protocol, name) in ports {
            let given = |text: Option<&str>| text.map(Value::from);
            let fields = vec![("port", Some(json!(port))), ("protocol", given(protocol)), ("name", given(name))];
            keyed.insert((port, protocol.unwrap_or("TCP")), object(fields));
        }
        keyed.into_values().collect()
    })
}

fn parts() -> impl Strategy<Value = Value> {
    let part = (option::of(word()), option::of(words()), option::of(ports()), option::of(set_of_words()));
    let part = part.prop_map(|(image, env, ports, args)| {
        object(vec![("image", image.map(Value::from)), ("env", env), ("ports", ports), ("args", args)])
    });
    collection::btree_map(word(), part, 1..3).prop_map(|parts| {
        let named = |(name, mut part): (&str, Value)| {
            part["name"] = json!(name);
            part
        };
        parts.into_iter().map(named).collect()
    })
}

/// What a writer sets: any of the fields, none of them empty or null.
fn intent() -> impl Strategy<Value = Value> {
    let free = (option::of(words()), option::of(set_of_words()))
        .prop_map(|(map, list)| object(vec![("a", Some(json!(1))), ("map", map), ("list", list)]));
    let spec = (
        option::of((1..3).prop_map(|count| json!(count))),
        option::of(any::<bool>().prop_map(Value::from)),
        option::of(words()),
        option::of(set_of_words()),
        option::of(parts()),
        option::of(word().prop_map(|app| json!({"app": app}))),
        option::of(free),
    );
    (spec, option::of(words())).prop_map(|(spec, labels)| {
        let (replicas, paused, map, tags, parts, selector, free) = spec;
        let spec = object(vec![
            ("replicas", replicas),
            ("paused", paused),
            ("labels", map),
            ("tags", tags),
            ("parts", parts),
            ("selector", selector),
            ("free", free),
        ]);
        whole(spec, labels)
    })
}

fn whole(spec: Value, labels: Option<Value>) -> Value {
    let metadata = object(vec![("name", Some(json!("a"))), ("labels", labels)]);
    let spec = Some(spec).filter(|spec| spec.as_object().is_some_and(|spec| !spec.is_empty()));
    let names = [("apiVersion", Some(json!("example.com/v1"))), ("kind", Some(json!("Thing")))];
    object(names.into_iter().chain([("metadata", Some(metadata)), ("spec", spec)]).collect())
}

#[derive(Clone, Debug)]
enum Write {
    Apply { manager: &'static str, intent: Value, force: bool },
    Put { manager: &'static str, object: Value },
}

fn write() -> impl Strategy<Value = Write> {
    let manager = sample::select(vec!["one", "two", "three"]);
    prop_oneof![
        3 => (manager.clone(), intent(), any::<bool>())
            .prop_map(|(manager, intent, force)| Write::Apply { manager, intent, force }),
        1 => (manager, intent()).prop_map(|(manager, object)| Write::Put { manager, object }),
    ]
}

fn at(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + minute.minutes()
}

fn try_apply(
    live: Option<&Value>,
    manager: &str,
    intent: &Value,
    force: bool,
    now: Timestamp,
) -> Result<Value, Refusal> {
    apply(live, intent, &fixture::resource(), Writer { manager, subresource: "" }, force, now)
}

fn put(live: Option<&Value>, manager: &str, object: &Value, now: Timestamp) -> Value {
    update(live, object.clone(), &fixture::resource(), Writer { manager, subresource: "" }, now)
}

/// What the writes make of nothing; a conflict is no write.
fn run(writes: &[Write]) -> Option<Value> {
    let mut live: Option<Value> = None;
    for (minute, write) in (0..).zip(writes) {
        let written = match write {
            Write::Apply { manager, intent, force } => {
                try_apply(live.as_ref(), manager, intent, *force, at(minute)).ok()
            }
            Write::Put { manager, object } => Some(put(live.as_ref(), manager, object, at(minute))),
        };
        live = written.map(without_nulls).or(live);
    }
    live
}

/// As the server reads them: what it knows of has no nulls.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                fields
                    .map(|(name, value)| {
                        let value = if name == "free" { value } else { without_nulls(value) };
                        (name, value)
                    })
                    .collect(),
            )
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn fields_of(object: &Value) -> FieldSet {
    let resource = fixture::resource();
    let all = owned::fields(object, Type::of(&resource.schema));
    all.difference_with_all_below(&ignored::fields(&resource, "")).difference(&NEVER_OWNED)
}

fn is_scalar(path: &[Element]) -> bool {
    let resource = fixture::resource();
    let ty = path.iter().try_fold(Type::of(&resource.schema), |ty, element| ty.at(element));
    ty.is_some_and(|ty| matches!(ty.form(&Value::Null), Form::Scalar(_)))
}

/// Without owners, and lists that are merged in one order.
fn content(object: &Value) -> Value {
    let mut object = super::without_managed_fields(object);
    for pointer in ["/spec/tags", "/spec/parts"] {
        sort(object.pointer_mut(pointer));
    }
    for part in object.pointer_mut("/spec/parts").and_then(Value::as_array_mut).into_iter().flatten() {
        sort(part.get_mut("ports"));
    }
    object
}

fn sort(list: Option<&mut Value>) {
    if let Some(Value::Array(items)) = list {
        items.sort_by_key(ToString::to_string);
    }
}

fn top(intent: &Value, is_wanted: impl Fn(&str) -> bool) -> Value {
    let fields = intent["spec"].as_object().cloned().unwrap_or_default();
    whole(Value::Object(fields.into_iter().filter(|(name, _)| is_wanted(name)).collect()), None)
}

proptest! {
    #[test]
    fn to_apply_again_changes_nothing(writes in collection::vec(write(), 0..5), intent in intent(), force: bool) {
        let live = run(&writes);
        if let Ok(once) = try_apply(live.as_ref(), "one", &intent, force, at(50)) {
            // What nobody owns becomes that of `before-first-apply`.
            prop_assume!(!Managers::of(Some(&once)).0.is_empty());
            let twice = try_apply(Some(&once), "one", &intent, false, at(60));
            prop_assert_eq!(twice.unwrap(), once);
        }
    }

    #[test]
    fn an_update_with_the_same_object_changes_nothing(writes in collection::vec(write(), 1..6)) {
        let Some(live) = run(&writes) else { return Ok(()) };
        prop_assert_eq!(put(Some(&live), "four", &super::without_managed_fields(&live), at(60)), live);
    }

    #[test]
    fn a_forced_apply_gives_the_intent_and_owns_it(writes in collection::vec(write(), 0..6), intent in intent()) {
        let live = run(&writes);
        let applied = try_apply(live.as_ref(), "one", &intent, true, at(60)).unwrap();
        let resource = fixture::resource();
        prop_assert_eq!(&merge(&applied, &intent, Type::of(&resource.schema)), &applied);
        let mut managers = Managers::of(Some(&applied));
        managers.0.retain(|key, _| key.name == "one" && key.version.is_empty());
        prop_assert_eq!(managers.all_fields(), fields_of(&intent));
    }

    #[test]
    fn what_was_applied_before_does_not_matter_once_it_is_given_up(
        writes in collection::vec(write(), 0..4), before in intent(), intent in intent(),
    ) {
        let live = run(&writes);
        let with = try_apply(live.as_ref(), "four", &before, false, at(50));
        let Ok(with) = with.and_then(|live| try_apply(Some(&live), "four", &intent, false, at(60))) else { return Ok(()) };
        let Ok(without) = try_apply(live.as_ref(), "four", &intent, false, at(60)) else { return Ok(()) };
        prop_assert_eq!(content(&with), content(&without));
    }

    #[test]
    fn two_who_apply_other_fields_never_conflict_and_either_may_come_first(one in intent(), two in intent(), cut: u8) {
        let is_first = |name: &str| (name.len() as u8 ^ cut) & 1 == 0 || name == "parts";
        let (one, two) = (top(&one, is_first), top(&two, |name| !is_first(name)));
        let both = |first: (&str, &Value), second: (&str, &Value)| {
            let live = try_apply(None, first.0, first.1, false, at(1)).unwrap();
            try_apply(Some(&live), second.0, second.1, false, at(1)).unwrap()
        };
        let (left, right) = (both(("one", &one), ("two", &two)), both(("two", &two), ("one", &one)));
        prop_assert_eq!(content(&left), content(&right));
        prop_assert_eq!(Managers::of(Some(&left)), Managers::of(Some(&right)));
    }

    #[test]
    fn every_field_has_an_owner_and_nobody_owns_a_value_that_is_not_there(writes in collection::vec(write(), 1..8)) {
        let Some(live) = run(&writes) else { return Ok(()) };
        let (there, owned) = (fields_of(&live), Managers::of(Some(&live)).all_fields());
        // Of an object that was nobody's, updates make nobody the owner.
        prop_assume!(!owned.is_empty());
        let unowned = there.leaves().difference(&owned);
        prop_assert!(unowned.is_empty(), "nobody owns {unowned:?}");
        for path in owned.difference(&there).paths() {
            prop_assert!(!is_scalar(&path), "owned and not there: {path:?}");
        }
    }

    #[test]
    fn a_conflict_is_about_a_field_that_another_owns_and_force_resolves_it(
        writes in collection::vec(write(), 1..6), intent in intent(),
    ) {
        let live = run(&writes);
        if let Err(Refusal::Conflicts(conflicts)) = try_apply(live.as_ref(), "four", &intent, false, at(60)) {
            let owners = Managers::of(live.as_ref());
            prop_assert!(!conflicts.0.is_empty());
            let owns = |(manager, path): &(_, Path)| owners.0.get(manager).is_some_and(|owned| owned.fields.has(path));
            prop_assert!(owners.0.is_empty() || conflicts.0.iter().all(owns));
            let forced = try_apply(live.as_ref(), "four", &intent, true, at(60)).unwrap();
            prop_assert!(try_apply(Some(&forced), "four", &intent, false, at(70)).is_ok());
        }
    }
}
