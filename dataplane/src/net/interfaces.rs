//! All interfaces of this node by name: whether they carry packets, and their addresses. Followed by netlink events.
//!
//! Not here: which of them answer ARP ([`super::links`]).

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use metallb_core::names::InterfaceName;
use metallb_protocols::ethernet::Mac;
use nix::net::if_::InterfaceFlags;
use tokio::sync::watch;

use super::netlink::wire::{AddressMessage, LinkMessage};
use super::netlink::{self, Group, Subject};

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What the kernel calls it. One that is made anew with the same name is another one.
    pub index: u32,
    /// Packets go through: it is up, and so is what it is connected to.
    pub is_running: bool,
    /// Its hardware address, if it is Ethernet.
    pub mac: Option<Mac>,
    /// Its addresses that may be used: they are known to be nobody else's.
    pub addresses: BTreeSet<IpNet>,
}

/// All interfaces.
pub type Interfaces = BTreeMap<InterfaceName, Interface>;

/// Follows the interfaces. An error means that the kernel cannot be asked at all.
pub fn follow() -> anyhow::Result<watch::Receiver<Interfaces>> {
    netlink::follow(All)
}

struct All;

impl Subject for All {
    type Value = Interfaces;
    const GROUPS: &'static [Group] = &[Group::Link, Group::Ipv4Addresses, Group::Ipv6Addresses];

    fn read(&self, links: &[LinkMessage], addresses: &[AddressMessage]) -> Interfaces {
        interfaces(links, addresses)
    }
}

fn interfaces(links: &[LinkMessage], messages: &[AddressMessage]) -> Interfaces {
    let mut addresses: BTreeMap<u32, BTreeSet<IpNet>> = BTreeMap::new();
    for message in messages {
        addresses.entry(message.index).or_default().extend(address(message));
    }
    let interface = |message| interface(message, &mut addresses);
    links.iter().filter_map(interface).collect()
}

fn interface(
    message: &LinkMessage,
    addresses: &mut BTreeMap<u32, BTreeSet<IpNet>>,
) -> Option<(InterfaceName, Interface)> {
    let LinkMessage { index, flags, name, mac, controller: _ } = message;
    let interface = Interface {
        index: *index,
        is_running: flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING),
        mac: *mac,
        addresses: addresses.remove(index).unwrap_or_default(),
    };
    Some((name.as_deref()?.into(), interface))
}

/// The address, if it may be used: the kernel is done with asking whether somebody else has it (RFC 4862 §5.4).
fn address(message: &AddressMessage) -> Option<IpNet> {
    let AddressMessage { index: _, prefix_len, flags, local, address } = message;
    if flags & (libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED) != 0 {
        return None;
    }
    IpNet::new(local.or(*address)?, *prefix_len).ok()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const UP: InterfaceFlags = InterfaceFlags::IFF_UP;
    const RUNNING: InterfaceFlags = InterfaceFlags::IFF_RUNNING;

    fn link(index: u32, name: &str, flags: InterfaceFlags) -> LinkMessage {
        let (name, mac) = (Some(name.to_owned()), Some(Mac([2, 0x77, 0, 0, 0, 0x11])));
        LinkMessage { index, flags, name, mac, controller: None }
    }

    fn on(index: u32, address: &str, flags: u32) -> AddressMessage {
        let net: IpNet = address.parse().unwrap();
        let (prefix_len, address) = (net.prefix_len(), Some(net.addr()));
        AddressMessage { index, prefix_len, flags, local: None, address }
    }

    #[test]
    fn an_interface_has_its_own_addresses_without_those_that_may_be_somebody_elses() {
        let up = UP | RUNNING;
        let links = [link(2, "eth0", up), link(3, "eth1", up)];
        let addresses = [
            on(2, "192.0.2.1/31", libc::IFA_F_PERMANENT),
            on(2, "fe80::1/64", 0),
            on(2, "fe80::2/64", libc::IFA_F_TENTATIVE),
            on(2, "fe80::3/64", libc::IFA_F_DADFAILED | libc::IFA_F_PERMANENT),
            on(3, "fe80::4/64", 0),
        ];
        let all = interfaces(&links, &addresses);
        let of = |name: &str| all[name].addresses.iter().map(IpNet::to_string).collect::<Vec<_>>();
        assert_eq!(of("eth0"), ["192.0.2.1/31", "fe80::1/64"]);
        assert_eq!(of("eth1"), ["fe80::4/64"]);
        assert_eq!(all["eth0"].mac, Some(Mac([2, 0x77, 0, 0, 0, 0x11])));
    }

    #[test]
    fn of_two_ends_the_local_one_is_ours() {
        let local = Some(IpAddr::from([192, 0, 2, 1]));
        let message = AddressMessage { local, ..on(2, "192.0.2.2/30", 0) };
        assert_eq!(address(&message), "192.0.2.1/30".parse().ok());
    }

    #[test]
    fn an_interface_without_a_carrier_does_not_run() {
        for (flags, is_running) in
            [(UP | RUNNING, true), (UP, false), (RUNNING, false), (InterfaceFlags::empty(), false)]
        {
            let all = interfaces(&[link(2, "eth0", flags)], &[]);
            assert_eq!(all["eth0"].is_running, is_running, "{flags:?}");
        }
    }
}
