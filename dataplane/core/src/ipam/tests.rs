//! The rules of allocation: a table of single cases, then random histories with invariants after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::address::{AddressRange, Family};
use crate::config::{Pool, Pools, ServiceAllocation};
use crate::labels::{Labels, Requirement, Selector};
use crate::names::ServiceKey;
use crate::refusal::{AllocationRefusal, Refusal};

// ---------------------------------------------------------------------------------------------------------------
// A small cluster to try the rules in

/// The books, the pools, and the status of every service as the API server would hold it.
#[derive(Default)]
struct Cluster {
    books: Books,
    pools: Pools,
    status: BTreeMap<String, Vec<IpAddr>>,
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

fn pool(name: &str, ranges: &[&str]) -> Pool {
    Pool::new(name.into(), ranges.iter().map(|text| AddressRange::parse(text).unwrap()).collect()).unwrap()
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn port(number: u16) -> Port {
    Port { protocol: Protocol::Tcp, number }
}

/// A service that wants one IPv4 address and shares with nobody.
fn claim() -> Claim {
    Claim {
        created: 0,
        is_load_balancer: true,
        is_marked: true,
        labels: Labels::new(),
        held: Ok(Vec::new()),
        families: Ok(FamilyDemand::Only(Family::V4)),
        requested: Ok(None),
        requested_pool: None,
        sharing: SharingTerms::default(),
        ports: BTreeSet::from([port(80)]),
    }
}

fn sharing(key: &str, ports: &[u16]) -> Claim {
    let sharing = SharingTerms { key: key.into(), backend: String::new() };
    Claim { sharing, ports: ports.iter().map(|number| port(*number)).collect(), ..claim() }
}

fn asking_for(texts: &[&str]) -> Claim {
    Claim { requested: Ok(Some(Vips::try_from(addresses(texts).as_slice()).unwrap())), ..claim() }
}

fn wanting(families: FamilyDemand) -> Claim {
    Claim { families: Ok(families), ..claim() }
}

impl Cluster {
    fn with(pools: impl IntoIterator<Item = Pool>) -> Self {
        let mut cluster = Self::default();
        cluster.replace_pools(pools);
        cluster
    }

    fn replace_pools(&mut self, pools: impl IntoIterator<Item = Pool>) {
        self.pools = Pools::default();
        for pool in pools {
            self.pools.insert(pool).unwrap();
        }
    }

    /// Settles the service with what its status holds, and writes the outcome there.
    fn settle(&mut self, name: &str, claim: &Claim) -> Settlement {
        let held = self.status.get(name).cloned().unwrap_or_default();
        let claim = Claim { held: Ok(held), ..claim.clone() };
        let settlement = self.books.settle(&key(name), &claim, &self.pools, &Namespaces::new());
        self.status.insert(name.into(), settlement.vips.map(Vips::to_vec).unwrap_or_default());
        settlement
    }

    /// The code of the refusal, or the addresses.
    fn outcome(&mut self, name: &str, claim: &Claim) -> Result<Vec<IpAddr>, &'static str> {
        let settlement = self.settle(name, claim);
        match settlement.refusal {
            Some(refusal) => Err(refusal.code()),
            None => Ok(self.status[name].clone()),
        }
    }

    fn delete(&mut self, name: &str) {
        self.books.delete(&key(name));
        self.status.remove(name);
    }

    /// A new process: empty books, every status taken in, and only then every service settled.
    fn restart(&mut self, claims: &BTreeMap<String, Claim>) {
        self.books = Books::default();
        for (name, claim) in claims {
            let claim =
                Claim { held: Ok(self.status.get(name).cloned().unwrap_or_default()), ..claim.clone() };
            self.books.adopt(&key(name), &claim, &self.pools);
        }
        self.settle_all(claims);
    }

    /// Holders first, then those who wait: as the controller does.
    fn settle_all(&mut self, claims: &BTreeMap<String, Claim>) {
        let (holders, waiting): (Vec<_>, Vec<_>) =
            claims.iter().partition(|(name, _)| !self.status[*name].is_empty());
        for (name, claim) in holders.into_iter().chain(waiting) {
            self.settle(name, claim);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Choosing an address

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

// ---------------------------------------------------------------------------------------------------------------
// Asking for an address or a pool

#[test]
fn a_request_is_met_or_refused_with_the_reason() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/24"]), pool("other", &["10.0.1.0/24"])]);
    assert_eq!(cluster.outcome("holder", &asking_for(&["10.0.0.7"])), Ok(addresses(&["10.0.0.7"])));
    let contradiction = Claim { requested_pool: Some("other".into()), ..asking_for(&["10.0.0.8"]) };
    for (name, claim, code) in [
        ("taken", asking_for(&["10.0.0.7"]), "address-taken"),
        ("outside", asking_for(&["192.0.2.1"]), "outside-pools"),
        ("family", asking_for(&["fd00::1"]), "request-families"),
        ("unknown", Claim { requested_pool: Some("nowhere".into()), ..claim() }, "unknown-pool"),
        ("contradiction", contradiction, "request-contradicts"),
        ("unreadable", Claim { requested: Err("bad".into()), ..claim() }, "bad-request"),
        ("headless", Claim { families: Err(AllocationRefusal::NoClusterIp), ..claim() }, "no-cluster-ip"),
    ] {
        assert_eq!(cluster.outcome(name, &claim), Err(code), "{name}");
        assert_eq!(cluster.status[name], [] as [IpAddr; 0], "{name}");
    }
}

#[test]
fn asking_for_another_address_or_pool_moves_the_service() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/24"]), pool("other", &["10.0.1.0/24"])]);
    cluster.settle("a", &claim());
    assert_eq!(cluster.outcome("a", &asking_for(&["10.0.0.9"])), Ok(addresses(&["10.0.0.9"])));
    let other = Claim { requested_pool: Some("other".into()), ..claim() };
    assert_eq!(cluster.outcome("a", &other), Ok(addresses(&["10.0.1.0"])));
}

#[test]
fn an_unreadable_request_leaves_what_is_held() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/24"])]);
    cluster.settle("a", &claim());
    let settlement = cluster.settle("a", &Claim { requested: Err("not an address".into()), ..claim() });
    assert_eq!(settlement.vips.map(Vips::to_vec), Some(addresses(&["10.0.0.0"])));
    assert!(matches!(settlement.notes[..], [Note::BadRequest(_)]));
}

#[test]
fn what_was_given_up_is_not_kept_because_of_an_unreadable_request() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/24"])]);
    cluster.status.insert("a".into(), addresses(&["192.0.2.1"]));
    let settlement = cluster.settle("a", &Claim { requested: Err("not an address".into()), ..claim() });
    assert_eq!(settlement.vips, None);
    assert!(
        matches!(settlement.notes[..], [Note::Cleared(_), Note::BadRequest(_)]),
        "{:?}",
        settlement.notes
    );
    assert_eq!(cluster.books.assignment(&key("a")), None);
}

