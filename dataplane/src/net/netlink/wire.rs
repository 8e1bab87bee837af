//! What is asked of the kernel and what it answers (`netlink(7)`, `rtnetlink(7)`): as much of it as somebody here wants to know.
//! A library that knows all of it is a third of a megabyte of program, which is in memory on every node.
//!
//! Numbers are in the order of the machine. What is too short to be a message, or an attribute, counts as the end of them.
//!
//! Not here: sockets.

use std::io;
use std::net::IpAddr;

use metallb_protocols::ethernet::Mac;
use nix::net::if_::InterfaceFlags;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
/// Something changed while the parts of the answer were made: some of it may be missing.
const NLM_F_DUMP_INTR: u16 = 0x10;
/// The length of what is before the message itself.
const HEADER: usize = 16;
/// The length of what is before the value of an attribute.
const ATTRIBUTE: usize = 4;
/// What of the type of an attribute is its number; the rest says how it is written.
const KIND: u16 = 0x3fff;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// All interfaces.
    Links,
    /// The addresses of all interfaces.
    Addresses,
    /// The way to an address.
    Route {
        /// The address.
        to: IpAddr,
        /// By this interface, or in the VRF whose interface it is.
        by: Option<u32>,
    },
}

/// A part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An interface.
    Link(LinkMessage),
    /// An address of an interface.
    Address(AddressMessage),
    /// The interface by which a route leads.
    Route(Option<u32>),
    /// That was all.
    Done,
    /// Something that nobody here asks for.
    Other,
}

/// An interface, as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkMessage {
    /// Its number.
    pub index: u32,
    /// How it is.
    pub flags: InterfaceFlags,
    /// Its name.
    pub name: Option<String>,
    /// Its hardware address, if it is Ethernet.
    pub mac: Option<Mac>,
    /// The interface that it is a part of.
    pub controller: Option<u32>,
}

/// An address of an interface, as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressMessage {
    /// The number of the interface.
    pub index: u32,
    /// The length of its network's prefix.
    pub prefix_len: u8,
    /// `IFA_F_…`
    pub flags: u32,
    /// The own address.
    pub local: Option<IpAddr>,
    /// The same, except where the address of the other end is configured too: then that.
    pub address: Option<IpAddr>,
}

impl Question {
    /// As it is sent.
    pub fn emit(self) -> Vec<u8> {
        let (kind, flags, body) = match self {
            Self::Links => (libc::RTM_GETLINK, NLM_F_DUMP, vec![0; 16]),
            Self::Addresses => (libc::RTM_GETADDR, NLM_F_DUMP, vec![0; 8]),
            Self::Route { to, by } => (libc::RTM_GETROUTE, 0, route(to, by)),
        };
        let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]); // number and sender: a socket asks one question
        bytes.extend(body);
        bytes
    }
}

fn route(to: IpAddr, by: Option<u32>) -> Vec<u8> {
    let (family, octets) = match to {
        IpAddr::V4(to) => (libc::AF_INET, to.octets().to_vec()),
        IpAddr::V6(to) => (libc::AF_INET6, to.octets().to_vec()),
    };
    let length = u8::try_from(8 * octets.len()).unwrap_or(u8::MAX);
    let mut body = vec![u8::try_from(family).unwrap_or_default(), length];
    body.extend([0; 10]);
    let mut attribute = |kind: u16, value: &[u8]| {
        let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(u16::MAX);
        body.extend(length.to_ne_bytes().into_iter().chain(kind.to_ne_bytes()).chain(value.iter().copied()));
    };
    attribute(libc::RTA_DST, &octets);
    if let Some(index) = by {
        attribute(libc::RTA_OIF, &index.to_ne_bytes());
    }
    body
}

/// The answers in what was received at once; the error is the kernel's. `Interrupted`: they may be incomplete, ask again.
pub fn parse(mut bytes: &[u8]) -> io::Result<Vec<Answer>> {
    let mut answers = Vec::new();
    while let Some(length) = u32_at(bytes, 0).and_then(|length| usize::try_from(length).ok()) {
        let (Some(kind), Some(flags), Some(body)) =
            (u16_at(bytes, 4), u16_at(bytes, 6), bytes.get(HEADER..length))
        else {
            break;
        };
        if flags & NLM_F_DUMP_INTR != 0 {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        answers.push(match kind {
            NLMSG_DONE | NLMSG_ERROR => match u32_at(body, 0).map(u32::cast_signed) {
                Some(number) if number < 0 => {
                    return Err(io::Error::from_raw_os_error(number.saturating_neg()));
                }
                Some(_) => Answer::Done,
                None if kind == NLMSG_DONE => Answer::Done,
                None => return Err(io::Error::from(io::ErrorKind::InvalidData)),
            },
            libc::RTM_NEWLINK => link(body).map_or(Answer::Other, Answer::Link),
            libc::RTM_NEWADDR => address(body).map_or(Answer::Other, Answer::Address),
            libc::RTM_NEWROUTE => Answer::Route(
                attributes(body, 12)
                    .find_map(|(kind, value)| u32_at(value, 0).filter(|_| kind == libc::RTA_OIF)),
            ),
            _ => Answer::Other,
        });
        bytes = bytes.get(padded(length)..).unwrap_or_default();
    }
    Ok(answers)
}

fn link(body: &[u8]) -> Option<LinkMessage> {
    let mut message = LinkMessage {
        index: u32_at(body, 4)?,
        flags: InterfaceFlags::from_bits_truncate(u32_at(body, 8)?.cast_signed()),
        name: None,
        mac: None,
        controller: None,
    };
    for (kind, value) in attributes(body, 16) {
        match kind {
            libc::IFLA_IFNAME => {
                let name = value.split(|octet| *octet == 0).next().unwrap_or_default();
                message.name = String::from_utf8(name.to_vec()).ok();
            }
            libc::IFLA_ADDRESS => message.mac = <[u8; 6]>::try_from(value).ok().map(Mac),
            libc::IFLA_MASTER => message.controller = u32_at(value, 0),
            _ => {} // a hundred others
        }
    }
    Some(message)
}

fn address(body: &[u8]) -> Option<AddressMessage> {
    let mut message = AddressMessage {
        index: u32_at(body, 4)?,
        prefix_len: *body.get(1)?,
        flags: u32::from(*body.get(2)?),
        local: None,
        address: None,
    };
    let ip = |value: &[u8]| {
        let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
    };
    for (kind, value) in attributes(body, 8) {
        match kind {
            libc::IFA_LOCAL => message.local = ip(value),
            libc::IFA_ADDRESS => message.address = ip(value),
            _ => {} // lifetimes, labels, …
        }
    }
    Some(message)
}

/// The attributes behind the first octets of a message, with their numbers.
fn attributes(body: &[u8], behind: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(behind..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let attribute = (u16_at(rest, 2)? & KIND, rest.get(ATTRIBUTE..length)?);
        rest = rest.get(padded(length)..).unwrap_or_default();
        Some(attribute)
    })
}

