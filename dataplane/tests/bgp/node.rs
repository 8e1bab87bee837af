//! Our side: the lanes, in the node's network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use metallb_core::config::{
    Asn, Bfd, BfdInterval, BfdProfile, DetectMultiplier, Endpoint, Password, PasswordSource, Peer, RemoteAs,
    SessionFamilies,
};
use metallb_core::plan::{PeerChanges, RouteAttributes};
use metallb_dataplane::speaker::bfd;
use metallb_dataplane::speaker::bgp::seen::PeerSeen;
use metallb_dataplane::speaker::bgp::wanted::{Profile, Wanted};
use metallb_dataplane::speaker::bgp::{self, Beside, Ending, Lane};
use metallb_lab::eventually;
use metallb_lab::network::Host;
use metallb_protocols::bgp::session::State;
use prometheus::Registry;

/// The router's AS, and ours.
pub const TOR: u32 = 64512;
pub const OURS: u32 = 64500;

pub struct Node {
    lane: Lane,
    bfd: bfd::Lane,
    pub registry: Registry,
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
        Self { lane, bfd, registry, peers: BTreeMap::new(), profile: Profile::Frr }
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
        self.lane.set_peers(peers.collect());
    }

    /// All peers hear these routes, and no others.
    pub fn announce(&self, prefixes: &[&str]) {
        self.announce_with(prefixes, &RouteAttributes::default());
    }

    /// The same, with attributes.
    pub fn announce_with(&self, prefixes: &[&str], attributes: &RouteAttributes) {
        let attributes = Arc::new(attributes.clone());
        let routes: BTreeMap<_, _> =
            prefixes.iter().map(|prefix| (prefix.parse().unwrap(), Some(attributes.clone()))).collect();
        let changes = |_| PeerChanges { complete: true, routes: routes.clone() };
        let peers = self.peers.keys().map(|name| (name.as_str().into(), changes(name)));
        self.lane.set_routes(peers.collect());
    }

    pub fn drain(&self, draining: bool) {
        self.lane.set_draining(draining);
    }

    pub fn seen(&self, name: &str) -> Option<Arc<PeerSeen>> {
        self.lane.seen.borrow().get(name).cloned()
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

    /// Ends like that; BFD after BGP, as the speaker does it.
    pub fn leave(self, ending: Ending) {
        let bfd = match ending {
            Ending::Restarting => bfd::Ending::Silence,
            _ => bfd::Ending::AdminDown,
        };
        self.lane.leave(ending);
        self.bfd.leave(bfd);
    }
}

/// A BGPPeer at `address`, of the router's AS, that says nothing else.
pub fn peer(address: &str) -> Peer {
    Peer::new(
        Asn::new(OURS).unwrap(),
        RemoteAs::Number(Asn::new(TOR).unwrap()),
        Endpoint::Address(address.parse().unwrap()),
    )
}

pub fn password(text: &str) -> Option<PasswordSource> {
    Some(PasswordSource::Inline(Password::new(text)))
}

/// A BFDProfile with both intervals in milliseconds, three times.
pub fn bfd_every(millis: u32) -> Option<Bfd> {
    let interval = BfdInterval::from_millis(millis).unwrap();
    let profile = BfdProfile {
        receive_interval: interval,
        transmit_interval: interval,
        detect_multiplier: DetectMultiplier::new(3).unwrap(),
        ..BfdProfile::default()
    };
    Some(Bfd { name: "fast".into(), profile })
}

pub const ROUTER_ID: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
