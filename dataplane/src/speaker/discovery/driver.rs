//! The loop: wait for interfaces, packets or time; then bring ends, and what is told, in step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use futures::future::{pending, select_all};
use ipnet::IpNet;
use metallb_core::names::InterfaceName;
use metallb_protocols::jitter::Jitter;
use rand::RngCore as _;
use rand::rngs::StdRng;
use tokio::sync::watch;

use super::end::{End, link_locals};
use super::lookout::{Missing, Seen};
use super::neighbour::{Absent, Neighbour};
use super::point_to_point::other_end;
use crate::net::interfaces::{Interface, Interfaces};

/// An advertisement is no longer than the link lets a packet be, and all that matters is in front.
const BUFFER: usize = 9216;
/// After a socket could not be opened, try again this much later.
const REOPEN: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    wanted: watch::Receiver<BTreeSet<InterfaceName>>,
    interfaces: watch::Receiver<Interfaces>,
    seen: watch::Sender<Seen>,
    missing: watch::Sender<Missing>,
    generator: StdRng,
    /// What is wanted, and what there is of it.
    links: BTreeMap<InterfaceName, Option<Interface>>,
    /// Those of interfaces that are wanted, run, and have a link-local address.
    ends: BTreeMap<InterfaceName, End>,
    /// Why there is no end where there should be one.
    broken: BTreeMap<InterfaceName, String>,
    reopen_at: Option<Instant>,
}

impl Driver {
    pub(super) fn new(
        wanted: watch::Receiver<BTreeSet<InterfaceName>>,
        interfaces: watch::Receiver<Interfaces>,
        seen: watch::Sender<Seen>,
        missing: watch::Sender<Missing>,
        generator: StdRng,
    ) -> Self {
        Self {
            wanted,
            interfaces,
            seen,
            missing,
            generator,
            links: BTreeMap::new(),
            ends: BTreeMap::new(),
            broken: BTreeMap::new(),
            reopen_at: None,
        }
    }

    /// Runs until nobody can want anything any more.
    pub(super) async fn run(mut self) {
        let mut buffer = vec![0; BUFFER];
        loop {
            let timers = self.ends.values().map(End::poll_timeout).chain(self.reopen_at);
            let due = timers.min();
            tokio::select! {
                changed = self.wanted.changed() => if changed.is_err() {
                    return;
                },
                changed = self.interfaces.changed() => if changed.is_err() {
                    tracing::error!(event = "interfacesUnknown", "routers are not looked for any more");
                    return;
                },
                () = at(due) => {}
                () = readable(&self.ends) => {}
            }
            // What waits in the sockets is of the ends as they were.
            self.receive(&mut buffer);
            self.take_links();
            self.open_ends();
            let now = Instant::now();
            for end in self.ends.values_mut() {
                end.pass_time(now);
            }
            self.tell();
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) {
        let mut broken = BTreeMap::new();
        for (name, end) in &mut self.ends {
            if let Err(error) = end.receive(buffer) {
                broken.insert(name.clone(), error.to_string());
            }
        }
        if !broken.is_empty() {
            self.ends.retain(|name, _| !broken.contains_key(name));
            self.broken.extend(broken);
            self.reopen_at = Some(Instant::now() + REOPEN);
        }
    }

    /// What was built on links that have changed goes.
    fn take_links(&mut self) {
        let now = Instant::now();
        let interfaces = self.interfaces.borrow_and_update();
        let wanted = self.wanted.borrow_and_update();
        self.links = wanted.iter().map(|name| (name.clone(), interfaces.get(name).cloned())).collect();
        let links = &self.links;
        self.ends.retain(|name, end| {
            let Some(Some(interface)) = links.get(name) else { return false };
            end.update(now, interface);
            end.fits(interface)
        });
        self.broken.retain(|name, _| links.contains_key(name));
    }

    /// Opens what is missing.
    fn open_ends(&mut self) {
        let now = Instant::now();
        // Not before, even if links change: a link that changes fast would have us try as fast.
        if self.reopen_at.is_some_and(|due| now < due) {
            return;
        }
        self.reopen_at = None;
        for (name, interface) in &self.links {
            let Some(interface) = interface.as_ref().filter(|interface| interface.is_running) else {
                continue;
            };
            let Some(local) = link_locals(interface).next().filter(|_| !self.ends.contains_key(name)) else {
                continue;
            };
            let jitter = Jitter::new(self.generator.next_u64());
            match End::open(now, name.clone(), interface, local, jitter) {
                Ok(end) => {
                    self.ends.insert(name.clone(), end);
                    self.broken.remove(name);
                }
                Err(error) => {
                    self.broken.insert(name.clone(), error.to_string());
                    self.reopen_at = Some(now + REOPEN);
                }
            }
        }
    }

    fn tell(&self) {
        let (mut seen, mut missing) = (Seen::new(), Missing::new());
        for (name, interface) in &self.links {
            match self.neighbour(name, interface.as_ref()) {
                Ok(neighbour) => {
                    seen.insert(name.clone(), neighbour);
                }
                Err(absent) => {
                    missing.insert(name.clone(), absent);
                }
            }
        }
        self.missing.send_if_modified(|known| {
            for (name, absent) in missing.iter().filter(|(name, absent)| known.get(*name) != Some(*absent)) {
                log_absent(name, absent);
            }
            let differs = *known != missing;
            *known = missing;
            differs
        });
        self.seen.send_if_modified(|known| {
            for (name, found) in seen.iter().filter(|(name, found)| known.get(*name) != Some(*found)) {
                let Neighbour { address, local, interface: _ } = found;
                tracing::info!(event = "neighbourFound", interface = %name, %address, %local, "a router is there");
            }
            let differs = *known != seen;
            *known = seen;
            differs
        });
    }

    fn neighbour(&self, name: &InterfaceName, interface: Option<&Interface>) -> Result<Neighbour, Absent> {
        let interface = interface.ok_or(Absent::NoInterface)?;
        if !interface.is_running {
            return Err(Absent::Down);
        }
        let (address, local) = match (link_for_two(interface), self.ends.get(name)) {
            (Some((address, local)), _) => (IpAddr::V4(address), IpAddr::V4(local)),
            (None, Some(end)) => {
                (IpAddr::V6(end.neighbour().ok_or(Absent::Silent)?), IpAddr::V6(end.local()))
            }
            (None, None) => {
                let broken = self.broken.get(name).filter(|_| link_locals(interface).next().is_some());
                return Err(broken.map_or(Absent::NoAddress, |error| Absent::Deaf { error: error.clone() }));
            }
        };
        Ok(Neighbour { address, local, interface: interface.index })
    }
}

/// The other end, and ours. Of several such networks the lowest.
fn link_for_two(interface: &Interface) -> Option<(Ipv4Addr, Ipv4Addr)> {
    interface.addresses.iter().find_map(|net| match net {
        IpNet::V4(net) => Some((other_end(*net)?, net.addr())),
        IpNet::V6(_) => None,
    })
}

fn log_absent(name: &InterfaceName, absent: &Absent) {
    match absent {
        Absent::Silent => {
            tracing::info!(event = "neighbourUnknown", interface = %name, "{absent}");
        }
        Absent::NoInterface | Absent::Down | Absent::NoAddress | Absent::Deaf { .. } => {
            tracing::warn!(event = "neighbourUnknown", interface = %name, "{absent}");
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => pending().await,
    }
}

/// Returns when there may be something to read.
async fn readable(ends: &BTreeMap<InterfaceName, End>) {
    if ends.is_empty() {
        return pending().await;
    }
    select_all(ends.values().map(|end| Box::pin(end.readable()))).await;
}
