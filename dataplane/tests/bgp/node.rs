//! Our side: the lanes, in the node's network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use metallb_core::config::{
    Asn, Bfd, BfdInterval, BfdProfile, DetectMultiplier, Endpoint, Password, PasswordSource, Peer, RemoteAs,
};
use metallb_core::plan::{PeerChanges, RouteAttributes};
use metallb_dataplane::speaker::bfd;
use metallb_dataplane::speaker::bgp::seen::{PeerSeen, Seen};
use metallb_dataplane::speaker::bgp::wanted::{Profile, Wanted};
use metallb_dataplane::speaker::bgp::{self, Beside, Ending, Lane, StandIn};
use metallb_lab::eventually;
use metallb_lab::network::Host;
use metallb_protocols::bfd::Status;
use metallb_protocols::bgp::session::State;
use prometheus::Registry;
use tokio::sync::watch;

/// The router's AS, and ours.
pub const TOR: u32 = 64512;
pub const OURS: u32 = 64500;

pub struct Node {
    /// Gone when the node has left.
    lanes: Option<(Lane, bfd::Lane)>,
    bfd: watch::Receiver<bfd::Seen>,
    seen: watch::Receiver<Seen>,
    registry: Registry,
    peers: BTreeMap<String, Peer>,
    profile: Profile,
}

impl Node {
    /// Starts the lanes on `host`.
    pub fn start(host: &Host) -> Self {
        Self::listening(host, None)
    }

    /// The same, and routers may connect to this port.
    pub fn listening(host: &Host, listen: Option<u16>) -> Self {
        let registry = Registry::new();
        let bfd_metrics = bfd::metrics::Metrics::register(&registry).unwrap();
        let metrics = bgp::metrics::Metrics::register(&registry).unwrap();
        let bfd = host.inside(|| bfd::Lane::start(bfd_metrics).unwrap()).unwrap();
        let beside = Beside { bfd: bfd.publisher.clone(), bfd_seen: bfd.seen.clone(), listen, metrics };
        let lane = host.inside(|| Lane::start(beside).unwrap()).unwrap();
        let (bfd_seen, seen) = (bfd.seen.clone(), lane.seen.clone());
        let lanes = Some((lane, bfd));
        Self { lanes, bfd: bfd_seen, seen, registry, peers: BTreeMap::new(), profile: Profile::Frr }
    }

    /// With MetalLB's own defaults in place of FRR's.
    pub fn native(mut self) -> Self {
        self.profile = Profile::Native;
        self
    }

    fn lane(&self) -> &Lane {
        &self.lanes.as_ref().unwrap().0
    }

    /// Talks to `peer` too, or to it like that from now on.
    pub fn peer(&mut self, name: &str, peer: Peer) {
        self.peers.insert(name.to_owned(), peer);
        self.publish();
    }

    /// Talks to it no more.
    pub fn remove(&mut self, name: &str) {
        self.peers.remove(name);
        self.publish();
    }

    /// Talks to nobody, and knows it.
    pub fn talk_to_nobody(&mut self) {
        self.peers.clear();
        self.publish();
    }

    /// Waits until the lane tells how the sessions stand, be it as before.
    pub async fn tells(&mut self) -> Seen {
        let told = tokio::time::timeout(Duration::from_secs(10), self.seen.changed());
        told.await.expect("it is told soon").expect("the lane runs");
        self.seen.borrow_and_update().clone()
    }

    fn publish(&self) {
        let addresses = [IpAddr::from([192, 0, 2, 1])];
        let wanted = |peer: &Peer| {
            let password = match &peer.password {
                Some(PasswordSource::Inline(password)) => Some(password.clone()),
                Some(PasswordSource::Secret(_)) | None => None,
            };
            Wanted::of(peer, password, self.profile, &"node".into(), &addresses)
        };
        let peers = self.peers.iter().map(|(name, peer)| (name.as_str().into(), wanted(peer)));
        self.lane().set_peers(peers.collect());
    }

    /// All peers hear these routes, and no others.
    pub fn announce(&self, prefixes: &[&str]) {
        self.announce_with(prefixes, &RouteAttributes::default());
    }

    /// The same, with attributes.
    pub fn announce_with(&self, prefixes: &[&str], attributes: &RouteAttributes) {
        let attributes = Arc::new(attributes.clone());
        self.announce_all(prefixes.iter().map(|prefix| (prefix.parse().unwrap(), attributes.clone())));
    }

    /// The same, with attributes of their own each.
    pub fn announce_all(&self, routes: impl IntoIterator<Item = (IpNet, Arc<RouteAttributes>)>) {
        let routes = routes.into_iter().map(|(prefix, attributes)| (prefix, Some(attributes))).collect();
        self.tell(&PeerChanges { complete: true, routes });
    }

    /// All peers hear of these routes too.
    pub fn add(&self, prefixes: &[&str]) {
        let routes = prefixes.iter().map(|prefix| (prefix.parse().unwrap(), Some(Arc::default()))).collect();
        self.tell(&PeerChanges { complete: false, routes });
    }

