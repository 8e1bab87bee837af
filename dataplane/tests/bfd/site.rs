//! The three hosts of these tests and the links between them.

use metallb_lab::network::{Forwarding, Hook, Host, Link, Network, Rule};

/// The interface of the node and of the far system, and of the router towards the node.
pub const LINK: &str = "v0";

pub struct Site {
    pub node: Host,
    pub router: Host,
    pub far: Host,
    link: Link,
}

impl Site {
    pub fn new() -> Self {
        let network = Network::new().unwrap();
        let [node, router, far] = ["node", "router", "far"].map(|name| network.host(name).unwrap());
        let link = network.link((&node, LINK), (&router, LINK)).unwrap();
        network.link((&far, LINK), (&router, "v1")).unwrap();
        node.addresses(LINK, &["192.0.2.1/24", "2001:db8::1/64", "fe80::1/64"]).unwrap();
        router.addresses(LINK, &["192.0.2.2/24", "2001:db8::2/64", "fe80::2/64"]).unwrap();
        router.addresses("v1", &["198.51.100.1/24"]).unwrap();
        far.addresses(LINK, &["198.51.100.2/24"]).unwrap();
        node.route("198.51.100.0/24", "192.0.2.2").unwrap();
        far.route("192.0.2.0/24", "198.51.100.1").unwrap();
        router.forward(Forwarding::On).unwrap();
        Self { node, router, far, link }
    }

    /// The node's link is taken away, and another one of the same name and addresses takes its place.
    pub fn replace_link(&self) {
        self.link.replace().unwrap();
    }

    /// Whether the router forwards.
    pub fn forward(&self, forwarding: Forwarding) {
        self.router.forward(forwarding).unwrap();
    }

    /// What the far system sends arrives at the node with this TTL, as if more routers were between them.
    pub fn lower_ttl(&self, ttl: u8) -> Rule {
        self.router.rule(Hook::Forward, &format!("ip saddr 198.51.100.2 ip ttl set {ttl}")).unwrap()
    }
}