// ---------------------------------------------------------------------------------------------------------------
// Dual stack

#[test]
fn each_policy_gets_the_families_it_may_get() {
    let dual = || pool("dual", &["10.0.0.0/24", "fd00::/64"]);
    let v4 = || pool("v4", &["10.0.1.0/24"]);
    let v6 = || pool("v6", &["fd01::/64"]);
    let both = Ok(addresses(&["10.0.0.0", "fd00::"]));
    for (demand, pools, expected) in [
        (FamilyDemand::Both, vec![dual()], both.clone()),
        (FamilyDemand::Both, vec![v4(), v6()], Err("pool-full")),
        (FamilyDemand::Prefer(Family::V6), vec![v4(), dual()], both),
        (FamilyDemand::Prefer(Family::V4), vec![v4(), v6()], Ok(addresses(&["10.0.1.0"]))),
        (FamilyDemand::Prefer(Family::V6), vec![v4(), v6()], Ok(addresses(&["fd01::"]))),
        (FamilyDemand::Prefer(Family::V6), vec![v4()], Ok(addresses(&["10.0.1.0"]))),
        (FamilyDemand::Only(Family::V6), vec![v4(), dual()], Ok(addresses(&["fd00::"]))),
    ] {
        let names: Vec<_> = pools.iter().map(|pool| pool.name.clone()).collect();
        assert_eq!(
            Cluster::with(pools).outcome("a", &wanting(demand)),
            expected,
            "{demand:?} from {names:?}"
        );
    }
}

