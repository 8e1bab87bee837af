//! Values of every kind of message, for properties.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::{Ipv4Net, Ipv6Net};
use metallb_core::config::{Asn, Community, HoldTime, RouterId};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::bgp::wire::{
    AddressFamily, Aggregator, AsPath, Attributes, Capability, Direction, ExtendedCommunity, GracefulRestart,
    MpReach, NextHop, Notification, Open, Origin, Prefixes, Reason, RestartTime, Segment, SegmentKind, Short,
    Update,
};

pub fn asn() -> impl Strategy<Value = Asn> {
    prop_oneof![1_u32..=65_535, 65_536_u32..]
        // 23456 stands for others where two octets have to do.
        .prop_filter_map("AS_TRANS", |number| Asn::new(number).filter(|asn| asn.get() != 23_456))
}

fn family() -> impl Strategy<Value = AddressFamily> {
    prop_oneof![
        Just(AddressFamily::IPV4_UNICAST),
        Just(AddressFamily::IPV6_UNICAST),
        Just(AddressFamily { afi: 1, safi: 2 }),
    ]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Receive), Just(Direction::Send), Just(Direction::Both)]
}

fn capability() -> impl Strategy<Value = Capability> {
    prop_oneof![
        family().prop_map(Capability::Multiprotocol),
        Just(Capability::RouteRefresh),
        vec((family(), 1_u16..=2), 0..5).prop_map(Capability::ExtendedNextHop),
        Just(Capability::ExtendedMessage),
        vec((family(), direction()), 0..5).prop_map(Capability::AdditionalPaths),
        Just(Capability::EnhancedRouteRefresh),
        (any::<bool>(), any::<bool>(), 0_u16..4096, vec((family(), any::<bool>()), 0..5)).prop_map(
            |(restarting, notifications, time, families)| {
                let time = RestartTime::new(time).unwrap();
                Capability::GracefulRestart(GracefulRestart { restarting, notifications, time, families })
            }
        ),
        "[a-z0-9.-]{0,253}".prop_map(|name| Capability::HostName(Short::new(name).unwrap())),
        // These codes are nobody's.
        (190_u8..=230, vec(any::<u8>(), 0..=255))
            .prop_map(|(code, value)| Capability::Other { code, value: Short::new(value).unwrap() }),
    ]
}

pub fn open() -> impl Strategy<Value = Open> {
    let hold = prop_oneof![Just(0_u64), 3_u64..=65_535];
    // Those that are no address of a host are allowed too, but other codecs refuse them.
    let id = (1_u32..1 << 31).prop_filter_map("0.0.0.0", |id| RouterId::new(id.into()));
    (asn(), any::<bool>(), hold, id, vec(capability(), 0..12)).prop_map(
        |(asn, four, hold, router_id, capabilities)| {
            let four_octet_as = four || asn.get() > 65_535;
            let hold_time = HoldTime::try_from(Duration::from_secs(hold)).unwrap();
            Open { asn, four_octet_as, hold_time, router_id, capabilities }
        },
    )
}

pub fn notification() -> impl Strategy<Value = Notification> {
    (any::<(u8, u8)>(), vec(any::<u8>(), 0..300))
        .prop_map(|((code, subcode), data)| Notification::new(Reason { code, subcode }, data))
}

/// Unicast: the upper half has multicast in it, which other codecs refuse.
pub fn v4_nets(most: usize) -> impl Strategy<Value = Vec<Ipv4Net>> {
    vec((any::<u32>(), 0_u8..=32), 0..=most)
        .prop_map(|nets| nets.into_iter().map(|(bits, length)| v4((bits >> 1).into(), length)).collect())
}

fn v4(address: Ipv4Addr, length: u8) -> Ipv4Net {
    Ipv4Net::new(address, length).unwrap().trunc()
}

fn v6_nets(most: usize) -> impl Strategy<Value = Vec<Ipv6Net>> {
    vec((any::<u128>(), 0_u8..=128), 0..=most).prop_map(|nets| {
        let net = |(bits, length)| Ipv6Net::new(Ipv6Addr::from_bits(bits >> 1), length).unwrap().trunc();
        nets.into_iter().map(net).collect()
    })
}

