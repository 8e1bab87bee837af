//! What a router sees of MetalLB: FRR on the LAN's router, with the nodes as its neighbours.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use kube::Api;
use kube::api::DeleteParams;
use metallb_crds::BGPPeer;
use metallb_lab::network::Host;
use metallb_lab::routers::{Bfd, Config, Family, Make, Neighbour, Path, Remote, Router};
use metallb_lab::{Cluster, eventually};
use serde_json::{Value, json};

use crate::installation::{Installation, NAMESPACE, ROLLED_OUT};

/// The router's AS.
pub const ROUTER_AS: u32 = 64512;
/// The cluster's.
pub const CLUSTER_AS: u32 = 64500;
/// The router's address on the LAN.
pub const ROUTER: &str = "10.77.0.1";
/// Addresses that nobody on the LAN has: they are reached through the router alone.
pub const ROUTED: &str = "10.99.0.0/24";
/// The BGPPeer that is the router.
const PEER: &str = "router";
/// What BFD sends and expects, and how many may be missed.
const INTERVAL: Duration = Duration::from_millis(50);
const MULTIPLIER: u8 = 3;

/// FRR on the router of the cluster's LAN. Every node may be its neighbour, and BFD watches.
pub async fn router(cluster: &Cluster) -> anyhow::Result<Router> {
    let host = Host::of_namespace(&format!("{}-router", cluster.name()));
    let lan: IpNet = "10.77.0.0/24".parse()?;
    let neighbours = Neighbour::range(lan, Remote::As(CLUSTER_AS))
        .families([Family::V4, Family::V6])
        .bfd(Bfd::every(INTERVAL, MULTIPLIER));
    let config = Config::new(ROUTER_AS, [10, 77, 0, 1]).neighbour(neighbours);
    Router::start(Make::Frr, &host, config).await
}

/// The router as a BGPPeer of all nodes with a BFDProfile, a pool that is announced to it, and nothing on layer 2.
pub async fn announce(metallb: &Installation) -> anyhow::Result<()> {
    let millis = INTERVAL.as_millis();
    let profile =
        json!({ "receiveInterval": millis, "transmitInterval": millis, "detectMultiplier": MULTIPLIER });
    apply(metallb, "v1beta1", "BFDProfile", "fast", &profile).await;
    peer(metallb, Restart::Graceful).await?;
    let pool = json!({ "addresses": [ROUTED], "autoAssign": false });
    apply(metallb, "v1beta1", "IPAddressPool", "routed", &pool).await;
    let advertisement = json!({ "ipAddressPools": ["routed"], "communities": ["64500:7"] });
    apply(metallb, "v1beta1", "BGPAdvertisement", "routed", &advertisement).await;
    Ok(())
}

/// What a router does while a speaker is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It keeps the routes.
    Graceful,
    /// It takes them out, and in again.
    Plain,
}

/// The router as a BGPPeer of all nodes, which it is anew.
pub async fn peer(metallb: &Installation, restart: Restart) -> anyhow::Result<()> {
    let peers: Api<BGPPeer> = metallb.api();
    if peers.get_opt(PEER).await?.is_some() {
        peers.delete(PEER, &DeleteParams::default()).await?; // whether it restarts gracefully cannot be changed
    }
    let spec = json!({
        "myASN": CLUSTER_AS, "peerASN": ROUTER_AS, "peerAddress": ROUTER, "bfdProfile": "fast",
        "enableGracefulRestart": restart == Restart::Graceful,
    });
    apply(metallb, "v1beta2", "BGPPeer", PEER, &spec).await;
    Ok(())
}

async fn apply(metallb: &Installation, version: &str, kind: &str, name: &str, spec: &Value) {
    let object = json!({
        "apiVersion": format!("metallb.io/{version}"), "kind": kind,
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": spec,
    });
    // A node that has just come back may hold one of the pods that validate it, and the API server may not know yet.
    eventually(ROLLED_OUT, "the configuration for BGP is taken", async || {
        metallb.admin.apply_yaml(&object.to_string()).await.map_err(|error| format!("{error:#}"))
    })
    .await;
}

/// Waits until the router watches that many nodes by BFD: before that it finds out by BGP's own timers.
pub async fn watched(router: &Router, count: usize) {
    router
        .eventually(ROLLED_OUT, "it watches all nodes by BFD", async || {
            router.bfd().await.is_ok_and(|all| all.iter().filter(|session| session.up).count() == count)
        })
        .await;
}

/// Waits until the router spreads what goes to `address` over that many nodes: until BGP says so, and its kernel does.
pub async fn paths(router: &Router, address: IpAddr, count: usize) -> Vec<Path> {
    let prefix = IpNet::from(address);
    let paths = router
        .route(&prefix.to_string(), |paths| paths.iter().filter(|path| !path.stale).count() == count)
        .await;
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    router
        .eventually(ROLLED_OUT, "its kernel spreads over them", async || {
            let used = router.host().kernel_routes(family);
            used.is_ok_and(|used| used.get(&prefix).is_some_and(|route| route.next_hops.len() == count))
        })
        .await;
    paths
}
