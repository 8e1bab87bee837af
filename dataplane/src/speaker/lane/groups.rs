//! The groups that neighbours ask when they look for an IPv6 address that is announced here (RFC 4291 §2.7.1): joined, and
//! left. On a thread of its own, as that may wait for others ([`crate::net::membership`]).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use metallb_protocols::ndp::wire::neighbour::solicited_node;

use super::succession::Succession;
use super::tables::Tables;
use crate::net::membership::{Joined, Memberships};

/// After a group could not be joined, try again this much later.
const RETRY: Duration = Duration::from_secs(1);

/// By interface.
pub(super) type Wanted = BTreeMap<u32, BTreeSet<Ipv6Addr>>;

/// The groups that are asked for what is announced, on the interfaces that answer for it.
pub(super) fn wanted(tables: &Tables, succession: &Succession) -> Wanted {
    let stations = tables.stations.iter().filter(|(_, station)| station.ndp.is_some());
    let groups = |(index, name)| {
        let all = tables.announced.iter().chain(succession.lingering());
        let announced = all.filter_map(|(address, interfaces)| match address {
            IpAddr::V6(address) if interfaces.contains(name) => Some(solicited_node(*address)),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        });
        (index, announced.collect())
    };
    stations.map(|(index, station)| groups((*index, &station.name))).collect()
}

/// The thread. It ends with the value; its groups are left then.
pub(super) struct Groups {
    sender: Sender<Wanted>,
    wanted: Wanted,
}

impl Groups {
    /// Starts it. No group is joined yet.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, receiver) = channel();
        thread::Builder::new().name("layer2-groups".to_owned()).spawn(move || keep(&receiver))?;
        Ok(Self { sender, wanted: Wanted::new() })
    }

    /// From now on, these.
    pub(super) fn set(&mut self, wanted: Wanted) {
        if self.wanted != wanted {
            // Fails only when the thread has panicked, and said so.
            let _ = self.sender.send(wanted.clone());
            self.wanted = wanted;
        }
    }
}

fn keep(changes: &Receiver<Wanted>) {
    let mut joined: BTreeMap<u32, Memberships> = BTreeMap::new();
    let mut wanted = Wanted::new();
    let mut complete = true;
    loop {
        let change = if complete {
            changes.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            changes.recv_timeout(RETRY)
        };
        match change {
            Ok(change) => wanted = changes.try_iter().last().unwrap_or(change),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        complete = follow(&mut joined, &wanted);
    }
}

/// Joins and leaves what is different. False: it did not get all it wants.
fn follow(joined: &mut BTreeMap<u32, Memberships>, wanted: &Wanted) -> bool {
    joined.retain(|interface, _| wanted.contains_key(interface));
    let mut complete = true;
    for (interface, groups) in wanted {
        let memberships = match joined.remove(interface).map_or_else(|| Memberships::on(*interface), Ok) {
            Ok(memberships) => joined.entry(*interface).or_insert(memberships),
            Err(error) => {
                tracing::warn!(event = "groupsFailed", interface, %error, "nobody who looks for an address there is heard; will retry");
                complete = false;
                continue;
            }
        };
        // The new ones first: who has none of the new addresses waits; who asks for an old one is ignored anyway.
        let before: BTreeSet<Ipv6Addr> = memberships.groups().collect();
        for group in groups.difference(&before) {
            match memberships.join(*group) {
                Ok(Joined::Fully) => {}
                Ok(Joined::Unheard(error)) => {
                    tracing::warn!(
                        event = "membershipFailed", interface, %group, %error,
                        "switches that follow who listens may not send its frames here"
                    );
                }
                Err(error) => {
                    tracing::warn!(event = "groupFailed", interface, %group, %error, "who asks it is not heard; will retry");
                    complete = false;
                }
            }
        }
        for group in before.difference(groups) {
            if let Err(error) = memberships.leave(*group) {
                tracing::debug!(event = "groupFailed", interface, %group, %error, "it may still be heard");
            }
        }
    }
    complete
}
