//! Sticky ownership: what is claimed, what is kept, and what is handed over.

use std::time::Duration;

use metallb_core::shared::SharedMap;
use metallb_protocols::liveness::{NodeId, Tenure};

use super::*;
use crate::speaker::lane::Membership;

fn tenure(epoch: u64, node: &str) -> Tenure {
    Tenure { epoch, owner: NodeId::from(&node.into()) }
}

fn claimed(claims: &[(IpAddr, Tenure)]) -> SharedMap<IpAddr, Tenure> {
    claims.iter().copied().collect()
}

/// Heartbeats say this, and that all speakers keep what they have.
fn membership(speakers: Speakers, claims: &[(IpAddr, Tenure)]) -> Membership {
    let speakers = Some(speakers);
    Membership { speakers, tenures: claimed(claims), is_on: true, all_keep: true, ..Membership::default() }
}

/// A node on which all lists are in, every speaker is alive, and this was claimed.
fn sticky(node: &str, claims: &[(IpAddr, Tenure)]) -> (Facts, Option<Tables>) {
    let mut facts = Facts::new(node.into(), false, true, Profile::Native, PACE);
    facts.set_sticky();
    facts.set_membership(Instant::now(), membership(all_alive(), claims));
    facts.set_links(Instant::now(), links());
    for input in inputs() {
        facts.apply(input);
    }
    let tables = facts.decide(Instant::now());
    (facts, tables)
}

#[test]
fn an_address_that_nobody_has_is_claimed_by_the_elected_node_and_that_once() {
    let (mut facts, tables) = sticky("node-b", &[]);
    let tables = tables.unwrap();
    assert_eq!(*tables.claims, [(vip(), tenure(1, "node-b"))].into());
    assert_eq!(tables.in_use.as_deref(), Some(&[vip()].into()));
    facts.set_tenures(Instant::now(), claimed(&[(vip(), tenure(1, "node-b"))]));
    let tables = facts.decide(Instant::now()).unwrap();
    assert!(tables.claims.is_empty() && tables.announced.contains_key(&vip()));
    let (_, statuses) = facts.tell();
    assert_eq!(statuses.unwrap().get(&key("web")).unwrap().epoch, Some(1));
    assert!(sticky("node-a", &[]).1.unwrap().claims.is_empty(), "another node is elected");
}

#[test]
fn who_has_an_address_keeps_it_though_another_one_would_be_elected() {
    let claims = [(vip(), tenure(7, "node-c"))];
    assert!(sticky("node-b", &claims).1.unwrap().announced.is_empty());
    let (mut facts, tables) = sticky("node-c", &claims);
    let tables = tables.unwrap();
    assert!(tables.announced.contains_key(&vip()) && tables.claims.is_empty());
    facts.set_speakers(Some(Speakers::Alive(["node-c".into(), "node-a".into()].into())));
    assert!(facts.decide(Instant::now()).is_none_or(|tables| tables.announced.contains_key(&vip())));
}

#[test]
fn what_a_dead_node_had_is_claimed_in_the_next_epoch() {
    let (mut facts, _) = sticky("node-b", &[(vip(), tenure(7, "node-c"))]);
    facts.set_speakers(Some(Speakers::Alive(["node-a".into(), "node-b".into()].into())));
    let tables = facts.decide(Instant::now()).unwrap();
    assert_eq!(*tables.claims, [(vip(), tenure(8, "node-b"))].into());
    assert!(tables.announced.contains_key(&vip()));
}

#[test]
fn what_another_node_claimed_meanwhile_is_let_go_at_once() {
    let (mut facts, _) = sticky("node-b", &[(vip(), tenure(1, "node-b"))]);
    facts.set_tenures(Instant::now(), claimed(&[(vip(), tenure(2, "node-a"))]));
    let tables = facts.decide(Instant::now()).unwrap();
    assert!(tables.announced.is_empty() && tables.moved.is_empty(), "that one announces it already");
}

#[test]
fn who_just_claimed_an_address_is_believed_for_a_second_before_it_is_heard() {
    let (mut facts, _) = sticky("node-b", &[(vip(), tenure(1, "node-b"))]);
    facts.set_speakers(Some(Speakers::Alive(["node-b".into(), "node-c".into()].into())));
    let now = Instant::now();
    facts.decide(now);
    facts.set_tenures(now, claimed(&[(vip(), tenure(2, "node-a"))]));
    let tables = facts.decide(now).unwrap();
    assert!(tables.announced.is_empty() && tables.claims.is_empty(), "a network heals");
    assert!(facts.poll_timeout().unwrap() <= now + Duration::from_secs(1));
    let tables = facts.decide(now + Duration::from_secs(1)).unwrap();
    assert_eq!(*tables.claims, [(vip(), tenure(3, "node-b"))].into(), "it is dead after all");
}

