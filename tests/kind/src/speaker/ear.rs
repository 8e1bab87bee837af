//! A router that takes all it is told, and knows when it was told. It speaks as little BGP as a session needs, and reads
//! with code of its own: what is measured shall not measure itself.

use std::collections::HashSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use metallb_lab::network::Host;

use super::tap::now;

const MARKER: [u8; 16] = [0xff; 16];
/// Seconds; long beside anything that is measured.
const HOLD_TIME: u16 = 240;

/// What an ear has heard in its present session. Times are since the epoch.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// When the session came up.
    pub up: Option<Duration>,
    /// UPDATE messages that announce or withdraw something.
    pub updates: u64,
    /// IPv4 prefixes that are announced now: address and length.
    pub prefixes: HashSet<(u32, u8)>,
    /// When these last changed.
    pub changed: Option<Duration>,
}

/// Listens on port 179 of a host until it is closed.
pub struct Ear {
    address: Ipv4Addr,
    heard: Arc<Mutex<Heard>>,
    /// The present connection; `None` after the end.
    line: Arc<Mutex<Line>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Line {
    stream: Option<TcpStream>,
    ended: bool,
}

impl Ear {
    /// On `host`, which has `address`, as a router of that AS.
    pub fn open(host: &Host, address: Ipv4Addr, asn: u32) -> Result<Self> {
        let listener = host.inside(|| TcpListener::bind((address, 179)))?.context("listen for BGP")?;
        let (heard, line) = (Arc::<Mutex<Heard>>::default(), Arc::<Mutex<Line>>::default());
        let (filled, talked) = (Arc::clone(&heard), Arc::clone(&line));
        listener.set_nonblocking(false)?;
        let wake = listener.try_clone()?;
        let thread = thread::spawn(move || {
            for stream in wake.incoming().flatten() {
                *lock(&filled) = Heard::default();
                {
                    let mut line = lock(&talked);
                    if line.ended {
                        return;
                    }
                    line.stream = stream.try_clone().ok();
                }
                // How it ends does not matter: the other side comes again.
                let _ = listen(stream, address, asn, &filled);
            }
        });
        drop(listener);
        Ok(Self { address, heard, line, thread: Some(thread) })
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// What it has heard.
    pub fn heard(&self) -> Heard {
        lock(&self.heard).clone()
    }

    /// How many prefixes it knows.
    pub fn prefixes(&self) -> usize {
        lock(&self.heard).prefixes.len()
    }

    /// Breaks the connection, and forgets everything. The speaker comes again.
    pub fn hang_up(&self) {
        if let Some(stream) = lock(&self.line).stream.take() {
            let _ = stream.shutdown(Shutdown::Both); // gone already: good
        }
        *lock(&self.heard) = Heard::default();
    }

    /// Ends it; `host` is where it listens.
    pub fn close(mut self, host: &Host) -> Result<()> {
        lock(&self.line).ended = true;
        self.hang_up();
        // Its thread waits for a connection: this is the last one.
        let _ = host.inside(|| TcpStream::connect((self.address, 179)))?;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        Ok(())
    }
}

fn listen(mut stream: TcpStream, id: Ipv4Addr, asn: u32, heard: &Mutex<Heard>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&open(id, asn))?;
    let mut body = Vec::new();
    loop {
        let mut header = [0; 19];
        stream.read_exact(&mut header)?;
        let length = usize::from(u16::from_be_bytes([header[16], header[17]]));
        if header[..16] != MARKER || length < header.len() {
            return Err(ErrorKind::InvalidData.into());
        }
        body.resize(length - header.len(), 0);
        stream.read_exact(&mut body)?;
        match header[18] {
            1 => stream.write_all(&keepalive())?,
            2 => {
                let at = now();
                let told = changes(&body).ok_or(ErrorKind::InvalidData)?;
                let mut heard = lock(heard);
                heard.updates += u64::from(!told.is_empty()); // else an End-of-RIB
                for (announced, prefix) in told {
                    let changed = if announced {
                        heard.prefixes.insert(prefix)
                    } else {
                        heard.prefixes.remove(&prefix)
                    };
                    if changed {
                        heard.changed = Some(at);
                    }
                }
            }
            4 => {
                lock(heard).up.get_or_insert_with(now);
                stream.write_all(&keepalive())?;
            }
            _ => {}
        }
    }
}

/// Prefixes withdrawn and announced (RFC 4271 §4.3); `None` for what cannot be read.
fn changes(body: &[u8]) -> Option<Vec<(bool, (u32, u8))>> {
    let section = |at: usize| {
        let length = usize::from(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
        let end = at + 2 + length;
        Some((body.get(at + 2..end)?, end))
    };
    let (withdrawn, end) = section(0)?;
    let (_, end) = section(end)?;
    let mut changes = Vec::new();
    for (announced, mut rest) in [(false, withdrawn), (true, body.get(end..)?)] {
        while let Some((length, after)) = rest.split_first() {
            let octets = usize::from(length.div_ceil(8));
            let mut address = [0; 4];
            address.get_mut(..octets)?.copy_from_slice(after.get(..octets)?);
            changes.push((announced, (u32::from_be_bytes(address), *length)));
            rest = after.get(octets..)?;
        }
    }
    Some(changes)
}

/// An OPEN (RFC 4271 §4.2) for IPv4 routes, with four octets for AS numbers (RFC 6793).
fn open(id: Ipv4Addr, asn: u32) -> Vec<u8> {
    let mut body = vec![4];
    body.extend(u16::try_from(asn).unwrap_or(23_456).to_be_bytes());
    body.extend(HOLD_TIME.to_be_bytes());
    body.extend(id.octets());
    // One optional parameter of twelve octets of capabilities.
    body.extend([14, 2, 12, 1, 4, 0, 1, 0, 1, 65, 4]);
    body.extend(asn.to_be_bytes());
    message(1, &body)
}

fn keepalive() -> Vec<u8> {
    message(4, &[])
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap_or(u16::MAX);
    [&MARKER[..], &length.to_be_bytes(), &[kind], body].concat()
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withdrawn_is_told_from_what_is_announced() {
        // Withdraws 192.0.2.0/24, one attribute, announces 203.0.113.7/32 and 10.0.0.0/9.
        let body = [0, 4, 24, 192, 0, 2, 0, 4, 0x40, 1, 1, 0, 32, 203, 0, 113, 7, 9, 10, 0];
        let of = |text: &str| u32::from(text.parse::<Ipv4Addr>().unwrap());
        let expected =
            [(false, (of("192.0.2.0"), 24)), (true, (of("203.0.113.7"), 32)), (true, (of("10.0.0.0"), 9))];
        assert_eq!(changes(&body).unwrap(), expected);
        assert_eq!(changes(&[0, 0, 0, 0]).unwrap(), [], "the end of what there is to tell");
    }

    #[test]
    fn what_is_cut_off_cannot_be_read() {
        let body = [0, 0, 0, 0, 32, 203, 0, 113, 7];
        for length in [0, 1, 3, 5, 8] {
            assert_eq!(changes(&body[..length]), None, "{length} octets");
        }
        assert_eq!(changes(&[0, 0, 0, 0, 33, 1, 2, 3, 4, 5]), None, "no IPv4 prefix is that long");
    }
}
