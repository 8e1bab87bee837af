//! Asking for an address or a pool.

use super::*;

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
fn who_asks_for_a_pool_that_is_not_there_is_told_which_it_may_ask_for() {
    let elsewhere =
        ServiceAllocation { namespaces: ["elsewhere".into()].into(), ..ServiceAllocation::default() };
    let closed = pinned(pool("closed", &["10.0.2.0/24"]), elsewhere);
    let asks = Claim { requested_pool: Some("nowhere".into()), ..claim() };
    for (pools, fix) in [
        (vec![pool("near", &["10.0.0.0/24"]), pool("far", &["10.0.1.0/24"]), closed.clone()], ": far, near"),
        (vec![closed], "no other pool is open to this service"),
        (
            (1..=12).map(|n| pool(&format!("p{n:02}"), &[&format!("10.0.{n}.0/24")])).collect(),
            ": p01, p02, p03, p04, p05, p06, p07, p08, p09, p10 and 2 more",
        ),
    ] {
        let refusal = Cluster::with(pools).settle("a", &asks).refusal.unwrap();
        assert!(refusal.fix().ends_with(fix), "{}", refusal.fix());
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