fn prefixes() -> impl Strategy<Value = Prefixes> {
    prop_oneof![v4_nets(20).prop_map(Prefixes::V4), v6_nets(20).prop_map(Prefixes::V6)]
}

fn v6_next_hop() -> impl Strategy<Value = NextHop> {
    any::<(u128, Option<u128>)>()
        .prop_map(|(global, local)| NextHop::V6 { global: global.into(), link_local: local.map(Into::into) })
}

fn mp_reach() -> impl Strategy<Value = MpReach> {
    let v4_hop = any::<u32>().prop_map(|bits| NextHop::V4(bits.into()));
    prop_oneof![
        (v4_hop, v4_nets(20)).prop_map(|(next_hop, nets)| MpReach { next_hop, prefixes: Prefixes::V4(nets) }),
        (v6_next_hop(), prefixes()).prop_map(|(next_hop, prefixes)| MpReach { next_hop, prefixes }),
    ]
}

/// Paths without confederations, of few or very many systems.
pub fn as_path() -> impl Strategy<Value = AsPath> {
    let kind = prop_oneof![3 => Just(SegmentKind::Sequence), 1 => Just(SegmentKind::Set)];
    let systems = prop_oneof![4 => vec(asn(), 1..5), 1 => vec(asn(), 200..=255)];
    let segment = (kind, systems).prop_map(|(kind, systems)| Segment::new(kind, systems).unwrap());
    vec(segment, 0..4).prop_map(AsPath::new)
}

fn communities() -> impl Strategy<Value = BTreeSet<Community>> {
    let community = prop_oneof![
        any::<(u16, u16)>().prop_map(|(asn, value)| Community::Standard { asn, value }),
        any::<(u32, u32, u32)>().prop_map(|(global, local_1, local_2)| Community::Large {
            global,
            local_1,
            local_2
        }),
    ];
    prop_oneof![3 => btree_set(community.clone(), 0..5), 1 => btree_set(community, 70..90)]
}

fn route_target(value: [u8; 6]) -> ExtendedCommunity {
    let mut octets = [0, 2, 0, 0, 0, 0, 0, 0];
    octets[2..].copy_from_slice(&value);
    ExtendedCommunity(octets)
}

/// What a route from our own system may carry.
fn attributes() -> impl Strategy<Value = Attributes> {
    let origin = prop_oneof![Just(Origin::Igp), Just(Origin::Egp), Just(Origin::Incomplete)];
    let address = || any::<u32>().prop_map(Ipv4Addr::from);
    let aggregator = (asn(), address()).prop_map(|(asn, address)| Aggregator { asn, address });
    // Route targets: netgauze takes some other kinds for one another.
    let extended = btree_set(any::<[u8; 6]>().prop_map(route_target), 0..5);
    (
        (origin, as_path(), address(), any::<Option<u32>>(), any::<u32>()),
        (any::<bool>(), option::of(aggregator), communities()),
        (option::of(address()), vec(address(), 0..4), extended),
    )
        .prop_map(
            |(
                (origin, as_path, next_hop, med, local_preference),
                (atomic_aggregate, aggregator, communities),
                (originator_id, cluster_list, extended_communities),
            )| Attributes {
                origin: Some(origin),
                as_path: Some(as_path),
                next_hop: Some(next_hop),
                med,
                local_preference: Some(local_preference),
                atomic_aggregate,
                aggregator,
                communities,
                originator_id,
                cluster_list,
                extended_communities,
                unrecognised: Vec::new(),
            },
        )
}

pub fn update() -> impl Strategy<Value = Update> {
    (v4_nets(20), option::of(prefixes()), option::of(mp_reach()), attributes(), v4_nets(20)).prop_map(
        |(withdrawn, mp_withdrawn, mp_announced, attributes, announced)| Update {
            withdrawn,
            mp_withdrawn,
            mp_announced,
            attributes,
            announced,
        },
    )
}
