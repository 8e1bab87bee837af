//! Which pool, and which of its addresses.

use super::*;

#[test]
fn addresses_are_given_from_the_lowest_up_in_the_order_of_the_spec() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.8/31", "10.0.0.0/31"])]);
    let given: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| cluster.outcome(name, &claim())).collect();
    let expected = ["10.0.0.8", "10.0.0.9", "10.0.0.0", "10.0.0.1"].map(|text| Ok(addresses(&[text])));
    assert_eq!(given, expected);
    assert_eq!(cluster.outcome("e", &claim()), Err("pool-full"));
}

#[test]
fn a_released_address_is_given_to_the_next_who_asks() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.1/32"])]);
    assert!(cluster.outcome("a", &claim()).is_ok());
    assert_eq!(cluster.outcome("b", &claim()), Err("pool-full"));
    cluster.delete("a");
    assert_eq!(cluster.outcome("b", &claim()), Ok(addresses(&["10.0.0.1"])));
}

#[test]
fn a_service_that_is_no_load_balancer_any_more_gives_its_address_up() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.1/32"])]);
    cluster.settle("a", &claim());
    let settlement = cluster.settle("a", &Claim { is_load_balancer: false, ..claim() });
    assert_eq!((settlement.vips, settlement.opened), (None, BTreeSet::from_iter(addresses(&["10.0.0.1"]))));
    assert!(cluster.outcome("b", &claim()).is_ok());
}

#[test]
fn settling_again_changes_nothing_and_says_nothing() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/24"])]);
    cluster.settle("a", &claim());
    let (books, again) = (cluster.books.clone(), cluster.settle("a", &claim()));
    assert_eq!((again.notes, again.opened), (Vec::new(), BTreeSet::new()));
    assert_eq!(cluster.books, books);
}

#[test]
fn pools_that_must_be_asked_for_are_never_given_from_unasked() {
    let mut shy = pool("shy", &["10.0.0.0/24"]);
    shy.auto_assign = false;
    let mut cluster = Cluster::with([shy]);
    assert_eq!(cluster.outcome("a", &claim()), Err("no-pool-for-service"));
    assert_eq!(
        cluster.outcome("b", &Claim { requested_pool: Some("shy".into()), ..claim() }),
        Ok(addresses(&["10.0.0.0"]))
    );
    assert_eq!(cluster.outcome("c", &asking_for(&["10.0.0.9"])), Ok(addresses(&["10.0.0.9"])));
}

#[test]
fn among_equal_pools_the_order_is_by_name() {
    let mut cluster = Cluster::with([pool("b", &["10.0.2.0/32"]), pool("a", &["10.0.1.0/32"])]);
    assert_eq!(cluster.outcome("first", &claim()), Ok(addresses(&["10.0.1.0"])));
    assert_eq!(cluster.outcome("second", &claim()), Ok(addresses(&["10.0.2.0"])));
}

#[test]
fn pinned_pools_go_first_by_priority_and_unset_priority_goes_last() {
    let pinned = |name, range, priority| {
        let mut pool = pool(name, &[range]);
        pool.allocation = Some(ServiceAllocation { priority, ..ServiceAllocation::default() });
        pool
    };
    let mut cluster = Cluster::with([
        pool("a-open", &["10.0.9.0/32"]),
        pinned("b-unset", "10.0.0.0/32", 0),
        pinned("c-second", "10.0.2.0/32", 20),
        pinned("d-first", "10.0.1.0/32", 1),
    ]);
    let given: Vec<_> =
        (0..4).map(|n| cluster.outcome(&n.to_string(), &claim()).unwrap()[0].to_string()).collect();
    assert_eq!(given, ["10.0.1.0", "10.0.2.0", "10.0.0.0", "10.0.9.0"]);
}

#[test]
fn a_pinned_pool_serves_only_whom_it_is_pinned_to_even_on_request() {
    let mut pinned = pool("pinned", &["10.0.0.0/24"]);
    pinned.allocation = Some(ServiceAllocation {
        service_selectors: vec![Selector::from_iter([Requirement::Exists("web".into())])],
        ..ServiceAllocation::default()
    });
    let mut cluster = Cluster::with([pinned]);
    let web = Claim { labels: Labels::from([("web".into(), String::new())]), ..claim() };
    assert!(cluster.outcome("web", &web).is_ok());
    assert_eq!(cluster.outcome("other", &claim()), Err("no-pool-for-service"));
    assert_eq!(cluster.outcome("address", &asking_for(&["10.0.0.9"])), Err("not-admitted"));
    let by_pool = Claim { requested_pool: Some("pinned".into()), ..claim() };
    assert_eq!(cluster.outcome("pool", &by_pool), Err("not-admitted"));
}

#[test]
fn buggy_addresses_are_skipped_where_the_pool_says_so() {
    let mut careful = pool("careful", &["10.0.0.254-10.0.1.1"]);
    careful.avoid_buggy_ips = true;
    let mut cluster = Cluster::with([careful]);
    assert_eq!(cluster.outcome("a", &claim()), Ok(addresses(&["10.0.0.254"])));
    assert_eq!(cluster.outcome("b", &claim()), Ok(addresses(&["10.0.1.1"])));
    assert_eq!(cluster.outcome("c", &claim()), Err("pool-full"));
    assert_eq!(cluster.outcome("d", &asking_for(&["10.0.0.255"])), Err("outside-pools"));
}

#[test]
fn an_ipv6_64_costs_nothing() {
    let mut cluster = Cluster::with([pool("lab", &["fd00::/64"])]);
    let v6 = wanting(FamilyDemand::Only(Family::V6));
    for n in 0..1000 {
        assert!(cluster.outcome(&n.to_string(), &v6).is_ok());
    }
    let usage = cluster.books.usage(cluster.pools.get(&"lab".into()).unwrap());
    assert_eq!(usage, Usage { capacity: (0, 1 << 64), in_use: (0, 1000), kept_back: (0, 0) });
}
