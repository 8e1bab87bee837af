//! The network as a whole: names that nobody else has, and an end that comes in any case.

use std::io::PipeWriter;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

use super::host::Host;
use super::link::{Link, Mac};
use crate::janitor::Janitor;

static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// Hosts in network namespaces of their own, and what joins them.
///
/// The namespaces go when the value, its hosts and whatever runs on them have been dropped, or when this process ends in
/// whatever way.
#[derive(Debug)]
pub struct Network(Arc<Premises>);

/// What the hosts of one network share.
#[derive(Debug)]
pub(super) struct Premises {
    name: String,
    macs: AtomicU32,
    alive: Option<PipeWriter>,
    janitor: Option<Janitor>,
}

/// A switch: a host of its own, whose only business it is to join the others.
#[derive(Debug)]
pub struct Bridge {
    host: Host,
    premises: Arc<Premises>,
}

impl Network {
    /// A network without hosts.
    pub fn new() -> Result<Self> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "networks are made of namespaces, which takes root: run the tests as root or through sudo"
        );
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("net-{}-{number}", std::process::id());
        let work = "for it in /run/netns/\"$1\"-*; do [ -e \"$it\" ] && ip netns delete \"${it##*/}\"; done";
        let (janitor, alive) = Janitor::engage(work, [&name])?;
        let macs = AtomicU32::new(1);
        Ok(Self(Arc::new(Premises { name, macs, alive: Some(alive), janitor: Some(janitor) })))
    }

    /// A new host, with nothing but its loopback. Its namespace is called like the network and the host.
    pub fn host(&self, name: &str) -> Result<Host> {
        let namespace = format!("{}-{name}", self.0.name);
        ip(&["netns", "add", &namespace])?;
        let host = Host::new(name, namespace, Some(Arc::clone(&self.0)));
        host.prepare().with_context(|| format!("prepare the host {name}"))?;
        Ok(host)
    }

    /// A cable between two hosts: each end is a host and the name of its interface there.
    pub fn link(&self, one: (&Host, &str), other: (&Host, &str)) -> Result<Link> {
        Link::lay(&self.0, one, other)
    }

    /// A new switch without ports.
    pub fn bridge(&self, name: &str) -> Result<Bridge> {
        let host = self.host(name)?;
        host.ip(&["link", "add", BRIDGE, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"])?;
        host.ip(&["link", "set", BRIDGE, "up"])?;
        Ok(Bridge { host, premises: Arc::clone(&self.0) })
    }
}

/// The name of the bridge in its own host.
pub(super) const BRIDGE: &str = "br0";

impl Bridge {
    /// A cable from a host's new interface to a new port.
    pub fn join(&self, host: &Host, interface: &str) -> Result<Link> {
        // Both are short: an interface's name has fifteen letters.
        let port = format!("p{}", self.premises.macs.load(Ordering::Relaxed));
        Link::lay_to_bridge(&self.premises, (host, interface), (&self.host, &port))
    }

    /// The host that it is: for rules on what passes it (`bridge` family rules excepted).
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl Premises {
    /// A hardware address that this network has not seen yet.
    pub(super) fn next_mac(&self) -> Mac {
        Mac::numbered(self.macs.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Premises {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(janitor) = self.janitor.take() {
            janitor.wait();
        }
    }
}

/// Runs `ip` to its end.
pub(super) fn ip(words: &[&str]) -> Result<String> {
    run("ip", words)
}

/// Runs a short command to its end, and gives what it printed.
pub(super) fn run(program: &str, words: &[&str]) -> Result<String> {
    let shown = || format!("{program} {}", words.join(" "));
    let output = Command::new(program).args(words).output().with_context(|| format!("run `{}`", shown()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` failed ({}): {}", shown(), output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
