//! FRR's answers, which are JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context, Result};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::daemons::show;
use crate::routers::config::Family;
use crate::routers::running::Running;
use crate::routers::seen::{BfdState, BgpState, GracefulRestart, Messages, NeighbourState, Path, Routes};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Neighbour {
    remote_as: Option<u32>,
    remote_router_id: Option<Ipv4Addr>,
    bgp_state: String,
    bgp_timer_up_msec: Option<u64>,
    bgp_timer_hold_time_msecs: Option<u64>,
    #[serde(default)]
    neighbor_capabilities: Capabilities,
    #[serde(default)]
    graceful_restart_info: Map<String, Value>,
    #[serde(default)]
    message_stats: BTreeMap<String, u64>,
    #[serde(default)]
    address_family_info: BTreeMap<String, AddressFamily>,
    connections_dropped: Option<u32>,
    last_reset_due_to: Option<String>,
    last_notification_reason: Option<String>,
    last_shutdown_description: Option<String>,
    /// Of whom an interface leads to; `none` while nobody is known.
    bgp_neighbor_addr: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    graceful_restart: Option<String>,
    graceful_restart_remote_timer_msecs: Option<u64>,
    /// Families, or `"none"`.
    #[serde(default)]
    address_families_by_peer: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AddressFamily {
    accepted_prefix_counter: Option<u64>,
}

pub(in crate::routers) async fn neighbours(running: &Running) -> Result<Vec<NeighbourState>> {
    // Beside the neighbours there may be entries that are none.
    let said: BTreeMap<String, Value> = show(running, "bgpd", "show bgp neighbors json").await?;
    let entries = said.into_iter().filter(|(_, value)| value.get("bgpState").is_some());
    entries
        .map(|(name, value)| {
            let neighbour: Neighbour =
                serde_json::from_value(value).with_context(|| format!("FRR's answer on {name}"))?;
            state(name, &neighbour)
        })
        .collect()
}

fn state(name: String, neighbour: &Neighbour) -> Result<NeighbourState> {
    let state = match neighbour.bgp_state.as_str() {
        "Idle" | "Clearing" | "Deleted" => BgpState::Idle,
        "Connect" => BgpState::Connect,
        "Active" => BgpState::Active,
        "OpenSent" => BgpState::OpenSent,
        "OpenConfirm" => BgpState::OpenConfirm,
        "Established" => BgpState::Established,
        other => anyhow::bail!("FRR says that {name} is in the state {other:?}, which is not known here"),
    };
    let established = state == BgpState::Established;
    let count = |name: &str| neighbour.message_stats.get(name).copied().unwrap_or_default();
    let messages = |suffix: &str| Messages {
        opens: count(&format!("opens{suffix}")),
        updates: count(&format!("updates{suffix}")),
        keepalives: count(&format!("keepalives{suffix}")),
        notifications: count(&format!("notifications{suffix}")),
        refreshes: count(&format!("routeRefresh{suffix}")),
    };
    let families = neighbour
        .address_family_info
        .iter()
        .filter_map(|(name, info)| Some((family(name)?, info.accepted_prefix_counter.unwrap_or_default())));
    let reasons = [
        neighbour.last_reset_due_to.as_deref(),
        neighbour.last_notification_reason.as_deref(),
        neighbour.last_shutdown_description.as_deref(),
    ];
    let reasons: Vec<&str> = reasons.into_iter().flatten().filter(|reason| !reason.is_empty()).collect();
    let found = || neighbour.bgp_neighbor_addr.as_ref()?.parse().ok();
    let address = name.parse().ok().or_else(found);
    Ok(NeighbourState {
        address,
        name,
        state,
        remote_asn: neighbour.remote_as.filter(|asn| *asn != 0),
        router_id: neighbour.remote_router_id.filter(|id| !id.is_unspecified()),
        last_error: (!reasons.is_empty()).then(|| reasons.join(": ")),
        uptime: neighbour.bgp_timer_up_msec.filter(|_| established).map(Duration::from_millis),
        dropped: neighbour.connections_dropped,
        hold_time: neighbour.bgp_timer_hold_time_msecs.filter(|_| established).map(Duration::from_millis),
        received: Some(messages("Recv")),
        sent: Some(messages("Sent")),
        prefixes: families.collect(),
        graceful_restart: graceful_restart(
            &neighbour.neighbor_capabilities,
            &neighbour.graceful_restart_info,
        ),
    })
}

fn graceful_restart(capabilities: &Capabilities, info: &Map<String, Value>) -> Option<GracefulRestart> {
    let said = capabilities.graceful_restart.as_deref()?;
    if !said.to_lowercase().contains("received") {
        return None;
    }
    let families = |value: Option<&Value>| -> BTreeSet<Family> {
        let names = value.and_then(Value::as_object).into_iter().flat_map(Map::keys);
        names.filter_map(|name| family(name)).collect()
    };
    Some(GracefulRestart {
        time: capabilities.graceful_restart_remote_timer_msecs.map(Duration::from_millis),
        preserved: families(Some(&capabilities.address_families_by_peer)),
        complete: families(info.get("endOfRibRecv")),
    })
}

fn family(name: &str) -> Option<Family> {
    match name {
        "ipv4Unicast" => Some(Family::V4),
        "ipv6Unicast" => Some(Family::V6),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Table {
    /// What is known of the prefix, then its paths.
    #[serde(default)]
    routes: BTreeMap<String, Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Route {
    aspath: AsPath,
    metric: Option<u32>,
    loc_prf: Option<u32>,
    #[serde(default)]
    stale: bool,
    #[serde(default)]
    bestpath: Map<String, Value>,
    #[serde(default)]
    multipath: bool,
    #[serde(default)]
    community: List,
    #[serde(default)]
    large_community: List,
    #[serde(default)]
    nexthops: Vec<NextHop>,
    peer: From,
}

#[derive(Deserialize)]
struct AsPath {
    #[serde(default)]
    segments: Vec<Segment>,
}

#[derive(Deserialize)]
struct Segment {
    #[serde(default)]
    list: Vec<u32>,
}

#[derive(Default, Deserialize)]
struct List {
    #[serde(default)]
    list: BTreeSet<String>,
}

#[derive(Deserialize)]
struct NextHop {
    ip: IpAddr,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct From {
    peer_id: IpAddr,
}

pub(in crate::routers) async fn routes(running: &Running, family: Family) -> Result<Routes> {
    let name = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    let table: Table = show(running, "bgpd", &format!("show bgp {name} unicast json detail")).await?;
    let mut routes = Routes::new();
    for (prefix, entries) in table.routes {
        let prefix: IpNet = prefix.parse().with_context(|| format!("FRR says {prefix:?} is a prefix"))?;
        // A newer FRR has the paths in the second place only; in both, what has no AS path is not a path.
        let paths = entries.into_iter().filter(|entry| entry.get("aspath").is_some());
        let paths: Result<Vec<Path>> = paths
            .map(|entry| {
                Ok(path(serde_json::from_value(entry).with_context(|| format!("a path to {prefix}"))?))
            })
            .collect();
        routes.insert(prefix, paths?);
    }
    Ok(routes)
}

fn path(route: Route) -> Path {
    let best = route.bestpath.get("overall") == Some(&Value::Bool(true));
    let communities = route.community.list.into_iter().map(|name| match name.as_str() {
        // FRR has names where others have numbers.
        "gracefulShutdown" | "graceful-shutdown" => "65535:0".to_owned(),
        "acceptown" | "accept-own" => "65535:1".to_owned(),
        "llgrStale" | "llgr-stale" => "65535:6".to_owned(),
        "noLlgr" | "no-llgr" => "65535:7".to_owned(),
        "blackhole" => "65535:666".to_owned(),
        "noExport" | "no-export" => "65535:65281".to_owned(),
        "noAdvertise" | "no-advertise" => "65535:65282".to_owned(),
        "localAs" | "local-AS" => "65535:65283".to_owned(),
        "noPeer" | "no-peer" => "65535:65284".to_owned(),
        _ => name,
    });
    Path {
        next_hops: route.nexthops.into_iter().map(|hop| hop.ip).collect(),
        as_path: route.aspath.segments.into_iter().flat_map(|segment| segment.list).collect(),
        local_pref: route.loc_prf,
        med: route.metric,
        communities: communities.collect(),
        large_communities: route.large_community.list,
        stale: route.stale,
        best,
        multipath: route.multipath || best,
        from: Some(route.peer.peer_id).filter(|peer| !peer.is_unspecified()),
    }
}

pub(in crate::routers) async fn bfd(running: &Running) -> Result<Vec<BfdState>> {
    let said: Vec<Map<String, Value>> = show(running, "bfdd", "show bfd peers json").await?;
    let state = |said: Map<String, Value>| {
        let peer = said.get("peer").and_then(Value::as_str).and_then(|peer| peer.parse().ok());
        let up = said.get("status").and_then(Value::as_str) == Some("up");
        Ok(BfdState { peer: peer.context("FRR names no peer of a BFD session")?, up, said })
    };
    said.into_iter().map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_whatever_names_its_communities_have() {
        let said = r#"{"aspath":{"string":"64512 7","segments":[{"type":"as-sequence","list":[64512,7]}],"length":2},
            "origin":"IGP","metric":5,"locPrf":200,"valid":true,"multipath":true,"stale":true,
            "bestpath":{"bestpathFromAs":64512},
            "community":{"string":"64513:7 gracefulShutdown","list":["64513:7","gracefulShutdown","noExport"]},
            "largeCommunity":{"string":"64513:1:2","list":["64513:1:2"]},
            "nexthops":[{"ip":"2001:db8::1","afi":"ipv6","scope":"global"},{"ip":"fe80::1","scope":"link-local","used":true}],
            "peer":{"peerId":"2001:db8::1","routerId":"192.0.2.1","type":"external"}}"#;
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let expected = Path {
            next_hops: vec!["2001:db8::1".parse().unwrap(), "fe80::1".parse().unwrap()],
            as_path: vec![64512, 7],
            local_pref: Some(200),
            med: Some(5),
            communities: text(&["64513:7", "65535:0", "65535:65281"]),
            large_communities: text(&["64513:1:2"]),
            stale: true,
            best: false,
            multipath: true,
            from: Some("2001:db8::1".parse().unwrap()),
        };
        assert_eq!(path(serde_json::from_str(said).unwrap()), expected);
    }
}
