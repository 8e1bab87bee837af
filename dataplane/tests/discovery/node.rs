//! Our side: the search, on a runtime of its own in the network of a host.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use metallb_core::names::InterfaceName;
use metallb_dataplane::speaker::discovery::{Absent, Discovery, Neighbour};
use metallb_lab::eventually;
use metallb_lab::network::Host;
use tokio::sync::oneshot;

/// The interface of either end of the link.
pub const LINK: &str = "v0";

/// How long a thing may take on a machine that does other work too.
const SOON: Duration = Duration::from_secs(20);

pub struct Node {
    discovery: Discovery,
    /// Ends the runtime.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    /// Looks for the routers behind these interfaces of a host.
    pub fn look(host: &Host, interfaces: &[&str]) -> Self {
        let (started, discovery) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        // A thread starts in the network of the one that starts it.
        let thread = host.inside(|| {
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    started.send(Discovery::start().unwrap()).unwrap();
                    ended.await.unwrap();
                });
            })
        });
        let thread = thread.unwrap();
        let node = Self { discovery: discovery.recv().unwrap(), end: Some(end), thread: Some(thread) };
        node.publish(interfaces);
        node
    }

    pub fn publish(&self, interfaces: &[&str]) {
        self.discovery
            .publish(interfaces.iter().map(|name| InterfaceName::from(*name)).collect::<BTreeSet<_>>());
    }

    /// Who was found behind the link.
    pub fn neighbour(&self) -> Option<Neighbour> {
        self.discovery.seen.borrow().get(LINK).copied()
    }

    /// Waits until a router is found of which that is true.
    pub async fn finds(&self, what: &str, is_it: impl Fn(&Neighbour) -> bool) -> Neighbour {
        eventually(SOON, what, async || {
            let found = self.neighbour().filter(&is_it);
            found.ok_or_else(|| (self.neighbour(), self.discovery.missing.borrow().clone()))
        })
        .await
    }

    /// Waits until it says that there is nobody, and why.
    pub async fn misses(&self, interface: &str, why: &Absent) {
        eventually(SOON, &format!("on {interface} nobody is found: {why}"), async || {
            let missing = self.discovery.missing.borrow().get(interface).cloned();
            let is_seen = self.discovery.seen.borrow().contains_key(interface);
            if missing.as_ref() == Some(why) && !is_seen { Ok(()) } else { Err((missing, is_seen)) }
        })
        .await;
    }

    /// Whether anything is said of that interface.
    pub fn knows(&self, interface: &str) -> bool {
        let is_seen = self.discovery.seen.borrow().contains_key(interface);
        is_seen || self.discovery.missing.borrow().contains_key(interface)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail only where the thread has panicked, and said so.
        let _ = self.end.take().map(|end| end.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
