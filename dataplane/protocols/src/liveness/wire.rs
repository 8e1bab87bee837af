//! The heartbeat datagram.
//!
//! ```text
//!  0      4   5   6      10        18         26     34      42
//!  +------+---+---+------+---------+----------+------+-------+------------+--------------+---------+-------+
//!  | MLBH | 4 |knd| key  | boot id | sequence | echo | offer | n sender   | n receiver   | ballot  | proof |
//!  +------+---+---+------+---------+----------+------+-------+------------+--------------+---------+-------+
//!   a state's ballot: first id (8), last id (8), count (1), the ids accused (8 each, rising); tenures in short (8); reports in
//!     short (8); the sender's report: incarnation (8), count (1) of lost networks, each address's length (1) and octets, and the
//!     prefix length (1)
//!   claims' instead: count (1), each address's length (1) and octets, epoch (8) and owner's id (8)
//!   reports' instead: count (1), each node's id (8) and its report
//! ```
//!
//! Numbers are big-endian, a name has its length before it, and the proof (32) covers all before it. The first octet is
//! none that upstream's memberlist starts a datagram with, so either can tell the other's.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::IpAddr;

use ipnet::IpNet;

use super::keys::{Key, KeyId, PROOF};
use super::report::Report;
use super::tenure::{Claim, Tenure};
use super::watchers::NodeId;

const MAGIC: [u8; 4] = *b"MLBH";
const VERSION: u8 = 4;
/// Set in the kind of a datagram that wants an answer.
const ASKS: u8 = 0x80;
/// Set in the kind of a datagram whose sender keeps the addresses that it has.
const KEEPS: u8 = 0x40;
/// Set in the kind of a datagram whose sender stood still, and does not know yet what it missed.
const BEHIND: u8 = 0x20;
/// Claims of a datagram: with names of the greatest length, it still fits an Ethernet frame.
pub(super) const CLAIMS: usize = 24;
/// Reports of a datagram, for the same reason.
pub(super) const REPORTS: usize = 5;
/// Lost networks of a report.
pub const LOST: usize = 8;

/// How far a speaker is, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stance {
    /// It learns who lives, and announces nothing yet.
    Starting,
    /// It lives, and announces what it should.
    Serving,
}

/// What a datagram says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// I cannot tell whether what you sent is of now: say it again, with my offer as its echo.
    Challenge,
    /// I live, and this is what I think of those that I watch.
    State {
        /// How far I am.
        stance: Stance,
        /// And how far are you?
        asks: bool,
        /// Ownership is sticky where I am.
        keeps: bool,
        /// I stood still, and do not know yet what I missed.
        behind: bool,
        /// Who is silent.
        ballot: Page,
        /// All that I know of who has which address, in short.
        tenures: u64,
        /// All that I know of who does not reach which network, in short.
        reports: u64,
        /// Which networks I do not reach.
        report: Report,
    },
    /// These have these addresses.
    Claims(Vec<Claim>),
    /// These do not reach these networks, or do so again.
    Reports(Vec<(NodeId, Report)>),
    /// I am about to stop: do not wait for my silence.
    Leave,
    /// My routes and I.
    Routes(Handover),
}

/// What becomes of the BGP routes of a speaker that restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Handover {
    /// I am about to restart: announce my routes in my name.
    Given,
    /// I have told all routers myself.
    TakenBack,
}

/// The accused whose ids are in a range; all others there are not. All of them fit into one page, but in a disaster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    first: u64,
    last: u64,
    accused: Vec<NodeId>,
}

impl Page {
    /// A datagram with so many, and names of the greatest length, still fits an Ethernet frame.
    const CAPACITY: usize = 80;

    /// These accused, in as many pages as they need: at least one.
    pub fn split(accused: impl IntoIterator<Item = NodeId>) -> Vec<Self> {
        let mut pages = vec![Self { first: 0, last: u64::MAX, accused: Vec::new() }];
        for node in accused {
            let Some(page) = pages.last_mut() else { break };
            if page.accused.len() < Self::CAPACITY {
                page.accused.push(node);
                continue;
            }
            // Not the first of all, so something is below it.
            page.last = node.0.saturating_sub(1);
            pages.push(Self { first: node.0, last: u64::MAX, accused: vec![node] });
        }
        pages
    }

    /// Whether it says something about this node, good or bad.
    pub fn covers(&self, node: NodeId) -> bool {
        (self.first..=self.last).contains(&node.0)
    }

    /// Who is silent.
    pub fn accused(&self) -> &[NodeId] {
        &self.accused
    }
}

/// A datagram. Names are borrowed from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// What it says.
    pub word: Word,
    /// The newest key that the sender has. The proof may be of the one before.
    pub newest_key: KeyId,
    /// Drawn at random when the sender started: a restart is a new life.
    pub boot_id: u64,
    /// Rises with every datagram in one life.
    pub sequence: u64,
    /// What the receiver offered to the sender last. Zero: nothing.
    pub echo: u64,
    /// What the receiver is to echo.
    pub offer: u64,
    /// The name of the sender's node.
    pub sender: &'a str,
    /// The name of the receiver's node.
    pub receiver: &'a str,
}

