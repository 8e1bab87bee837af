//! What routers are told: all that is wanted, nothing else, withdrawals first, in few messages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use metallb_core::address::Family;
use metallb_core::config::{Asn, Community};
use proptest::prelude::*;

use crate::bgp::adverts::{Adverts, Defaults, NextHops, Outlook, Paths, RouteAttributes, Unsendable};
use crate::bgp::wire::{
    Attributes, Demarcation, Frame, HEADER, Kind, LARGEST, LARGEST_EXTENDED, Parsed, Prefixes, RouteRefresh,
    Sender, Update,
};

const BOTH: [Family; 2] = [Family::V4, Family::V6];

/// What a router has learnt from messages.
#[derive(Debug, Default)]
pub struct Router {
    pub routes: BTreeMap<IpNet, Attributes>,
    pub ended: BTreeSet<Family>,
    pub marks: Vec<(Family, Demarcation)>,
    pub updates: usize,
}

impl Router {
    pub fn read(&mut self, message: &[u8], sender: Sender) {
        let frame = Frame::split(message, LARGEST_EXTENDED).unwrap().unwrap();
        assert_eq!(frame.length, message.len());
        if frame.kind == Kind::RouteRefresh {
            let refresh = RouteRefresh::parse(frame.body).unwrap();
            return self.marks.push((refresh.family.unicast().unwrap(), refresh.demarcation));
        }
        assert_eq!(frame.kind, Kind::Update);
        let Ok(Parsed::Sound { update, set_aside }) = Update::parse(frame.body, sender) else {
            panic!("a router would not take {message:x?}")
        };
        assert!(set_aside.is_empty(), "{set_aside:?}");
        if let Some(family) = update.ends_rib() {
            self.ended.insert(family);
            return;
        }
        self.updates += 1;
        let gone = update.withdrawn.iter().copied().map(IpNet::V4);
        for prefix in gone.chain(update.mp_withdrawn.iter().flat_map(Prefixes::nets)) {
            assert!(self.routes.remove(&prefix).is_some(), "{prefix} was never announced");
        }
        let came = update.announced.iter().copied().map(IpNet::V4);
        let reach = update.mp_announced.iter().flat_map(|reach| reach.prefixes.nets());
        for prefix in came.chain(reach) {
            self.routes.insert(prefix, update.attributes.clone());
        }
    }

    fn read_all(&mut self, adverts: &mut Adverts, outlook: &Outlook) {
        while let Some(message) = adverts.next_message(outlook) {
            assert!(message.len() <= outlook.limit);
            self.read(&message, sender(outlook));
        }
    }

    fn prefixes(&self) -> BTreeSet<IpNet> {
        self.routes.keys().copied().collect()
    }
}

fn sender(outlook: &Outlook) -> Sender {
    Sender { four_octet_as: outlook.four_octet_as, internal: outlook.internal }
}

/// A router of another system, next door.
pub fn external() -> Outlook {
    Outlook {
        asn: Asn::new(64_512).unwrap(),
        internal: false,
        four_octet_as: true,
        extended_next_hop: false,
        paths: Paths::default(),
        limit: LARGEST,
        next_hops: NextHops {
            v4: Some([10, 0, 0, 1].into()),
            v6: Some("fd00::1".parse().unwrap()),
            link_local: None,
            over_ipv4: true,
        },
        defaults: Defaults { local_preference: 100, med: Some(0) },
        draining: false,
    }
}

fn plain() -> Arc<RouteAttributes> {
    Arc::default()
}

fn marked(value: u16) -> Arc<RouteAttributes> {
    let communities = [Community::Standard { asn: 64_512, value }].into();
    Arc::new(RouteAttributes { communities, local_preference: Some(value.into()) })
}

fn host(n: u32) -> IpNet {
    Ipv4Net::new((0x0a00_0000 + n).into(), 32).unwrap().into()
}

fn hosts(count: u32, attributes: &Arc<RouteAttributes>) -> BTreeMap<IpNet, Arc<RouteAttributes>> {
    (0..count).map(|n| (host(n), Arc::clone(attributes))).collect()
}

/// Announced to a router that has read everything.
fn told(wanted: &BTreeMap<IpNet, Arc<RouteAttributes>>) -> (Adverts, Router) {
    let (mut adverts, mut router) = (Adverts::default(), Router::default());
    adverts.want_all(wanted);
    adverts.begin(&BOTH.into());
    router.read_all(&mut adverts, &external());
    assert!(adverts.is_synchronised());
    (adverts, router)
}