#[test]
fn a_node_whose_name_is_unknown_has_nothing() {
    let (_, tables) = sticky("node-b", &[(vip(), tenure(7, "node-z"))]);
    assert_eq!(*tables.unwrap().claims, [(vip(), tenure(8, "node-b"))].into());
}

/// node-b, which has all addresses that there are, and what was claimed of them.
fn with_nine_addresses() -> (Facts, Vec<(IpAddr, Tenure)>) {
    let addresses: Vec<String> = (1..=9).map(|last| format!("10.0.0.{last}")).collect();
    let texts: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let claims: Vec<_> = texts.iter().map(|text| (text.parse().unwrap(), tenure(1, "node-b"))).collect();
    let (mut facts, _) = sticky("node-b", &claims);
    facts.apply(Input::Service(Event::Applied(key("web"), row(&texts))));
    (facts, claims)
}

#[test]
fn who_has_far_too_many_hands_one_over_at_a_time_and_answers_until_it_is_gone() {
    let (mut facts, claims) = with_nine_addresses();
    let start = Instant::now();
    facts.decide(start);
    let handed_over = |facts: &mut Facts, seconds| {
        let tables = facts.decide(start + Duration::from_secs(seconds));
        tables.map(|tables| {
            tables.claims.iter().map(|(address, tenure)| (*address, *tenure)).collect::<Vec<_>>()
        })
    };
    assert_eq!(handed_over(&mut facts, 29), None, "who comes back may go again");
    assert!(facts.poll_timeout().unwrap() <= start + Duration::from_secs(31));
    let [(address, given)] = handed_over(&mut facts, 31).unwrap()[..] else { panic!("one at a time") };
    assert_eq!(given.epoch, 2);
    assert_ne!(given.owner, NodeId::from(&"node-b".into()));
    let mut after = claims.clone();
    after.retain(|(kept, _)| *kept != address);
    after.push((address, given));
    facts.set_tenures(Instant::now(), claimed(&after));
    let tables = facts.decide(start + Duration::from_secs(31)).unwrap();
    assert!(tables.moved.contains(&address) && !tables.announced.contains_key(&address));
}

#[test]
fn while_one_speaker_goes_by_the_hash_alone_all_do() {
    let claims = [(vip(), tenure(7, "node-c"))];
    let (mut facts, _) = sticky("node-b", &claims);
    facts.set_membership(Instant::now(), Membership { all_keep: false, ..membership(all_alive(), &claims) });
    let tables = facts.decide(Instant::now()).unwrap();
    assert!(tables.announced.contains_key(&vip()), "node-c goes by the hash, too");
    assert_eq!(
        *tables.claims,
        [(vip(), tenure(8, "node-b"))].into(),
        "so that it has it when all keep what they have"
    );
    facts.set_membership(Instant::now(), membership(all_alive(), &claims));
    assert!(facts.decide(Instant::now()).unwrap().announced.is_empty());
}

#[test]
fn who_comes_back_is_given_addresses_though_nothing_moved_by_that() {
    let (mut facts, claims) = with_nine_addresses();
    let start = Instant::now();
    let alone = Speakers::Alive(["node-b".into()].into());
    facts.set_membership(start, membership(alone, &claims));
    facts.decide(start);
    facts.decide(start + Duration::from_mins(2));
    assert_eq!(facts.poll_timeout(), None, "there is nobody to give to");
    facts.set_membership(start + Duration::from_mins(3), membership(all_alive(), &claims));
    facts.decide(start + Duration::from_mins(3));
    let tables = facts.decide(start + Duration::from_secs(211)).unwrap();
    assert_eq!(tables.claims.len(), 1);
    // What comes of it is no reason to wait longer.
    let given: Vec<_> = tables.claims.iter().map(|(address, tenure)| (*address, *tenure)).collect();
    let kept = claims.iter().filter(|(address, _)| *address != given[0].0).copied();
    let after: Vec<_> = kept.chain(given.clone()).collect();
    facts.set_membership(start + Duration::from_secs(211), membership(all_alive(), &after));
    facts.decide(start + Duration::from_secs(211));
    assert!(facts.poll_timeout().unwrap() <= start + Duration::from_secs(212));
}

#[test]
fn who_hears_less_than_half_of_the_others_announces_what_they_had_and_claims_nothing() {
    let (mut facts, _) = sticky("node-b", &[(vip(), tenure(7, "node-c"))]);
    facts.set_speakers(Some(Speakers::Alive(["node-b".into()].into())));
    let tables = facts.decide(Instant::now()).unwrap();
    assert!(tables.announced.contains_key(&vip()) && tables.claims.is_empty(), "it may be cut off");
    facts.set_speakers(Some(Speakers::Alive(["node-a".into(), "node-b".into()].into())));
    let tables = facts.decide(Instant::now()).unwrap();
    assert_eq!(*tables.claims, [(vip(), tenure(8, "node-b"))].into(), "node-c is dead for most");
}
