//! The cases that upstream's own tests of its allocator go through, by their subject. A request that cannot be met
//! clears the service here, as upstream's controller does around its allocator.

use super::*;

type Outcome = Result<&'static [&'static str], &'static str>;

/// Settles one claim after the other, and compares every outcome.
fn walk(cluster: &mut Cluster, steps: &[(&str, &str, Claim, Outcome)]) {
    for (what, name, claim, expected) in steps {
        let expected = expected.map(addresses);
        assert_eq!(cluster.outcome(name, claim), expected, "{what}");
    }
}

fn asking(text: &str, key: &str, backend: &str, ports: &[u16]) -> Claim {
    let mut claim = Claim { ports: ports.iter().copied().map(port).collect(), ..asking_for(&[text]) };
    claim.sharing = SharingTerms { key: key.into(), backend: backend.into() };
    let address: IpAddr = text.parse().unwrap();
    claim.families = Ok(FamilyDemand::Only(Family::of(address)));
    claim
}

#[test]
fn an_address_belongs_to_one_service_until_it_leaves_and_to_a_group_on_equal_terms() {
    for (one, other) in [("1.2.3.4", "1.2.3.5"), ("1000::4", "1000::5")] {
        let mut cluster = Cluster::with([pool("test", &["1.2.3.4/31", "1000::4/127"])]);
        let alone = |text| asking(text, "", "", &[80]);
        let is = |text: &str, outcome: Result<Vec<IpAddr>, &str>| assert_eq!(outcome, Ok(addresses(&[text])));
        is(one, cluster.outcome("s1", &alone(one)));
        is(one, cluster.outcome("s1", &alone(one)));
        assert_eq!(cluster.outcome("s2", &alone(one)), Err("address-taken"));
        is(other, cluster.outcome("s2", &alone(other)));
        assert_eq!(cluster.outcome("s1", &alone(other)), Err("address-taken"));
        cluster.delete("s1");
        is(one, cluster.outcome("s2", &alone(one)));
        is(other, cluster.outcome("s1", &alone(other)));
        cluster.delete("s1");
        cluster.delete("s2");

        is(one, cluster.outcome("s1", &asking(one, "share", "", &[80])));
        is(one, cluster.outcome("s1", &asking(one, "new", "", &[80])));
        is(one, cluster.outcome("s1", &asking(one, "share", "b", &[80])));
        for (key, backend, ports, code) in [
            ("share", "b", &[80][..], "port-taken"),
            ("other", "b", &[443], "address-taken"),
            ("share", "c", &[443], "backends-differ"),
        ] {
            assert_eq!(cluster.outcome("s2", &asking(one, key, backend, ports)), Err(code));
        }
        is(one, cluster.outcome("s2", &asking(one, "share", "b", &[443])));
        is(one, cluster.outcome("s2", &asking(one, "share", "b", &[444, 445])));
        assert_eq!(cluster.outcome("s2", &asking(one, "other", "b", &[444])), Err("address-taken"));
        is(one, cluster.outcome("s2", &asking(one, "share", "b", &[444])));
        assert_eq!(cluster.outcome("s2", &asking(one, "share", "c", &[444])), Err("backends-differ"));
        is(one, cluster.outcome("s2", &asking(one, "share", "b", &[444])));
        cluster.delete("s1");
        is(one, cluster.outcome("s3", &asking(one, "share", "b", &[80])));
    }
}

#[test]
fn both_addresses_of_a_service_come_from_one_pool() {
    let mut cluster = Cluster::with([
        pool("test", &["1.2.3.4/31", "1000::4/127"]),
        pool("test2", &["1.2.4.0/24", "1000::4:0/120"]),
    ]);
    let both = |texts| Claim { families: Ok(FamilyDemand::Both), ..asking_for(texts) };
    walk(
        &mut cluster,
        &[
            ("one pool", "s1", both(&["1.2.3.4", "1000::4"]), Ok(&["1.2.3.4", "1000::4"])),
            ("two pools", "s2", both(&["1.2.3.5", "1000::4:1"]), Err("outside-pools")),
            ("its parts", "s3", asking_for(&["1.2.3.5"]), Ok(&["1.2.3.5"])),
        ],
    );
}

