//! What a client notices: requests on connections of their own, started at a steady pace whether or not the ones before were
//! answered; and connections that stay open, with a request now and then.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use metallb_lab::{Verdict, eventually};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::place::Machine;

/// How long a connection may take to open. Shorter than the second after which TCP tries again: a connection that is not
/// taken at once counts as refused.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long the answer may take: machines are busy.
const ANSWER: Duration = Duration::from_secs(1);
/// Between two requests on a connection that stays open.
const PAUSE: Duration = Duration::from_millis(50);
/// A connection that stays open may stall: TCP repeats what was lost. After so long it is broken.
const STALLED: Duration = Duration::from_secs(15);

/// What the client does.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// New connections per second, with one request each.
    pub rate: u32,
    /// Connections that stay open.
    pub long_lived: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self { rate: 200, long_lived: 0 }
    }
}

/// Requests that go on in the background until [`Watch::finish`].
pub struct Watch {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<anyhow::Result<(Vec<Request>, Vec<bool>)>>,
}

#[derive(Clone, Debug)]
struct Request {
    asked: Instant,
    ended: Instant,
    /// Or why there was no answer.
    answered: Result<(), String>,
}

/// What was noticed.
#[derive(Clone, Debug)]
pub struct Noticed {
    /// Requests that were answered.
    pub answered: usize,
    /// Requests that were not.
    pub failed: usize,
    /// Why not, each reason once.
    pub reasons: BTreeSet<String>,
    /// How often those that were under way were disrupted, at least: each that failed was under way at one of so many moments.
    pub disruptions: usize,
    /// The longest time from one request that was answered to the answer of the next one that was.
    pub longest_gap: Duration,
    /// Connections that stayed open.
    pub kept: usize,
    /// Connections that were to stay open and broke.
    pub broken: usize,
}

impl Watch {
    /// Starts asking `address` for its page, from `client`, on a new connection each time.
    pub fn start(client: &impl Machine, address: IpAddr) -> Self {
        Self::with(client, address, Load::default())
    }

    /// The same, with so much of it.
    pub fn with(client: &impl Machine, address: IpAddr, load: Load) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (client, until, count) = (client.clone(), stop.clone(), done.clone());
        let thread = std::thread::spawn(move || {
            client.inside(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(ask_until(address, load, &until, &count))
            })?
        });
        Self { stop, done, thread }
    }

    /// Waits until so many more requests are answered, or given up.
    pub async fn goes_on(&self, requests: usize) {
        let enough = self.done.load(Ordering::Relaxed) + requests;
        let reached = async || match self.done.load(Ordering::Relaxed) {
            done if done >= enough => Verdict::Yes(()),
            _ if self.thread.is_finished() => Verdict::Never(anyhow::anyhow!("the client could not begin")),
            done => Verdict::NotYet(format!("{done} of {enough}")),
        };
        eventually(Duration::from_mins(1), "the client goes on asking", reached).await;
    }

    /// Stops asking.
    pub fn finish(self) -> anyhow::Result<Noticed> {
        self.stop.store(true, Ordering::Relaxed);
        let (mut requests, long_lived) =
            self.thread.join().map_err(|_| anyhow::anyhow!("the thread that asked has panicked"))??;
        requests.sort_by_key(|request| request.asked);
        let reasons = requests.iter().filter_map(|request| request.answered.clone().err()).collect();
        let (answered, failed): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|request| request.answered.is_ok());
        let gaps = answered.windows(2).map(|pair| pair[1].ended.saturating_duration_since(pair[0].asked));
        let longest_gap = gaps.max().context("fewer than two requests were answered")?;
        Ok(Noticed {
            answered: answered.len(),
            failed: failed.len(),
            reasons,
            disruptions: disruptions(failed.iter().map(|request| (request.asked, request.ended))),
            longest_gap,
            kept: long_lived.iter().filter(|kept| **kept).count(),
            broken: long_lived.iter().filter(|kept| !**kept).count(),
        })
    }
}

