//! What a client notices: requests one after the other, and the longest time without an answer.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use metallb_lab::Host;

/// How long a request may take. Short, so that the end of an outage is seen soon.
const PATIENCE: Duration = Duration::from_millis(200);
/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);

/// Requests that go on in the background until [`Watch::finish`].
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<anyhow::Result<(Vec<Answer>, usize)>>,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    asked: Instant,
    answered: Instant,
}

/// What was noticed.
#[derive(Clone, Copy, Debug)]
pub struct Noticed {
    /// Requests that were answered.
    pub answered: usize,
    /// Requests that were not.
    pub failed: usize,
    /// The longest time from one answer to the next request that was answered.
    pub longest_gap: Duration,
}

impl Watch {
    /// Starts asking `address` for its page, from `client`, on a new connection each time.
    pub fn start(client: &Host, address: IpAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, until) = (client.clone(), stop.clone());
        let thread = std::thread::spawn(move || client.inside(|| ask_until(address, &until)));
        Self { stop, thread }
    }

    /// Stops asking.
    pub fn finish(self) -> anyhow::Result<Noticed> {
        self.stop.store(true, Ordering::Relaxed);
        let (answers, failed) =
            self.thread.join().map_err(|_| anyhow::anyhow!("the thread that asked has panicked"))??;
        let gaps = answers.windows(2).map(|pair| pair[1].answered.saturating_duration_since(pair[0].asked));
        let longest_gap = gaps.max().context("fewer than two requests were answered")?;
        Ok(Noticed { answered: answers.len(), failed, longest_gap })
    }
}

fn ask_until(address: IpAddr, stop: &AtomicBool) -> (Vec<Answer>, usize) {
    let (mut answers, mut failed) = (Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        if ask(address).is_ok() {
            answers.push(Answer { asked, answered: Instant::now() });
        } else {
            failed += 1;
        }
        std::thread::park_timeout(PAUSE);
    }
    (answers, failed)
}

/// One request on a new connection, from the network of the calling thread.
pub fn ask(address: IpAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address, 80), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("not HTTP")?;
    Ok(body.trim().to_owned())
}
