//! A host: a network namespace that knows its addresses and routes, so that they can be given back after a link went.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use super::kernel::{self, KernelRoute};
use super::rule::{Hook, Rule};
use super::site::{Premises, ip};
use crate::command::{Outcome, output};
use crate::netns;
use crate::routers::Family;

/// A network namespace. Clones are the same host.
#[derive(Clone, Debug)]
pub struct Host(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    namespace: String,
    given: Mutex<Given>,
    /// The namespace stays as long as somebody holds the host.
    _premises: Option<Arc<Premises>>,
}

/// What the kernel forgets with an interface.
#[derive(Debug, Default)]
struct Given {
    /// By interface.
    addresses: BTreeMap<String, Vec<String>>,
    /// As arguments of `ip route replace`.
    routes: Vec<Vec<String>>,
}

/// Whether a host passes on what is not for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// It is a router.
    On,
    /// It drops it.
    Off,
}

impl Host {
    pub(super) fn new(name: &str, namespace: String, premises: Option<Arc<Premises>>) -> Self {
        let given = Mutex::default();
        Self(Arc::new(Inner { name: name.to_owned(), namespace, given, _premises: premises }))
    }

    /// A named network namespace that somebody else has made and takes away, such as a host of a cluster.
    pub fn of_namespace(namespace: &str) -> Self {
        Self::new(namespace, namespace.to_owned(), None)
    }

    /// The name given to it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The name of its namespace, for `ip netns exec`.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Gives an interface addresses with their prefix lengths: `"192.0.2.1/24"`. They are usable at once.
    pub fn addresses(&self, interface: &str, addresses: &[&str]) -> Result<()> {
        for address in addresses {
            self.apply_address(interface, address)?;
            let mut given = self.given();
            given.addresses.entry(interface.to_owned()).or_default().push((*address).to_owned());
        }
        Ok(())
    }

    /// Takes an address from an interface.
    pub fn remove_address(&self, interface: &str, address: &str) -> Result<()> {
        self.ip(&["address", "delete", address, "dev", interface])?;
        if let Some(given) = self.given().addresses.get_mut(interface) {
            given.retain(|known| known != address);
        }
        Ok(())
    }

    /// Shows it the way to a prefix, `"default"` included.
    pub fn route(&self, prefix: &str, via: &str) -> Result<()> {
        let family = if via.contains(':') { "-6" } else { "-4" };
        let route = [family, prefix, "via", via].map(str::to_owned).to_vec();
        self.apply_route(&route)?;
        self.given().routes.push(route);
        Ok(())
    }

    /// Whether it forwards, IPv4 and IPv6.
    pub fn forward(&self, forwarding: Forwarding) -> Result<()> {
        let value = match forwarding {
            Forwarding::On => "1",
            Forwarding::Off => "0",
        };
        self.sysctl(&[("net/ipv4/ip_forward", value), ("net/ipv6/conf/all/forwarding", value)])
    }

    /// Sets kernel parameters of its network, such as `("net/ipv4/fib_multipath_hash_policy", "1")`.
    pub fn sysctl(&self, parameters: &[(&str, &str)]) -> Result<()> {
        netns::sysctl(&self.path(), parameters)
    }

    /// Does something in its network, on a thread of its own; sockets made there stay there, and threads started there
    /// are there too.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        netns::within(&self.path(), work)
    }

    /// Runs a short command there.
    pub async fn run(&self, words: &[&str]) -> Result<Outcome> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.namespace()]).args(words);
        output(command).await
    }

    /// A rule of nftables on all packets at a place, such as `"ip saddr 192.0.2.1 ip ttl set 252"`. It holds until it is
    /// dropped.
    pub fn rule(&self, hook: Hook, text: &str) -> Result<Rule> {
        Rule::set(self, hook, text)
    }

    /// Loses that many of a hundred packets that match, such as `"tcp dport 179"`; an empty text matches all.
    pub fn lose(&self, hook: Hook, matching: &str, percent: u8) -> Result<Rule> {
        if percent >= 100 {
            return self.rule(hook, &format!("{matching} drop"));
        }
        self.rule(hook, &format!("{matching} numgen random mod 100 < {percent} drop"))
    }

    /// The routes that its kernel uses, those of the loopback and of multicast left out.
    pub fn kernel_routes(&self, family: Family) -> Result<BTreeMap<ipnet::IpNet, KernelRoute>> {
        let flag = match family {
            Family::V4 => "-4",
            Family::V6 => "-6",
        };
        let said = ip(&["-n", self.namespace(), "-json", flag, "route", "show"])?;
        kernel::parse(&said, family).with_context(|| format!("read the routes of {}", self.name()))
    }

    /// The address that an interface made for itself (RFC 4291 §2.5.6).
    pub fn link_local(&self, interface: &str) -> Result<Ipv6Addr> {
        let said =
            self.ip(&["-json", "-6", "address", "show", "dev", interface, "scope", "link", "-tentative"])?;
        let links: Vec<Value> = serde_json::from_str(&said).context("read the addresses")?;
        let addresses = links.iter().filter_map(|link| link.get("addr_info")?.as_array()).flatten();
        let mut texts = addresses.filter_map(|address| address.get("local")?.as_str());
        texts
            .find_map(|text| text.parse().ok())
            .with_context(|| format!("{interface} of {} has no link-local address: is it up?", self.name()))
    }

    /// Runs `ip` in its network.
    pub(super) fn ip(&self, words: &[&str]) -> Result<String> {
        ip(&[&["-n", self.namespace()], words].concat())
    }

    pub(super) fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(self.namespace())
    }

    /// Brings a new host up.
    pub(super) fn prepare(&self) -> Result<()> {
        self.sysctl(&[
            // A new address is usable at once: duplicate address detection would cost a second or two.
            ("net/ipv6/conf/all/accept_dad", "0"),
            ("net/ipv6/conf/default/accept_dad", "0"),
            ("net/ipv4/conf/all/rp_filter", "0"),
            ("net/ipv4/conf/default/rp_filter", "0"),
            // Connections, not address pairs, are spread over next hops.
            ("net/ipv4/fib_multipath_hash_policy", "1"),
            ("net/ipv6/fib_multipath_hash_policy", "1"),
        ])?;
        // Where the module is loaded, bridged frames would pass the machine's iptables rules.
        for table in ["iptables", "ip6tables", "arptables"] {
            let name = format!("net/bridge/bridge-nf-call-{table}");
            if self.inside(|| fs::exists(Path::new("/proc/sys").join(&name)).unwrap_or(false))? {
                self.sysctl(&[(&name, "0")])?;
            }
        }
        self.ip(&["link", "set", "lo", "up"]).map(drop)
    }

    /// Gives back what the kernel forgot when this interface went.
    pub(super) fn restore(&self, interface: &str) -> Result<()> {
        let given = self.given();
        for address in given.addresses.get(interface).into_iter().flatten() {
            self.apply_address(interface, address)?;
        }
        given.routes.iter().try_for_each(|route| self.apply_route(route))
    }

    fn apply_address(&self, interface: &str, address: &str) -> Result<()> {
        let more: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
        self.ip(&[&["address", "replace", address, "dev", interface], more].concat()).map(drop)
    }

    fn apply_route(&self, route: &[String]) -> Result<()> {
        let (family, rest) = route.split_first().context("a route has words")?;
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        self.ip(&[&[family.as_str(), "route", "replace"], rest.as_slice()].concat()).map(drop)
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        self.0.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
