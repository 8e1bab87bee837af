//! Addresses that are kept back: for a deleted service to come back to, or to cool down.

use super::*;

const HOUR: i64 = 3600;

/// A pool that keeps back as told.
fn keeping(range: &str, reserve_for: i64, quarantine: i64) -> Cluster {
    let mut cluster = Cluster::with([pool("lab", &[range])]);
    cluster.books.tell_time(1000);
    let retention = Retention { reserve_for, quarantine };
    cluster.books.set_retentions(BTreeMap::from([("lab".into(), retention)]));
    cluster
}

fn opened(texts: &[&str]) -> BTreeSet<IpAddr> {
    BTreeSet::from_iter(addresses(texts))
}

#[test]
fn by_default_a_freed_address_is_given_to_the_next_at_once() {
    let mut cluster = keeping("10.0.0.1/32", 0, 0);
    cluster.settle("a", &claim());
    cluster.delete("a");
    assert_eq!(cluster.books.reservations().iter().count(), 0);
    assert_eq!(cluster.outcome("b", &claim()), Ok(addresses(&["10.0.0.1"])));
}

#[test]
fn the_address_of_a_deleted_service_is_for_the_one_of_its_name_until_the_time_is_over() {
    let mut cluster = keeping("10.0.0.1/32", HOUR, 0);
    cluster.settle("a", &claim());
    cluster.delete("a");
    assert_eq!(cluster.outcome("b", &claim()), Err("pool-full"));
    assert_eq!(cluster.outcome("c", &asking_for(&["10.0.0.1"])), Err("address-reserved"));
    assert_eq!(cluster.books.next_end(), Some(1000 + HOUR));
    assert_eq!(cluster.books.tell_time(999 + HOUR), opened(&[]));
    assert_eq!(cluster.outcome("a", &claim()), Ok(addresses(&["10.0.0.1"])), "it came back");
    cluster.delete("a");
    assert_eq!(cluster.books.tell_time(999 + 2 * HOUR), opened(&["10.0.0.1"]));
    assert_eq!(cluster.outcome("b", &claim()), Ok(addresses(&["10.0.0.1"])));
}

#[test]
fn who_comes_back_gets_its_own_address_before_lower_ones_and_better_pools() {
    let mut cluster = keeping("10.0.0.0/24", HOUR, 0);
    cluster.settle("first", &claim());
    cluster.settle("a", &claim());
    cluster.delete("first");
    cluster.delete("a");
    cluster.pools.insert(pinned(pool("better", &["10.9.0.0/24"]), ServiceAllocation::default())).unwrap();
    assert_eq!(cluster.outcome("a", &claim()), Ok(addresses(&["10.0.0.1"])));
    assert_eq!(cluster.outcome("b", &claim()), Ok(addresses(&["10.9.0.0"])));
}

#[test]
fn the_same_name_in_another_namespace_is_another_service() {
    let mut cluster = keeping("10.0.0.1/32", HOUR, 0);
    cluster.settle("a", &claim());
    cluster.delete("a");
    assert_eq!(cluster.outcome("other/a", &claim()), Err("pool-full"));
}

#[test]
fn only_deletion_reserves_but_whatever_is_given_up_cools_down() {
    let no_load_balancer = Claim { is_load_balancer: false, ..claim() };
    let mut reserving = keeping("10.0.0.1/32", HOUR, 0);
    reserving.settle("a", &claim());
    reserving.settle("a", &no_load_balancer);
    assert!(reserving.outcome("b", &claim()).is_ok());

    let mut cooling = keeping("10.0.0.1/32", 0, HOUR);
    cooling.settle("a", &claim());
    cooling.settle("a", &no_load_balancer);
    assert_eq!(cooling.outcome("b", &claim()), Err("pool-full"));
    cooling.books.tell_time(1000 + HOUR);
    assert!(cooling.outcome("b", &claim()).is_ok());
}

