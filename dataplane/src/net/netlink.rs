//! Following what the kernel has: listed at the start, again after every event (`rtnetlink(7)`), and now and then without one.
//!
//! Not here: what is listed ([`Subject`]), and what messages look like ([`wire`]).

pub(super) mod wire;

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use socket2::Socket;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::Instant;

use super::sys;
use wire::{AddressMessage, Answer, LinkMessage, Question};

/// Events come in bursts: the first is looked at at once, the others no sooner than this after the last look.
const SETTLE: Duration = Duration::from_millis(20);
/// Before a lost connection to the kernel is opened anew.
const REOPEN: Duration = Duration::from_secs(1);
/// Look again this often even without an event: events can be lost when the kernel's queue is full.
const SWEEP: Duration = Duration::from_mins(1);

/// How often a question is asked while what it is about changes under the answer.
const ATTEMPTS: usize = 4;
/// The kernel makes the parts of a long answer as long as what is there to read them into, up to this.
const PART: usize = 32 * 1024;

/// Whose events may have changed something (`RTMGRP_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Group {
    /// Interfaces.
    Link = 0x1,
    /// Their IPv4 addresses.
    Ipv4Addresses = 0x10,
    /// Their IPv6 addresses.
    Ipv6Addresses = 0x100,
}

/// What is followed.
pub(super) trait Subject: Send + Sync + 'static {
    /// What there is.
    type Value: PartialEq + Send + Sync + 'static;
    /// Whose events may have changed it.
    const GROUPS: &'static [Group];
    /// What it is, by what the kernel has.
    fn read(&self, links: &[LinkMessage], addresses: &[AddressMessage]) -> Self::Value;
}

/// Follows it, on the runtime, until nobody reads the value any more. An error means that the kernel cannot be asked at all.
pub(super) fn follow<S: Subject>(subject: S) -> anyhow::Result<watch::Receiver<S::Value>> {
    let mut events = Events::of(S::GROUPS).context("cannot follow the interfaces (netlink)")?;
    let list = move || Ok::<_, io::Error>(subject.read(&links()?, &addresses()?));
    let first = list().context("cannot list the interfaces (netlink)")?;
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sender.closed() => return,
                changed = events.changed() => if let Err(error) = changed {
                    tracing::error!(event = "netlinkClosed", %error, "opening it anew");
                    tokio::time::sleep(REOPEN).await;
                    match Events::of(S::GROUPS) {
                        Ok(new) => events = new,
                        Err(error) => tracing::error!(event = "netlinkFailed", %error, "will retry"),
                    }
                },
                () = tokio::time::sleep(SWEEP) => {}
            }
            let listed = list();
            events.looked();
            match listed {
                Ok(value) => {
                    sender.send_if_modified(|known| {
                        let differs = *known != value;
                        *known = value;
                        differs
                    });
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(event = "linksUnknown", error, "the interfaces known so far stay in use");
                }
            }
        }
    });
    Ok(receiver)
}

fn links() -> io::Result<Vec<LinkMessage>> {
    let link = |answer| if let Answer::Link(link) = answer { Some(link) } else { None };
    Ok(ask(Question::Links)?.into_iter().filter_map(link).collect())
}

fn addresses() -> io::Result<Vec<AddressMessage>> {
    let address = |answer| if let Answer::Address(address) = answer { Some(address) } else { None };
    Ok(ask(Question::Addresses)?.into_iter().filter_map(address).collect())
}

/// All that the kernel answers. It does so before the question's system call has returned, and for what is more than fits at once
/// whenever some of it is read: nothing is waited for.
pub(super) fn ask(question: Question) -> io::Result<Vec<Answer>> {
    for _ in 1..ATTEMPTS {
        match ask_once(question) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answers => return answers,
        }
    }
    ask_once(question)
}

fn ask_once(question: Question) -> io::Result<Vec<Answer>> {
    let socket = open(&[])?;
    send(socket.as_raw_fd(), &question.emit(), MsgFlags::empty())?;
    let mut buffer = vec![0; PART];
    let mut answers = Vec::new();
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC)?;
        let cut_off = || io::Error::from(io::ErrorKind::InvalidData);
        answers.extend(wire::parse(buffer.get(..length).ok_or_else(cut_off)?)?);
        // One answer is all for who asks for one.
        if matches!(answers.last(), Some(Answer::Done | Answer::Route(_))) {
            return Ok(answers);
        }
    }
}

/// A socket to the kernel that hears of changes of these, and does not block.
fn open(groups: &[Group]) -> io::Result<Socket> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
    let groups = groups.iter().fold(0, |all, group| all | *group as u32);
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(Socket::from(socket))
}

/// Hears of every change.
struct Events {
    socket: AsyncFd<Socket>,
    next: Instant,
}

impl Events {
    fn of(groups: &[Group]) -> io::Result<Self> {
        Ok(Self { socket: sys::watch(open(groups)?)?, next: Instant::now() })
    }

    /// Returns when something changed, if it did so a moment ago too only after that. After an error nothing more is heard.
    async fn changed(&mut self) -> io::Result<()> {
        let mut ready = self.socket.readable().await?;
        tokio::time::sleep_until(self.next).await;
        loop {
            // What is said does not matter: all is listed anew. Cut off, it is gone as a whole.
            match recv(self.socket.as_raw_fd(), &mut [0], MsgFlags::MSG_TRUNC) {
                // `ENOBUFS`: more changed than the queue had room for.
                Ok(_) | Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        ready.clear_ready();
        Ok(())
    }

    /// It was looked at now what there is.
    fn looked(&mut self) {
        self.next = Instant::now() + SETTLE;
    }
}
