//! The heartbeat datagram.
//!
//! ```text
//!  0      4   5   6              14             22   23
//!  +------+---+---+--------------+--------------+----+----------------+
//!  | MLBH | 1 |knd| boot id (BE) | sequence (BE)| n  | node name (n)  |
//!  +------+---+---+--------------+--------------+----+----------------+
//! ```
//!
//! The first byte is none that upstream's memberlist starts a datagram with, so either can tell the other's.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use metallb_core::names::NodeName;

const MAGIC: [u8; 4] = *b"MLBH";
const VERSION: u8 = 1;

/// What a heartbeat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// I live, and announce what I should.
    Beat,
    /// I am about to stop: do not wait for my silence.
    Leave,
}

/// A heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// What it says.
    pub kind: Kind,
    /// Who says it.
    pub node: NodeName,
    /// Drawn at random when the speaker started: a restart is a new life, whose sequence starts over.
    pub boot_id: u64,
    /// Rises with every round of heartbeats in one life.
    pub sequence: u64,
}

/// Why bytes are no [`Heartbeat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not start as one of ours: another protocol on the port, perhaps upstream's memberlist.
    #[error("not a heartbeat")]
    Foreign,
    /// A version we do not speak.
    #[error("version {0}")]
    Version(u8),
    /// It ends too early, or goes on too long.
    #[error("wrong length")]
    Length,
    /// A kind we do not know.
    #[error("kind {0}")]
    UnknownKind(u8),
    /// The node name is empty, or not text.
    #[error("unreadable node name")]
    Name,
}

impl Heartbeat {
    /// Reads a datagram. Hostile bytes in; what comes out needs no further check.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(Malformed::Foreign)?;
        let ([version, kind], rest) = split(rest)?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let kind = match kind {
            0 => Kind::Beat,
            1 => Kind::Leave,
            other => return Err(Malformed::UnknownKind(other)),
        };
        let (boot_id, rest) = split(rest)?;
        let (sequence, rest) = split(rest)?;
        let ([length], name) = split(rest)?;
        if name.len() != usize::from(length) {
            return Err(Malformed::Length);
        }
        let name = std::str::from_utf8(name).map_err(|_| Malformed::Name)?;
        if name.is_empty() {
            return Err(Malformed::Name);
        }
        let (boot_id, sequence) = (u64::from_be_bytes(boot_id), u64::from_be_bytes(sequence));
        Ok(Self { kind, node: name.into(), boot_id, sequence })
    }

    /// Writes the datagram. A name longer than Kubernetes allows (253 bytes) would be cut at 255.
    pub fn emit(&self) -> Vec<u8> {
        let name = self.node.as_str().as_bytes();
        let name = name.get(..255).unwrap_or(name);
        let kind = match self.kind {
            Kind::Beat => 0,
            Kind::Leave => 1,
        };
        let mut bytes = Vec::with_capacity(name.len().saturating_add(23));
        bytes.extend(MAGIC);
        bytes.extend([VERSION, kind]);
        bytes.extend(self.boot_id.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        bytes.extend(name);
        bytes
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Malformed> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(Malformed::Length)?;
    Ok((*head, rest))
}
