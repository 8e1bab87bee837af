//! Where it happens: a node and a router on one link, and the router as most scenarios want it.

use std::net::IpAddr;

use futures::future::join_all;
use metallb_core::config::Asn;
use metallb_lab::network::{Host, Network};
use metallb_lab::routers::{Config, Make, Neighbour, Remote, Router};

use super::node::{OURS, TOR};

/// Our addresses on the link, and the router's.
pub const NODE: &str = "192.0.2.1";
pub const NODE_V6: &str = "2001:db8::1";
pub const ROUTER: &str = "192.0.2.2";
pub const ROUTER_V6: &str = "2001:db8::2";

/// What is announced where it does not matter what.
pub const VIP: &str = "203.0.113.1/32";

/// A node and a router on one link.
pub struct Site {
    network: Network,
    pub node: Host,
    pub tor: Host,
    pub link: metallb_lab::network::Link,
}

impl Site {
    /// Both have addresses of both families.
    pub fn new() -> Self {
        let site = Self::bare();
        site.node.addresses("v0", &["192.0.2.1/24", "2001:db8::1/64"]).unwrap();
        site.tor.addresses("v0", &["192.0.2.2/24", "2001:db8::2/64"]).unwrap();
        site
    }

    /// The link has no addresses but what it makes up itself.
    pub fn bare() -> Self {
        let network = Network::new().unwrap();
        let (node, tor) = (network.host("node").unwrap(), network.host("tor").unwrap());
        let link = network.link((&node, "v0"), (&tor, "v0")).unwrap();
        Self { network, node, tor, link }
    }

    /// Another host on a link of its own with the node, which is 198.51.100.1 there: for what must not be on the router.
    pub fn other(&self) -> Host {
        let other = self.network.host("other").unwrap();
        self.network.link((&self.node, "v1"), (&other, "v0")).unwrap();
        self.node.addresses("v1", &["198.51.100.1/24"]).unwrap();
        other
    }

    /// A router there with this neighbour.
    pub async fn router(&self, make: Make, neighbour: Neighbour) -> Router {
        self.configured(make, config().neighbour(neighbour)).await
    }

    /// A router there that is told to be that.
    pub async fn configured(&self, make: Make, config: Config) -> Router {
        Router::start(make, &self.tor, config).await.unwrap()
    }
}

/// The router without neighbours.
pub fn config() -> Config {
    Config::new(TOR, [192, 0, 2, 2])
}

/// Our node, as the router is to know it.
pub fn neighbour() -> Neighbour {
    Neighbour::at(ip(NODE), Remote::As(OURS))
}

pub fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

pub fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

/// Plays the scenario with each of these makes, at the same time.
pub async fn with_each(makes: impl IntoIterator<Item = Make>, scenario: impl AsyncFn(Make)) {
    join_all(makes.into_iter().map(|make| scenario(make))).await;
}
