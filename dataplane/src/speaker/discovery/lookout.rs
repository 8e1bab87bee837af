//! From outside: start it, tell it which interfaces are wanted, read who was found. It ends with the value.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use metallb_core::names::InterfaceName;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;

use super::driver::Driver;
use super::neighbour::{Absent, Neighbour};
use crate::net::interfaces;

/// Who is at the other end, for the interfaces on which that is known.
pub type Seen = BTreeMap<InterfaceName, Neighbour>;
/// Why it is not known, for the others that are wanted.
pub type Missing = BTreeMap<InterfaceName, Absent>;

/// The search, while it runs.
#[derive(Debug)]
pub struct Discovery {
    wanted: watch::Sender<BTreeSet<InterfaceName>>,
    /// Who was found. A neighbour stays until its interface goes, goes down, or leads to another one. Closes when the search
    /// has ended by itself, which it does not.
    pub seen: watch::Receiver<Seen>,
    /// Why nobody was found.
    pub missing: watch::Receiver<Missing>,
    /// Where is looked.
    pub interfaces: watch::Receiver<interfaces::Interfaces>,
}

impl Discovery {
    /// Starts a task on the runtime that this is called on. Sockets are opened when interfaces are wanted, and not before.
    pub fn start() -> anyhow::Result<Self> {
        let interfaces = interfaces::follow()?;
        let generator = StdRng::try_from_os_rng().context("the system gives no random bytes")?;
        let (wanted, to_find) = watch::channel(BTreeSet::new());
        let (seen_sender, seen) = watch::channel(Seen::new());
        let (missing_sender, missing) = watch::channel(Missing::new());
        let all = interfaces.clone();
        tokio::spawn(Driver::new(to_find, interfaces, seen_sender, missing_sender, generator).run());
        Ok(Self { wanted, seen, missing, interfaces: all })
    }

    /// From now on, find the routers behind these interfaces and no others.
    pub fn publish(&self, wanted: BTreeSet<InterfaceName>) {
        self.wanted.send_if_modified(|known| {
            let differs = *known != wanted;
            *known = wanted;
            differs
        });
    }
}
