//! Programs that the kernel runs on packets before a socket sees them (classic BPF): strangers take no place in a queue.
//!
//! They only make floods cheap. Nothing relies on them: what passes is checked again.

use std::net::IpAddr;

use metallb_core::address::Family;
use metallb_protocols::bfd::{Discriminator, ECHO_PORT, Hops};
use socket2::SockFilter;

/// The kernel takes no longer programs (`BPF_MAXINSNS`).
const LONGEST: usize = 4096;
/// Offsets from here on are into the IP header, wherever the socket's own data begins (`SKF_NET_OFF`).
const IP_HEADER: u32 = 0xfff0_0000;
/// Where a UDP socket sees a control packet's third word: its own data begins with the UDP header.
const YOUR_DISCRIMINATOR: u32 = 16;
/// Bytes of a packet to keep, when it is kept.
const ALL: u32 = 0xffff;

const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF_AFTER_HEADER: u16 = 0x48;
const LOAD_BYTE_AFTER_HEADER: u16 = 0x50;
const HEADER_LENGTH: u16 = 0xb1;
const EQUALS: u16 = 0x15;
const ANY_BIT: u16 = 0x45;
const KEEP: u16 = 0x06;

const fn step(code: u16, value: u32) -> SockFilter {
    SockFilter::new(code, 0, 0, value)
}

/// Skips so many steps when the value is, or is not, that.
const fn branch(code: u16, value: u32, when: u8, when_not: u8) -> SockFilter {
    SockFilter::new(code, when, when_not, value)
}

/// What the kernel made of a frame's destination, in place of a byte of it (`SKF_AD_OFF` + `SKF_AD_PKTTYPE`).
const KIND_OF_DESTINATION: u32 = 0xffff_f004;
/// Another station than that of the interface (`PACKET_OTHERHOST`). Also frames of a VLAN that this host is not in.
const ANOTHER_STATION: u32 = 3;

/// What may come from one router: packets that name our session.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The router.
    pub peer: IpAddr,
    /// Our session.
    pub discriminator: Discriminator,
    /// Also packets that name none: the router may not have heard of us.
    pub strangers: bool,
}

/// For a UDP socket: what is expected, from next door if it is for a single hop. With too many routers for a program:
/// what anybody sent.
pub fn control(family: Family, hops: Hops, expected: &[Expected]) -> Vec<SockFilter> {
    let (ttl, source) = match family {
        Family::V4 => (8, 12),
        Family::V6 => (7, 8),
    };
    let mut program = Vec::new();
    if hops == Hops::Single {
        program.extend([step(LOAD_BYTE, IP_HEADER + ttl), branch(EQUALS, 255, 1, 0), step(KEEP, 0)]);
    }
    let before = program.len();
    for Expected { peer, discriminator, strangers } in expected {
        let words: Vec<u32> = match peer {
            IpAddr::V4(peer) => vec![peer.to_bits()],
            IpAddr::V6(peer) => {
                let bytes = peer.octets();
                bytes.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect()
            }
        };
        let mut keep = vec![step(LOAD_WORD, YOUR_DISCRIMINATOR)];
        if *strangers {
            keep.push(branch(EQUALS, 0, 1, 0));
        }
        keep.extend([branch(EQUALS, discriminator.get(), 0, 1), step(KEEP, ALL)]);
        // Over two steps for each word that is left, and over the last ones.
        let mut skip = u8::try_from(2 * words.len() + keep.len()).unwrap_or(u8::MAX);
        for (offset, word) in (source..).step_by(4).zip(words) {
            skip -= 2;
            program.push(step(LOAD_WORD, IP_HEADER + offset));
            program.push(branch(EQUALS, word, 0, skip));
        }
        program.extend(keep);
    }
    program.push(step(KEEP, 0));
    if program.len() > LONGEST {
        program.truncate(before);
        program.push(step(KEEP, ALL));
    }
    program
}

