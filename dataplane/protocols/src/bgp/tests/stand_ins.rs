//! Routes in the name of other nodes: beside our own, with the other's next hop, and gone without a trace.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use metallb_core::address::Family;
use metallb_core::config::RouterId;
use metallb_core::names::NodeName;
use metallb_core::plan::RouteAttributes;

use super::adverts::external;
use super::lab::settings;
use crate::bgp::adverts::{Adverts, InItsName, Outlook, Paths, StandIns};
use crate::bgp::session::Settings;
use crate::bgp::wire::{
    AddressFamily, Capability, Direction, Frame, Kind, LARGEST, PathId, Prefixes, Update,
};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// A router that takes several routes to one prefix: by prefix and identifier, the next hop.
#[derive(Debug, Default, PartialEq, Eq)]
struct Router(BTreeMap<(Ipv4Net, u32), Ipv4Addr>);

impl Router {
    /// Reads an UPDATE with path identifiers before its IPv4 prefixes (RFC 7911 §3), by the letter of RFC 4271 §4.3.
    fn read(&mut self, message: &[u8]) {
        let frame = Frame::split(message, LARGEST).unwrap().unwrap();
        assert_eq!(frame.kind, Kind::Update);
        let (withdrawn, rest) = sized(frame.body);
        let (attributes, announced) = sized(rest);
        for route in routes(withdrawn) {
            assert!(self.0.remove(&route).is_some(), "{route:?} was never announced");
        }
        for route in routes(announced) {
            self.0.insert(route, next_hop(attributes));
        }
    }

    fn read_all(&mut self, own: &mut Adverts, stand_ins: &mut StandIns) {
        while let Some(message) = own.next_message(&outlook()).or_else(|| stand_ins.next_message(&outlook()))
        {
            self.read(&message);
        }
        assert!(!stand_ins.has_message());
    }

    fn next_hops(&self) -> BTreeSet<Ipv4Addr> {
        self.0.values().copied().collect()
    }
}

fn sized(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes[2..].split_at(u16::from_be_bytes([bytes[0], bytes[1]]).into())
}

fn routes(mut bytes: &[u8]) -> Vec<(Ipv4Net, u32)> {
    let mut routes = Vec::new();
    while let [a, b, c, d, length, rest @ ..] = bytes {
        let (prefix, rest) = rest.split_at(usize::from(*length).div_ceil(8));
        let mut octets = [0; 4];
        octets[..prefix.len()].copy_from_slice(prefix);
        routes.push((Ipv4Net::new(octets.into(), *length).unwrap(), u32::from_be_bytes([*a, *b, *c, *d])));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "{bytes:?} is left");
    routes
}

fn next_hop(mut attributes: &[u8]) -> Ipv4Addr {
    while let [_, code, length, rest @ ..] = attributes {
        let (value, rest) = rest.split_at((*length).into());
        if *code == 3 {
            return <[u8; 4]>::try_from(value).unwrap().into();
        }
        attributes = rest;
    }
    panic!("no next hop")
}

fn outlook() -> Outlook {
    Outlook { paths: Paths { v4: Some(StandIns::OWN), v6: None }, ..external() }
}

fn hosts(count: u32) -> BTreeMap<IpNet, Arc<RouteAttributes>> {
    let host = |n: u32| IpNet::V4(Ipv4Net::new((0x0a05_0000 + n).into(), 32).unwrap());
    (0..count).map(|n| (host(n), Arc::default())).collect()
}

fn in_the_name_of(node: &str, count: u32) -> BTreeMap<NodeName, InItsName> {
    [(node.into(), InItsName { next_hop: THEIRS, routes: hosts(count) })].into()
}

/// A session that carries several routes to one prefix, or not, with two of our own.
fn session(additional_paths: bool) -> (Adverts, StandIns) {
    let (mut own, mut stand_ins) = (Adverts::default(), StandIns::default());
    own.want_all(&hosts(2));
    own.begin(&[Family::V4].into());
    stand_ins.begin(&additional_paths.then_some(Family::V4).into_iter().collect());
    (own, stand_ins)
}

#[test]
fn what_is_told_in_anothers_name_is_beside_our_own_and_has_its_next_hop() {
    let (mut own, mut stand_ins) = session(true);
    let mut router = Router::default();
    stand_ins.set(in_the_name_of("other", 2));
    router.read_all(&mut own, &mut stand_ins);
    assert_eq!(router.0.len(), 4, "two routes to each of two prefixes: {router:?}");
    assert_eq!(router.next_hops(), [OWN, THEIRS].into());
    for ((_, path), next_hop) in &router.0 {
        assert_eq!(*path == StandIns::OWN.0, *next_hop == OWN, "one number, one node");
    }

    stand_ins.set(in_the_name_of("other", 1));
    router.read_all(&mut own, &mut stand_ins);
    assert_eq!(router.0.len(), 3, "it announces one of them no longer");
    stand_ins.set(BTreeMap::new());
    router.read_all(&mut own, &mut stand_ins);
    assert_eq!(
        (router.next_hops(), stand_ins.is_empty()),
        ([OWN].into(), true),
        "and then nothing is left of it"
    );
}

