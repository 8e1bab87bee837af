//! The sockets of one peer: bytes in and out, and the closing of them.
//!
//! Not here: what the bytes mean, and when to connect.

use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, select_all};
use metallb_protocols::bgp::session::Connection;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A connection that was closed is kept for this long: closing it with unread bytes in it would reset it, and the
/// farewell could be lost on the way.
const LINGER: Duration = Duration::from_millis(500);

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// There is something to read, if only the end.
    Read(Connection),
    /// More can be written.
    Write(Connection),
}

/// The open connections of a peer: at most two, by the rules of the session.
#[derive(Debug, Default)]
pub struct Wires {
    open: BTreeMap<Connection, Wire>,
    lingering: JoinSet<()>,
}

#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    /// Of one message, what the kernel did not take yet.
    unwritten: Vec<u8>,
}

impl Wires {
    /// A connection stands.
    pub fn add(&mut self, connection: Connection, stream: TcpStream) {
        self.open.insert(connection, Wire { stream, unwritten: Vec::new() });
    }

    /// The connection is gone: nobody is told.
    pub fn forget(&mut self, connection: Connection) {
        self.open.remove(&connection);
    }

    /// Those on which a message can be written.
    pub fn writable(&self) -> Vec<Connection> {
        let free = self.open.iter().filter(|(_, wire)| wire.unwritten.is_empty());
        free.map(|(connection, _)| *connection).collect()
    }

    /// Waits until something can be done. Reading comes first.
    pub async fn ready(&self) -> Ready {
        let reads = self.open.iter().map(|(connection, wire)| -> BoxFuture<'_, Ready> {
            let connection = *connection;
            async move {
                // An error shows when it is read.
                let _ = wire.stream.readable().await;
                Ready::Read(connection)
            }
            .boxed()
        });
        let stuck = self.open.iter().filter(|(_, wire)| !wire.unwritten.is_empty());
        let writes = stuck.map(|(connection, wire)| -> BoxFuture<'_, Ready> {
            let connection = *connection;
            async move {
                let _ = wire.stream.writable().await;
                Ready::Write(connection)
            }
            .boxed()
        });
        let all: Vec<_> = reads.chain(writes).collect();
        if all.is_empty() { std::future::pending().await } else { select_all(all).await.0 }
    }

    /// Reads what is there. `None`: nothing yet; 0 bytes: the end.
    pub fn read(&self, connection: Connection, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let wire = self.open.get(&connection)?;
        match wire.stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            result => Some(result),
        }
    }

    /// Writes a message, as far as the kernel takes it; the rest when it takes more.
    pub fn write(&mut self, connection: Connection, message: Vec<u8>) -> io::Result<()> {
        let Some(wire) = self.open.get_mut(&connection) else { return Ok(()) };
        debug_assert!(wire.unwritten.is_empty(), "one message at a time");
        wire.unwritten = message;
        wire.flush()
    }

    /// Writes more of the message that the kernel did not take whole.
    pub fn flush(&mut self, connection: Connection) -> io::Result<()> {
        self.open.get_mut(&connection).map_or(Ok(()), Wire::flush)
    }

    /// Finishes the message that is half written, writes `farewell`, and closes: as far as the kernel takes it at once.
    pub fn close(&mut self, connection: Connection, farewell: Option<Vec<u8>>) {
        let Some(mut wire) = self.open.remove(&connection) else { return };
        // Whoever cannot be told learns it from the end of the connection.
        if wire.flush().is_ok() && wire.unwritten.is_empty() {
            wire.unwritten = farewell.unwrap_or_default();
            let _ = wire.flush();
        }
        // Now, and not when the lingering task gets its turn: who goes on at once (BFD falls silent next) must not
        // overtake the end of the connection. What cannot be shut down is reset already.
        let _ = SockRef::from(&wire.stream).shutdown(Shutdown::Write);
        self.lingering.spawn(async move {
            let _ = tokio::time::timeout(LINGER, wire.drain()).await;
        });
    }

    /// Waits until the closed connections are gone.
    pub async fn finish(mut self) {
        while self.lingering.join_next().await.is_some() {}
    }

    /// Clears away what is gone.
    pub fn tidy(&mut self) {
        while self.lingering.try_join_next().is_some() {}
    }
}

impl Wire {
    fn flush(&mut self) -> io::Result<()> {
        let mut done = 0;
        let result = loop {
            let rest = self.unwritten.get(done..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            match self.stream.try_write(rest) {
                Ok(written) => done = done.saturating_add(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.unwritten.drain(..done.min(self.unwritten.len()));
        result
    }

    /// Takes what comes until the other side says too that no more does.
    async fn drain(self) {
        let mut rest = [0; 4096];
        while self.stream.readable().await.is_ok() {
            match self.stream.try_read(&mut rest) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}