/// For a packet socket that hears IPv4 with its Ethernet header: control packets over a single hop, and echo packets.
pub fn echo() -> Vec<SockFilter> {
    let (protocol, fragment, header, destination) = (23, 20, 14, 16);
    vec![
        step(LOAD_BYTE, protocol),
        branch(EQUALS, 17, 0, 6),
        step(LOAD_HALF, fragment),
        branch(ANY_BIT, 0x1fff, 4, 0),
        step(HEADER_LENGTH, header),
        step(LOAD_HALF_AFTER_HEADER, destination),
        branch(EQUALS, u32::from(Hops::Single.port()), 2, 0),
        branch(EQUALS, u32::from(ECHO_PORT), 1, 0),
        step(KEEP, 0),
        step(KEEP, ALL),
    ]
}

/// For a packet socket that hears everything with its Ethernet header: TCP segments of that family for this station that begin or
/// end a connection (SYN, FIN, RST).
pub fn connections(family: Family) -> Vec<SockFilter> {
    let (ethertype, fin_syn_or_rst) = (12, 0x07);
    let mut program = vec![step(LOAD_BYTE, KIND_OF_DESTINATION)];
    match family {
        Family::V4 => {
            let (protocol, fragment, header, flags) = (23, 20, 14, 27);
            program.extend([
                branch(EQUALS, ANOTHER_STATION, 9, 0),
                step(LOAD_HALF, ethertype),
                branch(EQUALS, 0x0800, 0, 7),
                step(LOAD_BYTE, protocol),
                branch(EQUALS, 6, 0, 5),
                step(LOAD_HALF, fragment),
                branch(ANY_BIT, 0x1fff, 3, 0),
                step(HEADER_LENGTH, header),
                step(LOAD_BYTE_AFTER_HEADER, flags),
                branch(ANY_BIT, fin_syn_or_rst, 1, 0),
            ]);
        }
        Family::V6 => {
            let (protocol, flags) = (20, 67);
            program.extend([
                branch(EQUALS, ANOTHER_STATION, 6, 0),
                step(LOAD_HALF, ethertype),
                branch(EQUALS, 0x86dd, 0, 4),
                step(LOAD_BYTE, protocol),
                branch(EQUALS, 6, 0, 2),
                step(LOAD_BYTE, flags),
                branch(ANY_BIT, fin_syn_or_rst, 1, 0),
            ]);
        }
    }
    program.extend([step(KEEP, 0), step(KEEP, ALL)]);
    program
}

/// For a packet socket that hears ARP: requests and answers about IPv4 on Ethernet, to all or to this station.
pub fn arp() -> Vec<SockFilter> {
    let (kinds_of_address, operation) = (14, 20);
    vec![
        step(LOAD_BYTE, KIND_OF_DESTINATION),
        branch(EQUALS, ANOTHER_STATION, 5, 0),
        step(LOAD_WORD, kinds_of_address),
        branch(EQUALS, 0x0001_0800, 0, 3),
        step(LOAD_HALF, operation),
        branch(EQUALS, 1, 2, 0),
        branch(EQUALS, 2, 1, 0),
        step(KEEP, 0),
        step(KEEP, ALL),
    ]
}

/// For a packet socket that hears IPv6: neighbours' solicitations and advertisements from this link, to a group or to this
/// station.
pub fn neighbours() -> Vec<SockFilter> {
    let (protocol, hop_limit, kind) = (20, 21, 54);
    vec![
        step(LOAD_BYTE, protocol),
        branch(EQUALS, 58, 0, 7),
        step(LOAD_BYTE, kind),
        branch(EQUALS, 135, 1, 0),
        branch(EQUALS, 136, 0, 4),
        step(LOAD_BYTE, hop_limit),
        branch(EQUALS, 255, 0, 2),
        step(LOAD_BYTE, KIND_OF_DESTINATION),
        branch(EQUALS, ANOTHER_STATION, 0, 1),
        step(KEEP, 0),
        step(KEEP, ALL),
    ]
}
