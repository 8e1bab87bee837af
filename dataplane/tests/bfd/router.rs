//! FRR's bfdd, without BGP, watching one system.

use std::time::Duration;

use metallb_lab::network::Host;
use metallb_lab::routers::{BfdPeer, Config, Make, Router};
use serde_json::Value;

pub struct Frr(Router);

impl Frr {
    pub async fn watching(host: &Host, peer: BfdPeer) -> Self {
        let config = Config::new(64512, [192, 0, 2, 2]).bfd_peer(peer);
        Self(Router::start(Make::Frr, host, config).await.unwrap())
    }

    /// Waits until it says so of its peer.
    pub async fn says(&self, field: &str, value: impl Into<Value>) {
        let value = value.into();
        let what = format!("the router says {field} {value}");
        self.0
            .eventually(Duration::from_secs(20), &what, async || {
                let states = self.0.bfd().await.map_err(|error| format!("{error:#}"))?;
                let state = states.first().ok_or("no peer".to_owned())?;
                if state.said.get(field) == Some(&value) { Ok(()) } else { Err(format!("{state:?}")) }
            })
            .await;
    }

    /// Its BFD stands still, as when its machine has died.
    pub fn freeze(&self) {
        self.0.freeze_daemon("bfdd").unwrap();
    }

    /// Its BFD goes on.
    pub fn thaw(&self) {
        self.0.thaw();
    }
}