#[test]
fn prefer_dual_stack_gains_its_second_address_when_its_pool_does_and_keeps_the_first() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/24"])]);
    let prefer = wanting(FamilyDemand::Prefer(Family::V4));
    cluster.settle("a", &prefer);
    cluster.replace_pools([pool("lab", &["fd00::/64", "10.0.0.0/24"])]);
    let settlement = cluster.settle("a", &prefer);
    assert_eq!(cluster.status["a"], addresses(&["10.0.0.0", "fd00::"]));
    assert_eq!(settlement.notes, [Note::Allocated(addresses(&["fd00::"]))]);
    assert_eq!(cluster.settle("a", &prefer).notes, []);
}

#[test]
fn a_single_stack_service_never_flaps_in_a_dual_stack_pool() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/24", "fd00::/64"])]);
    cluster.settle("a", &claim());
    assert_eq!(cluster.outcome("a", &claim()), Ok(addresses(&["10.0.0.0"])));
    assert_eq!(cluster.outcome("a", &claim()), Ok(addresses(&["10.0.0.0"])));
}

#[test]
fn requiring_dual_stack_later_gives_the_single_address_up_for_two() {
    let mut cluster =
        Cluster::with([pool("a-v4", &["10.0.1.0/24"]), pool("dual", &["10.0.0.0/24", "fd00::/64"])]);
    let held = Claim { requested_pool: Some("a-v4".into()), ..claim() };
    cluster.settle("a", &held);
    let settlement = cluster.settle("a", &wanting(FamilyDemand::Both));
    assert_eq!(cluster.status["a"], addresses(&["10.0.0.0", "fd00::"]));
    assert_eq!(settlement.opened, BTreeSet::from_iter(addresses(&["10.0.1.0"])));
}

// ---------------------------------------------------------------------------------------------------------------
// Sharing

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

// ---------------------------------------------------------------------------------------------------------------
// Pools that change, vanish, or are invalid

#[test]
fn growing_keeps_shrinking_drops_and_renaming_moves_the_books() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/31"])]);
    cluster.settle("a", &claim());
    cluster.settle("b", &claim());
    cluster.replace_pools([pool("renamed", &["10.0.0.0/24"])]);
    assert_eq!(cluster.settle("a", &claim()).pool, Some("renamed".into()));
    assert_eq!(cluster.outcome("b", &claim()), Ok(addresses(&["10.0.0.1"])));
    cluster.replace_pools([pool("renamed", &["10.0.0.0/32", "10.0.9.0/24"])]);
    assert_eq!(cluster.outcome("a", &claim()), Ok(addresses(&["10.0.0.0"])));
    let moved = cluster.settle("b", &claim());
    assert_eq!(cluster.status["b"], addresses(&["10.0.9.0"]));
    assert!(matches!(
        moved.notes[..],
        [Note::Cleared(AllocationRefusal::OutsidePools { .. }), Note::Allocated(_)]
    ));
}

#[test]
fn without_any_pool_every_address_is_cleared() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/24"])]);
    cluster.settle("a", &claim());
    cluster.replace_pools([]);
    assert_eq!(cluster.outcome("a", &claim()), Err("no-pools"));
    assert_eq!(cluster.status["a"], [] as [IpAddr; 0]);
}

#[test]
fn while_a_pool_is_invalid_no_address_is_let_go_not_even_right_after_a_restart() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/24"]), pool("other", &["10.0.1.0/24"])]);
    cluster.settle("a", &claim());
    cluster.replace_pools([pool("other", &["10.0.1.0/24"])]);
    cluster.pools.set_aside("lab".into(), Labels::new());
    let claims = BTreeMap::from([("a".to_owned(), claim())]);
    for _ in 0..2 {
        let settlement = cluster.settle("a", &claim());
        assert_eq!(settlement.refusal.map(|refusal| refusal.code()), Some("pool-invalid"));
        assert_eq!(cluster.status["a"], addresses(&["10.0.0.0"]));
        assert_eq!(cluster.outcome("new", &claim()), Ok(addresses(&["10.0.1.0"])));
        cluster.restart(&claims);
    }
    cluster.replace_pools([pool("other", &["10.0.1.0/24"]), pool("lab", &["10.0.0.0/28"])]);
    assert_eq!(cluster.outcome("a", &claim()), Ok(addresses(&["10.0.0.0"])));
}

