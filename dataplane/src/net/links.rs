//! The interfaces of this node, and which of them answer ARP. Followed by netlink events (`rtnetlink(7)`), not polled.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use metallb_core::names::InterfaceName;
use metallb_protocols::ethernet::Mac;
use regex::RegexSet;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;

use super::netlink::{self, Subject};

/// An interface that was not excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: InterfaceName,
    /// Its address, if it answers ARP: it is up, can broadcast, uses ARP, and is no part of another interface.
    pub arp: Option<Mac>,
}

/// The interfaces that were not excluded, by index.
pub type Links = BTreeMap<u32, Link>;

/// Follows the interfaces. The value is the current set; an error means that the kernel cannot be asked at all.
pub async fn follow(excluded: RegexSet) -> anyhow::Result<watch::Receiver<Links>> {
    netlink::follow(Answering { excluded }).await
}

/// The interfaces, as layer 2 is concerned with them.
struct Answering {
    excluded: RegexSet,
}

impl Subject for Answering {
    type Value = Links;
    const GROUPS: &'static [MulticastGroup] = &[MulticastGroup::Link];

    async fn list(&self, handle: &Handle) -> Result<Links, rtnetlink::Error> {
        let messages: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
        Ok(messages.iter().filter_map(|message| link(message, &self.excluded)).collect())
    }
}

fn link(message: &LinkMessage, excluded: &RegexSet) -> Option<(u32, Link)> {
    let (mut name, mut mac, mut is_part) = (None, None, false);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.as_str()),
            LinkAttribute::Address(octets) => mac = <[u8; 6]>::try_from(octets.as_slice()).ok().map(Mac),
            LinkAttribute::Controller(controller) => is_part = *controller != 0,
            _ => {} // a hundred others
        }
    }
    let name = name.filter(|name| !excluded.is_match(name))?;
    let flags = message.header.flags;
    let answers =
        flags.contains(LinkFlags::Up | LinkFlags::Broadcast) && !flags.contains(LinkFlags::Noarp) && !is_part;
    Some((message.header.index, Link { name: name.into(), arp: mac.filter(|_| answers) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, flags: LinkFlags, extra: Option<LinkAttribute>) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.header.flags = flags;
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Address(vec![2, 0x77, 0, 0, 0, 0x11]),
        ];
        message.attributes.extend(extra);
        message
    }

    #[test]
    fn only_an_interface_that_is_up_broadcasts_and_uses_arp_answers_it() {
        let fit = LinkFlags::Up | LinkFlags::Broadcast;
        let mac = Some(Mac([2, 0x77, 0, 0, 0, 0x11]));
        for (flags, extra, arp) in [
            (fit, None, mac),
            (fit | LinkFlags::Running, None, mac),
            (LinkFlags::Broadcast, None, None),
            (LinkFlags::Up, None, None),
            (fit | LinkFlags::Noarp, None, None),
            (fit, Some(LinkAttribute::Controller(3)), None),
        ] {
            let link = link(&message("eth0", flags, extra.clone()), &RegexSet::empty());
            assert_eq!(link, Some((7, Link { name: "eth0".into(), arp })), "{flags:?} {extra:?}");
        }
    }

    #[test]
    fn an_excluded_interface_does_not_exist() {
        let excluded = RegexSet::new(["^veth.*", "dummy"]).unwrap();
        let flags = LinkFlags::Up | LinkFlags::Broadcast;
        assert_eq!(link(&message("veth1", flags, None), &excluded), None);
        assert_eq!(link(&message("my-dummy0", flags, None), &excluded), None, "searched for, not anchored");
        assert!(link(&message("eth0", flags, None), &excluded).is_some());
    }
}
