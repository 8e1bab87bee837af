//! A cable between two hosts, or a host and a bridge.

use std::fmt;
use std::sync::Arc;

use anyhow::Result;

use super::host::Host;
use super::site::{BRIDGE, Premises, ip};

/// A cable. Dropping the value leaves it where it is.
#[derive(Debug)]
pub struct Link {
    one: End,
    other: End,
    to: To,
    premises: Arc<Premises>,
}

#[derive(Debug)]
struct End {
    host: Host,
    interface: String,
}

/// What its other end is.
#[derive(Clone, Copy, Debug)]
enum To {
    Host,
    Bridge,
}

impl Link {
    pub(super) fn lay(premises: &Arc<Premises>, one: (&Host, &str), other: (&Host, &str)) -> Result<Self> {
        Self::new(premises, one, other, To::Host)
    }

    pub(super) fn lay_to_bridge(
        premises: &Arc<Premises>,
        one: (&Host, &str),
        port: (&Host, &str),
    ) -> Result<Self> {
        Self::new(premises, one, port, To::Bridge)
    }

    fn new(premises: &Arc<Premises>, one: (&Host, &str), other: (&Host, &str), to: To) -> Result<Self> {
        let end =
            |(host, interface): (&Host, &str)| End { host: host.clone(), interface: interface.to_owned() };
        let link = Self { one: end(one), other: end(other), to, premises: Arc::clone(premises) };
        link.make()?;
        Ok(link)
    }

    /// Takes the carrier from both ends. The first end keeps addresses and routes; the other one is switched off.
    pub fn cut(&self) -> Result<()> {
        self.other.host.ip(&["link", "set", &self.other.interface, "down"]).map(drop)
    }

    /// Undoes [`cut`](Self::cut): also addresses and routes are back.
    pub fn mend(&self) -> Result<()> {
        self.other.host.ip(&["link", "set", &self.other.interface, "up"])?;
        self.restore()
    }

    /// Takes the cable away; its interfaces are gone.
    pub fn remove(&self) -> Result<()> {
        self.one.host.ip(&["link", "delete", &self.one.interface]).map(drop)
    }

    /// Another cable takes its place: the same names, addresses and routes, other interface indices and hardware
    /// addresses.
    pub fn replace(&self) -> Result<()> {
        self.remove()?;
        self.make()?;
        self.restore()
    }

    fn make(&self) -> Result<()> {
        let (one, other) = (&self.one, &self.other);
        let macs = [self.premises.next_mac().to_string(), self.premises.next_mac().to_string()];
        let here = ["link", "add", &one.interface, "address", &macs[0], "netns", one.host.namespace()];
        let there = ["name", &other.interface, "address", &macs[1], "netns", other.host.namespace()];
        ip(&[&here[..], &["type", "veth", "peer"], &there].concat())?;
        if let To::Bridge = self.to {
            other.host.ip(&["link", "set", &other.interface, "master", BRIDGE])?;
        }
        for end in [one, other] {
            end.host.ip(&["link", "set", &end.interface, "up"])?;
        }
        Ok(())
    }

    fn restore(&self) -> Result<()> {
        self.one.host.restore(&self.one.interface)?;
        self.other.host.restore(&self.other.interface)
    }
}

/// A locally administered hardware address.
pub(super) struct Mac(u32);

impl Mac {
    pub(super) fn numbered(number: u32) -> Self {
        Self(number)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("02:79")?;
        self.0.to_be_bytes().iter().try_for_each(|octet| write!(f, ":{octet:02x}"))
    }
}