#[test]
fn a_thousand_prefixes_with_equal_attributes_take_less_than_ten_messages() {
    let (adverts, router) = told(&hosts(1000, &marked(1)));
    assert_eq!((router.routes.len(), adverts.announced()), (1000, 1000));
    assert!(router.updates < 10, "{} messages", router.updates);
    let v6 = (0..1000_u128)
        .map(|n| (IpNet::new(std::net::Ipv6Addr::from_bits(n).into(), 128).unwrap(), marked(1)));
    let (_, router) = told(&v6.collect());
    assert_eq!(router.routes.len(), 1000);
    assert!(router.updates < 10, "{} messages", router.updates);
}

#[test]
fn what_goes_leaves_before_what_comes() {
    let (mut adverts, _) = told(&hosts(2, &plain()));
    adverts.want(host(7), Some(plain()));
    adverts.want(host(0), None);
    let first = adverts.next_message(&external()).unwrap();
    let Ok(Parsed::Sound { update, .. }) = Update::parse(&first[HEADER..], sender(&external())) else {
        panic!("not understood")
    };
    assert_eq!((update.withdrawn.len(), update.announced.len()), (1, 0));
}

#[test]
fn the_end_is_told_once_per_family_after_the_first_routes_and_not_before_all_are_known() {
    let (mut adverts, mut router) = (Adverts::default(), Router::default());
    adverts.begin(&BOTH.into());
    adverts.want(host(1), Some(plain()));
    router.read_all(&mut adverts, &external());
    assert_eq!((router.routes.len(), router.ended.len()), (1, 0), "more may come");
    assert!(!adverts.is_synchronised() && !adverts.has_message());
    adverts.want_all(&hosts(3, &plain()));
    assert!(adverts.has_message());
    router.read_all(&mut adverts, &external());
    assert_eq!((router.routes.len(), router.ended.len()), (3, 2));
    assert!(adverts.is_synchronised() && !adverts.has_message());
}

#[test]
fn what_is_wanted_already_costs_no_message() {
    let wanted = hosts(100, &marked(1));
    let (mut adverts, _) = told(&wanted);
    adverts.want_all(&wanted);
    adverts.want(host(5), Some(marked(1)));
    assert_eq!((adverts.next_message(&external()), adverts.pending()), (None, 0));
}

#[test]
fn changes_that_a_slow_router_has_not_read_yet_become_one() {
    let (mut adverts, mut router) = told(&hosts(1, &plain()));
    for value in 0..1000 {
        adverts.want(host(0), Some(marked(value)));
        adverts.want(host(1), Some(marked(value)));
        adverts.want(host(1), None);
    }
    let before = router.updates;
    router.read_all(&mut adverts, &external());
    assert_eq!((router.updates - before, router.prefixes()), (1, [host(0)].into()));
    adverts.want(host(0), None);
    adverts.want(host(0), Some(marked(999)));
    assert_eq!(adverts.next_message(&external()), None, "there and back again");
}

#[test]
fn a_refresh_tells_everything_of_its_family_again_between_marks() {
    let mut wanted = hosts(10, &plain());
    wanted.insert("fd00:1::/64".parse().unwrap(), plain());
    let (mut adverts, mut router) = told(&wanted);
    for (marked, marks) in
        [(false, vec![]), (true, vec![(Family::V4, Demarcation::Beginning), (Family::V4, Demarcation::End)])]
    {
        assert!(adverts.refresh(Family::V4, marked));
        router.routes.clear();
        router.read_all(&mut adverts, &external());
        assert_eq!((router.routes.len(), std::mem::take(&mut router.marks)), (10, marks));
    }
    assert_eq!(adverts.announced(), 11);
}

#[test]
fn requests_that_come_while_an_answer_is_under_way_are_answered_once_and_after_it() {
    let (mut adverts, mut router) = told(&hosts(1000, &plain()));
    let begins_and_ends = [Demarcation::Beginning, Demarcation::End].map(|mark| (Family::V4, mark));
    for _ in 0..1000 {
        assert!(adverts.refresh(Family::V4, true));
    }
    // A request is a note; the work is done for who reads.
    assert_eq!((adverts.pending(), adverts.has_message(), adverts.is_synchronised()), (0, true, false));
    for _ in 0..2 {
        let message = adverts.next_message(&external()).unwrap();
        router.read(&message, sender(&external()));
    }
    let under_way = adverts.pending();
    assert!(under_way > 0 && under_way < 1000, "{under_way}");
    for _ in 0..1000 {
        assert!(adverts.refresh(Family::V4, true));
    }
    assert_eq!(adverts.pending(), under_way);
    router.read_all(&mut adverts, &external());
    assert_eq!(router.marks, [begins_and_ends, begins_and_ends].concat());
    assert!(adverts.is_synchronised() && !adverts.has_message());
}

