//! How much of what is known is kept, and how often.

use allocation_counter::measure;

use super::*;

/// Services of one pool, as they come to a speaker that runs: one by one, each with a slice.
fn come(facts: &mut Facts, services: std::ops::Range<u8>) {
    for n in services {
        let name = format!("web-{n}");
        let allocated_from = Some("lab".into());
        let service = Service { addresses: vec![[10, 0, 0, n].into()], allocated_from, ..Service::default() };
        let row = Row { service: service.into(), uid: None };
        facts.apply(Input::Service(Event::Applied(key(&name), row)));
        facts.apply(Input::Slice(Event::Applied(("default".into(), format!("{name}-1")), slice(&name))));
        round(facts);
    }
}

#[test]
fn what_came_one_by_one_takes_less_memory_once_it_is_packed() {
    let (mut facts, _) = ready();
    facts.pack();
    let grown = measure(|| come(&mut facts, 2..202)).bytes_current;
    let given_back = -measure(|| facts.pack()).bytes_current;
    assert!(given_back * 10 > grown, "{given_back} of {grown}");
}

#[test]
fn packing_is_worth_it_when_much_has_come_or_gone() {
    let (mut facts, _) = ready();
    facts.pack();
    come(&mut facts, 2..40);
    assert!(!facts.is_loose(), "76 services and slices more");
    come(&mut facts, 40..60);
    assert!(facts.is_loose(), "116");
    facts.pack();
    assert!(!facts.is_loose());
    (0..60).for_each(|_| {
        facts.apply(Input::Service(Event::Deleted(key("web-2"))));
        come(&mut facts, 2..3);
    });
    assert!(facts.is_loose(), "as many have come as have gone");
    facts.pack();
    facts.apply(Input::Service(listed([])));
    facts.apply(Input::Slice(listed([])));
    assert!(facts.is_loose(), "all of them are gone");
}

#[test]
fn services_of_a_pool_share_its_name() {
    let (mut facts, _) = ready();
    come(&mut facts, 2..4);
    let pool = |name: &str| facts.services.get(&key(name)).unwrap().service.allocated_from.clone().unwrap();
    assert!(std::ptr::eq(pool("web-2").as_str(), pool("web-3").as_str()));
}
