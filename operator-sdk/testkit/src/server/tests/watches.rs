use super::*;
use crate::watch::EventKind;

#[test]
fn a_watch_from_a_revision_tells_what_comes_after_it_and_one_from_nothing_the_state_first() {
    let mut bench = Bench::new();
    let first = bench.post(MAPS, &map("a"));
    bench.post(MAPS, &map("b"));
    let later = bench.watch(&format!("{MAPS}?resourceVersion={}", revision(&first)));
    assert_eq!(bench.told(later), ["ADDED b"]);
    let all = bench.watch(MAPS);
    assert_eq!(bench.told(all), ["ADDED a", "ADDED b"]);
    bench.delete(&format!("{MAPS}/a"));
    assert_eq!(bench.told(later), ["DELETED a"]);
    assert_eq!(bench.told(all), ["DELETED a"]);
}

#[test]
fn an_object_that_leaves_the_selector_is_deleted_for_the_watch_as_it_was() {
    let mut bench = Bench::new();
    bench.post(MAPS, &json!({ "metadata": { "name": "a", "labels": { "l": "x" } } }));
    let watch = bench.watch(&format!("{MAPS}?labelSelector=l%3Dx"));
    bench.events(watch);
    let path = format!("{MAPS}/a");
    let left = bench.merge(&path, &json!({ "metadata": { "labels": { "l": "y" } } })).to_value();
    let event = bench.events(watch).remove(0);
    assert_eq!((event.kind, event.object.revision()), (EventKind::Deleted, revision(&left)));
    assert_eq!(event.object["metadata"]["labels"]["l"], "x");
    bench.merge(&path, &json!({ "metadata": { "labels": { "l": "x" } } }));
    assert_eq!(bench.told(watch), ["ADDED a"]);
}

#[test]
fn a_watch_from_a_forgotten_revision_gets_an_error_and_ends() {
    let mut bench = Bench::new();
    let old = bench.post(MAPS, &map("a"));
    bench.post(MAPS, &map("b"));
    bench.server.forget_history(ViewId::default());
    let watch = bench.watch(&format!("{MAPS}?resourceVersion={}", revision(&old)));
    let pulled = bench.server.next_events(watch, bench.now);
    assert!(pulled.is_ended);
    assert_eq!(pulled.events[0].kind, EventKind::Error);
    assert_eq!((pulled.events[0].object["code"].as_u64(), pulled.events.len()), (Some(410), 1));
}

#[test]
fn history_is_kept_for_75_seconds_and_for_the_last_hundred_events() {
    let mut bench = Bench::new();
    let first = bench.post(MAPS, &map("a"));
    for change in 0..120 {
        bench.merge(&format!("{MAPS}/a"), &json!({ "data": { "k": change.to_string() } }));
    }
    let from_first = format!("{MAPS}?resourceVersion={}", revision(&first));
    let watch = bench.watch(&from_first);
    assert_eq!(bench.events(watch).len(), 120);
    bench.pass(76);
    let watch = bench.watch(&from_first);
    assert_eq!(bench.events(watch)[0].kind, EventKind::Error);
    let last_hundred = format!("{MAPS}?resourceVersion={}", revision(&first) + 20);
    let watch = bench.watch(&last_hundred);
    assert_eq!(bench.events(watch).len(), 100);
    bench.server.keep_last_events(ViewId::default(), false);
    let watch = bench.watch(&last_hundred);
    assert_eq!(bench.events(watch)[0].kind, EventKind::Error);
}

#[test]
fn the_state_can_be_streamed_and_ends_with_a_bookmark() {
    let mut bench = Bench::new();
    bench.post(MAPS, &map("a"));
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let watch = bench.watch(&format!("{MAPS}?{query}"));
    let events = bench.events(watch);
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Added, EventKind::Bookmark]);
    assert_eq!(events[1].object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[test]
fn only_those_watches_are_woken_that_have_something_to_tell() {
    let mut bench = Bench::new();
    let maps = bench.watch(MAPS);
    let leases = bench.watch("/apis/coordination.k8s.io/v1/leases");
    bench.events(maps);
    bench.events(leases);
    bench.server.take_woken();
    bench.post(MAPS, &map("a"));
    assert_eq!(bench.server.take_woken(), [maps]);
}

#[test]
fn a_watch_that_is_not_read_for_long_ends() {
    let mut bench = Bench::new();
    bench.post(MAPS, &map("a"));
    let watch = bench.watch(&format!("{MAPS}?timeoutSeconds=86400"));
    for _ in 0..4 {
        for change in 0..150 {
            bench.merge(&format!("{MAPS}/a"), &json!({ "data": { "k": change.to_string() } }));
        }
        bench.pass(301);
    }
    assert!(bench.server.next_events(watch, bench.now).is_ended);
}
