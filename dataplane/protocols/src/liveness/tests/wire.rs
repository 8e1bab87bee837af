//! The datagram and its proof.

use std::net::IpAddr;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::cluster::key;
use crate::liveness::{Claim, Heartbeat, KeyId, Malformed, NodeId, Page, Report, Stance, Tenure, Word};

fn goodbye() -> Heartbeat<'static> {
    Heartbeat {
        word: Word::Leave,
        newest_key: KeyId(0x0a0b_0c0d),
        boot_id: 0x0102,
        sequence: 3,
        echo: 4,
        offer: 5,
        sender: "n1",
        receiver: "n22",
    }
}

fn state(accused: &[u64]) -> Heartbeat<'static> {
    let ballot = Page::split(accused.iter().copied().map(NodeId)).remove(0);
    Heartbeat {
        word: Word::State {
            stance: Stance::Serving,
            asks: true,
            keeps: false,
            behind: false,
            ballot,
            tenures: 6,
            reports: 7,
            report: Report { incarnation: 8, lost: vec!["192.0.2.0/24".parse().unwrap()] },
        },
        ..goodbye()
    }
}

fn claims(addresses: &[&str]) -> Heartbeat<'static> {
    let tenure = Tenure { epoch: 8, owner: NodeId(9) };
    let claims = addresses.iter().map(|address| Claim { address: address.parse().unwrap(), tenure });
    Heartbeat { word: Word::Claims(claims.collect()), ..goodbye() }
}

fn reports(count: u64) -> Heartbeat<'static> {
    let report = Report { incarnation: 9, lost: vec!["192.0.2.0/24".parse().unwrap()] };
    let reports = (1..=count).map(|node| (NodeId(node), report.clone()));
    Heartbeat { word: Word::Reports(reports.collect()), ..goodbye() }
}

fn parse(bytes: &[u8]) -> Result<Heartbeat<'_>, Malformed> {
    Heartbeat::parse(bytes).map(|(heartbeat, _)| heartbeat)
}

#[test]
fn the_documented_bytes_are_the_bytes() {
    let header = b"\x0a\x0b\x0c\x0d\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05\x02n1\x03n22";
    let bytes = goodbye().emit(&key("one"));
    let (covered, proof) = bytes.split_at(bytes.len() - 32);
    assert_eq!(covered, [b"MLBH\x04\x03", &header[..]].concat());
    assert!(key("one").proves(covered, proof));
    let bytes = state(&[7]).emit(&key("one"));
    let ballot = [
        &[0; 8][..],
        &[0xff; 8],
        &[1],
        &[0, 0, 0, 0, 0, 0, 0, 7],
        &[0, 0, 0, 0, 0, 0, 0, 6],
        &[0, 0, 0, 0, 0, 0, 0, 7],
        &[0, 0, 0, 0, 0, 0, 0, 8],
        &[1, 4, 192, 0, 2, 0, 24],
    ]
    .concat();
    assert_eq!(bytes[..bytes.len() - 32], [b"MLBH\x04\x82", &header[..], &ballot].concat());
    let bytes = claims(&["192.0.2.1", "::1"]).emit(&key("one"));
    let tenure = b"\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x09";
    let [mut v4, mut v6] = [vec![4, 192, 0, 2, 1], [&[16][..], &[0; 15], &[1]].concat()];
    v4.extend(tenure);
    v6.extend(tenure);
    assert_eq!(bytes[..bytes.len() - 32], [b"MLBH\x04\x04", &header[..], &[2], &v4, &v6].concat());
    let bytes = reports(1).emit(&key("one"));
    let report = b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x09\x01\x04\xc0\0\x02\0\x18";
    assert_eq!(bytes[..bytes.len() - 32], [b"MLBH\x04\x07", &header[..], report].concat());
}

#[test]
fn foreign_newer_and_damaged_datagrams_are_told_apart() {
    let good = state(&[7, 9]).emit(&key("one"));
    let changed = |position: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[position] = byte;
        parse(&bytes).unwrap_err()
    };
    assert_eq!(changed(0, 12), Malformed::Foreign); // a memberlist packet with checksum starts with 12
    assert_eq!(changed(4, 1), Malformed::Version(1));
    assert_eq!(changed(5, 9), Malformed::UnknownKind(9));
    assert_eq!(changed(5, 0x80), Malformed::UnknownKind(0x80)); // only a state can ask
    assert_eq!(changed(5, 0), Malformed::Length); // and only a state has a ballot
    assert_eq!(changed(42, 0), Malformed::Name);
    assert_eq!(changed(43, 0xff), Malformed::Name);
    assert_eq!(changed(42, 200), Malformed::Length);
    assert_eq!(changed(good.len() - 32 - 32, 6), Malformed::Ballot, "not in order");
    assert_eq!(changed(good.len() - 32 - 48, 81), Malformed::Ballot, "more than fit");
    assert_eq!(changed(good.len() - 32 - 7, 2), Malformed::Length);
    assert_eq!(changed(good.len() - 32 - 7, 9), Malformed::Networks, "more than fit");
    assert_eq!(changed(good.len() - 32 - 1, 33), Malformed::Networks);
    assert_eq!(changed(good.len() - 32 - 6, 5), Malformed::Networks);
    assert_eq!(parse(&good[..60]), Err(Malformed::Length));
    assert_eq!(parse(&reports(6).emit(&key("one"))), Err(Malformed::Networks), "more than fit");
    let good = claims(&["192.0.2.1"]).emit(&key("one"));
    for (position, byte, why) in [
        (22, 2, Malformed::Length),
        (22, 0, Malformed::Length),
        (22, 25, Malformed::Claims),
        (21, 6, Malformed::Claims),
    ] {
        let mut bytes = good.clone();
        bytes[good.len() - 32 - position] = byte;
        assert_eq!(parse(&bytes), Err(why));
    }
}

