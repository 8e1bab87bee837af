//! Who may share an address with whom.

use super::*;

#[test]
fn sharing_wants_the_same_key_the_same_backends_and_different_ports() {
    let one = pool("lab", &["10.0.0.1/32"]);
    let mut local = sharing("k", &[81]);
    local.sharing.backend = "app=web".into();
    for (name, second, expected) in [
        ("other port", sharing("k", &[81]), Ok(())),
        ("same port", sharing("k", &[80]), Err("port-taken")),
        ("other key", sharing("other", &[81]), Err("address-taken")),
        ("no key", sharing("", &[81]), Err("address-taken")),
        ("other backends", local, Err("backends-differ")),
    ] {
        let mut cluster = Cluster::with([one.clone()]);
        cluster.settle("a", &sharing("k", &[80]));
        let mut second = second;
        second.requested = Ok(Some(Vips::One("10.0.0.1".parse().unwrap())));
        assert_eq!(cluster.outcome("b", &second).map(|_| ()), expected, "{name}");
    }
}

#[test]
fn the_same_number_on_another_protocol_is_another_port() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.1/32"])]);
    cluster.settle("a", &sharing("k", &[53]));
    let udp = Claim { ports: [Port { protocol: Protocol::Udp, number: 53 }].into(), ..sharing("k", &[]) };
    assert_eq!(cluster.outcome("b", &udp), Ok(addresses(&["10.0.0.1"])));
}

#[test]
fn a_full_pool_still_serves_those_who_may_share() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.1/32"])]);
    cluster.settle("a", &sharing("k", &[80]));
    assert_eq!(cluster.outcome("b", &sharing("k", &[81])), Ok(addresses(&["10.0.0.1"])));
    assert_eq!(cluster.outcome("c", &sharing("k", &[80])), Err("pool-full"));
}

#[test]
fn the_only_holder_may_change_its_terms_but_not_in_company() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.1/32"])]);
    cluster.settle("a", &sharing("k", &[80]));
    assert_eq!(cluster.outcome("a", &sharing("new", &[80])), Ok(addresses(&["10.0.0.1"])));
    cluster.settle("b", &sharing("new", &[81]));
    assert_eq!(cluster.outcome("a", &sharing("other", &[80])), Err("pool-full"));
    assert_eq!(cluster.status["b"], addresses(&["10.0.0.1"]));
}

#[test]
fn an_address_with_any_holder_is_held_even_by_one_without_ports() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.1/32"])]);
    cluster.settle("a", &sharing("k", &[80]));
    cluster.settle("b", &sharing("k", &[]));
    cluster.delete("a");
    assert_eq!(cluster.outcome("c", &claim()), Err("pool-full"));
}

#[test]
fn giving_up_a_port_or_the_terms_is_worth_a_retry_for_those_who_wait() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.1/32"])]);
    cluster.settle("a", &sharing("k", &[80, 81]));
    let opened = BTreeSet::from_iter(addresses(&["10.0.0.1"]));
    assert_eq!(cluster.settle("a", &sharing("k", &[80])).opened, opened);
    assert_eq!(cluster.settle("a", &sharing("other", &[80])).opened, opened);
    assert_eq!(cluster.settle("a", &sharing("other", &[80, 82])).opened, BTreeSet::new());
}
