//! The interfaces of this node, and which of them answer ARP and neighbour discovery. Followed by netlink events
//! (`rtnetlink(7)`), not polled.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use metallb_core::names::InterfaceName;
use metallb_protocols::ethernet::Mac;
use nix::net::if_::InterfaceFlags;
use regex_lite::Regex;
use tokio::sync::watch;

use super::netlink::wire::{AddressMessage, LinkMessage};
use super::netlink::{self, Group, Subject};

/// The interfaces that any of some expressions finds.
///
/// What the expressions may say is what Go's may, except for classes of Unicode (`\pL`): names of interfaces are hardly ever other
/// than ASCII, and the tables of all scripts would be a third of a megabyte in the memory of every node.
#[derive(Clone, Debug, Default)]
pub struct Excluded(Vec<Regex>);

impl Excluded {
    /// Those that any of these finds.
    pub fn new(expressions: &[impl AsRef<str>]) -> Result<Self, regex_lite::Error> {
        let all = expressions.iter().map(|expression| Regex::new(expression.as_ref()));
        Ok(Self(all.collect::<Result<_, _>>()?))
    }

    /// Is that interface among them?
    pub fn contains(&self, interface: &str) -> bool {
        self.0.iter().any(|expression| expression.is_match(interface))
    }
}

/// An interface that was not excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: InterfaceName,
    /// Its address, if it answers ARP: it is up, can broadcast, is for more than one neighbour, and is no part of another
    /// interface.
    pub arp: Option<Mac>,
    /// Its address, if it answers neighbour discovery: the same, but that it need not broadcast, and IPv6 is in use on it.
    /// Where it is not, the kernel would not take the packets that an answer brings.
    pub ndp: Option<Mac>,
    /// It is connected to something, and fit to resolve neighbours there.
    pub carrier: bool,
    /// The networks in which it has addresses; link-local ones and those of a single address left out.
    pub networks: BTreeSet<IpNet>,
}

/// The interfaces that were not excluded, by index.
pub type Links = BTreeMap<u32, Link>;

/// Follows the interfaces. The value is the current set; an error means that the kernel cannot be asked at all.
pub fn follow(excluded: Excluded) -> anyhow::Result<watch::Receiver<Links>> {
    netlink::follow(Answering { excluded })
}

/// The interfaces, as layer 2 is concerned with them.
struct Answering {
    excluded: Excluded,
}

impl Subject for Answering {
    type Value = Links;
    const GROUPS: &'static [Group] = &[Group::Link, Group::Ipv4Addresses, Group::Ipv6Addresses];

    fn read(&self, messages: &[LinkMessage], addresses: &[AddressMessage]) -> Links {
        let speaking: BTreeSet<u32> = addresses.iter().filter_map(with_link_local).collect();
        let networks: BTreeSet<(u32, IpNet)> = addresses.iter().filter_map(network).collect();
        let link = |message| link(message, &self.excluded, &speaking, &networks);
        messages.iter().filter_map(link).collect()
    }
}

/// The interface, if that is its link-local address, which every interface has that uses IPv6 (RFC 4291 §2.8). It may still
/// be tentative: addresses of services are others.
fn with_link_local(message: &AddressMessage) -> Option<u32> {
    let is_link_local = |address: IpAddr| match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let mut addresses = message.local.into_iter().chain(message.address);
    addresses.any(is_link_local).then_some(message.index)
}

/// The interface and the network of an address.
fn network(message: &AddressMessage) -> Option<(u32, IpNet)> {
    let address = message.address?; // the other end of a point-to-point link
    let network = IpNet::new(address, message.prefix_len).ok()?.trunc();
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let is_single = network.prefix_len() == network.max_prefix_len();
    (!is_link_local && !is_single).then_some((message.index, network))
}

