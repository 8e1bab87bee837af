//! The interfaces of this node, and which of them answer ARP. Followed by netlink events (`rtnetlink(7)`), not polled.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use futures::{StreamExt, TryStreamExt};
use metallb_core::names::InterfaceName;
use metallb_protocols::ethernet::Mac;
use regex::RegexSet;
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::sys::SocketAddr;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;

/// After an event, wait for more of them this long: they come in bursts.
const SETTLE: Duration = Duration::from_millis(20);
/// Before a lost connection to the kernel is opened anew.
const REOPEN: Duration = Duration::from_secs(1);
/// Look again this often even without an event: events can be lost when the kernel's queue is full.
const SWEEP: Duration = Duration::from_mins(1);

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
    let mut netlink = Netlink::open().context("cannot follow the interfaces (netlink)")?;
    let first = list(&netlink.handle, &excluded).await.context("cannot list the interfaces (netlink)")?;
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sender.closed() => return,
                changed = netlink.changed() => if !changed {
                    tracing::error!(event = "netlinkClosed", "opening it anew");
                    tokio::time::sleep(REOPEN).await;
                    match Netlink::open() {
                        Ok(new) => netlink = new,
                        Err(error) => tracing::error!(event = "netlinkFailed", %error, "will retry"),
                    }
                },
                () = tokio::time::sleep(SWEEP) => {}
            }
            match list(&netlink.handle, &excluded).await {
                Ok(links) => {
                    sender.send_if_modified(|known| {
                        let differs = *known != links;
                        *known = links;
                        differs
                    });
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(event = "linksUnknown", error, "the interfaces known so far stay in use");
                }
            }
        }
    });
    Ok(receiver)
}

type Events = futures::channel::mpsc::UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// A connection to the kernel that hears of every change of an interface.
struct Netlink {
    handle: Handle,
    events: Events,
}

impl Netlink {
    fn open() -> std::io::Result<Self> {
        let (connection, handle, events) = rtnetlink::new_multicast_connection(&[MulticastGroup::Link])?;
        tokio::spawn(connection);
        Ok(Self { handle, events })
    }

    /// Returns when something changed and has settled; false when the connection is gone.
    async fn changed(&mut self) -> bool {
        if self.events.next().await.is_none() {
            return false;
        }
        tokio::time::sleep(SETTLE).await;
        while futures::FutureExt::now_or_never(self.events.next()).flatten().is_some() {}
        true
    }
}

async fn list(handle: &Handle, excluded: &RegexSet) -> Result<Links, rtnetlink::Error> {
    let messages: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
    Ok(messages.iter().filter_map(|message| link(message, excluded)).collect())
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
