//! What a peer's task tells of its session: log, metrics, and how it stands. Said once each, and only when it is news.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use metallb_core::names::{BfdProfileName, PeerName};
use metallb_protocols::bfd;
use metallb_protocols::bgp::session::{Counters, Failure, Negotiated, Session, State};
use tokio::sync::watch;

use crate::speaker::bgp::metrics::{Metrics, Series};
use crate::speaker::bgp::seen::{Agreed, BfdSeen, LastFailure, NAMED, PeerSeen, Seen};
use crate::speaker::bgp::wanted::{Transport, Wanted};

/// Where the tasks of all peers tell how their sessions stand.
#[derive(Clone)]
pub struct Told {
    pub seen: Arc<watch::Sender<Seen>>,
    pub metrics: Metrics,
}

/// What one task has told.
pub struct Telling {
    name: PeerName,
    told: Told,
    series: Series,
    counted: Counters,
    /// How far the attempt under way has come, and the last that ended.
    furthest: State,
    shown: State,
    since: Timestamp,
    is_up: bool,
    last_failure: Option<LastFailure>,
    agreed: Option<Agreed>,
    last: Option<Arc<PeerSeen>>,
}

impl Telling {
    pub fn new(name: PeerName, told: Told, wanted: &Wanted) -> Self {
        let Transport { endpoint, vrf, .. } = &wanted.transport;
        tracing::info!(event = "peerAdded", peer = %name, address = %endpoint, "BGP");
        let series = Series::of(endpoint, wanted.transport.port, vrf.as_ref());
        Self {
            name,
            told,
            series,
            counted: Counters::default(),
            furthest: State::Idle,
            shown: State::Idle,
            since: Timestamp::now(),
            is_up: false,
            last_failure: None,
            agreed: None,
            last: None,
        }
    }

    /// The peer is configured like that now. At another address it is counted anew.
    pub fn configured(&mut self, wanted: &Wanted) {
        let Transport { endpoint, port, vrf, .. } = &wanted.transport;
        let series = Series::of(endpoint, *port, vrf.as_ref());
        if series != self.series {
            self.told.metrics.forget(&self.series);
            self.series = series;
        }
    }

    /// An attempt begins.
    pub fn attempt(&mut self) {
        self.furthest = State::Idle;
    }

    /// The session is in that state now.
    pub fn reached(&mut self, state: State) {
        self.furthest = self.furthest.max(state);
    }

    pub fn up(&mut self, negotiated: &Negotiated) {
        let Negotiated { asn, router_id, hold_time, families, .. } = negotiated;
        let families: Vec<_> = families.iter().map(ToString::to_string).collect();
        let families = families.join(", ");
        tracing::info!(
            event = "sessionUp", peer = %self.name, %asn, %router_id, ?hold_time, families, "BGP session established"
        );
        self.turn(true);
        self.shown = State::Established;
        self.agreed = Some(Agreed {
            asn: *asn,
            router_id: *router_id,
            families: negotiated.families.clone(),
            graceful_restart: negotiated.keeps_our_routes(),
            additional_paths: !negotiated.additional_paths.is_empty(),
        });
    }

    pub fn down(&mut self, failure: &Failure) {
        let (reason, text) = (failure.code(), failure.to_string());
        tracing::warn!(event = "sessionDown", peer = %self.name, reason, text, "BGP session ended");
        self.turn(false);
        // Until an attempt has ended, nobody knows how far it comes.
        self.shown = State::Idle;
        self.agreed = None;
        self.remember(failure, text);
    }

    pub fn failed(&mut self, failure: &Failure) {
        let (reason, text) = (failure.code(), failure.to_string());
        let is_news = self.last_failure.as_ref().is_none_or(|last| last.text != text);
        if is_news {
            tracing::warn!(event = "sessionFailed", peer = %self.name, reason, text, "no BGP session");
        } else {
            tracing::debug!(event = "sessionFailed", peer = %self.name, reason, text, "no BGP session");
        }
        self.shown = if self.is_up { State::Established } else { self.furthest };
        self.remember(failure, text);
    }

    fn turn(&mut self, is_up: bool) {
        if self.is_up != is_up {
            self.since = Timestamp::now();
            self.is_up = is_up;
        }
    }

    fn remember(&mut self, failure: &Failure, text: String) {
        self.told.metrics.failed(&self.series, failure.code());
        // The time of the first of a row of equal ones: it says how long this has been so.
        if self.last_failure.as_ref().is_none_or(|last| last.text != text) {
            self.last_failure = Some(LastFailure { code: failure.code(), text, at: Timestamp::now() });
        }
    }

    /// Tells how the session stands, if that is different from what was told.
    pub fn tell(
        &mut self,
        session: &Session,
        wanted: &Wanted,
        router: Option<IpAddr>,
        bfd: Option<&bfd::Status>,
    ) {
        let transport = &wanted.transport;
        let adverts = session.adverts();
        let counters = session.counters();
        self.told.metrics.count(&self.series, &self.counted, counters);
        self.told.metrics.stand(&self.series, self.is_up, adverts);
        if self.counted != *counters {
            self.counted = counters.clone();
        }
        let seen = PeerSeen {
            endpoint: transport.endpoint.clone(),
            address: router.map(|router| SocketAddr::new(router, transport.port.get())),
            port: transport.port,
            vrf: transport.vrf.clone(),
            remote: wanted.settings.remote,
            local_asn: session.settings().shown_asn(),
            router_id: session.settings().router_id,
            state: self.shown,
            since: self.since,
            flaps: counters.dropped,
            last_failure: self.last_failure.clone(),
            agreed: self.agreed.clone(),
            announced: adverts.announced(),
            pending: adverts.pending(),
            is_synchronised: adverts.is_synchronised(),
            unsendable: adverts.unsendable().count(),
            unsendable_named: adverts.unsendable().take(NAMED).map(|(net, why)| (*net, *why)).collect(),
            bfd: wanted.bfd.as_ref().zip(bfd).map(|(bfd, status)| self.bfd_seen(&bfd.name, status)),
        };
        if self.last.as_deref() == Some(&seen) {
            return;
        }
        let seen = Arc::new(seen);
        self.last = Some(seen.clone());
        self.told.seen.send_modify(|all| drop(all.insert(self.name.clone(), seen)));
    }

    fn bfd_seen(&self, profile: &BfdProfileName, status: &bfd::Status) -> BfdSeen {
        let last = self.last.as_ref().and_then(|last| last.bfd.as_ref());
        let ago = Instant::now().saturating_duration_since(status.since);
        // Worked out anew it would differ by microseconds each time.
        let same = last.filter(|last| (last.state, last.downs) == (status.state, status.downs));
        let since = same.map_or_else(
            || {
                let ago = SignedDuration::try_from(ago).unwrap_or_default();
                Timestamp::now().saturating_sub(ago).unwrap_or_default()
            },
            |same| same.since,
        );
        let is_up = status.state == bfd::State::Up;
        let last_down = if is_up { last.and_then(|last| last.last_down) } else { status.why };
        let last_down = last_down.filter(|_| status.downs > 0);
        BfdSeen { profile: profile.clone(), state: status.state, last_down, since, downs: status.downs }
    }

    /// The peer is gone, and so is what was told of it.
    pub fn forget(&self) {
        tracing::info!(event = "peerRemoved", peer = %self.name, "BGP");
        self.told.metrics.forget(&self.series);
        self.told.seen.send_modify(|all| drop(all.remove(&self.name)));
    }
}
