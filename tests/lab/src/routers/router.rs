//! A router: one program of one make on one host, and what can be done to it.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};
use ipnet::IpNet;
use nix::sys::signal::Signal;

use super::config::{Config, Family, Peer};
use super::running::{Ending, Running};
use super::seen::{BfdState, BgpState, NeighbourState, Path, Routes};
use super::{bird, frr, gobgp};
use crate::network::Host;
use crate::process::Process;
use crate::wait::{Attempt, until};

/// How long [`Router::established`] and its like wait: long beside the seconds that a session takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who made a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Make {
    /// FRR, of Debian's package `frr`.
    Frr,
    /// BIRD 2, of Debian's package `bird2`.
    Bird,
    /// GoBGP, of Debian's package `gobgpd`.
    GoBgp,
}

impl Make {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Frr, Self::Bird, Self::GoBgp];
}

impl Display for Make {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frr => "FRR",
            Self::Bird => "BIRD",
            Self::GoBgp => "GoBGP",
        })
    }
}

/// A running router. It ends with the value, and with this process.
#[derive(Debug)]
pub struct Router {
    make: Make,
    config: Config,
    running: Running,
}

impl Router {
    /// Starts a router on a host, and waits until it listens.
    pub async fn start(make: Make, host: &Host, config: Config) -> Result<Self> {
        let owner = match make {
            Make::Frr => Some(frr::daemons::USER),
            Make::Bird | Make::GoBgp => None,
        };
        let mut router = Self { make, config, running: Running::prepare(host, owner)? };
        router.begin().await?;
        Ok(router)
    }

    /// Who made it.
    pub fn make(&self) -> Make {
        self.make
    }

    /// Where it runs.
    pub fn host(&self) -> &Host {
        self.running.host()
    }

    /// Its processes, for what is measured of them.
    pub fn processes(&self) -> &[Process] {
        self.running.processes()
    }

    /// What it was told to be.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What it says of all its neighbours.
    pub async fn neighbours(&self) -> Result<Vec<NeighbourState>> {
        match self.make {
            Make::Frr => frr::answers::neighbours(&self.running).await,
            Make::Bird => bird::answers::neighbours(&self.running, &self.config).await,
            Make::GoBgp => gobgp::answers::neighbours(&self.running).await,
        }
    }

    /// What it says of the neighbour of that address or, if it is unnumbered, interface.
    pub async fn neighbour(&self, at: impl Display) -> Result<Option<NeighbourState>> {
        let at = at.to_string();
        let address: Option<IpAddr> = at.parse().ok();
        let is_it =
            |known: &NeighbourState| known.name == at || (address.is_some() && known.address == address);
        Ok(self.neighbours().await?.into_iter().find(is_it))
    }

    /// All paths that it knows, of both families.
    pub async fn routes(&self) -> Result<Routes> {
        let mut routes = Routes::new();
        for family in Family::ALL {
            routes.extend(self.routes_of(family).await?);
        }
        Ok(routes)
    }

    /// The paths to a prefix; none if it does not know it.
    pub async fn paths(&self, prefix: &str) -> Result<Vec<Path>> {
        let prefix: IpNet = prefix.parse().with_context(|| format!("{prefix:?} is no prefix"))?;
        Ok(self.routes_of(Family::of(&prefix)).await?.remove(&prefix).unwrap_or_default())
    }

    async fn routes_of(&self, family: Family) -> Result<Routes> {
        match self.make {
            Make::Frr => frr::answers::routes(&self.running, family).await,
            Make::Bird => bird::answers::routes(&self.running, family).await,
            Make::GoBgp => gobgp::answers::routes(&self.running, family).await,
        }
    }

    /// What it says of its BFD sessions.
    pub async fn bfd(&self) -> Result<Vec<BfdState>> {
        match self.make {
            Make::Frr => frr::answers::bfd(&self.running).await,
            Make::Bird => bird::answers::bfd(&self.running).await,
            Make::GoBgp => Ok(Vec::new()),
        }
    }

    /// What it says of the BFD session with that address.
    pub async fn bfd_with(&self, peer: &str) -> Result<Option<BfdState>> {
        let peer: IpAddr = peer.parse().with_context(|| format!("{peer:?} is no address"))?;
        Ok(self.bfd().await?.into_iter().find(|state| state.peer == peer))
    }

    /// Tells it to be something else. Sessions that are the same in both stay up. What needs a restart to change (AS,
    /// router id, port) is restarted.
    pub async fn reconfigure(&mut self, config: Config) -> Result<()> {
        let old = std::mem::replace(&mut self.config, config);
        let identity = |config: &Config| (config.asn, config.router_id, config.port, config.speaks_bgp());
        if identity(&old) != identity(&self.config) {
            return self.restart().await;
        }
        match self.make {
            Make::Frr => frr::daemons::reconfigure(&self.running, &old, &self.config).await,
            Make::Bird => bird::daemon::reconfigure(&self.running, &self.config).await,
            Make::GoBgp => gobgp::daemon::reconfigure(&self.running, &old, &self.config).await,
        }
    }