fn link(
    message: &LinkMessage,
    excluded: &Excluded,
    speaking: &BTreeSet<u32>,
    networks: &BTreeSet<(u32, IpNet)>,
) -> Option<(u32, Link)> {
    let LinkMessage { index, flags, name, mac, controller } = message;
    let name = name.as_deref().filter(|name| !excluded.contains(name))?;
    let is_part = controller.is_some_and(|controller| controller != 0);
    // `IFF_NOARP` stands for resolving no neighbours at all, by whatever protocol.
    let fit = mac.filter(|_| !flags.contains(InterfaceFlags::IFF_NOARP) && !is_part);
    let station = fit.filter(|_| flags.contains(InterfaceFlags::IFF_UP));
    let carrier = station.is_some() && flags.contains(InterfaceFlags::IFF_RUNNING);
    let networks = networks.iter().filter(|(on, _)| fit.is_some() && on == index);
    let networks = networks.map(|(_, network)| *network).collect();
    let arp = station.filter(|_| flags.contains(InterfaceFlags::IFF_BROADCAST));
    let ndp = station.filter(|_| flags.contains(InterfaceFlags::IFF_MULTICAST) && speaking.contains(index));
    Some((*index, Link { name: name.into(), arp, ndp, carrier, networks }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Option<Mac> = Some(Mac([2, 0x77, 0, 0, 0, 0x11]));
    const UP: InterfaceFlags = InterfaceFlags::IFF_UP;
    const BROADCAST: InterfaceFlags = InterfaceFlags::IFF_BROADCAST;
    const MULTICAST: InterfaceFlags = InterfaceFlags::IFF_MULTICAST;
    const RUNNING: InterfaceFlags = InterfaceFlags::IFF_RUNNING;
    const NOARP: InterfaceFlags = InterfaceFlags::IFF_NOARP;

    fn message(name: &str, flags: InterfaceFlags, controller: Option<u32>) -> LinkMessage {
        LinkMessage { index: 7, flags, name: Some(name.to_owned()), mac: MAC, controller }
    }

    fn on_it(address: &str, prefix_len: u8) -> AddressMessage {
        AddressMessage { index: 7, prefix_len, flags: 0, local: None, address: address.parse().ok() }
    }

    #[test]
    fn only_an_interface_that_is_up_resolves_neighbours_and_is_no_part_answers() {
        let fit = UP | BROADCAST | MULTICAST;
        for (flags, extra, arp, ndp) in [
            (fit, None, MAC, MAC),
            (fit | RUNNING, None, MAC, MAC),
            (fit - UP, None, None, None),
            (fit - BROADCAST, None, None, MAC),
            (fit - MULTICAST, None, MAC, None),
            (fit | NOARP, None, None, None),
            (fit, Some(3), None, None),
        ] {
            let message = message("eth0", flags, extra);
            let (index, link) = link(&message, &Excluded::default(), &[7].into(), &BTreeSet::new()).unwrap();
            assert_eq!((index, link.arp, link.ndp), (7, arp, ndp), "{flags:?} {extra:?}");
        }
    }

    #[test]
    fn only_an_interface_with_a_link_local_address_answers_neighbour_discovery() {
        let flags = UP | BROADCAST | MULTICAST;
        for (address, ndp) in [("fe80::11", MAC), ("2001:db8::11", None), ("169.254.0.11", None)] {
            let speaking = with_link_local(&on_it(address, 64)).into_iter().collect();
            let message = message("eth0", flags, None);
            let (_, link) = link(&message, &Excluded::default(), &speaking, &BTreeSet::new()).unwrap();
            assert_eq!((link.arp, link.ndp), (MAC, ndp), "{address}");
        }
    }

    #[test]
    fn an_interface_has_a_carrier_when_it_is_up_running_and_fit_and_networks_while_it_is_fit() {
        let up = UP | BROADCAST;
        let on = [(7, "192.0.2.0/24".parse().unwrap())].into();
        for (flags, carrier, networks) in [
            (up | RUNNING, true, 1),
            (up, false, 1),
            (BROADCAST | RUNNING, false, 1),
            (up | RUNNING | NOARP, false, 0),
        ] {
            let message = message("eth0", flags, None);
            let (_, link) = link(&message, &Excluded::default(), &BTreeSet::new(), &on).unwrap();
            assert_eq!((link.carrier, link.networks.len()), (carrier, networks), "{flags:?}");
        }
    }

    #[test]
    fn networks_of_one_address_and_of_the_link_alone_do_not_count() {
        for (address, length, expected) in [
            ("192.0.2.9", 24, Some("192.0.2.0/24")),
            ("192.0.2.9", 32, None),
            ("169.254.1.1", 16, None),
            ("fe80::9", 64, None),
            ("2001:db8::9", 64, Some("2001:db8::/64")),
        ] {
            let expected = expected.map(|network| (7, network.parse().unwrap()));
            assert_eq!(network(&on_it(address, length)), expected, "{address}/{length}");
        }
    }

    #[test]
    fn an_excluded_interface_does_not_exist() {
        let excluded = Excluded::new(&["^veth.*", "dummy"]).unwrap();
        let flags = UP | BROADCAST;
        let link = |name| link(&message(name, flags, None), &excluded, &BTreeSet::new(), &BTreeSet::new());
        assert_eq!(link("veth1"), None);
        assert_eq!(link("my-dummy0"), None, "searched for, not anchored");
        assert!(link("eth0").is_some());
    }
}
