//! Namespaces, the LAN bridge, cables and routes.
//!
//! ```text
//!            n1   n2   n3   cp  client  router ── remote
//!             │    │    │    │    │       │      10.78.0.0/24, fd78::/64
//!  lan: br0 ──┴────┴────┴────┴────┴───────┘
//!             10.77.0.0/24, fd77::/64
//! ```
//!
//! The port of host X on the bridge is called `p-X`. Pod ranges are static routes: there is no CNI daemon.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use tokio::process::Command;

use super::layout::{CLIENT, CONTROL_PLANE, LAN, Layout, REMOTE, ROUTER, addresses, mac};
use super::state::{Ledger, Progress};
use crate::command::{output, output_with_input};
use crate::netns;

/// Makes those hosts that are not complete.
pub(super) async fn ensure(layout: &Layout, ledger: &Ledger, hosts: &[String]) -> Result<()> {
    let incomplete = |host: &str| {
        ledger.read().namespaces.get(host) != Some(&Progress::Complete) || !layout.netns(host).exists()
    };
    if incomplete(LAN) {
        // The cables hang on it: without it nothing is complete.
        ledger
            .write(|state| state.namespaces.values_mut().for_each(|progress| *progress = Progress::Begun))?;
    }
    let missing: Vec<String> = hosts.iter().filter(|host| incomplete(host)).cloned().collect();
    ledger.write(|state| {
        state.namespaces.extend(missing.iter().map(|host| (host.clone(), Progress::Begun)));
    })?;
    remove(layout, &missing).await?;
    let mut batch = String::new();
    for host in &missing {
        writeln!(batch, "netns add {}", layout.scoped(host))?;
    }
    ip(None, &batch).await?;
    for host in &missing {
        configure(layout, host).await?;
        ledger.write(|state| {
            state.namespaces.insert(host.clone(), Progress::Complete);
        })?;
    }
    Ok(())
}

/// Shows the control plane and the nodes among `hosts` the way to all nodes' pods.
pub(super) async fn route_pods(layout: &Layout, hosts: &[String]) -> Result<()> {
    for host in hosts.iter().filter(|host| *host == CONTROL_PLANE || layout.node(host).is_ok()) {
        ip(Some((layout, host)), &pod_routes(layout, host)?).await?;
    }
    Ok(())
}

/// Removes hosts' namespaces and with them their cables. Those that are not there are fine.
pub(super) async fn remove(layout: &Layout, hosts: &[String]) -> Result<()> {
    let mut batch = String::new();
    for host in hosts.iter().filter(|host| layout.netns(host).exists()) {
        // A cable is gone when this returns; a namespace takes its time, and would take its end with it later.
        cut(layout, host).await?;
        writeln!(batch, "netns del {}", layout.scoped(host))?;
    }
    ip(None, &batch).await
}

/// Takes the whole cable away, at once: no farewell of any connection leaves the host.
pub(super) async fn cut(layout: &Layout, host: &str) -> Result<()> {
    if layout.netns(LAN).exists() && host != LAN && port_exists(layout, host).await? {
        ip(Some((layout, LAN)), &format!("link del dev p-{host}\n")).await?;
    }
    Ok(())
}

/// Pulls a host's cable out of the bridge. The host itself notices nothing, as with a switch that died.
pub(super) async fn unplug(layout: &Layout, host: &str) -> Result<()> {
    ip(Some((layout, LAN)), &format!("link set dev p-{host} nomaster\n")).await
}

/// Puts it back.
pub(super) async fn plug(layout: &Layout, host: &str) -> Result<()> {
    ip(Some((layout, LAN)), &format!("link set dev p-{host} master br0 up\n")).await
}

/// The far end of a host's cable goes dead or comes back: the host sees it lose its carrier.
pub(super) async fn set_carrier(layout: &Layout, host: &str, on: bool) -> Result<()> {
    let state = if on { "up" } else { "down" };
    ip(Some((layout, LAN)), &format!("link set dev p-{host} {state}\n")).await
}

/// Whether a host's cable is in the bridge.
pub(super) async fn is_plugged(layout: &Layout, host: &str) -> Result<bool> {
    let port = format!("p-{host}");
    let show = ["-n", &layout.scoped(LAN), "-json", "link", "show", "master", "br0"];
    let mut command = Command::new("ip");
    command.args(show);
    let ports: Vec<serde_json::Value> =
        serde_json::from_str(&output(command).await?.success()?).unwrap_or_default();
    Ok(ports.iter().any(|known| known["ifname"] == *port))
}

async fn port_exists(layout: &Layout, host: &str) -> Result<bool> {
    let mut command = Command::new("ip");
    command.args(["-n", &layout.scoped(LAN), "link", "show", "dev", &format!("p-{host}")]);
    Ok(output(command).await?.is_success())
}

