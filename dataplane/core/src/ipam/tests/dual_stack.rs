//! Services that want both families, or would like to.

use super::*;

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
