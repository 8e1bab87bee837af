//! Real routers for tests: FRR, BIRD and GoBGP from Debian packages, each on a host of a [`crate::network`].
//!
//! | room | what |
//! |---|---|
//! | `config` | [`Config`]: what a router is told to be, the same for all makes |
//! | `router` | [`Router`]: started, asked, stopped, frozen, killed, configured anew |
//! | `seen` | [`NeighbourState`], [`Path`], [`BfdState`]: what a router says, the same for all makes |
//! | `frr`, `bird`, `gobgp` | their configuration files and their answers |
//! | `running` | processes, directory and logs of one router |
//!
//! What a make cannot do is refused by [`Router::start`], with its name.
//!
//! ```no_run
//! use std::time::Duration;
//! use metallb_lab::network::Network;
//! use metallb_lab::routers::{Bfd, Config, Make, Neighbour, Remote, Router};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let network = Network::new()?;
//! let (node, tor) = (network.host("node")?, network.host("tor")?);
//! network.link((&node, "v0"), (&tor, "v0"))?;
//! node.addresses("v0", &["192.0.2.1/24"])?;
//! tor.addresses("v0", &["192.0.2.2/24"])?;
//! let neighbour = Neighbour::at("192.0.2.1".parse()?, Remote::As(64500))
//!     .password("secret")
//!     .bfd(Bfd::every(Duration::from_millis(100), 3));
//! let tor = Router::start(Make::Frr, &tor, Config::new(64512, [192, 0, 2, 2]).neighbour(neighbour)).await?;
//! // … a speaker begins on the node …
//! tor.established("192.0.2.1").await;
//! let paths = tor.route("203.0.113.1/32", |paths| paths.len() == 1).await;
//! assert_eq!(paths[0].as_path, [64500]);
//! # Ok(()) }
//! ```
mod bird;
mod config;
mod frr;
mod gobgp;

mod router;
mod running;
mod seen;

pub use config::{
    Administration, Bfd, BfdPeer, Config, Distance, Echo, Family, Initiative, Neighbour, Peer, Remote,
    Restarting, Timers,
};
pub use router::{Make, Router};
pub use seen::{BfdState, BgpState, GracefulRestart, Messages, NeighbourState, Path, Routes};