async fn configure(layout: &Layout, host: &str) -> Result<()> {
    let netns = layout.netns(host);
    netns::sysctl(&netns, EVERYWHERE)?;
    match host {
        LAN => {
            let bridge = "link set dev lo up\n\
                          link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
                          link set dev br0 up\n";
            ip(Some((layout, host)), bridge).await?;
            // Where the module is loaded, bridged frames would pass the machine's iptables rules.
            for table in ["iptables", "ip6tables", "arptables"] {
                let name = format!("net/bridge/bridge-nf-call-{table}");
                let exists = netns::within(&netns, || Path::new("/proc/sys").join(&name).exists())?;
                if exists {
                    netns::sysctl(&netns, &[(&name, "0")])?;
                }
            }
            return Ok(());
        }
        ROUTER => netns::sysctl(&netns, &[FORWARD, HASH_PORTS].concat())?,
        CONTROL_PLANE | CLIENT | REMOTE => {}
        _ => netns::sysctl(&netns, FORWARD)?,
    }
    if host == REMOTE {
        let (ours, peers) = (layout.scoped(REMOTE), layout.scoped(ROUTER));
        let cable = format!(
            "link add eth0 address 02:78:00:00:00:02 netns {ours} type veth peer name eth1 address 02:78:00:00:00:01 \
             netns {peers}\n"
        );
        ip(None, &cable).await?;
        let leg =
            "addr add 10.78.0.1/24 dev eth1\naddr add fd78::1/64 dev eth1 nodad\nlink set dev eth1 up\n";
        ip(Some((layout, ROUTER)), leg).await?;
    } else if let Some(mac) = mac(host) {
        let cable = format!(
            "link add p-{host} type veth peer name eth0 netns {} address {mac}\n\
             link set dev p-{host} master br0 up\n",
            layout.scoped(host)
        );
        ip(Some((layout, LAN)), &cable).await?;
    }
    let mut batch = String::from("link set dev lo up\n");
    if let Some((v4, v6)) = addresses(host) {
        writeln!(batch, "addr add {v4}/24 dev eth0\naddr add {v6}/64 dev eth0 nodad\nlink set dev eth0 up")?;
        match host {
            ROUTER => {}
            REMOTE => batch.push_str("route add default via 10.78.0.1\n-6 route add default via fd78::1\n"),
            _ => batch.push_str("route add default via 10.77.0.1\n-6 route add default via fd77::1\n"),
        }
    }
    ip(Some((layout, host)), &batch).await
}

/// From one host to the pods of all other nodes.
fn pod_routes(layout: &Layout, host: &str) -> Result<String> {
    let mut batch = String::new();
    for node in layout.nodes().filter(|node| node.name() != host) {
        let [pods_v4, pods_v6] = node.pod_cidrs();
        if let Some((v4, v6)) = addresses(&node.name()) {
            writeln!(batch, "route replace {pods_v4} via {v4}\n-6 route replace {pods_v6} via {v6}")?;
        }
    }
    Ok(batch)
}

/// Runs several `ip` commands as one, in a host's namespace or, without one, on the machine.
async fn ip(host: Option<(&Layout, &str)>, batch: &str) -> Result<()> {
    // `ip -batch` knows no -4 and -6 per line: two runs.
    let (v6, v4): (Vec<&str>, Vec<&str>) = batch.lines().partition(|line| line.starts_with("-6 "));
    for (family, lines) in [(None, v4), (Some("-6"), v6)] {
        if lines.is_empty() {
            continue;
        }
        let mut command = Command::new("ip");
        command.args(family);
        if let Some((layout, host)) = host {
            command.args(["-n", &layout.scoped(host)]);
        }
        command.args(["-batch", "-"]);
        let lines: Vec<&str> = lines.into_iter().map(|line| line.trim_start_matches("-6 ")).collect();
        let outcome = output_with_input(command, &(lines.join("\n") + "\n")).await?;
        outcome.success().map_err(|error| error.context(lines.join("; ")))?;
    }
    Ok(())
}

const EVERYWHERE: &[(&str, &str)] = &[
    // A new address is usable at once: duplicate address detection would cost a second or two.
    ("net/ipv6/conf/all/accept_dad", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
];
const FORWARD: &[(&str, &str)] = &[("net/ipv4/ip_forward", "1"), ("net/ipv6/conf/all/forwarding", "1")];
/// Connections, not address pairs, are spread over next hops.
const HASH_PORTS: &[(&str, &str)] =
    &[("net/ipv4/fib_multipath_hash_policy", "1"), ("net/ipv6/fib_multipath_hash_policy", "1")];