/// What proves a [`Heartbeat`], for whoever has the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal<'a> {
    /// What is proven.
    pub covered: &'a [u8],
    /// The proof.
    pub proof: &'a [u8],
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
    /// A node name is empty, or not text.
    #[error("unreadable node name")]
    Name,
    /// The accused are not in order, or out of range.
    #[error("disorderly ballot")]
    Ballot,
    /// Too many claims, or one to something that is no address.
    #[error("unreadable claims")]
    Claims,
    /// Too many reports or lost networks, or one that is no network.
    #[error("unreadable networks")]
    Networks,
}

impl<'a> Heartbeat<'a> {
    /// Reads a datagram. Hostile bytes in; who wrote them is for the [`Seal`] to prove.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, Seal<'a>), Malformed> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(Malformed::Foreign)?;
        let ([version, kind], _) = split(rest)?;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let (covered, proof) = bytes.split_last_chunk::<PROOF>().ok_or(Malformed::Length)?;
        let rest = covered.get(MAGIC.len().saturating_add(2)..).ok_or(Malformed::Length)?;
        let (key, rest) = split(rest)?;
        let (boot_id, rest) = number(rest)?;
        let (sequence, rest) = number(rest)?;
        let (echo, rest) = number(rest)?;
        let (offer, rest) = number(rest)?;
        let (sender, rest) = name(rest)?;
        let (receiver, rest) = name(rest)?;
        let (word, rest) = match kind & !(ASKS | KEEPS | BEHIND) {
            0 if kind == 0 => (Word::Challenge, rest),
            1 => state(Stance::Starting, kind, rest)?,
            2 => state(Stance::Serving, kind, rest)?,
            3 if kind == 3 => (Word::Leave, rest),
            4 if kind == 4 => claims(rest)?,
            5 if kind == 5 => (Word::Routes(Handover::Given), rest),
            6 if kind == 6 => (Word::Routes(Handover::TakenBack), rest),
            7 if kind == 7 => reports(rest)?,
            _ => return Err(Malformed::UnknownKind(kind)),
        };
        if !rest.is_empty() {
            return Err(Malformed::Length);
        }
        let newest_key = KeyId(u32::from_be_bytes(key));
        let heartbeat = Self { word, newest_key, boot_id, sequence, echo, offer, sender, receiver };
        Ok((heartbeat, Seal { covered, proof }))
    }

    /// Writes the datagram. A name longer than Kubernetes allows (253 octets) would be cut at 255.
    pub fn emit(&self, key: &Key) -> Vec<u8> {
        let kind = match &self.word {
            Word::Challenge => 0,
            Word::State { stance, asks, keeps, behind, .. } => {
                let stance = match stance {
                    Stance::Starting => 1,
                    Stance::Serving => 2,
                };
                let flags = [(*asks, ASKS), (*keeps, KEEPS), (*behind, BEHIND)];
                flags.into_iter().filter(|(is_set, _)| *is_set).fold(stance, |kind, (_, flag)| kind | flag)
            }
            Word::Leave => 3,
            Word::Claims(_) => 4,
            Word::Routes(Handover::Given) => 5,
            Word::Routes(Handover::TakenBack) => 6,
            Word::Reports(_) => 7,
        };
        let mut bytes = Vec::with_capacity(192);
        bytes.extend(MAGIC);
        bytes.extend([VERSION, kind]);
        bytes.extend(self.newest_key.0.to_be_bytes());
        for number in [self.boot_id, self.sequence, self.echo, self.offer] {
            bytes.extend(number.to_be_bytes());
        }
        for name in [self.sender, self.receiver] {
            let name = name.as_bytes();
            let name = name.get(..255).unwrap_or(name);
            bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            bytes.extend(name);
        }
        match &self.word {
            Word::Challenge | Word::Leave | Word::Routes(_) => {}
            Word::State { ballot, tenures, reports, report, .. } => {
                bytes.extend(ballot.first.to_be_bytes());
                bytes.extend(ballot.last.to_be_bytes());
                bytes.push(u8::try_from(ballot.accused.len()).unwrap_or(u8::MAX));
                bytes.extend(ballot.accused.iter().flat_map(|node| node.0.to_be_bytes()));
                bytes.extend(tenures.to_be_bytes());
                bytes.extend(reports.to_be_bytes());
                put_report(&mut bytes, report);
            }
            Word::Claims(claims) => {
                bytes.push(u8::try_from(claims.len()).unwrap_or(u8::MAX));
                for Claim { address, tenure: Tenure { epoch, owner } } in claims {
                    put(&mut bytes, *address);
                    bytes.extend(epoch.to_be_bytes());
                    bytes.extend(owner.0.to_be_bytes());
                }
            }
            Word::Reports(reports) => {
                bytes.push(u8::try_from(reports.len()).unwrap_or(u8::MAX));
                for (node, report) in reports {
                    bytes.extend(node.0.to_be_bytes());
                    put_report(&mut bytes, report);
                }
            }
        }
        let proof = key.prove(&bytes);
        bytes.extend(proof.as_ref());
        bytes
    }
}