#[test]
fn pinning_by_namespace_by_label_and_by_both_holds_for_requests() {
    let namespace =
        |name: &str| ServiceAllocation { namespaces: [name.into()].into(), ..ServiceAllocation::default() };
    let label = |mut allocation: ServiceAllocation, key: &str, value: &str| {
        allocation.service_selectors = vec![with_label(key, value)];
        allocation
    };
    let mut cluster = Cluster::with([
        pinned(pool("by-namespace", &["1.2.3.0/28"]), namespace("ns1")),
        pinned(pool("by-label", &["1.2.4.0/28"]), label(ServiceAllocation::default(), "team", "metallb")),
        pinned(pool("by-both", &["1.2.5.0/28"]), label(namespace("ns2"), "foo", "bar")),
    ]);
    let labelled = |text, key, value| Claim { labels: labels(&[(key, value)]), ..asking_for(&[text]) };
    walk(
        &mut cluster,
        &[
            ("the namespace", "ns1/a", asking_for(&["1.2.3.1"]), Ok(&["1.2.3.1"])),
            ("another namespace", "ns2/a", asking_for(&["1.2.3.2"]), Err("not-admitted")),
            ("the label", "ns3/b", labelled("1.2.4.1", "team", "metallb"), Ok(&["1.2.4.1"])),
            ("another value", "ns3/c", labelled("1.2.4.2", "team", "red"), Err("not-admitted")),
            ("both", "ns2/d", labelled("1.2.5.1", "foo", "bar"), Ok(&["1.2.5.1"])),
            ("only the namespace", "ns2/e", asking_for(&["1.2.5.2"]), Err("not-admitted")),
            ("only the label", "ns3/f", labelled("1.2.5.2", "foo", "bar"), Err("not-admitted")),
        ],
    );
}

/// Four services fit, the next two do not; one leaves, and one of the two fits. By name of the pool and without.
#[test]
fn a_pool_gives_what_it_has_and_then_refuses() {
    let families = [
        (FamilyDemand::Only(Family::V4), 1),
        (FamilyDemand::Only(Family::V6), 1),
        (FamilyDemand::Both, 2),
        (FamilyDemand::Prefer(Family::V4), 2),
    ];
    for (demand, each) in families {
        for requested_pool in [None, Some("test".into())] {
            let mut cluster = Cluster::with([pool("test", &["1.2.3.4/30", "1000::4/126"])]);
            let wants = Claim { requested_pool, ..wanting(demand) };
            for name in ["s1", "s2", "s3", "s4"] {
                assert_eq!(cluster.outcome(name, &wants).map(|given| given.len()), Ok(each), "{demand:?}");
            }
            assert_eq!(cluster.outcome("s5", &wants), Err("pool-full"));
            assert_eq!(cluster.outcome("s6", &wants), Err("pool-full"));
            cluster.delete("s2");
            assert_eq!(cluster.outcome("s5", &wants).map(|given| given.len()), Ok(each));
            assert_eq!(cluster.outcome("s6", &wants), Err("pool-full"));
            cluster.delete("s5");
            let sharer = |number| Claim {
                sharing: SharingTerms { key: "share".into(), backend: String::new() },
                ports: [port(number)].into(),
                ..wants.clone()
            };
            let first = cluster.outcome("s7", &sharer(80)).unwrap();
            assert_eq!(cluster.outcome("s8", &sharer(443)), Ok(first));
            assert_eq!(cluster.outcome("s9", &sharer(443)), Err("pool-full"));
        }
    }
}

#[test]
fn buggy_addresses_of_several_pools_are_counted_and_given_right() {
    let avoiding = |name, range| {
        let mut pool = pool(name, &[range]);
        pool.avoid_buggy_ips = true;
        pool
    };
    let mut cluster = Cluster::with([
        pool("a", &["1.2.3.0/31"]),
        pool("b", &["1.2.3.254/31"]),
        avoiding("c", "1.2.4.0/31"),
        avoiding("d", "1.2.4.254/31"),
    ]);
    let given: Vec<_> =
        (0..6).map(|n| cluster.outcome(&n.to_string(), &claim()).unwrap()[0].to_string()).collect();
    assert_eq!(given, ["1.2.3.0", "1.2.3.1", "1.2.3.254", "1.2.3.255", "1.2.4.1", "1.2.4.254"]);
    assert_eq!(cluster.outcome("7", &claim()), Err("pool-full"));
}

#[test]
fn capacity_is_right_for_small_odd_and_huge_pools() {
    const MOST: u128 = i64::MAX as u128;
    for (ranges, avoid, v4, v6) in [
        (&["1.2.3.0/24"][..], false, 256, 0),
        (&["1.2.3.0/24", "1.2.4.0/25"], false, 384, 0),
        (&["1.2.3.0/24", "1.2.4.0/25"], true, 381, 0),
        (&["1.2.3.0/24", "1.2.4.0/25", "1000::/64"], true, 381, MOST + 1),
        (&["1000::/16", "1.2.3.0/24"], true, 254, MOST + 1),
        (&["1.2.3.0/31", "1000::/127"], true, 1, 2),
        (&["1.2.3.255/32"], true, 0, 0),
        (&["1.2.3.255/32"], false, 1, 0),
        (&["1.2.0.0/16"], true, 65536 - 512, 0),
        (&["1.2.3.254-1.2.4.1"], true, 2, 0),
    ] {
        let mut pool = pool("lab", ranges);
        pool.avoid_buggy_ips = avoid;
        let usage = Books::default().usage(&pool);
        assert_eq!(usage.capacity.0, v4, "{ranges:?}");
        assert_eq!(usage.capacity.1.min(MOST + 1), v6, "{ranges:?}");
        assert_eq!(usage.available(), usage.capacity);
    }
}

