//! Which nodes have a session with a router, looked at all the while: two from one node would be one too many, and how long there
//! was none is what the hand-over costs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use metallb_lab::Host;

/// Short beside what it takes to begin a session.
const LOOK: Duration = Duration::from_millis(10);
/// BGP's port, and the state of a connection that is up, as `/proc/net/tcp` writes them.
const BGP: u16 = 179;
const ESTABLISHED: &str = "01";

/// Looks at a router's connections until [`Sessions::finish`].
pub struct Sessions {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<anyhow::Result<Seen>>,
}

/// What was seen of the connections to a router's BGP port.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How many each node had at a time at most.
    pub most: BTreeMap<Ipv4Addr, usize>,
    /// How long each node had none at a stretch at most.
    pub longest_without: BTreeMap<Ipv4Addr, Duration>,
    /// How many nodes had none at a time at most.
    pub most_without: usize,
    /// Each change: after which time a node had connections from which ports.
    pub changes: Vec<(Duration, Ipv4Addr, BTreeSet<u16>)>,
}

impl Seen {
    /// Says what was seen: never two from one node, and one node at a time without one, for no longer than that.
    pub fn judge(&self, what: &str, without: Duration) -> anyhow::Result<()> {
        let longest = self.longest_without.values().max().copied().unwrap_or_default();
        let most = self.most.values().max().copied().unwrap_or_default();
        println!(
            "{what}: {most} session from one node at a time at most, {} nodes without one, for {:.1} s at most",
            self.most_without,
            longest.as_secs_f32()
        );
        ensure!(most == 1, "two sessions from one node: {:?}", self.changes);
        ensure!(self.most_without <= 1, "two nodes without a session: {:?}", self.changes);
        ensure!(longest < without, "without a session for too long: {:?}", self.changes);
        Ok(())
    }
}

impl Sessions {
    /// Begins to look at what `nodes` have with `router`.
    pub fn watch(router: &Host, nodes: Vec<Ipv4Addr>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (router, until) = (router.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            router.inside(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
                runtime.block_on(look_until(&nodes, &until))
            })?
        });
        Self { stop, thread }
    }

    /// Stops looking.
    pub fn finish(self) -> anyhow::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread that looked has panicked"))?
    }
}

async fn look_until(nodes: &[Ipv4Addr], stop: &AtomicBool) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut since: BTreeMap<Ipv4Addr, Instant> = BTreeMap::new();
    let mut before = BTreeMap::new();
    let mut pace = tokio::time::interval(LOOK);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let began = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let now = pace.tick().await.into_std();
        let table = fs::read_to_string("/proc/thread-self/net/tcp").context("read the connections")?;
        let mut up = established(&table);
        for node in nodes {
            let ports = up.remove(node).unwrap_or_default();
            let most = seen.most.entry(*node).or_default();
            *most = ports.len().max(*most);
            let longest = seen.longest_without.entry(*node).or_default();
            if ports.is_empty() {
                let began = *since.entry(*node).or_insert(now);
                *longest = now.saturating_duration_since(began).max(*longest);
            } else {
                since.remove(node);
            }
            if before.get(node) != Some(&ports) {
                seen.changes.push((now.saturating_duration_since(began), *node, ports.clone()));
                before.insert(*node, ports);
            }
        }
        seen.most_without = since.len().max(seen.most_without);
    }
    Ok(seen)
}

/// The connections to the BGP port of this host that are up: their ports, by who has them. The table is read in pieces, and one that
/// moves between two of them is there twice: only another port is another connection.
fn established(table: &str) -> BTreeMap<Ipv4Addr, BTreeSet<u16>> {
    let mut up: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in table.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (Some(local), Some(remote), Some(ESTABLISHED)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let ends = end(local).zip(end(remote));
        if let Some(((_, BGP), (address, port))) = ends {
            up.entry(address).or_default().insert(port);
        }
    }
    up
}

/// `0B004D0A:8CA4`: the address as it lies in memory, and the port.
fn end(text: &str) -> Option<(Ipv4Addr, u16)> {
    let (address, port) = text.split_once(':')?;
    let address = u32::from_str_radix(address, 16).ok()?;
    Some((Ipv4Addr::from(address.to_ne_bytes()), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn connections_that_are_up_to_the_port_of_bgp_are_counted_by_node() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
             0: 00000000:00B3 00000000:0000 0A 00000000:00000000\n   \
             1: 01004D0A:00B3 0B004D0A:8CA4 01 00000000:00000000\n   \
             2: 01004D0A:00B3 0B004D0A:8CA6 01 00000000:00000000\n   \
             3: 01004D0A:00B3 0C004D0A:8CA6 06 00000000:00000000\n   \
             4: 01004D0A:1F90 0D004D0A:8CA6 01 00000000:00000000\n";
        let node = Ipv4Addr::new(10, 77, 0, 11);
        assert_eq!(established(table), [(node, [0x8CA4, 0x8CA6].into())].into());
    }
}