#[test]
fn a_refresh_of_what_the_session_does_not_carry_is_nothing() {
    let mut adverts = Adverts::default();
    adverts.begin(&[Family::V4].into());
    assert!(!adverts.refresh(Family::V6, true));
}

#[test]
fn what_the_router_is_to_know_is_counted_whether_it_knows_it_or_not() {
    let mut adverts = Adverts::default();
    adverts.want_all(&hosts(3, &plain()));
    assert_eq!((adverts.wanted(), adverts.announced()), (3, 0), "without a session");
    adverts.begin(&BOTH.into());
    Router::default().read_all(&mut adverts, &external());
    assert_eq!((adverts.wanted(), adverts.announced()), (3, 3));
    adverts.want(host(0), None);
    adverts.want(host(0), None);
    adverts.want(host(1), Some(marked(1)));
    assert_eq!((adverts.wanted(), adverts.announced()), (2, 3), "before it is told");
    adverts.want(host(0), Some(plain()));
    adverts.end();
    assert_eq!((adverts.wanted(), adverts.announced()), (3, 0));
}

#[test]
fn another_session_is_told_everything() {
    let (mut adverts, _) = told(&hosts(3, &plain()));
    adverts.end();
    assert_eq!((adverts.announced(), adverts.next_message(&external())), (0, None));
    let mut router = Router::default();
    adverts.begin(&BOTH.into());
    router.read_all(&mut adverts, &external());
    assert_eq!((router.routes.len(), router.ended.len()), (3, 2));
}

#[test]
fn a_route_with_more_communities_than_fit_is_named_and_the_others_are_told() {
    let communities = (0..2000).map(|value| Community::Standard { asn: 1, value });
    let huge = Arc::new(RouteAttributes { communities: communities.collect(), local_preference: None });
    let (mut adverts, mut router) = told(&hosts(3, &plain()));
    adverts.want(host(1), Some(huge));
    router.read_all(&mut adverts, &external());
    assert_eq!(router.prefixes(), [host(0), host(2)].into(), "the old one holds no longer");
    let unsendable: Vec<_> = adverts.unsendable().collect();
    assert!(
        matches!(unsendable[..], [(prefix, Unsendable::TooLong(_))] if *prefix == host(1)),
        "{unsendable:?}"
    );
    adverts.want(host(1), Some(plain()));
    router.read_all(&mut adverts, &external());
    assert_eq!((router.prefixes().len(), adverts.unsendable().count()), (3, 0));
}

#[test]
fn without_an_address_to_send_to_a_family_is_not_told() {
    let mut wanted = hosts(1, &plain());
    wanted.insert("fd00:1::/64".parse().unwrap(), plain());
    let (mut adverts, mut router) = (Adverts::default(), Router::default());
    adverts.want_all(&wanted);
    adverts.begin(&BOTH.into());
    let outlook = Outlook { next_hops: NextHops { v6: None, ..external().next_hops }, ..external() };
    router.read_all(&mut adverts, &outlook);
    assert_eq!(router.prefixes(), [host(0)].into());
    assert!(adverts.unsendable().all(|(_, why)| *why == Unsendable::NoNextHop(Family::V6)));
    assert_eq!(adverts.unsendable().count(), 1);
}

fn look(outlook: &Outlook, attributes: Arc<RouteAttributes>) -> Attributes {
    let (mut adverts, mut router) = (Adverts::default(), Router::default());
    adverts.want(host(0), Some(attributes));
    adverts.begin(&BOTH.into());
    router.read_all(&mut adverts, outlook);
    router.routes.remove(&host(0)).unwrap()
}

#[test]
fn a_route_looks_to_each_router_as_its_session_wants() {
    let seen = look(&external(), marked(7));
    assert_eq!((seen.local_preference, seen.med, seen.communities.len()), (None, Some(0), 1));
    assert_eq!(seen.as_path.unwrap().segments()[0].systems(), [Asn::new(64_512).unwrap()]);

    let internal = Outlook { internal: true, ..external() };
    let seen = look(&internal, marked(7));
    assert_eq!((seen.local_preference, seen.as_path.unwrap().segments().len()), (Some(7), 0));
    assert_eq!(look(&internal, plain()).local_preference, Some(100), "the default");

    let old = Outlook { four_octet_as: false, asn: Asn::new(4_200_000_000).unwrap(), ..external() };
    assert_eq!(look(&old, plain()).as_path.unwrap().segments()[0].systems(), [old.asn]);
}