#[test]
fn a_thousand_routes_in_anothers_name_fill_messages_and_no_message_overflows() {
    let (mut own, mut stand_ins) = session(true);
    stand_ins.set(in_the_name_of("other", 1000));
    let mut router = Router::default();
    let mut messages = 0;
    while let Some(message) = stand_ins.next_message(&outlook()) {
        assert!(message.len() <= LARGEST);
        router.read(&message);
        messages += 1;
    }
    assert_eq!((router.0.len(), messages), (1000, 3));
    router.read_all(&mut own, &mut stand_ins);
    assert_eq!(router.0.len(), 1002);
}

#[test]
fn two_nodes_are_told_apart_and_a_new_session_is_told_all_anew() {
    let (mut own, mut stand_ins) = session(true);
    let mut both = in_the_name_of("other", 1);
    both.extend(in_the_name_of("third", 1));
    stand_ins.set(both);
    let mut router = Router::default();
    router.read_all(&mut own, &mut stand_ins);
    let known = router.0.len();
    assert_eq!(known, 4);

    own.end();
    stand_ins.end();
    assert!(!stand_ins.has_message(), "there is nobody to tell");
    own.begin(&[Family::V4].into());
    stand_ins.begin(&[Family::V4].into());
    let mut anew = Router::default();
    anew.read_all(&mut own, &mut stand_ins);
    assert_eq!(anew, router);
    stand_ins.refresh(Family::V4);
    assert!(stand_ins.has_message(), "nor is a router refused that asks again");
}

#[test]
fn a_router_that_takes_one_route_to_a_prefix_is_told_nothing_in_anothers_name() {
    for families in [vec![], vec![Family::V6]] {
        let (_, mut stand_ins) = session(false);
        stand_ins.begin(&families.into_iter().collect());
        stand_ins.set(in_the_name_of("other", 2));
        assert_eq!(stand_ins.next_message(&outlook()), None);
        stand_ins.set(BTreeMap::new());
        assert!(stand_ins.is_empty());
    }
}

#[test]
fn several_routes_to_a_prefix_flow_where_we_send_them_and_the_router_takes_them() {
    let ours = Settings { additional_paths: true, ..settings(64_512, 64_513) };
    let other =
        Settings { router_id: RouterId::new([9, 9, 9, 9].into()).unwrap(), ..settings(64_513, 64_512) };
    let agreed = |ours: &Settings, said: Option<Direction>| {
        let mut theirs = other.offer(false, false);
        let family = AddressFamily::IPV4_UNICAST;
        theirs.capabilities.extend(said.map(|said| Capability::AdditionalPaths(vec![(family, said)])));
        ours.negotiate(&ours.offer(false, false), &theirs).unwrap().additional_paths
    };
    for (said, paths) in [
        (None, vec![]),
        (Some(Direction::Send), vec![]),
        (Some(Direction::Receive), vec![Family::V4]),
        (Some(Direction::Both), vec![Family::V4]),
    ] {
        assert_eq!(agreed(&ours, said), paths.into_iter().collect(), "{said:?}");
        assert!(agreed(&settings(64_512, 64_513), said).is_empty(), "it was not offered");
    }
}

/// RFC 7911 §3: four octets before each prefix, wherever there are prefixes.
#[test]
fn the_identifier_is_before_every_prefix() {
    let net = |text: &str| text.parse().unwrap();
    let mut v6 = Prefixes::none(Family::V6);
    v6.push("2001:db8::/32".parse().unwrap());
    let update = Update { withdrawn: vec![net("10.0.0.0/8")], mp_withdrawn: Some(v6), ..Update::default() };
    let with = update.emit_with(Some(PathId(7)), true, LARGEST).unwrap();
    let without = update.emit(true, LARGEST).unwrap();
    assert_eq!(with.len(), without.len() + 2 * PathId::OCTETS);
    assert!(with.windows(6).any(|octets| octets == [0, 0, 0, 7, 8, 10]));
    assert!(with.windows(9).any(|octets| octets == [0, 0, 0, 7, 32, 0x20, 0x01, 0x0d, 0xb8]));
}
