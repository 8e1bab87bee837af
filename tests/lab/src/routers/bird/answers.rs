//! BIRD's answers, which are text for people.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use serde_json::{Map, Value};

use super::configuration::name_of;
use super::daemon::birdc;
use crate::routers::config::{Config, Family, Peer};
use crate::routers::running::Running;
use crate::routers::seen::{BfdState, BgpState, GracefulRestart, NeighbourState, Path, Routes};

pub(in crate::routers) async fn neighbours(
    running: &Running,
    config: &Config,
) -> Result<Vec<NeighbourState>> {
    let said = birdc(running, "show protocols all").await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let sessions = sessions(&said, now)?;
    Ok(sessions.into_iter().map(|session| session.known_as(config)).collect())
}

pub(in crate::routers) async fn routes(running: &Running, family: Family) -> Result<Routes> {
    let table = match family {
        Family::V4 => "master4",
        Family::V6 => "master6",
    };
    let all = format!("show route table {table} all where source ~ [RTS_STATIC, RTS_BGP]");
    let said = birdc(running, &all).await?;
    let protocols = birdc(running, "show protocols all").await?;
    let sessions = sessions(&protocols, Duration::ZERO)?.into_iter();
    let origins = sessions.filter_map(|Session { protocol, state, presence }| {
        Some((protocol, Origin { address: state.address?, presence }))
    });
    table_of(&said, &origins.collect())
}

pub(in crate::routers) async fn bfd(running: &Running) -> Result<Vec<BfdState>> {
    watched(&birdc(running, "show bfd sessions").await?)
}

/// What BIRD says of a session, and what it calls it.
pub(super) struct Session {
    pub(super) protocol: String,
    pub(super) state: NeighbourState,
    presence: Presence,
}

/// Whether a neighbour is there, as far as its routes are concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    There,
    /// Its routes are kept. BIRD does not mark the routes themselves, but for those of long-lived graceful restart.
    Restarting,
}

/// Where routes came from.
pub(super) struct Origin {
    pub(super) address: IpAddr,
    pub(super) presence: Presence,
}

impl Session {
    /// BIRD knows an unnumbered neighbour by its address; a test knows it by the interface.
    fn known_as(self, config: &Config) -> NeighbourState {
        let Self { protocol, mut state, presence: _ } = self;
        let numbered = config.neighbours.iter().enumerate();
        let is_its = |number: usize| protocol.split('_').next() == Some(name_of(number).as_str());
        let at = numbered.filter(|(number, _)| is_its(*number)).map(|(_, neighbour)| &neighbour.at).next();
        if let Some(Peer::Interface(interface)) = at {
            state.name.clone_from(interface);
        }
        state
    }
}