    /// Ends the session with a neighbour; it begins again by itself.
    pub async fn clear(&self, neighbour: &Peer) -> Result<()> {
        match self.make {
            Make::Frr => frr::daemons::clear(&self.running, neighbour).await,
            Make::Bird => bird::daemon::clear(&self.running, &self.config, neighbour).await,
            Make::GoBgp => gobgp::daemon::clear(&self.running, neighbour).await,
        }
    }

    /// Has it ask a neighbour for all its routes again (RFC 2918).
    pub async fn refresh(&self, neighbour: &Peer) -> Result<()> {
        match self.make {
            Make::Frr => frr::daemons::refresh(&self.running, neighbour).await,
            Make::Bird => bird::daemon::refresh(&self.running, &self.config, neighbour).await,
            Make::GoBgp => {
                bail!("GoBGP remembers what its neighbours said, and never asks again: take FRR or BIRD")
            }
        }
    }

    /// Asks it to end: it says goodbye to its neighbours.
    pub fn stop(&mut self) -> Result<()> {
        self.running.end(Ending::Asked)
    }

    /// Kills it: its neighbours see their connections break.
    pub fn kill(&mut self) -> Result<()> {
        self.running.end(Ending::Killed)
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill).
    pub async fn begin(&mut self) -> Result<()> {
        let started = match self.make {
            Make::Frr => frr::daemons::start(&mut self.running, &self.config).await,
            Make::Bird => bird::daemon::start(&mut self.running, &self.config).await,
            Make::GoBgp => gobgp::daemon::start(&mut self.running, &self.config).await,
        };
        started.with_context(|| format!("start {} on {}", self.make, self.host().name()))
    }

    /// Stops it and starts it again.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.begin().await
    }

    /// It stands still, as when its machine has died: connections stay, nothing is said.
    pub fn freeze(&self) {
        self.running.signal(Signal::SIGSTOP);
    }

    /// One of its processes stands still, the others go on: FRR's `bgpd` without its `bfdd`, say.
    pub fn freeze_daemon(&self, name: &str) -> Result<()> {
        let process = self.running.process(name);
        let process = process.with_context(|| format!("{} runs no {name}", self.make))?;
        process.signal(Signal::SIGSTOP);
        Ok(())
    }

    /// All of it goes on.
    pub fn thaw(&self) {
        self.running.signal(Signal::SIGCONT);
    }

    /// Waits until it is so.
    ///
    /// # Panics
    /// When it is not so in time: with what was waited for, what was seen last, and the last lines of the router's logs.
    #[expect(clippy::panic, reason = "a wait that ends in vain is a failed test")]
    pub async fn eventually<A: Attempt>(
        &self,
        within: Duration,
        what: &str,
        look: impl AsyncFnMut() -> A,
    ) -> A::Value {
        match until(within, what, look).await {
            Ok(value) => value,
            Err(error) => panic!("{:#}", self.with_last_words(&error)),
        }
    }

    /// Waits until the session with that neighbour is up.
    ///
    /// # Panics
    /// When it is not up within half a minute.
    pub async fn established(&self, at: impl Display) -> NeighbourState {
        self.neighbour_is(at, "established", |neighbour| neighbour.state == BgpState::Established).await
    }

    /// Waits until the router says such a thing of that neighbour.
    ///
    /// # Panics
    /// When it does not within half a minute.
    pub async fn neighbour_is(
        &self,
        at: impl Display,
        what: &str,
        is: impl Fn(&NeighbourState) -> bool,
    ) -> NeighbourState {
        let what = format!("{} on {} says of {at}: {what}", self.make, self.host().name());
        self.eventually(PATIENCE, &what, async || match self.neighbour(&at).await {
            Ok(Some(state)) if is(&state) => Ok(state),
            Ok(Some(state)) => Err(format!("{state:?}")),
            Ok(None) => Err("it knows no such neighbour".to_owned()),
            Err(error) => Err(format!("{error:#}")),
        })
        .await
    }

    /// Waits until the paths to a prefix are as they should, and gives them.
    ///
    /// # Panics
    /// When they are not within half a minute.
    pub async fn route(&self, prefix: &str, are: impl Fn(&[Path]) -> bool) -> Vec<Path> {
        let what = format!("{} on {} has the right paths to {prefix}", self.make, self.host().name());
        self.eventually(PATIENCE, &what, async || match self.paths(prefix).await {
            Ok(paths) if are(&paths) => Ok(paths),
            Ok(paths) => Err(format!("{paths:?}")),
            Err(error) => Err(format!("{error:#}")),
        })
        .await
    }

    /// The ends of its logs, for an error message.
    pub fn last_words(&self) -> String {
        self.running.last_words()
    }

    fn with_last_words(&self, error: &Error) -> Error {
        let words =
            format!("the last words of {} on {}:\n{}", self.make, self.host().name(), self.last_words());
        Error::msg(format!("{error:#}\n{words}"))
    }
}
