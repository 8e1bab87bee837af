//! All frames of a host, with the time at which its kernel had them: a busy machine delays the reader, not the figures.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use metallb_lab::eventually;
use metallb_lab::network::Host;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use super::sighting::{Ends, What, read};
use crate::packet_socket;

/// Who has had no answer of the API server for so long asks for nothing more.
pub const QUIET: Duration = Duration::from_millis(300);
/// No speaker has more to do at once than takes this long.
const PATIENCE: Duration = Duration::from_mins(5);
/// Enough of a frame to see the first messages in it.
const CAPTURED: usize = 2048;
/// How often the reader looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(200);
/// Room for what arrives while the reader waits for a processor.
const ROOM: usize = 32 << 20;

/// Something that passed the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When, since the epoch.
    pub at: Duration,
    /// Between whom.
    pub ends: Ends,
    /// What.
    pub what: What,
}

/// Reads along until it is dropped.
pub struct Tap {
    seen: Arc<Mutex<Vec<Sighting>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The time now, as sightings have it.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Tap {
    /// On all interfaces of `host`; `api` is the API server's port there.
    pub fn start(host: &Host, api: u16) -> Result<Self> {
        let socket = host.inside(|| packet_socket::open(LOOK))??;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).context("ask for the kernel's time")?;
        setsockopt(&socket, sockopt::RcvBufForce, &ROOM).context("make room")?;
        let (seen, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (filled, stop) = (Arc::clone(&seen), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            let mut frame = [0; CAPTURED];
            while !stop.load(Ordering::Relaxed) {
                match next(socket.as_raw_fd(), &mut frame) {
                    Ok((length, at)) => {
                        let captured = frame.get(..length).unwrap_or_default();
                        if let Some((ends, what)) = read(captured, api) {
                            lock(&filled).push(Sighting { at, ends, what });
                        }
                    }
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(error) => {
                        eprintln!("bench: the node's frames are not seen any more: {error}");
                        return;
                    }
                }
            }
        });
        Ok(Self { seen, ended, thread: Some(thread) })
    }

    /// How much has been seen: for [`since`](Self::since).
    pub fn mark(&self) -> usize {
        lock(&self.seen).len()
    }

    /// What has been seen after that mark, in order.
    pub fn since(&self, mark: usize) -> Vec<Sighting> {
        lock(&self.seen).get(mark..).unwrap_or_default().to_vec()
    }

    /// Whether nothing like that was seen for so long.
    pub fn quiet(&self, what: What, long: Duration) -> bool {
        let seen = lock(&self.seen);
        let last = seen.iter().rev().find(|sighting| sighting.what == what);
        last.is_none_or(|last| now().saturating_sub(last.at) > long)
    }

    /// Waits until the speaker has done what it had to: it has had no answer of the API server for [`QUIET`].
    pub async fn settled(&self) {
        eventually(PATIENCE, "the speaker has nothing left to do", async || self.quiet(What::Api, QUIET))
            .await;
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has said what there was to say
        }
    }
}

fn next(socket: i32, frame: &mut [u8]) -> nix::Result<(usize, Duration)> {
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut into = [IoSliceMut::new(frame)];
    let message = recvmsg::<()>(socket, &mut into, Some(&mut control), MsgFlags::empty())?;
    let stamp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
        _ => None,
    });
    Ok((message.bytes, stamp.unwrap_or_else(now)))
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
