//! All interfaces of this node by name: whether they carry packets, and their addresses. Followed by netlink events.
//!
//! Not here: which of them answer ARP ([`super::links`]).

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use ipnet::IpNet;
use metallb_core::names::InterfaceName;
use metallb_protocols::ethernet::Mac;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;

use super::netlink::{self, Subject};

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
pub async fn follow() -> anyhow::Result<watch::Receiver<Interfaces>> {
    netlink::follow(All).await
}

struct All;

impl Subject for All {
    type Value = Interfaces;
    const GROUPS: &'static [MulticastGroup] =
        &[MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];

    async fn list(&self, handle: &Handle) -> Result<Interfaces, rtnetlink::Error> {
        let links: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
        let addresses: Vec<AddressMessage> = handle.address().get().execute().try_collect().await?;
        Ok(interfaces(&links, &addresses))
    }
}

fn interfaces(links: &[LinkMessage], messages: &[AddressMessage]) -> Interfaces {
    let mut addresses: BTreeMap<u32, BTreeSet<IpNet>> = BTreeMap::new();
    for message in messages {
        addresses.entry(message.header.index).or_default().extend(address(message));
    }
    let interface = |message| interface(message, &mut addresses);
    links.iter().filter_map(interface).collect()
}

fn interface(
    message: &LinkMessage,
    addresses: &mut BTreeMap<u32, BTreeSet<IpNet>>,
) -> Option<(InterfaceName, Interface)> {
    let (mut name, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.as_str()),
            LinkAttribute::Address(octets) => mac = <[u8; 6]>::try_from(octets.as_slice()).ok().map(Mac),
            _ => {} // a hundred others
        }
    }
    let index = message.header.index;
    let interface = Interface {
        index,
        is_running: message.header.flags.contains(LinkFlags::Up | LinkFlags::Running),
        mac,
        addresses: addresses.remove(&index).unwrap_or_default(),
    };
    Some((name?.into(), interface))
}

/// The address, if it may be used: the kernel is done with asking whether somebody else has it (RFC 4862 §5.4).
fn address(message: &AddressMessage) -> Option<IpNet> {
    let flags = message.header.flags;
    if flags.intersects(AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed) {
        return None;
    }
    let (mut local, mut remote) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            // The same, except where the address of the other end is configured too.
            AddressAttribute::Address(address) => remote = Some(*address),
            _ => {} // lifetimes, labels, …
        }
    }
    IpNet::new(local.or(remote)?, message.header.prefix_len).ok()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn link(index: u32, name: &str, flags: LinkFlags) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.flags = flags;
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Address(vec![2, 0x77, 0, 0, 0, 0x11]),
        ];
        message
    }

    fn on(index: u32, address: &str, flags: AddressHeaderFlags) -> AddressMessage {
        let net: IpNet = address.parse().unwrap();
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.prefix_len = net.prefix_len();
        message.header.flags = flags;
        message.attributes = vec![AddressAttribute::Address(net.addr())];
        message
    }

    #[test]
    fn an_interface_has_its_own_addresses_without_those_that_may_be_somebody_elses() {
        let up = LinkFlags::Up | LinkFlags::Running;
        let links = [link(2, "eth0", up), link(3, "eth1", up)];
        let none = AddressHeaderFlags::empty();
        let addresses = [
            on(2, "192.0.2.1/31", AddressHeaderFlags::Permanent),
            on(2, "fe80::1/64", none),
            on(2, "fe80::2/64", AddressHeaderFlags::Tentative),
            on(2, "fe80::3/64", AddressHeaderFlags::Dadfailed | AddressHeaderFlags::Permanent),
            on(3, "fe80::4/64", none),
        ];
        let all = interfaces(&links, &addresses);
        let of = |name: &str| all[name].addresses.iter().map(IpNet::to_string).collect::<Vec<_>>();
        assert_eq!(of("eth0"), ["192.0.2.1/31", "fe80::1/64"]);
        assert_eq!(of("eth1"), ["fe80::4/64"]);
        assert_eq!(all["eth0"].mac, Some(Mac([2, 0x77, 0, 0, 0, 0x11])));
    }

    #[test]
    fn of_two_ends_the_local_one_is_ours() {
        let mut message = on(2, "192.0.2.2/30", AddressHeaderFlags::empty());
        message.attributes.push(AddressAttribute::Local(IpAddr::from([192, 0, 2, 1])));
        assert_eq!(address(&message), "192.0.2.1/30".parse().ok());
    }

    #[test]
    fn an_interface_without_a_carrier_does_not_run() {
        for (flags, is_running) in [
            (LinkFlags::Up | LinkFlags::Running, true),
            (LinkFlags::Up, false),
            (LinkFlags::Running, false),
            (LinkFlags::empty(), false),
        ] {
            let all = interfaces(&[link(2, "eth0", flags)], &[]);
            assert_eq!(all["eth0"].is_running, is_running, "{flags:?}");
        }
    }
}
