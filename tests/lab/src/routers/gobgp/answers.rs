//! GoBGP's answers, which are JSON with numbers for most things, and its log, which alone says why a session ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value;

use super::daemon::gobgp;
use crate::routers::config::Family;
use crate::routers::running::Running;
use crate::routers::seen::{BgpState, GracefulRestart, Messages, NeighbourState, Path, Routes};

#[derive(Deserialize)]
struct Neighbour {
    state: State,
    #[serde(default)]
    timers: Timers,
    #[serde(default)]
    graceful_restart: Restart,
    #[serde(default)]
    afi_safis: Vec<AfiSafi>,
}

#[derive(Deserialize)]
struct State {
    neighbor_address: String,
    peer_asn: Option<u32>,
    router_id: Option<Ipv4Addr>,
    /// Absent for zero.
    #[serde(default, rename = "session_state")]
    phase: u8,
    #[serde(default)]
    flops: u32,
    #[serde(default)]
    messages: Both,
    #[serde(default)]
    remote_cap: Vec<Capability>,
}

#[derive(Default, Deserialize)]
struct Both {
    #[serde(default)]
    received: Counts,
    #[serde(default)]
    sent: Counts,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    open: u64,
    update: u64,
    keepalive: u64,
    notification: u64,
    refresh: u64,
}

#[derive(Deserialize)]
struct Capability {
    #[serde(default)]
    type_url: String,
}

#[derive(Default, Deserialize)]
struct Timers {
    #[serde(default)]
    state: TimersState,
}

#[derive(Default, Deserialize)]
struct TimersState {
    negotiated_hold_time: Option<u64>,
    uptime: Option<Seconds>,
}

#[derive(Deserialize)]
struct Seconds {
    #[serde(default)]
    seconds: u64,
}

#[derive(Default, Deserialize)]
struct Restart {
    peer_restart_time: Option<u64>,
}

#[derive(Deserialize)]
struct AfiSafi {
    state: AfiSafiState,
    #[serde(default)]
    mp_graceful_restart: Keeping,
}

#[derive(Deserialize)]
struct AfiSafiState {
    family: Number,
    #[serde(default)]
    accepted: u64,
}

#[derive(Deserialize)]
struct Number {
    afi: u16,
}

#[derive(Default, Deserialize)]
struct Keeping {
    #[serde(default)]
    state: KeepingState,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KeepingState {
    received: bool,
    end_of_rib_received: bool,
}

pub(in crate::routers) async fn neighbours(running: &Running) -> Result<Vec<NeighbourState>> {
    let said = gobgp(running, &["-j", "neighbor"]).await?;
    let known: Vec<Neighbour> =
        serde_json::from_str(&said).with_context(|| format!("GoBGP's answer on its neighbours: {said}"))?;
    let log = fs::read_to_string(running.file("gobgpd.log")).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    known.into_iter().map(|neighbour| state(neighbour, &log, now)).collect()
}

fn state(neighbour: Neighbour, log: &str, now: Duration) -> Result<NeighbourState> {
    let Neighbour { state: said, timers, graceful_restart, afi_safis } = neighbour;
    let name = said.neighbor_address;
    let state = match said.phase {
        0 | 1 => BgpState::Idle,
        2 => BgpState::Connect,
        3 => BgpState::Active,
        4 => BgpState::OpenSent,
        5 => BgpState::OpenConfirm,
        6 => BgpState::Established,
        other => bail!("GoBGP says that {name} is in the state {other}, which is not known here"),
    };
    let established = state == BgpState::Established;
    let families = || {
        let family = |known: &AfiSafi| match known.state.family.afi {
            1 => Some(Family::V4),
            2 => Some(Family::V6),
            _ => None,
        };
        afi_safis.iter().filter_map(move |known| Some((family(known)?, known)))
    };
    let that = |is: fn(&KeepingState) -> bool| -> BTreeSet<Family> {
        families()
            .filter(|(_, known)| is(&known.mp_graceful_restart.state))
            .map(|(family, _)| family)
            .collect()
    };
    let restarts = said.remote_cap.iter().any(|known| known.type_url.ends_with(".GracefulRestartCapability"));
    Ok(NeighbourState {
        address: name.split('%').next().and_then(|address| address.parse().ok()),
        state,
        remote_asn: said.peer_asn.filter(|asn| *asn != 0),
        router_id: said.router_id.filter(|id| !id.is_unspecified()),
        last_error: last_error(log, &name),
        uptime: timers
            .state
            .uptime
            .filter(|_| established)
            .map(|since| now.saturating_sub(Duration::from_secs(since.seconds))),
        dropped: Some(said.flops),
        hold_time: timers.state.negotiated_hold_time.filter(|_| established).map(Duration::from_secs),
        received: Some(messages(&said.messages.received)),
        sent: Some(messages(&said.messages.sent)),
        prefixes: families().map(|(family, known)| (family, known.state.accepted)).collect(),
        graceful_restart: restarts.then(|| GracefulRestart {
            time: graceful_restart.peer_restart_time.map(Duration::from_secs),
            preserved: that(|known| known.received),
            complete: that(|known| known.end_of_rib_received),
        }),
        name,
    })
}

fn messages(counts: &Counts) -> Messages {
    Messages {
        opens: counts.open,
        updates: counts.update,
        keepalives: counts.keepalive,
        notifications: counts.notification,
        refreshes: counts.refresh,
    }
}

/// `… msg="Peer Down" Key=192.0.2.1 Reason="hold-timer-expired" …`, and lines on notifications.
fn last_error(log: &str, name: &str) -> Option<String> {
    let key = format!("Key={name} ");
    let is_error = |line: &&str| {
        line.contains(&key) && (line.contains("msg=\"Peer Down\"") || line.contains("notification"))
    };
    let line = log.lines().rev().find(is_error)?;
    let (_, message) = line.split_once("msg=")?;
    Some(message.to_owned())
}

#[derive(Deserialize)]
struct Route {
    #[serde(default)]
    best: bool,
    #[serde(default)]
    stale: bool,
    #[serde(default)]
    attrs: Vec<Attribute>,
    #[serde(rename = "neighbor-ip")]
    neighbour: Option<IpAddr>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(rename = "type")]
    code: u8,
    nexthop: Option<IpAddr>,
    metric: Option<u32>,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    as_paths: Vec<Segment>,
    #[serde(default)]
    communities: Vec<u32>,
}

