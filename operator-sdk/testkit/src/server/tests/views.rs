use super::*;

#[test]
fn a_frozen_view_shows_the_past_and_a_quorum_read_the_present() {
    let mut bench = Bench::new();
    bench.post(MAPS, &map("a"));
    let watch = bench.watch(MAPS);
    bench.events(watch);
    bench.server.freeze(ViewId::default());
    bench.post(MAPS, &map("b"));
    bench.delete(&format!("{MAPS}/a"));
    assert_eq!(names(&bench.get(&format!("{MAPS}?resourceVersion=0"))), ["a"]);
    assert_eq!(names(&bench.get(MAPS)), ["b"]);
    assert_eq!(bench.get(&format!("{MAPS}/a?resourceVersion=0")).code, 200);
    assert_eq!(bench.get(&format!("{MAPS}/a")).code, 404);
    assert!(bench.events(watch).is_empty());
    bench.server.thaw(ViewId::default(), bench.now);
    assert_eq!(bench.told(watch), ["ADDED b", "DELETED a"]);
}

#[test]
fn a_read_of_a_revision_that_a_view_has_not_seen_waits_three_seconds_and_then_fails() {
    let mut bench = Bench::new();
    bench.server.freeze(ViewId::default());
    let unseen = revision(&bench.post(MAPS, &map("a")));
    let mut request = at(Method::GET, &format!("{MAPS}?resourceVersion={unseen}"));
    request.received = bench.now;
    let Answer::Wait { revision, until, .. } = bench.server.handle(bench.now, &request) else { panic!("no wait") };
    assert_eq!((revision, until), (unseen, bench.now + Duration::from_secs(3)));
    let Answer::Reply(failed) = bench.server.handle(until, &request) else { panic!("no reply") };
    assert_eq!(failed.code, 504);
    assert_eq!(failed.to_value()["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    bench.server.thaw(ViewId::default(), until);
    let Answer::Reply(seen) = bench.server.handle(until, &request) else { panic!("no reply") };
    assert_eq!(names(&seen), ["a"]);
}

#[test]
fn a_frozen_view_can_be_led_on_step_by_step_even_after_compaction() {
    let mut bench = Bench::new();
    let view = bench.server.add_view();
    bench.server.freeze(view);
    let first = revision(&bench.post(MAPS, &map("a")));
    for name in ["b", "c", "d"] {
        bench.pass(301);
        bench.post(MAPS, &map(name));
    }
    let stale = |bench: &mut Bench| {
        let mut request = at(Method::GET, &format!("{MAPS}?resourceVersion=0"));
        request.view = view;
        names(&bench.send(request))
    };
    assert!(stale(&mut bench).is_empty());
    bench.server.advance_view(view, first + 1);
    assert_eq!(stale(&mut bench), ["a", "b"]);
}