#[test]
fn ipv4_routes_go_over_ipv6_where_that_was_agreed_on() {
    let link = NextHops { link_local: Some("fe80::1".parse().unwrap()), ..NextHops::default() };
    let outlook = Outlook { extended_next_hop: true, next_hops: link, ..external() };
    let (mut adverts, mut router) = (Adverts::default(), Router::default());
    adverts.want_all(&hosts(2, &plain()));
    adverts.begin(&BOTH.into());
    router.read_all(&mut adverts, &outlook);
    adverts.want(host(1), None);
    router.read_all(&mut adverts, &outlook);
    assert_eq!(router.prefixes(), [host(0)].into());
}

/// GoBGP agrees on it with whoever offers it, also where there is no IPv6 at all.
#[test]
fn ipv4_routes_of_a_session_over_ipv4_go_over_ipv4_whatever_was_agreed_on() {
    let next_hops = NextHops { v4: Some([10, 0, 0, 1].into()), over_ipv4: true, ..NextHops::default() };
    let outlook = Outlook { extended_next_hop: true, next_hops, ..external() };
    let (mut adverts, mut router) = (Adverts::default(), Router::default());
    adverts.want_all(&hosts(2, &plain()));
    adverts.begin(&BOTH.into());
    router.read_all(&mut adverts, &outlook);
    assert_eq!(router.prefixes(), [host(0), host(1)].into());
    assert_eq!(adverts.unsendable().count(), 0);
}

#[test]
fn a_node_that_leaves_marks_its_routes_and_unmarks_them_if_it_stays() {
    let (mut adverts, mut router) = told(&hosts(2, &plain()));
    let shutdown = Community::Standard { asn: 65_535, value: 0 };
    for draining in [true, false] {
        adverts.set_draining(draining);
        router.read_all(&mut adverts, &external());
        assert!(router.routes.values().all(|route| route.communities.contains(&shutdown) == draining));
    }
    let internal = Outlook { internal: true, ..external() };
    adverts.set_draining(true);
    router.read_all(&mut adverts, &internal);
    assert!(router.routes.values().all(|route| route.local_preference == Some(0)));
}

#[derive(Clone, Debug)]
enum Step {
    Want(u32, Option<u16>),
    Read(usize),
    Refresh(bool),
    Reconnect,
    Drain(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_u32..40, proptest::option::of(0_u16..3)).prop_map(|(n, value)| Step::Want(n, value)),
        4 => (0_usize..4).prop_map(Step::Read),
        1 => any::<bool>().prop_map(Step::Refresh),
        1 => Just(Step::Reconnect),
        1 => any::<bool>().prop_map(Step::Drain),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    #[test]
    fn in_the_end_the_router_knows_what_is_wanted_and_nothing_else(steps in steps()) {
        let (mut adverts, mut router) = (Adverts::default(), Router::default());
        let mut wanted = BTreeMap::new();
        let mut draining = false;
        // Small messages, so that there are many.
        let outlook = Outlook { limit: 90, internal: true, ..external() };
        adverts.begin(&BOTH.into());
        for step in steps {
            match step {
                Step::Want(n, value) => {
                    let attributes = value.map(marked);
                    adverts.want(host(n), attributes.clone());
                    match attributes {
                        Some(attributes) => { wanted.insert(host(n), attributes); }
                        None => { wanted.remove(&host(n)); }
                    }
                }
                Step::Read(messages) => for _ in 0..messages {
                    adverts.next_message(&outlook).into_iter().for_each(|message| router.read(&message, sender(&outlook)));
                },
                Step::Refresh(marked) => { adverts.refresh(Family::V4, marked); }
                Step::Reconnect => {
                    router = Router::default();
                    adverts.begin(&BOTH.into());
                }
                Step::Drain(on) => {
                    draining = on;
                    adverts.set_draining(on);
                }
            }
        }
        router.read_all(&mut adverts, &outlook);
        let preference = |route: &Attributes| route.local_preference.unwrap();
        let known: BTreeMap<_, _> = router.routes.iter().map(|(prefix, route)| (*prefix, preference(route))).collect();
        let expected: BTreeMap<_, _> = wanted
            .iter()
            .map(|(prefix, attributes)| (*prefix, if draining { 0 } else { attributes.local_preference.unwrap() }))
            .collect();
        prop_assert_eq!(known, expected);
        prop_assert_eq!((adverts.announced(), adverts.pending()), (wanted.len(), 0));
    }
}