#[test]
fn a_held_address_is_given_to_nobody_else() {
    let mut cluster = Cluster::with([pool("other", &["10.0.1.0/24"])]);
    cluster.pools.set_aside("lab".into(), Labels::new());
    cluster.status.insert("a".into(), addresses(&["10.0.0.5"]));
    cluster.settle("a", &claim());
    cluster.replace_pools([pool("lab", &["10.0.0.5/32"])]);
    assert_eq!(cluster.outcome("b", &claim()), Err("pool-full"));
}

#[test]
fn asking_for_an_invalid_pool_leaves_what_is_held() {
    let mut cluster = Cluster::with([pool("other", &["10.0.1.0/24"])]);
    cluster.settle("a", &claim());
    cluster.pools.set_aside("lab".into(), Labels::new());
    let settlement = cluster.settle("a", &Claim { requested_pool: Some("lab".into()), ..claim() });
    assert_eq!(settlement.refusal.map(|refusal| refusal.code()), Some("unknown-pool"));
    assert_eq!(cluster.status["a"], addresses(&["10.0.1.0"]));
}

// ---------------------------------------------------------------------------------------------------------------
// Statuses nobody should have written

#[test]
fn of_two_services_on_one_address_the_older_keeps_it_in_whatever_order_they_come() {
    let (older, younger) = (Claim { created: 1, ..claim() }, Claim { created: 2, ..claim() });
    for first_is_older in [true, false] {
        let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/24"])]);
        for name in ["older", "younger"] {
            cluster.status.insert(name.into(), addresses(&["10.0.0.9"]));
        }
        if first_is_older {
            assert_eq!(cluster.settle("older", &older).evicted, BTreeSet::new());
        } else {
            cluster.settle("younger", &younger);
            assert_eq!(cluster.settle("older", &older).evicted, BTreeSet::from([key("younger")]));
        }
        let settlement = cluster.settle("younger", &younger);
        assert!(
            matches!(settlement.notes[..], [Note::Cleared(_), Note::Allocated(_)]),
            "{:?}",
            settlement.notes
        );
        assert_eq!(cluster.status["older"], addresses(&["10.0.0.9"]));
        assert_eq!(cluster.status["younger"], addresses(&["10.0.0.0"]));
    }
}

#[test]
fn a_start_takes_every_status_in_before_it_gives_anything_out() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.0/31", "fd00::/127"])]);
    let claims = BTreeMap::from([
        ("a".to_owned(), wanting(FamilyDemand::Prefer(Family::V4))),
        ("b".to_owned(), wanting(FamilyDemand::Only(Family::V6))),
    ]);
    cluster.status = BTreeMap::from([
        ("a".to_owned(), addresses(&["10.0.0.0"])),
        ("b".to_owned(), addresses(&["fd00::"])),
    ]);
    cluster.restart(&claims);
    assert_eq!(cluster.status["a"], addresses(&["10.0.0.0", "fd00::1"]));
    assert_eq!(cluster.status["b"], addresses(&["fd00::"]));
}

