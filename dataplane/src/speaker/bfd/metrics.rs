//! What is counted of BFD. Names and labels are those of upstream's FRR exporter.

use metallb_protocols::bfd::{Dropped, Path};
use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// The labels of a session.
const SESSION: [&str; 2] = ["peer", "vrf"];
/// What upstream calls the VRF that is none.
const DEFAULT_VRF: &str = "default";

/// The metrics of the lane.
#[derive(Clone)]
pub struct Metrics {
    pub(super) session_up: IntGaugeVec,
    pub(super) control_input: IntCounterVec,
    pub(super) control_output: IntCounterVec,
    pub(super) echo_input: IntCounterVec,
    pub(super) echo_output: IntCounterVec,
    pub(super) ups: IntCounterVec,
    pub(super) downs: IntCounterVec,
    pub(super) notifications: IntCounterVec,
    /// By reason.
    pub(super) dropped: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let up = Opts::new("metallb_bfd_session_up", "1 while the BFD session is up");
        Ok(Self {
            session_up: registered(registry, IntGaugeVec::new(up, &SESSION)?)?,
            control_input: counter("metallb_bfd_control_packet_input", "Control packets taken", &SESSION)?,
            control_output: counter("metallb_bfd_control_packet_output", "Control packets sent", &SESSION)?,
            echo_input: counter("metallb_bfd_echo_packet_input", "Echo packets that came back", &SESSION)?,
            echo_output: counter("metallb_bfd_echo_packet_output", "Echo packets sent", &SESSION)?,
            ups: counter("metallb_bfd_session_up_events", "Times the session came up", &SESSION)?,
            downs: counter("metallb_bfd_session_down_events", "Times the session went down", &SESSION)?,
            notifications: counter(
                "metallb_bfd_zebra_notifications",
                "Changes of the session told to BGP (upstream: to FRR's zebra)",
                &SESSION,
            )?,
            dropped: counter("metallb_bfd_packets_dropped", "Control packets not taken", &["reason"])?,
        })
    }

    /// The values of [`SESSION`].
    pub(super) fn labels(path: &Path) -> [String; 2] {
        let vrf = path.vrf.as_ref().map_or(DEFAULT_VRF, |vrf| vrf.as_str());
        [path.peer.to_string(), vrf.to_owned()]
    }

    /// Are both ways counted as one session?
    pub(super) fn are_one(one: &Path, other: &Path) -> bool {
        one.peer == other.peer && one.vrf == other.vrf
    }

    /// The reason as a label.
    pub(super) const fn reason(dropped: Dropped) -> &'static str {
        match dropped {
            Dropped::Malformed(_) => "malformed",
            Dropped::Ttl(_) => "ttl",
            Dropped::NoSession => "no-session",
            Dropped::WrongPath => "wrong-path",
            Dropped::Unaware => "unaware",
        }
    }

    /// The session is gone: so are its series.
    pub(super) fn forget(&self, path: &Path) {
        let labels = Self::labels(path);
        let labels = labels.each_ref().map(String::as_str);
        // None of them may ever have been written: good.
        let _ = self.session_up.remove_label_values(&labels);
        let Self { session_up: _, control_input, control_output, echo_input, echo_output, .. } = self;
        let Self { ups, downs, notifications, dropped: _, .. } = self;
        for counter in [control_input, control_output, echo_input, echo_output, ups, downs, notifications] {
            let _ = counter.remove_label_values(&labels);
        }
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
