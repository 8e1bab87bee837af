//! The hosts of these tests, all on one switch.

use metallb_lab::network::{Bridge, Host, Network};

/// The interface of every host.
pub const LINK: &str = "v0";

pub struct Site {
    pub client: Host,
    pub first: Host,
    pub second: Host,
    /// Somebody who sends what it likes.
    pub stranger: Host,
    pub switch: Bridge,
}

impl Site {
    pub fn new() -> Self {
        let network = Network::new().unwrap();
        let switch = network.bridge("switch").unwrap();
        let hosts = [("client", 9), ("first", 1), ("second", 2), ("stranger", 13)];
        let [client, first, second, stranger] = hosts.map(|(name, last)| {
            let host = network.host(name).unwrap();
            switch.join(&host, LINK).unwrap();
            let addresses = [format!("192.0.2.{last}/24"), format!("2001:db8::{last}/64")];
            host.addresses(LINK, &addresses.each_ref().map(String::as_str)).unwrap();
            host
        });
        for node in [&first, &second] {
            // As on a node with kube-proxy: its kernel answers for no address that is only on another interface.
            let strict = [("net/ipv4/conf/all/arp_ignore", "1"), ("net/ipv4/conf/all/arp_announce", "2")];
            node.sysctl(&strict).unwrap();
        }
        Self { client, first, second, stranger, switch }
    }
}
