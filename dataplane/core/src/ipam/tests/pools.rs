//! Pools that change, vanish, or are invalid.

use super::*;

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
