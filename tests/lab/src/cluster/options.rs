//! What a cluster shall be like.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a cluster shall be like; [`Cluster::up`](crate::Cluster::up) takes it.
///
/// ```
/// use std::time::Duration;
/// use metallb_lab::ClusterOptions;
/// let options = ClusterOptions::named("bgp").nodes(2).node_monitor_grace(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[must_use]
pub struct ClusterOptions {
    pub(super) name: String,
    pub(super) nodes: u8,
    pub(super) proxy_mode: ProxyMode,
    pub(super) node_monitor_grace: Duration,
    #[serde(skip)]
    pub(super) images: Vec<PathBuf>,
    #[serde(skip)]
    pub(super) kept: bool,
}

/// How kube-proxy does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// With nftables: the default.
    Nftables,
    /// With iptables.
    Iptables,
}

impl ClusterOptions {
    /// Three nodes. Clusters with different names run side by side.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nodes: 3,
            proxy_mode: ProxyMode::Nftables,
            node_monitor_grace: Duration::from_secs(20),
            images: Vec::new(),
            kept: false,
        }
    }

    /// That many nodes, called n1, n2…
    pub fn nodes(mut self, count: u8) -> Self {
        self.nodes = count;
        self
    }

    /// How kube-proxy does its work.
    pub fn proxy_mode(mut self, mode: ProxyMode) -> Self {
        self.proxy_mode = mode;
        self
    }

    /// How long a silent node counts as Ready: 20 s if not said. Kubelets renew every 2 s; much less than 8 s on a
    /// busy machine gives false alarms.
    pub fn node_monitor_grace(mut self, grace: Duration) -> Self {
        self.node_monitor_grace = grace;
        self
    }

    /// With the images of these archives on every node. The lab's own `lab.local/hello:1` always is.
    pub fn with_images(mut self, archives: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.images.extend(archives.into_iter().map(Into::into));
        self
    }

    /// The cluster outlives this process. The same as `METALLB_LAB_KEEP=1` in the environment.
    pub fn kept(mut self) -> Self {
        self.kept = true;
        self
    }
}
