//! Which nodes have a session with a router, looked at all the while: two from one node would be one too many, and how long there
//! was none is what the hand-over costs.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
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
    let mut pace = tokio::time::interval(LOOK);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        let now = pace.tick().await.into_std();
        let table = fs::read_to_string("/proc/thread-self/net/tcp").context("read the connections")?;
        let up = established(&table);
        for node in nodes {
            let count = up.get(node).copied().unwrap_or_default();
            let most = seen.most.entry(*node).or_default();
            *most = count.max(*most);
            let longest = seen.longest_without.entry(*node).or_default();
            if count > 0 {
                since.remove(node);
            } else {
                let began = *since.entry(*node).or_insert(now);
                *longest = now.saturating_duration_since(began).max(*longest);
            }
        }
        seen.most_without = since.len().max(seen.most_without);
    }
    Ok(seen)
}

/// How many connections to the BGP port of this host are up, by who has them.
fn established(table: &str) -> BTreeMap<Ipv4Addr, usize> {
    let mut up = BTreeMap::new();
    for line in table.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (Some(local), Some(remote), Some(state)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let ends = local.rsplit_once(':').zip(remote.rsplit_once(':'));
        let Some(((_, port), (address, _))) = ends.filter(|_| state == ESTABLISHED) else { continue };
        let address = u32::from_str_radix(address, 16).map(|it| Ipv4Addr::from(it.to_ne_bytes()));
        if let (Ok(BGP), Ok(address)) = (u16::from_str_radix(port, 16), address) {
            *up.entry(address).or_default() += 1;
        }
    }
    up
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
        assert_eq!(established(table), [(Ipv4Addr::new(10, 77, 0, 11), 2)].into());
    }
}
