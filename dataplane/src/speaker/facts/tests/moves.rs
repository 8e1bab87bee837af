//! Who says when an address is elsewhere, where both nodes live, and whether that hurries.

use metallb_core::plan::{Leaving, TrafficPolicy};

use super::*;

fn local() -> Input {
    let addresses = [vip()].into_iter().collect();
    let service = Service { addresses, traffic_policy: TrafficPolicy::Local, ..Service::default() };
    Input::Service(Event::Applied(key("web"), Row { service: service.into(), uid: None }))
}

fn endpoints_on(nodes: &[&str]) -> Input {
    let usable = Endpoints { anywhere: true, nodes: nodes.iter().map(|node| (*node).into()).collect() };
    let slice = Slice { service: key("web"), usable };
    Input::Slice(Event::Applied(("default".into(), "web-1".into()), slice))
}

#[test]
fn what_its_node_may_keep_does_not_hurry() {
    for (node, given) in [("node-a", true), ("node-b", false)] {
        let (mut facts, _) = ready_on(node);
        facts.apply(addressed());
        facts.apply(Input::Node(Event::Applied("node-b".into(), excluded())));
        let tables = round(&mut facts).tables.unwrap();
        assert!(tables.unhurried.is_empty(), "node-b must not have it any more");
        facts.apply(addressed());
        let tables = round(&mut facts).tables.unwrap();
        assert_eq!((tables.heirs.len(), tables.awaited.len()), if given { (1, 0) } else { (0, 1) });
        assert!(tables.unhurried.contains(&vip()), "node-a might");
    }
}

#[test]
fn what_was_only_to_be_given_is_no_inheritance_of_who_never_had_it() {
    let (mut facts, _) = ready_on("node-a");
    facts.apply(addressed());
    facts.apply(Input::Node(Event::Applied("node-b".into(), excluded())));
    round(&mut facts);
    facts.apply(addressed());
    let tables = round(&mut facts).tables.unwrap();
    assert!(tables.heirs.contains_key(&vip()));
    facts.set_speakers(Some(Speakers::Alive(["node-a", "node-c"].map(Into::into).into())));
    let tables = round(&mut facts).tables.unwrap();
    assert!(tables.announced.contains_key(&vip()) && tables.inherited.is_empty());
}

#[test]
fn what_leaves_with_its_node_hurries() {
    let (mut facts, _) = ready_on("node-b");
    facts.apply(addressed());
    let going =
        Node { leaving: Some(Leaving::Tainted), addresses: vec![[10, 77, 0, 1].into()], ..Node::default() };
    facts.apply(Input::Node(Event::Applied("node-b".into(), going)));
    let tables = round(&mut facts).tables.unwrap();
    assert!(tables.heirs.contains_key(&vip()) && tables.unhurried.is_empty());
}

/// Of a service whose address is node-b's wherever that one has an endpoint, as node-b sees it.
fn endpoint_on_the_worse_node() -> Facts {
    let (mut facts, _) = ready_on("node-b");
    facts.apply(addressed());
    facts.apply(local());
    facts.apply(endpoints_on(&["node-a"]));
    round(&mut facts);
    facts
}

#[test]
fn an_endpoint_that_became_ready_on_the_better_node_does_not_hurry() {
    let mut facts = endpoint_on_the_worse_node();
    facts.apply(endpoints_on(&["node-a", "node-b"]));
    let tables = round(&mut facts).tables.unwrap();
    assert!(tables.awaited.contains(&vip()) && tables.unhurried.contains(&vip()));
}

#[test]
fn who_can_say_nothing_or_forwards_nothing_any_more_is_not_waited_for() {
    let ends: [fn(&mut Facts); 2] = [
        |facts| facts.set_speakers(Some(Speakers::Alive(["node-b", "node-c"].map(Into::into).into()))),
        |facts| facts.apply(endpoints_on(&["node-b"])),
    ];
    for end in ends {
        let mut facts = endpoint_on_the_worse_node();
        facts.apply(endpoints_on(&["node-a", "node-b"]));
        round(&mut facts);
        end(&mut facts);
        let tables = round(&mut facts).tables.unwrap();
        assert!(tables.announced.contains_key(&vip()) && tables.awaited.is_empty());
    }
}
