//! The routes of a kernel, as `ip -json route` tells them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;

use crate::routers::Family;

/// A route that a kernel uses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelRoute {
    /// Who put it there: `bgp` (FRR), `bird`, `kernel`, `static` …
    pub protocol: String,
    /// Where packets go: several for a route over equal paths.
    pub next_hops: BTreeSet<NextHop>,
}

/// One way that packets can go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NextHop {
    /// The router; none where the destination is on the link. It may be IPv6 for an IPv4 route (RFC 8950).
    pub via: Option<IpAddr>,
    /// The interface; none for a route that leads nowhere.
    pub interface: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    dst: String,
    #[serde(default)]
    protocol: String,
    #[serde(flatten)]
    hop: Hop,
    #[serde(default)]
    nexthops: Vec<Hop>,
}

#[derive(Deserialize)]
struct Hop {
    gateway: Option<IpAddr>,
    via: Option<Via>,
    dev: Option<String>,
}

/// A next hop of the other family.
#[derive(Deserialize)]
struct Via {
    host: IpAddr,
}

pub(super) fn parse(said: &str, family: Family) -> Result<BTreeMap<IpNet, KernelRoute>> {
    // Without a route some versions say nothing at all.
    let said = if said.trim().is_empty() { "[]" } else { said };
    let lines: Vec<Line> = serde_json::from_str(said).context("`ip -json route` is not understood")?;
    let mut routes = BTreeMap::<IpNet, KernelRoute>::new();
    for line in lines {
        let destination = destination(&line.dst, family)?;
        let multicast = destination.addr().is_multicast();
        if multicast || line.hop.dev.as_deref() == Some("lo") {
            continue;
        }
        let hops = if line.nexthops.is_empty() { vec![line.hop] } else { line.nexthops };
        let hops = hops
            .into_iter()
            .map(|hop| NextHop { via: hop.gateway.or(hop.via.map(|via| via.host)), interface: hop.dev });
        // IPv6 tells each path of some routes on a line of its own. The best metric comes first.
        let route = routes
            .entry(destination)
            .or_insert_with(|| KernelRoute { protocol: line.protocol, next_hops: BTreeSet::new() });
        route.next_hops.extend(hops);
    }
    Ok(routes)
}

fn destination(text: &str, family: Family) -> Result<IpNet> {
    if text == "default" {
        return Ok(match family {
            Family::V4 => Ipv4Net::default().into(),
            Family::V6 => Ipv6Net::default().into(),
        });
    }
    let host = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(host).with_context(|| format!("{text:?} is no destination"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(via: &str, interface: &str) -> NextHop {
        NextHop { via: Some(via.parse().unwrap()), interface: Some(interface.to_owned()) }
    }

    #[test]
    fn equal_paths_and_next_hops_of_the_other_family_are_read() {
        let said = r#"[
            {"dst":"default","gateway":"192.0.2.9","dev":"v0","flags":[]},
            {"dst":"203.0.113.1","nhid":9,"protocol":"bgp","metric":20,"flags":[],"nexthops":[
                {"gateway":"192.0.2.1","dev":"v0","weight":1,"flags":[]},
                {"via":{"family":"inet6","host":"fe80::1"},"dev":"v1","weight":1,"flags":[]}]},
            {"type":"blackhole","dst":"198.51.100.0/24","protocol":"bird","flags":[]}]"#;
        let routes = parse(said, Family::V4).unwrap();
        let nowhere = NextHop { via: None, interface: None };
        let expected = [
            ("0.0.0.0/0", "", vec![hop("192.0.2.9", "v0")]),
            ("198.51.100.0/24", "bird", vec![nowhere]),
            ("203.0.113.1/32", "bgp", vec![hop("192.0.2.1", "v0"), hop("fe80::1", "v1")]),
        ];
        let expected = expected.map(|(prefix, protocol, hops)| {
            let route = KernelRoute { protocol: protocol.to_owned(), next_hops: hops.into_iter().collect() };
            (prefix.parse().unwrap(), route)
        });
        assert_eq!(routes, BTreeMap::from(expected));
    }

    #[test]
    fn a_host_without_routes_is_no_error() {
        assert_eq!(parse("", Family::V6).unwrap(), BTreeMap::new());
    }
}