/// The fewest moments of which each span, from its beginning to its end, holds one.
fn disruptions(spans: impl Iterator<Item = (Instant, Instant)>) -> usize {
    let mut spans: Vec<_> = spans.collect();
    spans.sort_by_key(|(_, end)| *end);
    let mut latest: Option<Instant> = None;
    let mut disruptions = 0;
    for (begin, end) in spans {
        if latest.is_none_or(|moment| moment < begin) {
            latest = Some(end);
            disruptions += 1;
        }
    }
    disruptions
}

async fn ask_until(
    address: IpAddr,
    load: Load,
    stop: &Arc<AtomicBool>,
    count: &AtomicUsize,
) -> anyhow::Result<(Vec<Request>, Vec<bool>)> {
    let to = SocketAddr::new(address, 80);
    let mut long_lived = JoinSet::new();
    for _ in 0..load.long_lived {
        let mut stream = tokio::net::TcpStream::connect(to).await.context("no connection to keep open")?;
        let stop = stop.clone();
        long_lived.spawn(async move { keep(&mut stream, &stop).await.is_ok() });
    }
    let mut pace = tokio::time::interval(Duration::from_secs(1) / load.rate.max(1));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut under_way = JoinSet::new();
    let mut requests = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        under_way.spawn(async move {
            let asked = Instant::now();
            let answered = one_request(to).await.map_err(|error| format!("{error:#}"));
            Request { asked, ended: Instant::now(), answered }
        });
        while let Some(done) = under_way.try_join_next() {
            requests.push(done?);
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
    requests.extend(under_way.join_all().await);
    Ok((requests, long_lived.join_all().await))
}

async fn one_request(to: SocketAddr) -> anyhow::Result<()> {
    let connecting = timeout(PATIENCE, tokio::net::TcpStream::connect(to)).await;
    let mut stream = connecting.context("no connection")?.context("no connection")?;
    // Ended by a reset: a port that waits for a minute could not be used again, and there are not so many.
    stream.set_zero_linger()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = Vec::new();
    timeout(ANSWER, stream.read_to_end(&mut answer)).await.context("no answer")?.context("no answer")?;
    ensure!(answer.starts_with(b"HTTP/1."), "not HTTP");
    Ok(())
}

/// A request now and then on a connection, until `stop`. An error: it broke.
async fn keep(stream: &mut tokio::net::TcpStream, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut answer = [0; 1024];
    let mut pace = tokio::time::interval(PAUSE);
    loop {
        pace.tick().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n").await?;
        // Its answers are shorter than a segment.
        let length = timeout(STALLED, stream.read(&mut answer)).await??;
        ensure!(length > 0, "closed");
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
    }
}

/// Where the ports begin that [`ask`] connects from, and how many there are: none that the system gives to who asks for none.
///
/// A question that comes before kube-proxy knows the address is forwarded as it is, and for two minutes the node remembers that
/// nothing is to be translated between these ports: a client that were given the same one in that time would be lost.
const FIRST_PORT: u16 = 10_000;
const PORTS: u16 = 20_000;

/// One request on a new connection, from the network of the calling thread.
pub fn ask(address: IpAddr) -> anyhow::Result<String> {
    let mut stream = connect(SocketAddr::new(address, 80))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("not HTTP")?;
    Ok(body.trim().to_owned())
}

fn connect(to: SocketAddr) -> anyhow::Result<TcpStream> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let port = FIRST_PORT + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(any, port).into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_were_under_way_at_one_moment_failed_by_one_disruption() {
        let start = Instant::now();
        let disruptions_of = |spans: &[(u64, u64)]| {
            let at = |ms| start + Duration::from_millis(ms);
            disruptions(spans.iter().map(|(begin, end)| (at(*begin), at(*end))))
        };
        assert_eq!(disruptions_of(&[]), 0);
        assert_eq!(disruptions_of(&[(0, 9), (3, 4), (4, 8)]), 1);
        assert_eq!(disruptions_of(&[(0, 9), (3, 4), (5, 8)]), 2);
        assert_eq!(disruptions_of(&[(5, 6), (1, 2), (3, 4)]), 3);
    }
}
