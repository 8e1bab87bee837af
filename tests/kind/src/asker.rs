//! Who asks on the LAN where an address is, again and again, as a station that has just come: by ARP (RFC 826) or by neighbour
//! solicitation (RFC 4861). It has a hardware address of its own, so that no answer finds its way into the memory of the machine
//! that it asks from. It makes and reads frames with code of its own: what is measured shall not measure itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{MsgFlags, bind, recv, send};

use crate::packet_socket;
use crate::place::Machine;

const INTERFACE: &str = "eth0";
/// Between two questions.
const PACE: Duration = Duration::from_millis(20);
/// How long a read waits.
const LOOK: Duration = Duration::from_millis(5);
/// Of a locally administered address: no machine has it.
const STATION: [u8; 6] = [0x02, 0x6d, 0x6c, 0x61, 0x73, 0x6b];
const BROADCAST: [u8; 6] = [0xff; 6];
const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ICMPV6: u8 = 58;

/// Asks until [`Asker::finish`].
pub struct Asker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Duration>>,
}

impl Asker {
    /// Asks for `address` from the LAN of `machine`, in the name of `own`, an address there that nobody has.
    pub fn start(machine: &impl Machine, address: IpAddr, own: IpAddr) -> Result<Self> {
        let question = question(address, own)
            .context("an address of one family cannot be asked for in the name of one of the other")?;
        let socket = machine.inside(open)??;
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = thread::spawn(move || ask_until(&socket, &question, address, &until));
        Ok(Self { stop, thread })
    }

    /// Stops asking. The longest time from a question to the next answer, whichever question that one is for.
    pub fn finish(self) -> Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the thread that asked has panicked"))?
    }
}

fn open() -> Result<OwnedFd> {
    let link = getifaddrs()?.find_map(|found| {
        let of_it = found.interface_name == INTERFACE;
        found.address.filter(|_| of_it)?.as_link_addr().copied()
    });
    let socket = packet_socket::open(LOOK)?;
    bind(socket.as_raw_fd(), &link.with_context(|| format!("no {INTERFACE}"))?).context("bind it")?;
    Ok(socket)
}

fn ask_until(socket: &OwnedFd, question: &[u8], address: IpAddr, stop: &AtomicBool) -> Result<Duration> {
    let mut frame = [0; 128];
    let mut longest = Duration::ZERO;
    let mut next = Instant::now();
    // The first question since the last answer.
    let mut unanswered: Option<Instant> = None;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        if next <= now {
            match send(socket.as_raw_fd(), question, MsgFlags::empty()) {
                Ok(_) => drop(unanswered.get_or_insert(now)),
                Err(Errno::ENETDOWN | Errno::ENOBUFS | Errno::EINTR) => {} // nothing was asked
                Err(error) => return Err(error).context("cannot ask"),
            }
            next = now + PACE;
        }
        match recv(socket.as_raw_fd(), &mut frame, MsgFlags::empty()) {
            Ok(length) => {
                if is_answer(frame.get(..length).unwrap_or(&frame), address)
                    && let Some(asked) = unanswered.take()
                {
                    longest = longest.max(asked.elapsed());
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => {}
            Err(error) => return Err(error).context("cannot hear the answer"),
        }
    }
    // The last question may still be under way: that is not long.
    Ok(longest.max(unanswered.map_or(Duration::ZERO, |asked| asked.elapsed())))
}

/// `None`: they are not of one family.
fn question(address: IpAddr, own: IpAddr) -> Option<Vec<u8>> {
    match (address, own) {
        (IpAddr::V4(address), IpAddr::V4(own)) => Some(arp_request(address, own)),
        (IpAddr::V6(address), IpAddr::V6(own)) => Some(solicitation(address, own)),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn arp_request(address: Ipv4Addr, own: Ipv4Addr) -> Vec<u8> {
    let mut frame = [BROADCAST, STATION].concat();
    frame.extend(ARP);
    frame.extend([0, 1, 0x08, 0x00, 6, 4, 0, 1]);
    frame.extend(STATION);
    frame.extend(own.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// To the solicited-node group of the address (RFC 4291 §2.7.1).
fn solicitation(address: Ipv6Addr, own: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = address.octets();
    let mut group = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    group[13..].copy_from_slice(&[a, b, c]);
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(address.octets());
    message.extend([1, 1]); // source link-layer address, eight octets
    message.extend(STATION);
    let sum = checksum(&own.octets(), &group, &message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let mut frame = vec![0x33, 0x33, 0xff, a, b, c];
    frame.extend(STATION);
    frame.extend(IPV6);
    frame.extend([0x60, 0, 0, 0, 0, 32, ICMPV6, 255]);
    frame.extend(own.octets());
    frame.extend(group);
    frame.extend(message);
    frame
}

/// RFC 4443 §2.3, of a message of 32 octets whose own sum is zero yet.
fn checksum(from: &[u8], to: &[u8], message: &[u8]) -> u16 {
    let words = [from, to, message].into_iter().flat_map(|part| part.chunks_exact(2));
    let sum: u32 =
        words.map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum::<u32>() + u32::from(ICMPV6) + 32;
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}

/// An ARP reply, or a neighbour advertisement, to this station about `address`.
fn is_answer(frame: &[u8], address: IpAddr) -> bool {
    if frame.get(..6) != Some(&STATION) {
        return false;
    }
    match address {
        IpAddr::V4(address) => {
            frame.get(12..14) == Some(&ARP)
                && frame.get(20..22) == Some(&[0, 2])
                && frame.get(28..32) == Some(&address.octets())
        }
        IpAddr::V6(address) => {
            frame.get(12..14) == Some(&IPV6)
                && frame.get(20) == Some(&ICMPV6)
                && frame.get(54) == Some(&136)
                && frame.get(62..78) == Some(&address.octets())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_solicitation_is_right() {
        let frame = solicitation("fd77::200".parse().unwrap(), "fd77::2ff".parse().unwrap());
        let (from, to, message) = (&frame[22..38], &frame[38..54], &frame[54..]);
        assert_eq!(message.len(), 32);
        // With its own sum in it, all adds up to nothing (RFC 1071).
        assert_eq!(checksum(from, to, message), 0);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0, 2, 0]);
    }

    #[test]
    fn an_answer_is_for_this_station_and_about_that_address() {
        let (address, own) = (Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(192, 0, 2, 9));
        let mut reply = arp_request(address, own);
        assert!(!is_answer(&reply, address.into()), "it is a question");
        reply[..6].copy_from_slice(&STATION);
        reply[21] = 2;
        reply[28..32].copy_from_slice(&address.octets());
        assert!(is_answer(&reply, address.into()));
        assert!(!is_answer(&reply, own.into()), "about another address");
        reply[..6].copy_from_slice(&BROADCAST);
        assert!(!is_answer(&reply, address.into()), "told to all: nobody was asked");
        let mut advertisement = solicitation("fd77::200".parse().unwrap(), "fd77::2ff".parse().unwrap());
        advertisement[..6].copy_from_slice(&STATION);
        assert!(!is_answer(&advertisement, "fd77::200".parse().unwrap()), "it is a question");
        advertisement[54] = 136;
        assert!(is_answer(&advertisement, "fd77::200".parse().unwrap()));
        assert!(!is_answer(&advertisement[..70], "fd77::200".parse().unwrap()), "cut short");
    }
}