#[test]
fn services_that_share_one_address_count_as_one_until_the_last_leaves() {
    let mut cluster = Cluster::with([pool("lab", &["1.2.3.4/30", "1000::/126"])]);
    let in_use = |cluster: &Cluster| {
        cluster.pools.get(&"lab".into()).map(|pool| cluster.books.usage(pool)).unwrap().in_use
    };
    for (name, number) in [("a", 80), ("b", 81), ("c", 82)] {
        cluster.settle(name, &sharing("k", &[number]));
        assert_eq!(in_use(&cluster), (1, 0));
    }
    cluster.settle("six", &wanting(FamilyDemand::Only(Family::V6)));
    assert_eq!(in_use(&cluster), (1, 1));
    cluster.delete("a");
    cluster.delete("b");
    assert_eq!(in_use(&cluster), (1, 1));
    cluster.delete("c");
    assert_eq!(in_use(&cluster), (0, 1));
}

#[test]
fn new_pools_keep_what_they_can() {
    let both = wanting(FamilyDemand::Both);
    let four = |name: &str| Claim { requested_pool: Some(name.into()), ..claim() };
    let held = &["1.2.3.0", "1000::"][..];
    for (what, pools, expected, pool_now) in [
        ("the same", vec![pool("test", &["1.2.3.0/30", "1000::/126"])], held, "test"),
        ("more", vec![pool("test", &["1.2.3.0/24", "1000::/120"])], held, "test"),
        ("less, around it", vec![pool("test", &["1.2.3.0/31", "1000::/127"])], held, "test"),
        (
            "less, without its IPv4",
            vec![pool("test", &["1.2.3.2/31", "1000::/126"])],
            &["1.2.3.2", "1000::"],
            "test",
        ),
        (
            "less, without its IPv6",
            vec![pool("test", &["1.2.3.0/30", "1000::2/127"])],
            &["1.2.3.0", "1000::2"],
            "test",
        ),
        ("another name", vec![pool("test2", &["1.2.3.0/30", "1000::/126"])], held, "test2"),
        (
            "the families apart",
            vec![pool("a", &["1.2.3.0/30"]), pool("b", &["1000::/126", "1.2.9.0/30"])],
            &["1.2.9.0", "1000::"],
            "b",
        ),
        (
            "an older one gone, another there",
            vec![pool("other", &["1.2.9.0/30", "1000::9:0/126"])],
            &["1.2.9.0", "1000::9:0"],
            "other",
        ),
    ] {
        let mut cluster = Cluster::with([pool("test", &["1.2.3.0/30", "1000::/126"])]);
        cluster.settle("a", &both);
        cluster.replace_pools(pools);
        let settlement = cluster.settle("a", &both);
        assert_eq!(cluster.status["a"], addresses(expected), "{what}");
        assert_eq!(settlement.pool, Some(pool_now.into()), "{what}");
    }
    let mut cluster = Cluster::with([pool("test", &["1.2.3.0/31"])]);
    cluster.settle("a", &claim());
    cluster.settle("b", &claim());
    cluster.replace_pools([pool("one", &["1.2.3.0/32"]), pool("two", &["1.2.3.1/32"])]);
    assert_eq!(cluster.settle("a", &claim()).pool, Some("one".into()), "split");
    assert_eq!(cluster.settle("b", &claim()).pool, Some("two".into()), "split");
    assert_eq!(cluster.outcome("b", &four("two")), Ok(addresses(&["1.2.3.1"])));
}

#[test]
fn what_a_pool_begins_to_exclude_has_to_go_and_mere_preferences_move_nobody() {
    let start = || pool("test", &["1.2.3.0/30"]);
    let avoiding = {
        let mut pool = start();
        pool.avoid_buggy_ips = true;
        pool
    };
    let shy = {
        let mut pool = start();
        pool.auto_assign = false;
        pool
    };
    let for_others =
        ServiceAllocation { namespaces: ["elsewhere".into()].into(), ..ServiceAllocation::default() };
    let late = ServiceAllocation { priority: 99, ..ServiceAllocation::default() };
    let better = pinned(
        pool("better", &["1.2.9.0/30"]),
        ServiceAllocation { priority: 1, ..ServiceAllocation::default() },
    );
    for (what, pools, expected) in [
        ("avoidBuggyIPs", vec![avoiding], Ok(&["1.2.3.1"][..])),
        ("autoAssign off", vec![shy], Ok(&["1.2.3.0"])),
        ("pinned to others", vec![pinned(start(), for_others)], Err("no-pool-for-service")),
        ("a better pool", vec![pinned(start(), late), better], Ok(&["1.2.3.0"])),
    ] {
        let mut cluster = Cluster::with([start()]);
        cluster.settle("a", &claim());
        cluster.replace_pools(pools);
        assert_eq!(cluster.outcome("a", &claim()), expected.map(addresses), "{what}");
    }
}

