//! What is counted of BGP. Names and labels are upstream's: those of its own speaker and those of its FRR exporter.

use std::num::NonZeroU16;

use metallb_core::config::Endpoint;
use metallb_core::names::VrfName;
use metallb_protocols::bgp::adverts::Adverts;
use metallb_protocols::bgp::session::Counters;
use metallb_protocols::bgp::wire::Kind;
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// The labels of a session.
const SESSION: [&str; 2] = ["peer", "vrf"];
/// What upstream calls the VRF that is none.
const DEFAULT_VRF: &str = "default";

/// The values of [`SESSION`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series([String; 2]);

impl Series {
    /// Of the peer at `endpoint`.
    pub fn of(endpoint: &Endpoint, port: NonZeroU16, vrf: Option<&VrfName>) -> Self {
        let peer = match endpoint {
            Endpoint::Address(address) => std::net::SocketAddr::new(*address, port.get()).to_string(),
            Endpoint::Interface(interface) => interface.to_string(),
        };
        Self([peer, vrf.map_or(DEFAULT_VRF, VrfName::as_str).to_owned()])
    }

    fn values(&self) -> [&str; 2] {
        self.0.each_ref().map(String::as_str)
    }
}

/// The metrics of the lane.
#[derive(Clone)]
pub struct Metrics {
    session_up: IntGaugeVec,
    announced: IntGaugeVec,
    wanted: IntGaugeVec,
    queued: IntGaugeVec,
    /// By kind of message.
    sent: Vec<(Kind, IntCounterVec)>,
    received: Vec<(Kind, IntCounterVec)>,
    total_sent: IntCounterVec,
    total_received: IntCounterVec,
    routes_received: IntCounterVec,
    set_aside: IntCounterVec,
    ups: IntCounterVec,
    downs: IntCounterVec,
    /// By reason.
    failures: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), &SESSION)?)
        };
        let gauge =
            |name: &str, help: &str| registered(registry, IntGaugeVec::new(Opts::new(name, help), &SESSION)?);
        let failures =
            Opts::new("metallb_bgp_session_failures", "Sessions, and attempts at one, that ended, by reason");
        Ok(Self {
            session_up: gauge("metallb_bgp_session_up", "1 while the BGP session is established")?,
            announced: gauge("metallb_bgp_announced_prefixes_total", "Routes that the router knows from us")?,
            // Upstream's name, and upstream's meaning.
            wanted: gauge(
                "metallb_bgp_pending_prefixes_total",
                "Routes that the router is to know from us, whether it does or not",
            )?,
            queued: gauge(
                "metallb_bgp_queued_prefixes",
                "Routes of which the router does not know yet what has become of them",
            )?,
            sent: vec![
                (Kind::Open, counter("metallb_bgp_opens_sent", "OPEN messages sent")?),
                (
                    Kind::Notification,
                    counter("metallb_bgp_notifications_sent", "NOTIFICATION messages sent")?,
                ),
                (Kind::Update, counter("metallb_bgp_updates_total", "UPDATE messages sent")?),
                (Kind::Keepalive, counter("metallb_bgp_keepalives_sent", "KEEPALIVE messages sent")?),
                (
                    Kind::RouteRefresh,
                    counter("metallb_bgp_route_refresh_sent", "ROUTE-REFRESH messages sent")?,
                ),
            ],
            received: vec![
                (Kind::Open, counter("metallb_bgp_opens_received", "OPEN messages received")?),
                (
                    Kind::Notification,
                    counter("metallb_bgp_notifications_received", "NOTIFICATION messages received")?,
                ),
                (Kind::Update, counter("metallb_bgp_updates_total_received", "UPDATE messages received")?),
                (Kind::Keepalive, counter("metallb_bgp_keepalives_received", "KEEPALIVE messages received")?),
                (
                    Kind::RouteRefresh,
                    counter("metallb_bgp_route_refresh_received", "ROUTE-REFRESH messages received")?,
                ),
            ],
            total_sent: counter("metallb_bgp_total_sent", "Messages sent")?,
            total_received: counter("metallb_bgp_total_received", "Messages received")?,
            routes_received: counter(
                "metallb_bgp_received_prefixes_total",
                "Routes that the router announced to us; none is used",
            )?,
            set_aside: counter(
                "metallb_bgp_updates_mended",
                "UPDATE messages with an error that did not cost the session (RFC 7606)",
            )?,
            ups: counter("metallb_bgp_session_up_events", "Times the session came up")?,
            downs: counter("metallb_bgp_session_down_events", "Times the session went down")?,
            failures: registered(registry, IntCounterVec::new(failures, &["peer", "vrf", "reason"])?)?,
        })
    }

    /// How the session stands.
    pub fn stand(&self, series: &Series, is_up: bool, adverts: &Adverts) {
        let values = series.values();
        let set = |gauge: &IntGaugeVec, value: usize| {
            gauge.with_label_values(&values).set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.session_up, usize::from(is_up));
        set(&self.announced, adverts.announced());
        set(&self.wanted, adverts.wanted());
        set(&self.queued, adverts.pending());
    }

    /// What was counted since `before`.
    pub fn count(&self, series: &Series, before: &Counters, now: &Counters) {
        let values = series.values();
        let add = |counter: &IntCounterVec, before: u64, now: u64| {
            counter.with_label_values(&values).inc_by(now.saturating_sub(before));
        };
        let of = |counted: &std::collections::BTreeMap<Kind, u64>, kind: Kind| {
            counted.get(&kind).copied().unwrap_or_default()
        };
        let all = |counted: &std::collections::BTreeMap<Kind, u64>| counted.values().sum::<u64>();
        for (kind, counter) in &self.sent {
            add(counter, of(&before.sent, *kind), of(&now.sent, *kind));
        }
        for (kind, counter) in &self.received {
            add(counter, of(&before.received, *kind), of(&now.received, *kind));
        }
        add(&self.total_sent, all(&before.sent), all(&now.sent));
        add(&self.total_received, all(&before.received), all(&now.received));
        add(&self.routes_received, before.routes_announced, now.routes_announced);
        let mended = |counters: &Counters| counters.attributes_set_aside + counters.treated_as_withdraw;
        add(&self.set_aside, mended(before), mended(now));
        add(&self.ups, before.established, now.established);
        add(&self.downs, before.dropped, now.dropped);
    }

    /// A session, or an attempt at one, ended.
    pub fn failed(&self, series: &Series, reason: &str) {
        let [peer, vrf] = series.values();
        self.failures.with_label_values(&[peer, vrf, reason]).inc();
    }

    /// The peer is gone: so are its series.
    pub fn forget(&self, series: &Series) {
        let values = series.values();
        // None of them may ever have been written: good.
        for gauge in [&self.session_up, &self.announced, &self.wanted, &self.queued] {
            let _ = gauge.remove_label_values(&values);
        }
        let Self { total_sent, total_received, routes_received, set_aside, ups, downs, .. } = self;
        let by_kind = self.sent.iter().chain(&self.received).map(|(_, counter)| counter);
        for counter in by_kind.chain([total_sent, total_received, routes_received, set_aside, ups, downs]) {
            let _ = counter.remove_label_values(&values);
        }
        let [peer, vrf] = values;
        for reason in metallb_protocols::bgp::session::Failure::CODES {
            let _ = self.failures.remove_label_values(&[peer, vrf, reason]);
        }
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