fn state(stance: Stance, kind: u8, rest: &[u8]) -> Result<(Word, &[u8]), Malformed> {
    let (first, rest) = number(rest)?;
    let (last, rest) = number(rest)?;
    let ([count], mut rest) = split(rest)?;
    if usize::from(count) > Page::CAPACITY {
        return Err(Malformed::Ballot);
    }
    let mut accused = Vec::new();
    for _ in 0..count {
        let (node, after) = number(rest)?;
        rest = after;
        if accused.last().is_some_and(|before: &NodeId| before.0 >= node) || !(first..=last).contains(&node) {
            return Err(Malformed::Ballot);
        }
        accused.push(NodeId(node));
    }
    let (tenures, rest) = number(rest)?;
    let (reports, rest) = number(rest)?;
    let ballot = Page { first, last, accused };
    let (report, rest) = report(rest)?;
    let [asks, keeps, behind] = [ASKS, KEEPS, BEHIND].map(|flag| kind & flag != 0);
    Ok((Word::State { stance, asks, keeps, behind, ballot, tenures, reports, report }, rest))
}

fn reports(rest: &[u8]) -> Result<(Word, &[u8]), Malformed> {
    let ([count], mut rest) = split(rest)?;
    if usize::from(count) > REPORTS {
        return Err(Malformed::Networks);
    }
    let mut reports = Vec::new();
    for _ in 0..count {
        let (node, after) = number(rest)?;
        let (report, after) = report(after)?;
        rest = after;
        reports.push((NodeId(node), report));
    }
    Ok((Word::Reports(reports), rest))
}

fn report(rest: &[u8]) -> Result<(Report, &[u8]), Malformed> {
    let (incarnation, rest) = number(rest)?;
    let ([count], mut rest) = split(rest)?;
    if usize::from(count) > LOST {
        return Err(Malformed::Networks);
    }
    let mut lost = Vec::new();
    for _ in 0..count {
        let (address, after) = address(rest, Malformed::Networks)?;
        let ([length], after) = split(after)?;
        lost.push(IpNet::new(address, length).map_err(|_| Malformed::Networks)?);
        rest = after;
    }
    Ok((Report { incarnation, lost }, rest))
}

fn claims(rest: &[u8]) -> Result<(Word, &[u8]), Malformed> {
    let ([count], mut rest) = split(rest)?;
    if usize::from(count) > CLAIMS {
        return Err(Malformed::Claims);
    }
    let mut claims = Vec::new();
    for _ in 0..count {
        let (address, after) = address(rest, Malformed::Claims)?;
        let (epoch, after) = number(after)?;
        let (owner, after) = number(after)?;
        rest = after;
        claims.push(Claim { address, tenure: Tenure { epoch, owner: NodeId(owner) } });
    }
    Ok((Word::Claims(claims), rest))
}

fn address(bytes: &[u8], otherwise: Malformed) -> Result<(IpAddr, &[u8]), Malformed> {
    let ([length], rest) = split(bytes)?;
    match length {
        4 => split(rest).map(|(octets, rest)| (IpAddr::from(octets as [u8; 4]), rest)),
        16 => split(rest).map(|(octets, rest)| (IpAddr::from(octets as [u8; 16]), rest)),
        _ => Err(otherwise),
    }
}

/// An address with its length before it.
fn put(bytes: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            bytes.push(4);
            bytes.extend(address.octets());
        }
        IpAddr::V6(address) => {
            bytes.push(16);
            bytes.extend(address.octets());
        }
    }
}

fn put_report(bytes: &mut Vec<u8>, Report { incarnation, lost }: &Report) {
    bytes.extend(incarnation.to_be_bytes());
    let lost = lost.get(..LOST).unwrap_or(lost);
    bytes.push(u8::try_from(lost.len()).unwrap_or(u8::MAX));
    for network in lost {
        put(bytes, network.addr());
        bytes.push(network.prefix_len());
    }
}

fn name(bytes: &[u8]) -> Result<(&str, &[u8]), Malformed> {
    let ([length], rest) = split(bytes)?;
    let (name, rest) = rest.split_at_checked(usize::from(length)).ok_or(Malformed::Length)?;
    let name = std::str::from_utf8(name).map_err(|_| Malformed::Name)?;
    if name.is_empty() { Err(Malformed::Name) } else { Ok((name, rest)) }
}

fn number(bytes: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    split(bytes).map(|(octets, rest)| (u64::from_be_bytes(octets), rest))
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Malformed> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(Malformed::Length)?;
    Ok((*head, rest))
}
