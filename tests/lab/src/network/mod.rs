//! Small networks for tests of protocols: hosts, links, bridges, and what goes wrong with them. Needs root.
//!
//! | room | what |
//! |---|---|
//! | `site` | [`Network`]: makes hosts, links and bridges, and takes them away |
//! | `host` | [`Host`]: a network namespace with its addresses and routes |
//! | `link` | [`Link`]: cut, mended, replaced |
//! | `rule` | [`Rule`]: packets lost or changed on their way |
//! | `kernel` | [`KernelRoute`]: where a host's kernel really sends packets |
//!
//! Not here: clusters ([`crate::Cluster`] has a network of its own) and routing programs ([`crate::routers`]).
//!
//! ```no_run
//! use metallb_lab::network::{Forwarding, Hook, Network};
//!
//! # fn main() -> anyhow::Result<()> {
//! let network = Network::new()?;
//! let (node, router) = (network.host("node")?, network.host("router")?);
//! let link = network.link((&node, "v0"), (&router, "v0"))?;
//! node.addresses("v0", &["192.0.2.1/24", "2001:db8::1/64"])?;
//! router.addresses("v0", &["192.0.2.2/24", "2001:db8::2/64"])?;
//! node.route("198.51.100.0/24", "192.0.2.2")?;
//! router.forward(Forwarding::On)?;
//! let socket = node.inside(|| std::net::UdpSocket::bind("192.0.2.1:0"))??;
//! link.cut()?;
//! link.mend()?;
//! let lossy = router.lose(Hook::Input, "udp dport 3784", 30)?;
//! drop(lossy); // all packets arrive again
//! # Ok(()) }
//! ```

mod host;
mod kernel;
mod link;
mod rule;
mod site;

pub use host::{Forwarding, Host};
pub use kernel::{KernelRoute, NextHop};
pub use link::Link;
pub use rule::{Hook, Rule};
pub use site::{Bridge, Network};