#[test]
fn whatever_is_changed_is_not_proven_nor_by_another_key() {
    let good = state(&[7, 9]).emit(&key("one"));
    for position in 0..good.len() {
        let mut bytes = good.clone();
        bytes[position] ^= 1;
        if let Ok((_, seal)) = Heartbeat::parse(&bytes) {
            assert!(!key("one").proves(seal.covered, seal.proof), "octet {position}");
        }
    }
    let (_, seal) = Heartbeat::parse(&good).unwrap();
    assert!(key("one").proves(seal.covered, seal.proof));
    assert!(!key("two").proves(seal.covered, seal.proof));
}

proptest! {
    #[test]
    fn what_we_emit_we_parse(
        sender in "[a-z0-9.-]{1,253}", receiver in "[a-z0-9.-]{1,253}", numbers: [u64; 4], id: u32,
        word in 0..6_u8, asks: bool, keeps: bool, behind: bool, accused in btree_set(any::<u64>(), 0..100), tenures: u64,
        lost in vec((any::<std::net::Ipv6Addr>(), 0..=128_u8), 0..=8), said in vec((any::<u64>(), any::<u64>()), 1..=5),
        claimed in vec((any::<IpAddr>(), any::<u64>(), any::<u64>()), 0..=24),
    ) {
        let network = |(address, length): (std::net::Ipv6Addr, u8)| ipnet::IpNet::new(address.into(), length).unwrap();
        let lost: Vec<_> = lost.into_iter().map(network).collect();
        let of = |(node, incarnation)| (NodeId(node), Report { incarnation, lost: lost.clone() });
        let all: Vec<_> = said.into_iter().map(of).collect();
        let (report, reports) = (all[0].1.clone(), tenures.rotate_left(7));
        let claim = |(address, epoch, owner)| Claim { address, tenure: Tenure { epoch, owner: NodeId(owner) } };
        let ballot = Page::split(accused.into_iter().map(NodeId)).remove(0);
        let word = match word {
            0 => Word::Challenge,
            1 => Word::State { stance: Stance::Starting, asks, keeps, behind, ballot, tenures, reports, report },
            2 => Word::State { stance: Stance::Serving, asks, keeps, behind, ballot, tenures, reports, report },
            3 => Word::Claims(claimed.into_iter().map(claim).collect()),
            4 => Word::Reports(all),
            _ => Word::Leave,
        };
        let [boot_id, sequence, echo, offer] = numbers;
        let heartbeat = Heartbeat {
            word, newest_key: KeyId(id), boot_id, sequence, echo, offer, sender: &sender, receiver: &receiver,
        };
        let bytes = heartbeat.emit(&key("one"));
        prop_assert!(bytes.len() <= 1472, "{} octets do not fit a frame", bytes.len());
        prop_assert_eq!(parse(&bytes), Ok(heartbeat));
    }

    #[test]
    fn pages_together_say_of_every_node_exactly_what_is_said(accused in btree_set(any::<u64>(), 0..400), other: u64) {
        let pages = Page::split(accused.iter().copied().map(NodeId));
        let told: Vec<_> = pages.iter().flat_map(Page::accused).map(|node| node.0).collect();
        prop_assert!(told.iter().eq(&accused));
        for node in accused.iter().chain([&other]) {
            let covering: Vec<_> = pages.iter().filter(|page| page.covers(NodeId(*node))).collect();
            prop_assert_eq!(covering.len(), 1);
            prop_assert_eq!(covering[0].accused().contains(&NodeId(*node)), accused.contains(node));
        }
    }

    #[test]
    fn no_bytes_panic(prefix in 0_usize..6, bytes in vec(any::<u8>(), 0..300)) {
        let mut datagram = b"MLBH\x04\x02"[..prefix].to_vec();
        datagram.extend(bytes);
        let _ = Heartbeat::parse(&datagram);
    }
}
