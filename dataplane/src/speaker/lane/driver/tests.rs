//! What the lane counts of an address, and until when; and when it tells neighbours once more.

use std::time::Duration;

use metallb_core::config::Interfaces;
use metallb_protocols::liveness::NodeId;
use nix::sys::eventfd::EfdFlags;
use prometheus::{Registry, TextEncoder};

use super::super::moves::TOLD_FOR;
use super::super::sockets::Sockets;
use super::*;

/// A lane without interfaces, whose counters are looked at.
struct Place {
    driver: Driver,
    tables: Arc<ArcSwap<Tables>>,
    metrics: Metrics,
    registry: Registry,
}

fn vip() -> IpAddr {
    [192, 0, 2, 100].into()
}

impl Place {
    /// It announces an address, and somebody has asked for that.
    fn announcing() -> Self {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry, "node".into()).unwrap();
        let tables = Arc::new(ArcSwap::from_pointee(Tables::default()));
        let shared = Shared {
            tables: tables.clone(),
            wake: Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap()),
            membership: watch::channel(Membership::default()).0,
            contested: watch::channel(Contested::default()).0,
            sockets: watch::channel(Sockets::new()).0,
        };
        let pace =
            Pace { refresh: None, restart_grace: Duration::from_secs(3), policy: conflict::Policy::Announce };
        let driver = Driver::new(shared, Groups::start().unwrap(), pace, metrics.clone(), None);
        let mut lane = Self { driver, tables, metrics, registry };
        lane.take(announcing());
        lane.is_asked();
        assert!(lane.is_counted());
        lane
    }

    fn take(&mut self, tables: Tables) {
        self.tables.store(Arc::new(tables));
        self.driver.take_tables();
    }

    fn is_asked(&self) {
        let Metrics { requests_received, responses_sent, gratuitous_sent, .. } = &self.metrics;
        for counter in [requests_received, responses_sent, gratuitous_sent] {
            counter.inc(vip());
        }
    }

    /// Has the address a series of any counter?
    fn is_counted(&self) -> bool {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        text.contains(&vip().to_string())
    }
}

/// Another node announces the address.
fn announcing() -> Tables {
    Tables { announced: [(vip(), Interfaces::All)].into(), ..Tables::default() }
}

fn moved() -> Tables {
    Tables { moved: Arc::new([vip()].into()), ..Tables::default() }
}

#[test]
fn an_address_that_nobody_announces_any_more_has_no_counters() {
    let mut place = Place::announcing();
    place.take(Tables::default());
    assert!(!place.is_counted());
}

#[test]
fn an_address_that_went_to_another_node_has_counters_for_as_long_as_it_is_answered_for_here() {
    let mut place = Place::announcing();
    place.take(moved());
    place.is_asked();
    assert!(place.is_counted(), "the other one may not have heard of it");
    place.driver.pass_time(Instant::now() + TOLD_FOR);
    assert!(!place.is_counted());
}

#[test]
fn nor_has_one_that_is_deleted_before_that_is_over() {
    let mut place = Place::announcing();
    place.take(moved());
    place.take(Tables::default());
    assert!(!place.is_counted());
}

#[test]
fn who_outlasted_another_owner_tells_neighbours_once_more_and_once() {
    let mut place = Place::announcing();
    let later = Instant::now() + Duration::from_mins(1);
    while place.driver.announcer.poll_output(later).is_some() {} // its burst
    let told = Told { outlasted: [vip()].into(), ..Told::default() };
    place.driver.pass_on(later, Some(told.clone()));
    place.driver.pass_on(later, Some(told.clone()));
    assert_eq!(place.driver.announcer.poll_output(later), Some(vip()));
    assert_eq!(place.driver.announcer.poll_output(later), None);
    place.take(moved());
    let even_later = later + Duration::from_mins(1);
    place.driver.pass_on(even_later, Some(told));
    assert_eq!(place.driver.announcer.poll_output(even_later), None, "it is another node's now");
}

#[test]
fn an_address_that_comes_back_before_that_is_over_keeps_its_counters() {
    let mut place = Place::announcing();
    place.take(moved());
    place.take(announcing());
    place.driver.pass_time(Instant::now() + TOLD_FOR);
    assert!(place.is_counted());
}

#[test]
fn who_stood_still_tells_neighbours_anew_of_what_no_other_has_and_claims_nothing() {
    let mut place = Place::announcing();
    let tenure = Tenure { epoch: 2, owner: NodeId::from(&"another".into()) };
    place.take(Tables { claims: Arc::new([(vip(), tenure)].into()), ..announcing() });
    place.driver.settle_claims();
    let later = Instant::now() + Duration::from_mins(1);
    while place.driver.announcer.poll_output(later).is_some() {} // its burst
    let paused = Told { paused: true, ..Told::default() };
    let has_gone = Told { tenures: Some([(vip(), tenure)].into()), ..paused.clone() };
    place.driver.pass_on(later, Some(has_gone));
    assert_eq!(place.driver.announcer.poll_output(later), None, "another node has it");
    place.driver.pass_on(later, Some(paused));
    assert_eq!(place.driver.announcer.poll_output(later), Some(vip()));
    assert!(place.driver.claims.is_empty());
}