/// Messages and attributes begin at multiples of four.
const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message of that type, as the kernel sends it.
    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(padded(bytes.len()), 0);
        bytes
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(ATTRIBUTE + value.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(padded(bytes.len()), 0);
        bytes
    }

    #[test]
    fn interfaces_and_addresses_are_read_until_the_kernel_is_done() {
        let link = [
            vec![0, 0, 1, 0],
            7_u32.to_ne_bytes().to_vec(),
            0x1043_u32.to_ne_bytes().to_vec(),
            vec![0; 4],
            attribute(libc::IFLA_IFNAME, b"br-lan\0"),
            attribute(libc::IFLA_MTU, &1500_u32.to_ne_bytes()),
            attribute(libc::IFLA_ADDRESS, &[2, 0x77, 0, 0, 0, 0x11]),
            attribute(libc::IFLA_MASTER, &3_u32.to_ne_bytes()),
            attribute(libc::IFLA_LINKINFO | 0x8000, &[0; 5]),
        ];
        let address = |family: libc::c_int, prefix, octets: &[u8]| {
            let mut body = vec![u8::try_from(family).unwrap(), prefix, 0x80, 0];
            body.extend(7_u32.to_ne_bytes());
            body.extend(attribute(libc::IFA_ADDRESS, octets));
            body
        };
        let mut own = address(libc::AF_INET, 30, &[192, 0, 2, 2]);
        own.extend(attribute(libc::IFA_LOCAL, &[192, 0, 2, 1]));
        let v6: std::net::Ipv6Addr = "fe80::11".parse().unwrap();
        let bytes = [
            message(libc::RTM_NEWLINK, &link.concat()),
            message(libc::RTM_NEWADDR, &own),
            message(libc::RTM_NEWADDR, &address(libc::AF_INET6, 64, &v6.octets())),
            message(libc::RTM_NEWNEIGH, &[0; 12]),
            message(NLMSG_DONE, &[0; 4]),
        ];
        let flags = InterfaceFlags::IFF_UP
            | InterfaceFlags::IFF_BROADCAST
            | InterfaceFlags::IFF_RUNNING
            | InterfaceFlags::IFF_MULTICAST;
        let address = |prefix_len, local, address| {
            Answer::Address(AddressMessage { index: 7, prefix_len, flags: 0x80, local, address })
        };
        let answers = [
            Answer::Link(LinkMessage {
                index: 7,
                flags,
                name: Some("br-lan".to_owned()),
                mac: Some(Mac([2, 0x77, 0, 0, 0, 0x11])),
                controller: Some(3),
            }),
            address(30, Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into())),
            address(64, None, Some(v6.into())),
            Answer::Other,
            Answer::Done,
        ];
        assert_eq!(parse(&bytes.concat()).unwrap(), answers);
    }

    #[test]
    fn what_the_kernel_refuses_is_its_error() {
        let refused = |number: i32| parse(&message(NLMSG_ERROR, &number.to_ne_bytes()));
        assert_eq!(refused(-libc::ENETUNREACH).unwrap_err().raw_os_error(), Some(libc::ENETUNREACH));
        assert_eq!(refused(0).unwrap(), [Answer::Done], "an acknowledgement");
        let given_up = parse(&message(NLMSG_DONE, &(-libc::EMSGSIZE).to_ne_bytes()));
        assert_eq!(given_up.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE), "after a part of it");
    }

    #[test]
    fn what_changed_while_it_was_listed_is_to_be_asked_for_again() {
        let mut done = message(NLMSG_DONE, &[0; 4]);
        done[6] = 0x12;
        assert_eq!(parse(&done).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn a_question_for_a_route_names_the_address_and_the_vrf() {
        let bytes = Question::Route { to: [192, 0, 2, 9].into(), by: Some(4) }.emit();
        assert_eq!(u32_at(&bytes, 0), u32::try_from(bytes.len()).ok());
        let asked: Vec<_> = attributes(&bytes[HEADER..], 12).collect();
        let by = 4_u32.to_ne_bytes();
        assert_eq!(asked, [(libc::RTA_DST, &[192, 0, 2, 9][..]), (libc::RTA_OIF, &by[..])]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, kind in 0..40_u16, body: Vec<u8>) {
            let _ = parse(&bytes);
            let _ = parse(&message(kind, &body));
        }
    }
}
