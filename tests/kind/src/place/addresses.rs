//! Which addresses a scenario may give to services. Pure arithmetic on networks.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, ensure};
use ipnet::{Ipv4Net, Ipv6Net};
use serde_json::Value;

/// Addresses of the nodes' network that nobody has, if machines are given theirs from below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The last 256 of the nodes' network.
    v4: Ipv4Net,
    /// The nodes' IPv6 network.
    v6: Ipv6Net,
    /// 256 more IPv4 addresses. The client may have to be told that they are on its link.
    pub more: Ipv4Net,
}

/// As many IPv4 addresses as scenarios give: a prefix of that length.
const BLOCK: u8 = 24;

impl Addresses {
    /// Those of the lab, where 10.77.0.1 to 10.77.0.50 are machines.
    pub(super) const OF_THE_LAB: Self = Self {
        v4: Ipv4Net::new_assert(Ipv4Addr::new(10, 77, 0, 0), BLOCK),
        v6: Ipv6Net::new_assert(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0), 64),
        more: Ipv4Net::new_assert(Ipv4Addr::new(10, 77, 1, 0), BLOCK),
    };

    /// Those of a network of Docker, by what `docker network inspect` says about it.
    pub fn of_docker(inspected: &str) -> anyhow::Result<Self> {
        let said: Value = serde_json::from_str(inspected).context("`docker network inspect` gave no JSON")?;
        let configs =
            said.pointer("/0/IPAM/Config").and_then(Value::as_array).context("it has no subnets")?;
        let subnets: Vec<&str> = configs.iter().filter_map(|config| config.get("Subnet")?.as_str()).collect();
        let v4 = subnets.iter().find_map(|subnet| subnet.parse::<Ipv4Net>().ok());
        let v6 = subnets.iter().find_map(|subnet| subnet.parse::<Ipv6Net>().ok());
        let v4 = v4.with_context(|| format!("no IPv4 subnet among {subnets:?}"))?;
        let v6 = v6.with_context(|| {
            format!("no IPv6 subnet among {subnets:?}: the scenarios are dual-stack, and kind makes its network so where the kernel has ip6tables")
        })?;
        Self::of_networks(v4, v6)
    }

    fn of_networks(v4: Ipv4Net, v6: Ipv6Net) -> anyhow::Result<Self> {
        ensure!(v4.prefix_len() < BLOCK, "{v4} is too small: the scenarios take 512 addresses at its end");
        ensure!(v6.prefix_len() <= 64, "{v6} is too small: the scenarios take addresses from its ::200 on");
        let last = u32::from(v4.broadcast());
        let block = |address: u32| Ipv4Net::new(address.into(), BLOCK).map(|net| net.trunc());
        Ok(Self { v4: block(last)?, v6: v6.trunc(), more: block(last - 256)? })
    }

    /// The one with that last octet.
    pub fn v4(&self, last: u8) -> Ipv4Addr {
        (u32::from(self.v4.network()) | u32::from(last)).into()
    }

    /// From one last octet to another, as pools have it.
    pub fn v4s(&self, first: u8, last: u8) -> String {
        format!("{}-{}", self.v4(first), self.v4(last))
    }

    /// The one with that last group.
    pub fn v6(&self, group: u16) -> Ipv6Addr {
        (u128::from(self.v6.network()) | u128::from(group)).into()
    }

    /// From one last group to another, as pools have it.
    pub fn v6s(&self, first: u16, last: u16) -> String {
        format!("{}-{}", self.v6(first), self.v6(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Docker says of the network that kind makes, without what is not read here.
    const KIND: &str = r#"[{
        "Name": "kind", "Driver": "bridge", "EnableIPv4": true, "EnableIPv6": true,
        "IPAM": { "Driver": "default", "Options": {}, "Config": [
            { "Subnet": "fc00:f853:ccd:e793::/64", "Gateway": "fc00:f853:ccd:e793::1" },
            { "Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1" }
        ] },
        "Options": { "com.docker.network.bridge.enable_ip_masquerade": "true", "com.docker.network.driver.mtu": "1500" }
    }]"#;

    #[test]
    fn a_network_of_docker_gives_its_last_addresses_in_whatever_order_it_has_its_families() {
        let addresses = Addresses::of_docker(KIND).unwrap();
        assert_eq!(addresses.v4s(200, 250), "172.18.255.200-172.18.255.250");
        assert_eq!(addresses.more.to_string(), "172.18.254.0/24");
        assert_eq!(addresses.v6s(0x200, 0x209), "fc00:f853:ccd:e793::200-fc00:f853:ccd:e793::209");
    }

    #[test]
    fn in_the_lab_the_addresses_are_those_that_its_pictures_show() {
        let addresses = Addresses::OF_THE_LAB;
        assert_eq!(addresses.v4s(200, 250), "10.77.0.200-10.77.0.250");
        assert_eq!(addresses.v6s(0x200, 0x250), "fd77::200-fd77::250");
    }

    #[test]
    fn a_network_that_cannot_do_says_why() {
        let refused = |text: &str| format!("{:#}", Addresses::of_docker(text).unwrap_err());
        assert!(refused(&KIND.replace("/16", "/24")).contains("172.18.0.0/24 is too small"));
        let one_family = r#"[{"IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}}]"#;
        assert!(refused(one_family).contains("no IPv6 subnet among [\"172.18.0.0/16\"]"));
        assert!(refused("[]").contains("it has no subnets"));
    }
}
