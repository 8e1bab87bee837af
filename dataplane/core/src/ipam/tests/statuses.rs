//! Statuses nobody should have written, and starts.

use super::*;

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
