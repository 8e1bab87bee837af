//! Waiting for what is next: a packet, new tables, or a timer.
//!
//! Not here: what is done then.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::{Driver, Members};

/// Where something may wait to be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// New tables, or a key.
    Orders,
    /// Of other speakers.
    Heartbeats,
    /// ARP and neighbour discovery.
    Frames,
    /// Of connections to addresses that go to another node.
    Segments,
}

impl Driver {
    /// Returns when something is to be done: where to look for it; nowhere, if a timer is over. That happens many times a second, so what
    /// has nothing is not looked at.
    pub(super) fn wait(&self) -> nix::Result<Vec<Source>> {
        let timers = [
            self.announcer.poll_timeout(),
            self.responders.poll_timeout(),
            self.frames_awaited(),
            self.heartbeats_awaited(),
            self.end,
        ];
        // A millisecond late, so that several are taken at once. Not so the moment in which an address moves: it is shorter.
        let timers = timers.into_iter().flatten().map(|due| due + Duration::from_millis(1));
        let due = timers.chain(self.moves.poll_timeout()).min();
        let timeout = due.map(|due| TimeSpec::from(due.saturating_duration_since(Instant::now())));
        let members = self.members.iter().map(Members::as_fd);
        let sources = std::iter::once((Source::Orders, self.shared.wake.as_fd()))
            .chain(members.map(|descriptor| (Source::Heartbeats, descriptor)))
            .chain(self.responders.descriptors().map(|descriptor| (Source::Frames, descriptor)))
            .chain(self.moves.descriptors().map(|descriptor| (Source::Segments, descriptor)));
        let (mut ready, mut descriptors): (Vec<_>, Vec<_>) =
            sources.map(|(source, descriptor)| (source, PollFd::new(descriptor, PollFlags::POLLIN))).unzip();
        match ppoll(&mut descriptors, timeout, None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(ready),
            Err(errno) => return Err(errno),
        }
        // Errors too: they are found out by reading.
        let mut events = descriptors.iter().map(|descriptor| descriptor.any() != Some(false));
        ready.retain(|_| events.next() == Some(true));
        Ok(ready)
    }

    /// Until when a frame is waited for that would change what follows.
    pub(super) fn frames_awaited(&self) -> Option<Instant> {
        let timers = [
            self.succession.poll_timeout(),
            self.moves.poll_timeout(),
            self.conflicts.poll_timeout(),
            self.sightings.poll_timeout(),
        ];
        timers.into_iter().flatten().min()
    }

    /// Until when a heartbeat is waited for, or when one is to be sent.
    pub(super) fn heartbeats_awaited(&self) -> Option<Instant> {
        self.members.as_ref().and_then(Members::due)
    }
}

/// Is the time over?
pub(super) fn is_over(due: Option<Instant>) -> bool {
    due.is_some_and(|due| due <= Instant::now())
}
