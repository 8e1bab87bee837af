//! What a frame says about BGP, BFD, ARP and the API server, as far as the bench goes by it.

use std::net::Ipv4Addr;

/// TCP port of BGP.
const BGP: u16 = 179;
/// UDP port of single-hop BFD (RFC 5881 §4).
const BFD: u16 = 3784;
/// What every BGP message begins with (RFC 4271 §4.1).
const MARKER: [u8; 16] = [0xff; 16];

/// Who sent a packet to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ends {
    /// The sender.
    pub from: Ipv4Addr,
    /// The receiver.
    pub to: Ipv4Addr,
}

/// The state in a BFD control packet (RFC 5880 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BfdState {
    /// Taken out of service.
    AdminDown,
    /// Down.
    Down,
    /// About to come up.
    Init,
    /// Up.
    Up,
}

/// What was in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The API server said something to the speaker.
    Api,
    /// A segment with a BGP UPDATE.
    Update,
    /// The end of a BGP session: a NOTIFICATION, or a connection closed or reset.
    Farewell,
    /// A BFD control packet.
    Bfd {
        /// Its state.
        state: BfdState,
        /// Its diagnostic says that the sender heard nothing for the detection time.
        timed_out: bool,
    },
    /// ARP. Its ends are the addresses that it names as sender and target.
    Arp(Arp),
}

/// What an ARP packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arp {
    /// Who has the address?
    Asked,
    /// It is here.
    Answered,
    /// The same, unasked: sender and target are one.
    Told,
}

/// Reads an Ethernet frame; `None` for what does not matter. `api` is the API server's port on the node.
pub fn read(frame: &[u8], api: u16) -> Option<(Ends, What)> {
    if frame.get(12..14)? == [0x08, 0x06] {
        return of_arp(frame.get(14..)?);
    }
    if frame.get(12..14)? != [0x08, 0x00] {
        return None;
    }
    let packet = frame.get(14..)?;
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let total = usize::from(short(packet, 2)?);
    let ends = Ends { from: address(packet, 12)?, to: address(packet, 16)? };
    let inner = packet.get(header..)?;
    let (source, destination) = (short(inner, 0)?, short(inner, 2)?);
    let what = match packet.get(9)? {
        6 => {
            let offset = usize::from(inner.get(12)? >> 4) * 4;
            // What was captured may be less than what was sent.
            let empty = total <= header + offset;
            if source == api {
                (!empty).then_some(What::Api)
            } else if source == BGP || destination == BGP {
                of_bgp(inner.get(13).copied()?, inner.get(offset..).filter(|_| !empty).unwrap_or_default())
            } else {
                None
            }
        }
        17 if destination == BFD => of_bfd(inner.get(8..)?),
        _ => None,
    };
    Some((ends, what?))
}

fn of_arp(packet: &[u8]) -> Option<(Ends, What)> {
    let ends = Ends { from: address(packet, 14)?, to: address(packet, 24)? };
    let arp = match short(packet, 6)? {
        _ if ends.from == ends.to => Arp::Told,
        1 => Arp::Asked,
        2 => Arp::Answered,
        _ => return None,
    };
    Some((ends, What::Arp(arp)))
}

fn of_bgp(flags: u8, payload: &[u8]) -> Option<What> {
    const FIN_OR_RST: u8 = 0b101;
    let mut rest = payload;
    let mut kinds = Vec::new();
    while rest.get(..16) == Some(&MARKER[..]) {
        let (Some(length), Some(kind)) = (short(rest, 16), rest.get(18)) else { break };
        kinds.push(*kind);
        rest = rest.get(usize::from(length).max(19)..).unwrap_or_default();
    }
    if flags & FIN_OR_RST != 0 || kinds.contains(&3) {
        Some(What::Farewell)
    } else {
        kinds.contains(&2).then_some(What::Update)
    }
}

