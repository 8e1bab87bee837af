//! Who is in a cluster, what it is called, and which addresses it has. Pure arithmetic on names.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use anyhow::{Result, bail};

/// The API server's address on the LAN.
pub(super) const CONTROL_PLANE: &str = "cp";
/// The bridge all others are plugged into. Faults are injected here: nftables' `bridge` family works.
pub(super) const LAN: &str = "lan";
/// A machine on the LAN that uses services.
pub(super) const CLIENT: &str = "client";
/// Everybody's default gateway, with a second leg to `remote`.
pub(super) const ROUTER: &str = "router";
/// A machine behind the router.
pub(super) const REMOTE: &str = "remote";

/// More nodes than a machine carries, and few enough for their addresses.
const MOST_NODES: u8 = 30;

/// One cluster's names. Its addresses are always the same: they exist only inside its namespaces.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) cluster: String,
    pub(super) nodes: u8,
}

impl Layout {
    pub(super) fn new(cluster: &str, nodes: u8) -> Result<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if cluster.is_empty() || cluster.len() > 20 || !cluster.chars().all(plain) || cluster.starts_with('-')
        {
            bail!("{cluster:?} is no name for a cluster: use 1 to 20 of a-z, 0-9 and -");
        }
        if !(1..=MOST_NODES).contains(&nodes) {
            bail!("a cluster has 1 to {MOST_NODES} nodes, not {nodes}");
        }
        Ok(Self { cluster: cluster.to_owned(), nodes })
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        (1..=self.nodes).map(Node)
    }

    pub(super) fn node(&self, name: &str) -> Result<Node> {
        let node = self.nodes().find(|node| node.name() == name);
        node.ok_or_else(|| {
            anyhow::anyhow!("cluster {} has no node {name}: it has {}", self.cluster, self.node_names())
        })
    }

    fn node_names(&self) -> String {
        self.nodes().map(Node::name).collect::<Vec<_>>().join(", ")
    }

    /// All with a network namespace, the bridge first.
    pub(super) fn hosts(&self) -> Vec<String> {
        let fixed = [LAN, CONTROL_PLANE, CLIENT, ROUTER, REMOTE].map(String::from);
        fixed.into_iter().chain(self.nodes().map(Node::name)).collect()
    }

    pub(super) fn check_host(&self, host: &str) -> Result<()> {
        if self.hosts().iter().any(|known| known == host) {
            return Ok(());
        }
        bail!("cluster {} has no host {host:?}: it has {}", self.cluster, self.hosts().join(", "))
    }

    /// The name of a host's network namespace, and of its control group.
    pub(super) fn scoped(&self, host: &str) -> String {
        format!("{}-{host}", self.cluster)
    }

    /// Enters a host's network namespace and no other: `ip netns exec` would hide the control groups. To be followed
    /// by a command.
    pub(super) fn nsenter(&self, host: &str) -> [OsString; 3] {
        let mut net = OsString::from("--net=");
        net.push(self.netns(host));
        ["nsenter".into(), net, "--".into()]
    }

    pub(super) fn netns(&self, host: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.scoped(host))
    }
}

/// A node's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(pub(super) u8);

impl Node {
    pub(super) fn name(self) -> String {
        format!("n{}", self.0)
    }

    /// Its pods' addresses, IPv4 and IPv6.
    pub(super) fn pod_cidrs(self) -> [String; 2] {
        [format!("10.244.{}.0/24", self.0), format!("fd00:10:244:{}::/64", self.0)]
    }
}

/// The last part of a host's addresses: on the LAN, or behind the router for `remote`.
fn number(host: &str) -> Option<u8> {
    match host {
        ROUTER => Some(1),
        REMOTE => Some(2),
        CONTROL_PLANE => Some(5),
        CLIENT => Some(50),
        _ => Some(10 + host.strip_prefix('n')?.parse::<u8>().ok()?),
    }
}

/// The MAC address on the LAN: fixed, so that captures are readable.
pub(super) fn mac(host: &str) -> Option<String> {
    Some(format!("02:77:00:00:00:{:02x}", number(host)?))
}

/// The addresses of a host's `eth0`. An IPv6 address shows the same digits as the IPv4 one: `fd77::11`.
pub(super) fn addresses(host: &str) -> Option<(Ipv4Addr, Ipv6Addr)> {
    let number = number(host)?;
    let network = if host == REMOTE { 78 } else { 77 };
    let digits = u16::from_str_radix(&number.to_string(), 16).ok()?;
    Some((
        Ipv4Addr::new(10, network, 0, number),
        Ipv6Addr::new(0xfd00 + read_as_hex(network), 0, 0, 0, 0, 0, 0, digits),
    ))
}

/// 77 → 0x77
const fn read_as_hex(decimal: u8) -> u16 {
    (decimal / 10 * 16 + decimal % 10) as u16
}

/// The API server's address.
pub(super) fn api_server() -> IpAddr {
    addresses(CONTROL_PLANE).map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |(v4, _)| IpAddr::V4(v4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_addresses_of_a_host_show_the_same_digits() {
        let show = |host| addresses(host).map(|(v4, v6)| format!("{v4} {v6}"));
        assert_eq!(show("n1").as_deref(), Some("10.77.0.11 fd77::11"));
        assert_eq!(show("client").as_deref(), Some("10.77.0.50 fd77::50"));
        assert_eq!(show("router").as_deref(), Some("10.77.0.1 fd77::1"));
        assert_eq!(show("remote").as_deref(), Some("10.78.0.2 fd78::2"));
        assert_eq!(show("lan"), None);
    }

    #[test]
    fn no_two_hosts_share_an_address() {
        let layout = Layout::new("lab", MOST_NODES).unwrap();
        let mut seen: Vec<_> = layout.hosts().iter().filter_map(|host| addresses(host)).collect();
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all);
        assert_eq!(all, layout.hosts().len() - 1, "the bridge has none");
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let layout = Layout::new("lab", 2).unwrap();
        let error = layout.check_host("n3").unwrap_err().to_string();
        assert_eq!(error, "cluster lab has no host \"n3\": it has lan, cp, client, router, remote, n1, n2");
        assert!(Layout::new("Lab", 2).is_err());
        assert!(Layout::new("lab", 0).is_err());
    }
}