pub(super) fn sessions(said: &str, now: Duration) -> Result<Vec<Session>> {
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in said.lines() {
        if !line.starts_with([' ', '\t']) {
            blocks.push(Vec::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push(line);
        }
    }
    let is_bgp =
        |block: &Vec<&str>| block.first().is_some_and(|line| line.split_whitespace().nth(1) == Some("BGP"));
    let sessions = blocks.iter().filter(|block| is_bgp(block)).map(|block| session(block, now));
    sessions.filter_map(Result::transpose).collect()
}

fn session(block: &[&str], now: Duration) -> Result<Option<Session>> {
    let mut words = block.first().into_iter().flat_map(|line| line.split_whitespace());
    let protocol = words.next().context("BIRD names no protocol")?.to_owned();
    let since = words.nth(3).and_then(|since| since.parse().ok()).map(Duration::from_secs);
    let field = |name: &str| {
        block.iter().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    // The one that waits for those of a range has none.
    let Some(address) = field("Neighbor address") else { return Ok(None) };
    let address: IpAddr = address
        .split('%')
        .next()
        .and_then(|address| address.parse().ok())
        .with_context(|| format!("BIRD says {address:?} is an address"))?;
    let state = match field("BGP state") {
        Some("Idle" | "Close" | "Down") | None => BgpState::Idle,
        Some("Connect") => BgpState::Connect,
        Some("Active" | "Passive") => BgpState::Active,
        Some("OpenSent") => BgpState::OpenSent,
        Some("OpenConfirm") => BgpState::OpenConfirm,
        Some("Established") => BgpState::Established,
        Some(other) => bail!("BIRD says that {address} is in the state {other:?}, which is not known here"),
    };
    let hold = field("Hold timer").and_then(|timer| timer.split_once('/')?.1.trim().parse().ok());
    let state = NeighbourState {
        name: address.to_string(),
        address: Some(address),
        state,
        remote_asn: field("Neighbor AS").and_then(|asn| asn.parse().ok()),
        router_id: field("Neighbor ID").and_then(|id| id.parse().ok()),
        last_error: field("Last error").map(str::to_owned),
        uptime: since.filter(|_| state == BgpState::Established).map(|since| now.saturating_sub(since)),
        dropped: None,
        hold_time: hold.map(Duration::from_secs_f64),
        received: None,
        sent: None,
        prefixes: prefixes(block),
        graceful_restart: graceful_restart(block),
    };
    let restarts = block.iter().any(|line| line.trim() == "Neighbor graceful restart active");
    let presence = if restarts { Presence::Restarting } else { Presence::There };
    Ok(Some(Session { protocol, state, presence }))
}

fn prefixes(block: &[&str]) -> BTreeMap<Family, u64> {
    let mut prefixes = BTreeMap::new();
    let mut channel = None;
    for line in block {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("Channel ") {
            channel = family(name);
        }
        let imported = line.strip_prefix("Routes:").and_then(|rest| rest.split_whitespace().next());
        if let (Some(family), Some(count)) = (channel, imported.and_then(|count| count.parse().ok())) {
            prefixes.insert(family, count);
        }
    }
    prefixes
}

fn graceful_restart(block: &[&str]) -> Option<GracefulRestart> {
    let theirs = block.iter().skip_while(|line| line.trim() != "Neighbor capabilities");
    let mut lines = theirs.skip_while(|line| line.trim() != "Graceful restart");
    lines.next()?;
    // What belongs to it stands further to the right.
    let details: Vec<&str> =
        lines.take_while(|line| line.starts_with("        ")).map(|line| line.trim()).collect();
    let field = |name: &str| details.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let time = field("Restart time:").and_then(|time| time.parse().ok()).map(Duration::from_secs);
    let preserved = field("AF preserved:").into_iter().flat_map(str::split_whitespace).filter_map(family);
    Some(GracefulRestart { time, preserved: preserved.collect(), complete: BTreeSet::new() })
}

fn family(name: &str) -> Option<Family> {
    match name {
        "ipv4" => Some(Family::V4),
        "ipv6" => Some(Family::V6),
        _ => None,
    }
}

pub(super) fn table_of(said: &str, origins: &BTreeMap<String, Origin>) -> Result<Routes> {
    let mut routes = Routes::new();
    let mut prefix: Option<IpNet> = None;
    for line in said.lines() {
        if let Some(attribute) = line.strip_prefix('\t') {
            let path = prefix.and_then(|prefix| routes.get_mut(&prefix)?.last_mut());
            if let (Some(path), Some((name, value))) = (path, attribute.split_once(": ")) {
                attribute_of(path, name, value).with_context(|| format!("BIRD says {attribute:?}"))?;
            }
            continue;
        }
        // A further path to the same prefix has blanks in its place.
        let first = line.split_whitespace().next().and_then(|word| word.parse().ok());
        prefix = if line.starts_with(' ') { prefix } else { first };
        let (Some(prefix), Some(head)) = (prefix, Head::of(line)) else { continue };
        routes.entry(prefix).or_default().push(head.path(origins));
    }
    Ok(routes)
}

/// `unicast [n0 1795260431 from fe80::1%v0] * (100s) [AS64512i]`, after the prefix; the `s` is for stale.
struct Head<'l> {
    protocol: &'l str,
    best: bool,
    stale: bool,
}

impl<'l> Head<'l> {
    fn of(line: &'l str) -> Option<Self> {
        let (_, rest) = line.split_once('[')?;
        let (source, rest) = rest.split_once(']')?;
        let preference = rest.split_once('(')?.1.split_once(')')?.0;
        let best = rest.trim_start().starts_with(['*', '!']);
        Some(Self { protocol: source.split_whitespace().next()?, best, stale: preference.ends_with('s') })
    }

    fn path(&self, origins: &BTreeMap<String, Origin>) -> Path {
        let origin = origins.get(self.protocol);
        Path {
            next_hops: Vec::new(),
            as_path: Vec::new(),
            local_pref: None,
            med: None,
            communities: BTreeSet::new(),
            large_communities: BTreeSet::new(),
            stale: self.stale || origin.is_some_and(|origin| origin.presence == Presence::Restarting),
            best: self.best,
            multipath: self.best,
            from: origin.map(|origin| origin.address),
        }
    }
}

fn attribute_of(path: &mut Path, name: &str, value: &str) -> Result<()> {
    // `(64513,7) (64513, 1, 2)`
    let in_brackets = || -> BTreeSet<String> {
        let lists = value.split('(').filter_map(|part| part.split_once(')'));
        lists.map(|(list, _)| list.split(',').map(str::trim).collect::<Vec<_>>().join(":")).collect()
    };
    match name {
        "BGP.as_path" => {
            let numbers =
                value.split(|letter: char| !letter.is_ascii_digit()).filter(|word| !word.is_empty());
            path.as_path = numbers.map(str::parse).collect::<Result<_, _>>()?;
        }
        "BGP.next_hop" => {
            path.next_hops = value.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
            // A link-local next hop alone has no global one before it.
            path.next_hops.retain(|hop| *hop != IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        }
        "BGP.local_pref" => path.local_pref = Some(value.parse()?),
        "BGP.med" => path.med = Some(value.parse()?),
        "BGP.community" => path.communities = in_brackets(),
        "BGP.large_community" => path.large_communities = in_brackets(),
        _ => {} // others are not compared in tests
    }
    Ok(())
}

fn watched(said: &str) -> Result<Vec<BfdState>> {
    let columns = ["address", "interface", "state", "since", "interval", "timeout"];
    let mut states = Vec::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(peer) = words.first().and_then(|word| word.parse().ok()) else { continue };
        let cells = columns.iter().zip(&words);
        let said: Map<String, Value> =
            cells.map(|(column, word)| ((*column).to_owned(), Value::from(*word))).collect();
        let state = words.get(2).with_context(|| format!("BIRD says {line:?} of BFD"))?;
        states.push(BfdState { peer, up: *state == "Up", said });
    }
    Ok(states)
}