fn of_bfd(control: &[u8]) -> Option<What> {
    const DETECTION_TIME_EXPIRED: u8 = 1;
    let state = match control.get(1)? >> 6 {
        0 => BfdState::AdminDown,
        1 => BfdState::Down,
        2 => BfdState::Init,
        _ => BfdState::Up,
    };
    Some(What::Bfd { state, timed_out: control.first()? & 0x1f == DETECTION_TIME_EXPIRED })
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const THERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
    const API: u16 = 40_000;

    /// A frame with an IPv4 packet of that protocol.
    fn frame(protocol: u8, inner: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend(u16::try_from(20 + inner.len()).unwrap().to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        frame.extend(HERE.octets());
        frame.extend(THERE.octets());
        frame.extend(inner);
        frame
    }

    fn tcp(ports: (u16, u16), flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut segment = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
        segment.extend([0; 8]);
        segment.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
        segment.extend(payload);
        frame(6, &segment)
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(19 + body.len()).unwrap().to_be_bytes();
        [&MARKER[..], &length, &[kind], body].concat()
    }

    #[test]
    fn an_update_is_seen_also_behind_a_keepalive() {
        let both = [message(4, &[]), message(2, &[0, 0, 0, 0])].concat();
        let ends = Ends { from: HERE, to: THERE };
        assert_eq!(read(&tcp((50_000, 179), 0x18, &both), API), Some((ends, What::Update)));
        assert_eq!(read(&tcp((50_000, 179), 0x18, &message(4, &[])), API), None);
        assert_eq!(read(&tcp((50_000, 180), 0x18, &both), API), None, "another port is no BGP");
    }

    #[test]
    fn a_session_ends_by_notification_or_by_the_end_of_its_connection() {
        for (flags, payload) in [(0x18, message(3, &[6, 10])), (0x11, vec![]), (0x04, vec![])] {
            let seen = read(&tcp((179, 50_000), flags, &payload), API);
            assert_eq!(seen.map(|(_, what)| what), Some(What::Farewell), "{flags:#x}");
        }
    }

    #[test]
    fn the_api_server_is_heard_only_when_it_says_something() {
        assert_eq!(read(&tcp((API, 50_000), 0x10, &[]), API), None);
        let seen = read(&tcp((API, 50_000), 0x18, &[23]), API);
        assert_eq!(seen.map(|(_, what)| what), Some(What::Api));
        assert_eq!(read(&tcp((50_000, API), 0x18, &[23]), API), None, "what the speaker says is no event");
    }

    #[test]
    fn bfd_says_its_state_and_why() {
        let packet = |first: u8, second: u8| {
            let datagram = [&[0xc0, 0, 0x0e, 0xc8, 0, 32, 0, 0][..], &[first, second, 3, 24]].concat();
            read(&frame(17, &datagram), API).map(|(_, what)| what)
        };
        assert_eq!(packet(0x20, 0xc0), Some(What::Bfd { state: BfdState::Up, timed_out: false }));
        assert_eq!(packet(0x21, 0x40), Some(What::Bfd { state: BfdState::Down, timed_out: true }));
        assert_eq!(packet(0x23, 0x40), Some(What::Bfd { state: BfdState::Down, timed_out: false }));
    }

    #[test]
    fn arp_asks_answers_or_tells() {
        let packet = |operation: u8, from: Ipv4Addr, to: Ipv4Addr| {
            let head = [0, 1, 8, 0, 6, 4, 0, operation];
            let body = [&[2; 6][..], &from.octets(), &[0; 6], &to.octets()].concat();
            read(&[&[0; 12][..], &[0x08, 0x06], &head, &body].concat(), API)
        };
        let ends = Ends { from: HERE, to: THERE };
        assert_eq!(packet(1, HERE, THERE), Some((ends, What::Arp(Arp::Asked))));
        assert_eq!(packet(2, HERE, THERE), Some((ends, What::Arp(Arp::Answered))));
        let told = Some((Ends { from: HERE, to: HERE }, What::Arp(Arp::Told)));
        assert_eq!((packet(1, HERE, HERE), packet(2, HERE, HERE)), (told, told));
        assert_eq!(packet(3, HERE, THERE), None);
    }

    #[test]
    fn what_was_cut_off_or_is_something_else_is_passed_over() {
        let whole = tcp((50_000, 179), 0x18, &message(2, &[0, 0, 0, 0]));
        for length in 0..14 + 20 + 14 {
            assert_eq!(read(&whole[..length], API), None, "{length} octets");
        }
    }
}
