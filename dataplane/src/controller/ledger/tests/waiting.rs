//! How much work a change makes: who is settled again, and who is left alone.

use super::*;

#[test]
fn one_release_among_five_thousand_who_wait_settles_the_one_who_can_be_served() {
    let mut world = World::new("10.0.0.1/32");
    world.create("holder", &json!({}));
    world.settle();
    for n in 0..5000 {
        world.create(&format!("waits-{n}"), &json!({}));
    }
    world.relist();
    world.watch.drain(..5000);
    world.deliver();
    let before = world.ledger.settled;
    world.delete("holder");
    world.settle();
    let work = world.ledger.settled - before;
    assert!(work < 10, "{work} services were settled");
    let served = world.objects.keys().filter(|name| !world.status(name).is_empty()).count();
    assert_eq!(served, 1);
}

#[test]
fn a_namespace_settles_its_own_services_and_no_others() {
    let mut world = World::new("10.0.0.1-10.0.0.9");
    world.create("web", &json!({}));
    world.settle();
    let before = world.ledger.settled;
    let labelled = |name: &str| Event::Applied(name.into(), Labels::from([("team".into(), "a".into())]));
    world.ledger.apply(Input::Namespace(labelled("elsewhere")));
    world.ledger.plan();
    assert_eq!(world.ledger.settled, before);
    world.ledger.apply(Input::Namespace(labelled("default")));
    world.ledger.plan();
    assert_eq!(world.ledger.settled, before + 1);
}

#[test]
fn the_end_of_a_service_writes_no_other_status() {
    let mut world = World::new("10.0.0.1-10.0.0.9");
    for name in ["a", "b", "c"] {
        world.create(name, &json!({}));
        world.settle();
    }
    world.delete("b");
    world.deliver();
    assert_eq!(world.ledger.take_write(), None);
}

#[test]
fn what_others_write_beside_the_addresses_is_no_difference() {
    let mut world = World::new("10.0.0.1-10.0.0.9");
    world.create("web", &json!({}));
    world.settle();
    world.edit("web", |object| {
        let ports = json!([{ "port": 80, "protocol": "TCP" }]);
        let entry = json!({ "ip": "10.0.0.1", "ipMode": "VIP", "ports": ports });
        object["status"]["loadBalancer"]["ingress"] = json!([{ "hostname": "lb.example" }, entry]);
    });
    world.deliver();
    assert_eq!(world.ledger.take_write(), None);
}

#[test]
fn the_state_says_who_holds_what_and_why_others_wait() {
    let mut world = World::new("10.0.0.1/32");
    world.create("holder", &json!({}));
    world.settle();
    world.create("waits", &json!({}));
    world.settle();
    let state = world.ledger.state();
    assert_eq!(state["pools"][0]["available"]["IPv4"], "0");
    let services = state["services"].as_array().unwrap();
    assert_eq!((&services[0]["name"], &services[0]["holds"]), (&json!("holder"), &json!(["10.0.0.1"])));
    assert_eq!(services[1]["refusal"]["code"], "pool-full");
    assert_eq!(state["counts"]["waiting"], 1);
}
