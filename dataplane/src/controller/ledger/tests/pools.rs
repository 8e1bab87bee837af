//! The status of pools, and what they keep back, over restarts too.

use k8s_openapi::api::core::v1::ConfigMap;
use metallb_crds::{IPAddressPool, IPAddressPoolStatus};

use super::*;
use crate::controller::reservations;

const NOW: i64 = 1_800_000_000;

fn pool_row(annotations: &Value, status: Option<&IPAddressPoolStatus>) -> PoolRow {
    let pool: IPAddressPool = serde_json::from_value(json!({
        "metadata": { "name": "lab", "namespace": "metallb-system", "annotations": annotations },
        "spec": { "addresses": ["10.0.0.1-10.0.0.4"] },
        "status": status,
    }))
    .unwrap();
    PoolRow::of(&Ok(pool))
}

fn counters(assigned: i64, available: i64) -> IPAddressPoolStatus {
    IPAddressPoolStatus {
        assigned_ipv4: assigned,
        available_ipv4: available,
        ..IPAddressPoolStatus::default()
    }
}

impl World {
    fn annotated(annotations: &Value) -> Self {
        let mut world = Self::new("10.0.0.1-10.0.0.4");
        world.ledger.tell_time(NOW);
        world.ledger.apply(Input::Pool(Event::Applied("lab".into(), pool_row(annotations, None))));
        world
    }

    /// Four services hold all there is, `a` is deleted and its address kept back, and `waits` has to wait for it.
    fn with_one_who_waits(annotations: &Value) -> Self {
        let mut world = Self::annotated(annotations);
        for name in ["a", "b", "c", "d"] {
            world.create(name, &json!({}));
            world.settle();
        }
        world.delete("a");
        world.create("waits", &json!({}));
        world.settle();
        assert_eq!(world.status("waits"), Vec::<IpAddr>::new());
        world
    }

    /// A new process, which reads what the one before wrote.
    fn restart_keeping(&mut self, annotations: &Value, now: i64) {
        let config_map: ConfigMap =
            serde_json::from_value(json!({ "data": self.ledger.kept_back() })).unwrap();
        self.restart("10.0.0.1-10.0.0.4");
        // `restart` began with nothing kept back: once more, from the start.
        self.ledger = Ledger::default();
        self.ledger.tell_time(now);
        self.ledger.apply(Input::Restored(reservations::read(&config_map)));
        self.ledger.apply(Input::Pool(Event::Listed([("lab".into(), pool_row(annotations, None))].into())));
        self.ledger.apply(Input::Namespace(Event::Listed(BTreeMap::new())));
        self.ledger.apply(Input::Configuration(pool("10.0.0.1-10.0.0.4")));
        self.ledger.apply(Input::Configuration(Change::L2Advertisement(Event::Listed(BTreeMap::new()))));
        self.relist();
        self.deliver();
        self.settle();
    }
}

#[test]
fn a_pool_is_told_how_much_of_it_is_used_until_its_status_says_so() {
    let mut world = World::annotated(&json!({}));
    assert_eq!(world.ledger.wrong_statuses(), [("lab".into(), counters(0, 4))]);
    world.create("web", &json!({}));
    world.settle();
    let says = counters(1, 3);
    assert_eq!(world.ledger.wrong_statuses(), [("lab".into(), says.clone())]);
    world.ledger.apply(Input::Pool(Event::Applied("lab".into(), pool_row(&json!({}), Some(&says)))));
    assert_eq!(world.ledger.wrong_statuses(), []);
    let edited = pool_row(&json!({}), Some(&counters(99, 0)));
    world.ledger.apply(Input::Pool(Event::Applied("lab".into(), edited)));
    assert_eq!(world.ledger.wrong_statuses(), [("lab".into(), says)], "an edit by hand is corrected");
}

