//! Who waits is asked again when, and only when, what blocked it changes.

use super::*;

/// A cluster with the services that wait in it.
struct Queue {
    cluster: Cluster,
    waiting: Waiting,
    openings: Openings,
}

impl Queue {
    fn with(pools: impl IntoIterator<Item = Pool>) -> Self {
        let cluster = Cluster::with(pools);
        Self { cluster, waiting: Waiting::default(), openings: Openings::default() }
    }

    fn settle(&mut self, name: &str, claim: &Claim) -> Settlement {
        let settlement = self.cluster.settle(name, claim);
        self.waiting.note(&key(name), claim.created, &claim.sharing, settlement.refusal.as_ref());
        self.openings.extend(settlement.opened.clone());
        settlement
    }

    fn delete(&mut self, name: &str) {
        self.openings.extend(self.cluster.books.delete(&key(name)));
    }

    /// Settles whoever is woken, with `claim`. Their names, in order.
    fn wake(&mut self, claim: &Claim) -> Vec<String> {
        let mut woken = Vec::new();
        while let Some(service) =
            self.waiting.next(&mut self.openings, &self.cluster.books, &self.cluster.pools)
        {
            self.settle(&service.name, claim);
            woken.push(service.name.to_string());
        }
        woken
    }
}

fn born(created: i64, claim: Claim) -> Claim {
    Claim { created, ..claim }
}

#[test]
fn one_release_wakes_one_of_five_thousand_the_oldest() {
    let mut queue = Queue::with([pool("lab", &["10.0.0.1/32"])]);
    queue.settle("holder", &claim());
    for n in 0..5000 {
        queue.settle(&format!("waits-{n:04}"), &born(10_000 - n, claim()));
    }
    queue.delete("holder");
    assert_eq!(queue.wake(&claim()), ["waits-4999"]);
    assert_eq!(queue.cluster.status["waits-4999"], addresses(&["10.0.0.1"]));
    assert!(queue.openings.is_empty());
}

#[test]
fn a_release_elsewhere_wakes_nobody() {
    let mut queue = Queue::with([pool("lab", &["10.0.0.1/32"]), pool("other", &["10.0.1.1/32"])]);
    for name in ["holder", "elsewhere"] {
        queue.settle(name, &claim());
    }
    let from_lab = Claim { requested_pool: Some("lab".into()), ..claim() };
    queue.settle("waits", &from_lab);
    queue.settle("waits-for-an-address", &asking_for(&["10.0.0.1"]));
    queue.settle("waits-for-a-pool", &Claim { requested_pool: Some("gone".into()), ..claim() });
    queue.delete("elsewhere");
    assert_eq!(queue.wake(&claim()), [""; 0]);
    queue.delete("holder");
    assert_eq!(queue.wake(&from_lab), ["waits"], "and then the address is taken");
}

#[test]
fn the_other_family_wakes_nobody() {
    let mut queue = Queue::with([pool("lab", &["10.0.0.1/32", "fd00::1/128"])]);
    let v6 = wanting(FamilyDemand::Only(Family::V6));
    queue.settle("v4", &claim());
    queue.settle("v6", &v6);
    queue.settle("waits", &claim());
    queue.delete("v6");
    assert_eq!(queue.wake(&claim()), [""; 0]);
}

#[test]
fn who_can_not_use_what_is_free_leaves_it_to_the_next() {
    let mut queue = Queue::with([pool("lab", &["10.0.0.1/32"])]);
    queue.settle("holder", &claim());
    let both = wanting(FamilyDemand::Both);
    queue.settle("older", &born(1, both.clone()));
    queue.settle("younger", &born(2, claim()));
    queue.delete("holder");
    let (next, books, pools) = (&mut queue.openings, &queue.cluster.books, &queue.cluster.pools);
    assert_eq!(queue.waiting.next(next, books, pools), Some(key("older")));
    queue.settle("older", &born(1, both));
    assert_eq!(queue.wake(&claim()), ["younger"]);
}

#[test]
fn a_port_that_is_given_up_wakes_only_those_who_share_the_key() {
    let mut queue = Queue::with([pool("lab", &["10.0.0.1/32"])]);
    queue.settle("holder", &sharing("k", &[80, 81]));
    queue.settle("alone", &born(1, claim()));
    queue.settle("sharer", &born(2, sharing("k", &[81])));
    queue.settle("holder", &sharing("k", &[80]));
    assert_eq!(queue.wake(&sharing("k", &[81])), ["sharer"]);
    assert_eq!(queue.cluster.status["sharer"], addresses(&["10.0.0.1"]));
}

#[test]
fn a_shared_address_that_is_new_to_its_group_wakes_the_rest_of_the_group() {
    let mut queue = Queue::with([pool("lab", &["10.0.0.1/32"])]);
    queue.settle("holder", &claim());
    for (created, name) in ["a", "b", "c"].into_iter().enumerate() {
        queue.settle(name, &born(i64::try_from(created).unwrap(), sharing("k", &[])));
    }
    queue.delete("holder");
    assert_eq!(queue.wake(&sharing("k", &[])), ["a", "b", "c"]);
}

#[test]
fn what_is_left_over_when_an_older_claim_evicts_is_open_to_all() {
    let mut cluster = Cluster::with([pool("lab", &["10.0.0.1/32", "fd00::1/128"])]);
    let younger = born(2, wanting(FamilyDemand::Both));
    cluster.status.insert("younger".into(), addresses(&["10.0.0.1", "fd00::1"]));
    cluster.settle("younger", &younger);
    cluster.status.insert("older".into(), addresses(&["10.0.0.1"]));
    let settlement = cluster.settle("older", &born(1, claim()));
    assert_eq!(settlement.evicted, BTreeSet::from([key("younger")]));
    assert_eq!(settlement.opened, BTreeSet::from_iter(addresses(&["fd00::1"])));
}

#[test]
fn who_is_served_or_deleted_waits_no_more() {
    let mut queue = Queue::with([pool("lab", &["10.0.0.1/32"])]);
    queue.settle("holder", &claim());
    queue.settle("a", &claim());
    queue.settle("b", &claim());
    queue.waiting.forget(&key("a"));
    queue.delete("holder");
    assert_eq!(queue.wake(&claim()), ["b"]);
    assert_eq!(queue.waiting.refusals().count(), 0);
}

#[test]
fn who_asks_for_an_address_that_cools_down_opens_it_to_its_group() {
    let mut queue = Queue::with([pool("lab", &["10.0.0.1/32"])]);
    let retention = Retention { reserve_for: 0, quarantine: 60 };
    queue.cluster.books.set_retentions(BTreeMap::from([("lab".into(), retention)]));
    queue.settle("gone", &claim());
    queue.delete("gone");
    queue.settle("waits", &sharing("k", &[81]));
    assert_eq!(queue.wake(&sharing("k", &[81])), [""; 0]);
    let one = Claim { requested: asking_for(&["10.0.0.1"]).requested, ..sharing("k", &[80]) };
    queue.settle("asks", &one);
    assert_eq!(queue.wake(&sharing("k", &[81])), ["waits"]);
}