#[derive(Deserialize)]
struct Segment {
    #[serde(default)]
    asns: Vec<u32>,
}

#[derive(Deserialize)]
struct Large {
    #[serde(rename = "ASN")]
    asn: u32,
    #[serde(rename = "LocalData1")]
    first: u32,
    #[serde(rename = "LocalData2")]
    second: u32,
}

pub(in crate::routers) async fn routes(running: &Running, family: Family) -> Result<Routes> {
    let name = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    let said = gobgp(running, &["-j", "global", "rib", "-a", name]).await?;
    let table: BTreeMap<String, Vec<Route>> =
        serde_json::from_str(&said).with_context(|| format!("GoBGP's answer on its routes: {said}"))?;
    let mut routes = Routes::new();
    for (prefix, paths) in table {
        let prefix: IpNet = prefix.parse().with_context(|| format!("GoBGP says {prefix:?} is a prefix"))?;
        routes.insert(prefix, paths.into_iter().map(path).collect::<Result<_>>()?);
    }
    Ok(routes)
}

fn path(route: Route) -> Result<Path> {
    let mut path = Path {
        next_hops: Vec::new(),
        as_path: Vec::new(),
        local_pref: None,
        med: None,
        communities: BTreeSet::new(),
        large_communities: BTreeSet::new(),
        stale: route.stale,
        best: route.best,
        // It marks every path that is as good as the best one.
        multipath: route.best,
        from: route.neighbour,
    };
    for attribute in route.attrs {
        let number = || attribute.value.as_u64().and_then(|number| u32::try_from(number).ok());
        match attribute.code {
            2 => path.as_path = attribute.as_paths.into_iter().flat_map(|segment| segment.asns).collect(),
            // NEXT_HOP, or that of MP_REACH_NLRI.
            3 | 14 => path.next_hops.extend(attribute.nexthop),
            4 => path.med = attribute.metric.or_else(number),
            5 => path.local_pref = number(),
            8 => {
                let communities = attribute.communities.iter();
                path.communities =
                    communities.map(|number| format!("{}:{}", number >> 16, number & 0xffff)).collect();
            }
            32 => {
                let large: Vec<Large> =
                    serde_json::from_value(attribute.value).context("GoBGP's large communities")?;
                path.large_communities =
                    large.iter().map(|it| format!("{}:{}:{}", it.asn, it.first, it.second)).collect();
            }
            _ => {} // others are not compared in tests
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_by_their_numbers() {
        let said = r#"{"best":true,"attrs":[{"type":1,"value":0},
            {"type":2,"as_paths":[{"segment_type":2,"num":2,"asns":[64512,7]}]},
            {"type":14,"nexthop":"2001:db8::1","afi":2,"safi":1,"value":[{"prefix":"2001:db8:7::/48"}]},
            {"type":4,"metric":5},{"type":5,"value":200},{"type":8,"communities":[4227923975,4294967041]},
            {"type":32,"value":[{"ASN":64513,"LocalData1":1,"LocalData2":2}]}],
            "stale":false,"source-id":"192.0.2.1","neighbor-ip":"192.0.2.1"}"#;
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let expected = Path {
            next_hops: vec!["2001:db8::1".parse().unwrap()],
            as_path: vec![64512, 7],
            local_pref: Some(200),
            med: Some(5),
            communities: text(&["64513:7", "65535:65281"]),
            large_communities: text(&["64513:1:2"]),
            stale: false,
            best: true,
            multipath: true,
            from: Some("192.0.2.1".parse().unwrap()),
        };
        assert_eq!(path(serde_json::from_str(said).unwrap()).unwrap(), expected);
    }

    #[test]
    fn the_last_reason_of_that_neighbour_is_told() {
        let log = "level=info msg=\"Peer Down\" Key=192.0.2.1 Reason=old Topic=Peer\n\
                   level=info msg=\"Peer Down\" Key=192.0.2.1 Reason=hold-timer-expired Topic=Peer\n\
                   level=info msg=\"Peer Down\" Key=192.0.2.10 Reason=other Topic=Peer\n";
        let error = last_error(log, "192.0.2.1").unwrap();
        assert_eq!(error, "\"Peer Down\" Key=192.0.2.1 Reason=hold-timer-expired Topic=Peer");
        assert_eq!(last_error(log, "192.0.2.2"), None);
    }
}