#[test]
fn before_every_status_is_in_the_books_no_counter_is_written() {
    let mut ledger = Ledger::default();
    ledger.apply(Input::Configuration(pool("10.0.0.1-10.0.0.4")));
    ledger.apply(Input::Pool(Event::Listed([("lab".into(), pool_row(&json!({}), None))].into())));
    ledger.plan();
    assert_eq!(ledger.wrong_statuses(), []);
}

#[test]
fn a_deleted_service_finds_its_address_again_after_a_restart_and_nobody_else_gets_it() {
    let annotations = json!({ "metallb.io/reserve-for": "1h" });
    let mut world = World::annotated(&annotations);
    for name in ["a", "b"] {
        world.create(name, &json!({}));
        world.settle();
    }
    world.delete("a");
    world.settle();
    assert_eq!(world.ledger.wrong_statuses(), [("lab".into(), counters(1, 2))], "kept back is not available");
    world.restart_keeping(&annotations, NOW + 60);
    world.create("c", &json!({}));
    world.settle();
    assert_eq!(world.status("c"), ip("10.0.0.3"));
    world.create("a", &json!({}));
    world.settle();
    assert_eq!(world.status("a"), ip("10.0.0.1"));
}

#[test]
fn a_reservation_that_ended_while_nobody_worked_is_over() {
    let annotations = json!({ "metallb.io/reserve-for": "1h" });
    let mut world = World::annotated(&annotations);
    world.create("a", &json!({}));
    world.settle();
    world.delete("a");
    world.settle();
    assert_eq!(world.ledger.kept_back().len(), 1);
    world.restart_keeping(&annotations, NOW + 3600);
    assert_eq!(world.ledger.kept_back().len(), 0);
    world.create("b", &json!({}));
    world.settle();
    assert_eq!(world.status("b"), ip("10.0.0.1"));
}

#[test]
fn who_waits_for_what_is_kept_back_is_served_when_its_time_is_over() {
    let mut world = World::with_one_who_waits(&json!({ "metallb.io/quarantine": "5m" }));
    world.ledger.tell_time(NOW + 299);
    world.settle();
    assert_eq!(world.status("waits"), Vec::<IpAddr>::new());
    world.ledger.tell_time(NOW + 300);
    world.settle();
    assert_eq!(world.status("waits"), ip("10.0.0.1"));
}

#[test]
fn a_pool_that_keeps_nothing_back_any_more_lets_go_at_once() {
    let mut world = World::with_one_who_waits(&json!({ "metallb.io/reserve-for": "1h" }));
    world.ledger.apply(Input::Pool(Event::Applied("lab".into(), pool_row(&json!({}), None))));
    world.settle();
    assert_eq!(world.status("waits"), ip("10.0.0.1"));
}

#[test]
fn an_annotation_that_is_no_duration_is_told_once_and_has_no_effect() {
    let mut world = World::annotated(&json!({ "metallb.io/reserve-for": "for ever" }));
    world.settle();
    assert_eq!(world.reasons(), ["InvalidAnnotation"]);
    world.create("a", &json!({}));
    world.settle();
    assert_eq!(world.reasons(), ["IPAllocated"]);
    world.delete("a");
    world.settle();
    assert_eq!(world.ledger.kept_back().len(), 0);
}

#[test]
fn a_service_that_is_replaced_between_two_decisions_finds_its_address_again() {
    for relist in [false, true] {
        let mut world = World::annotated(&json!({ "metallb.io/reserve-for": "1h" }));
        for name in ["first", "web"] {
            world.create(name, &json!({}));
            world.settle();
        }
        world.edit("first", |object| object["spec"]["type"] = "ClusterIP".into());
        world.settle();
        world.delete("web");
        world.create("web", &json!({}));
        if relist {
            world.watch.clear();
            world.relist();
        }
        for event in std::mem::take(&mut world.watch) {
            world.ledger.apply(Input::Service(event));
        }
        world.ledger.plan();
        world.settle();
        assert_eq!(world.status("web"), ip("10.0.0.2"), "relist: {relist}");
    }
}
