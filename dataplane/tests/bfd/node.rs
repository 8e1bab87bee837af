//! Our side: the lane, in the node's network.

use std::collections::BTreeMap;
use std::time::Duration;

use metallb_core::config::{BfdInterval, BfdProfile, DetectMultiplier};
use metallb_dataplane::speaker::bfd::metrics::Metrics;
use metallb_dataplane::speaker::bfd::{Ending, Lane};
use metallb_lab::eventually;
use metallb_protocols::bfd::{Path, State, Status};
use prometheus::Registry;

use super::site::Site;

pub struct Node {
    lane: Lane,
    registry: Registry,
    path: Path,
}

impl Node {
    /// Watches the router at the end of `path`.
    pub fn watch(site: &Site, path: Path, profile: BfdProfile) -> Self {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let lane = site.node.inside(|| Lane::start(metrics).unwrap()).unwrap();
        let node = Self { lane, registry, path };
        node.publish(profile);
        node
    }

    pub fn publish(&self, profile: BfdProfile) {
        self.lane.publisher.publish(BTreeMap::from([(self.path.clone(), profile)]));
    }

    pub fn status(&self) -> Option<Status> {
        self.lane.seen.borrow().get(&self.path).copied()
    }

    /// Waits until the session is in that state.
    pub async fn is(&self, state: State) -> Status {
        eventually(Duration::from_secs(20), &format!("the session is {state}"), async || {
            let status = self.status().ok_or("no session".to_owned())?;
            if status.state == state { Ok(status) } else { Err(format!("{status:?}")) }
        })
        .await
    }

    /// The value of a counter of the session.
    pub fn counted(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        family.map_or(0.0, |family| family.get_metric()[0].get_counter().get_value())
    }

    pub fn leave(self, ending: Ending) {
        self.lane.leave(ending);
    }
}

/// Both intervals in milliseconds, three times.
pub fn every(millis: u32) -> BfdProfile {
    let interval = BfdInterval::from_millis(millis).unwrap();
    BfdProfile {
        receive_interval: interval,
        transmit_interval: interval,
        detect_multiplier: DetectMultiplier::new(3).unwrap(),
        ..BfdProfile::default()
    }
}
