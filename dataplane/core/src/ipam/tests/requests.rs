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