#[test]
fn who_asks_for_an_address_that_cools_down_gets_it() {
    let mut cluster = keeping("10.0.0.0/31", 0, HOUR);
    cluster.settle("a", &claim());
    cluster.delete("a");
    assert_eq!(cluster.outcome("b", &claim()), Ok(addresses(&["10.0.0.1"])));
    assert_eq!(cluster.outcome("c", &asking_for(&["10.0.0.0"])), Ok(addresses(&["10.0.0.0"])));
}

#[test]
fn a_service_that_moved_is_expected_at_its_old_address_no_more() {
    let mut cluster = keeping("10.0.0.0/24", HOUR, 0);
    cluster.settle("a", &claim());
    cluster.delete("a");
    assert_eq!(cluster.outcome("a", &asking_for(&["10.0.0.9"])), Ok(addresses(&["10.0.0.9"])));
    assert_eq!(cluster.outcome("b", &claim()), Ok(addresses(&["10.0.0.0"])));
}

#[test]
fn both_addresses_of_a_dual_stack_service_are_kept() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/31", "fd00::/127"])]);
    let retention = Retention { reserve_for: HOUR, quarantine: 0 };
    cluster.books.set_retentions(BTreeMap::from([("lab".into(), retention)]));
    let both = wanting(FamilyDemand::Both);
    cluster.settle("a", &both);
    cluster.delete("a");
    assert_eq!(cluster.outcome("b", &both), Ok(addresses(&["10.0.0.1", "fd00::1"])));
    assert_eq!(cluster.outcome("a", &both), Ok(addresses(&["10.0.0.0", "fd00::"])));
}

#[test]
fn what_is_kept_back_is_neither_in_use_nor_available() {
    let mut cluster = keeping("10.0.0.0/30", HOUR, 0);
    cluster.settle("a", &claim());
    cluster.settle("b", &claim());
    cluster.delete("a");
    let usage = cluster.books.usage(cluster.pools.get(&"lab".into()).unwrap());
    assert_eq!(usage, Usage { capacity: (4, 0), in_use: (1, 0), kept_back: (1, 0) });
    assert_eq!(usage.available(), (2, 0));
}

#[test]
fn a_restart_keeps_what_is_kept_back() {
    let mut cluster = keeping("10.0.0.1/32", HOUR, 0);
    cluster.settle("a", &claim());
    cluster.delete("a");
    let noted: Vec<_> = cluster
        .books
        .reservations()
        .iter()
        .map(|(address, service, reservation)| (address, service.clone(), reservation.clone()))
        .collect();
    cluster.books = Books::default();
    cluster.books.tell_time(2000);
    for (address, service, reservation) in noted {
        cluster.books.reserve(address, &service, reservation);
    }
    assert_eq!(cluster.outcome("b", &claim()), Err("pool-full"));
    assert_eq!(cluster.outcome("a", &claim()), Ok(addresses(&["10.0.0.1"])));
}

#[test]
fn a_pool_that_asks_for_less_lets_go_at_once() {
    let mut cluster = keeping("10.0.0.1/32", HOUR, 0);
    cluster.settle("a", &claim());
    cluster.delete("a");
    let shorter = Retention { reserve_for: 60, quarantine: 0 };
    assert_eq!(
        cluster.books.set_retentions(BTreeMap::from([("lab".into(), shorter)])),
        opened(&["10.0.0.1"])
    );
    assert_eq!(cluster.books.next_end(), Some(1060));
    cluster.books.set_retentions(BTreeMap::new());
    assert_eq!(cluster.outcome("b", &claim()), Ok(addresses(&["10.0.0.1"])));
}

#[test]
fn who_left_a_shared_address_may_come_back_while_the_others_stay() {
    let mut cluster = keeping("10.0.0.1/32", HOUR, 0);
    cluster.settle("a", &sharing("k", &[80]));
    cluster.settle("b", &sharing("k", &[81]));
    cluster.delete("a");
    assert_eq!(cluster.outcome("a", &sharing("k", &[80])), Ok(addresses(&["10.0.0.1"])));
    cluster.delete("a");
    cluster.delete("b");
    assert_eq!(cluster.outcome("c", &sharing("k", &[82])), Err("pool-full"));
    assert_eq!(cluster.outcome("b", &claim()), Ok(addresses(&["10.0.0.1"])));
}