    fn tell(&self, changes: &PeerChanges) {
        let peers = self.peers.keys().map(|name| (name.as_str().into(), changes.clone()));
        self.lane().set_routes(peers.collect());
    }

    /// Nobody stands in for others, or all peers hear these routes in the name of a node with that address.
    pub fn stand_in(&self, other: Option<(Ipv4Addr, &[&str])>) {
        let stand_ins = other.map(|(next_hop, prefixes)| {
            let routes: BTreeMap<IpNet, _> =
                prefixes.iter().map(|prefix| (prefix.parse().unwrap(), Arc::default())).collect();
            let peers = self.peers.keys().map(|name| (name.as_str().into(), routes.clone()));
            ("other".into(), StandIn { next_hop, routes: peers.collect() })
        });
        self.lane().set_stand_ins(stand_ins.into_iter().collect());
    }

    pub fn drain(&self, draining: bool) {
        self.lane().set_draining(draining);
    }

    pub fn seen(&self, name: &str) -> Option<Arc<PeerSeen>> {
        self.seen.borrow().get(name).cloned()
    }

    /// Waits until the session with the peer is up.
    pub async fn is_up(&self, name: &str) -> Arc<PeerSeen> {
        self.until(name, "is up", |seen| seen.state == State::Established).await
    }

    /// Waits until the session looks like that.
    pub async fn until(&self, name: &str, what: &str, like: impl Fn(&PeerSeen) -> bool) -> Arc<PeerSeen> {
        eventually(Duration::from_secs(30), &format!("the session with {name} {what}"), async || {
            let seen = self.seen(name).ok_or("no such peer".to_owned())?;
            if like(&seen) { Ok(seen) } else { Err(format!("{seen:?}")) }
        })
        .await
    }

    /// Waits until the last attempt ended for that reason; what was said of it.
    pub async fn fails(&self, name: &str, code: &str) -> String {
        let failed = |seen: &PeerSeen| seen.last_failure.as_ref().is_some_and(|last| last.code == code);
        let seen = self.until(name, code, failed).await;
        seen.last_failure.as_ref().unwrap().text.clone()
    }

    /// The sum of a metric over all peers.
    pub fn counted(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let value = |metric: &prometheus::proto::Metric| {
            metric.get_counter().get_value() + metric.get_gauge().get_value()
        };
        family.map_or(0.0, |family| family.get_metric().iter().map(value).sum())
    }

    /// A metric by peer.
    pub fn counted_of(&self, name: &str) -> BTreeMap<String, f64> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let value = |metric: &prometheus::proto::Metric| {
            let peer = metric.get_label().iter().find(|label| label.name() == "peer").unwrap();
            (peer.value().to_owned(), metric.get_counter().get_value() + metric.get_gauge().get_value())
        };
        family.into_iter().flat_map(prometheus::proto::MetricFamily::get_metric).map(value).collect()
    }

    /// What BFD says of its only session.
    pub fn bfd(&self) -> Option<Status> {
        self.bfd.borrow().values().next().copied()
    }

    /// Waits until BFD watches, and agreed on its times.
    pub async fn is_watched(&self, name: &str) {
        let up = |seen: &PeerSeen| {
            seen.bfd.as_ref().is_some_and(|bfd| bfd.state == metallb_protocols::bfd::State::Up)
        };
        self.until(name, "is watched by BFD", up).await;
        eventually(Duration::from_secs(20), "BFD has agreed on short times", async || {
            let short = |time: Duration| time < Duration::from_secs(1);
            self.bfd().is_some_and(|status| status.detection_time.is_some_and(short))
        })
        .await;
    }

    /// Ends like that; BFD after BGP, as the speaker does it.
    pub fn leave(mut self, ending: Ending) {
        self.end(ending);
    }

    fn end(&mut self, ending: Ending) {
        let Some((lane, bfd)) = self.lanes.take() else { return };
        let last = match ending {
            Ending::Restarting => bfd::Ending::Silence,
            _ => bfd::Ending::AdminDown,
        };
        lane.leave(ending);
        bfd.leave(last);
    }
}

/// Also that of a test that failed.
impl Drop for Node {
    fn drop(&mut self) {
        self.end(leaving());
    }
}

/// The node leaves for good.
pub fn leaving() -> Ending {
    Ending::Leaving { text: "the test is over".to_owned() }
}

/// A BGPPeer at `address`, of the router's AS, that says nothing else.
pub fn peer(address: &str) -> Peer {
    Peer::new(
        Asn::new(OURS).unwrap(),
        RemoteAs::Number(Asn::new(TOR).unwrap()),
        Endpoint::Address(address.parse().unwrap()),
    )
}

pub fn password(text: &str) -> PasswordSource {
    PasswordSource::Inline(Password::new(text))
}

/// A BFDProfile with both intervals in milliseconds, three times.
pub fn bfd_every(millis: u32) -> Bfd {
    let interval = BfdInterval::from_millis(millis).unwrap();
    let profile = BfdProfile {
        receive_interval: interval,
        transmit_interval: interval,
        detect_multiplier: DetectMultiplier::new(3).unwrap(),
        ..BfdProfile::default()
    };
    Bfd { name: "fast".into(), profile }
}