#[test]
fn only_pools_with_auto_assign_are_chosen_unasked_and_holders_elsewhere_stay() {
    let mut shy = pool("a-shy", &["1.2.3.4/31", "1000::4/127"]);
    shy.auto_assign = false;
    let mut cluster = Cluster::with([shy, pool("b-open", &["1.2.3.10/31", "1000::10/127"])]);
    for demand in [FamilyDemand::Only(Family::V4), FamilyDemand::Only(Family::V6)] {
        let outcomes: Vec<_> = ["s1", "s2", "s3"]
            .map(|name| cluster.outcome(&format!("{name}-{demand:?}"), &wanting(demand)).is_ok())
            .into();
        assert_eq!(outcomes, [true, true, false]);
    }
    let held = cluster.status["s1-Only(V4)"].clone();
    assert_eq!(cluster.outcome("s1-Only(V4)", &claim()), Ok(held));
}

#[test]
fn prefer_dual_stack_stays_when_a_better_pool_appears_and_moves_when_its_own_loses_a_family() {
    let prefer = wanting(FamilyDemand::Prefer(Family::V4));
    let mut cluster = Cluster::with([pool("v4", &["1.2.3.0/30"])]);
    cluster.settle("a", &prefer);
    let dual = || pool("dual", &["1.2.9.0/30", "1000::/126"]);
    cluster.replace_pools([pool("v4", &["1.2.3.0/30"]), dual()]);
    cluster.settle("a", &prefer);
    assert_eq!(cluster.status["a"], addresses(&["1.2.3.0"]), "no jump to a dual-stack pool");

    cluster.settle("b", &prefer);
    assert_eq!(cluster.status["b"], addresses(&["1.2.9.0", "1000::"]));
    cluster.replace_pools([pool("v4", &["1.2.3.0/30"]), pool("dual", &["1000::/126"])]);
    assert_eq!(cluster.outcome("b", &prefer), Ok(addresses(&["1.2.3.1"])));
}

#[test]
fn one_requested_address_is_enough_for_who_only_prefers_two_and_is_left_alone() {
    let mut cluster = Cluster::with([pool("dual", &["1.2.3.0/30", "1000::/126"])]);
    let asks = Claim { families: Ok(FamilyDemand::Prefer(Family::V4)), ..asking_for(&["1.2.3.2"]) };
    assert_eq!(cluster.outcome("a", &asks), Ok(addresses(&["1.2.3.2"])));
    assert_eq!(cluster.settle("a", &asks).notes, []);
    let requires = Claim { families: Ok(FamilyDemand::Both), ..asks };
    assert_eq!(cluster.outcome("b", &requires), Err("request-families"));
    let two = Claim { families: Ok(FamilyDemand::Only(Family::V4)), ..asking_for(&["1.2.3.3", "1000::3"]) };
    assert_eq!(cluster.outcome("c", &two), Err("request-families"));
}

#[test]
fn the_order_in_which_two_addresses_are_asked_for_does_not_matter() {
    let mut cluster = Cluster::with([pool("dual", &["1.2.3.0/30", "1000::/126"])]);
    let asks = |texts| Claim { families: Ok(FamilyDemand::Both), ..asking_for(texts) };
    cluster.settle("a", &asks(&["1000::3", "1.2.3.3"]));
    assert_eq!(cluster.status["a"], addresses(&["1.2.3.3", "1000::3"]));
    assert_eq!(cluster.settle("a", &asks(&["1.2.3.3", "1000::3"])).notes, []);
}

#[test]
fn without_any_pool_an_address_that_somebody_else_gave_is_left_alone() {
    let mut cluster = Cluster::with([]);
    cluster.status.insert("foreign".into(), addresses(&["192.0.2.1"]));
    cluster.status.insert("ours".into(), addresses(&["192.0.2.2"]));
    cluster.settle("foreign", &Claim { is_marked: false, ..claim() });
    cluster.settle("ours", &claim());
    assert_eq!(cluster.status["foreign"], addresses(&["192.0.2.1"]));
    assert_eq!(cluster.status["ours"], [] as [IpAddr; 0]);
    cluster.replace_pools([pool("lab", &["10.0.0.0/24"])]);
    cluster.settle("foreign", &Claim { is_marked: false, ..claim() });
    assert_eq!(cluster.status["foreign"], addresses(&["10.0.0.0"]));
}