#[test]
fn an_unusable_status_is_replaced_by_an_address() {
    for held in [
        Err("not an address".to_owned()),
        Ok(addresses(&["10.0.0.1", "10.0.0.2"])),
        Ok(addresses(&["fd00::1"])),
    ] {
        let mut books = Books::default();
        let mut pools = Pools::default();
        pools.insert(pool("lab", &["10.0.0.0/24"])).unwrap();
        let claim = Claim { held: held.clone(), ..claim() };
        let settlement = books.settle(&key("a"), &claim, &pools, &Namespaces::new());
        assert_eq!(settlement.vips.map(Vips::to_vec), Some(addresses(&["10.0.0.0"])), "{held:?}");
        assert_eq!(settlement.notes.len(), 2);
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Random histories

#[derive(Clone, Debug)]
enum Step {
    Settle(usize, Box<Claim>),
    Delete(usize),
    Pools(usize),
    Restart,
}

fn any_claim() -> impl Strategy<Value = Claim> {
    let families = prop_oneof![
        Just(FamilyDemand::Only(Family::V4)),
        Just(FamilyDemand::Only(Family::V6)),
        Just(FamilyDemand::Prefer(Family::V6)),
        Just(FamilyDemand::Both),
    ];
    let requested = prop_oneof![
        6 => Just(None),
        1 => (0_u8..8).prop_map(|last| Some(Vips::One(IpAddr::from([10, 0, 0, last])))),
    ];
    let key = prop_oneof![2 => Just(""), 1 => Just("k"), 1 => Just("l")];
    let pool = prop_oneof![5 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("gone"))];
    (families, requested, key, pool, 80_u16..83, 0_i64..3, prop::bool::weighted(0.9)).prop_map(
        |(families, requested, key, pool, number, created, is_load_balancer)| Claim {
            created,
            is_load_balancer,
            families: Ok(families),
            requested: Ok(requested),
            requested_pool: pool.map(Into::into),
            ports: [port(number)].into(),
            ..sharing(key, &[])
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_usize..6, any_claim()).prop_map(|(service, claim)| Step::Settle(service, Box::new(claim))),
        2 => (0_usize..6).prop_map(Step::Delete),
        1 => (0_usize..4).prop_map(Step::Pools),
        1 => Just(Step::Restart),
    ]
}

fn pool_sets() -> [Vec<Pool>; 4] {
    let mut careful = pool("a", &["10.0.0.0/30", "fd00::/126"]);
    careful.avoid_buggy_ips = true;
    [
        vec![pool("a", &["10.0.0.0/30", "fd00::/126"])],
        vec![pool("a", &["10.0.0.2/31"]), pool("b", &["10.0.0.4/31", "fd00::/127"])],
        vec![careful],
        vec![],
    ]
}

/// What must hold after every step, whatever happened.
fn check_invariants(cluster: &Cluster) -> Result<(), TestCaseError> {
    let assignments = cluster.books.assignments();
    for (service, assignment) in assignments {
        let owner = cluster.pools.owner_of(assignment.vips);
        prop_assert_eq!(
            assignment.pool.as_ref(),
            owner.map(|pool| &pool.name),
            "{} is in the wrong pool",
            service
        );
        for (other, theirs) in assignments.iter().filter(|(other, _)| *other != service) {
            let together = assignment.vips.iter().any(|address| theirs.vips.contains(address));
            let may_share = !assignment.terms.key.is_empty() && assignment.terms == theirs.terms;
            prop_assert!(!together || may_share, "{} and {} share without a key", service, other);
            prop_assert!(
                !together || assignment.ports.is_disjoint(&theirs.ports),
                "{} and {}: port",
                service,
                other
            );
        }
    }
    let by_hand: BTreeSet<_> = assignments.values().flat_map(|assignment| assignment.vips.iter()).collect();
    let in_use: u128 =
        cluster.pools.iter().map(|pool| cluster.books.usage(pool).in_use).map(|(v4, v6)| v4 + v6).sum();
    prop_assert_eq!(in_use, by_hand.len() as u128);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn nothing_is_given_twice_and_a_restart_changes_nothing(steps in vec(any_step(), 1..60)) {
        let mut cluster = Cluster::with(pool_sets()[0].clone());
        let mut claims: BTreeMap<String, Claim> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Settle(service, claim) => {
                    let name = service.to_string();
                    cluster.settle(&name, &claim);
                    claims.insert(name, *claim);
                }
                Step::Delete(service) => {
                    cluster.delete(&service.to_string());
                    claims.remove(&service.to_string());
                }
                Step::Pools(set) => {
                    cluster.replace_pools(pool_sets()[set].clone());
                    cluster.settle_all(&claims);
                }
                Step::Restart => {
                    cluster.settle_all(&claims); // whoever waited for something that is free by now has it
                    let (books, status) = (cluster.books.clone(), cluster.status.clone());
                    cluster.restart(&claims);
                    prop_assert_eq!(&cluster.status, &status);
                    prop_assert_eq!(&cluster.books, &books);
                }
            }
            check_invariants(&cluster)?;
        }
    }
}
