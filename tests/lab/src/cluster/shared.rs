//! One cluster for many tests.

use anyhow::Result;
use tokio::sync::OnceCell;

use super::{Cluster, ClusterOptions};

/// A [`Cluster`] for all tests of a test binary, made when the first one asks.
///
/// ```no_run
/// use metallb_lab::{ClusterOptions, SharedCluster};
/// static CLUSTER: SharedCluster = SharedCluster::new(|| ClusterOptions::named("bgp").nodes(2));
/// # async fn test() -> anyhow::Result<()> {
/// let admin = CLUSTER.get().await?.admin().await?.in_new_namespace().await?;
/// # Ok(()) }
/// ```
///
/// A `static` is never dropped: the cluster's processes die with the test process, and the rest is taken away then by
/// the `lab` program, if cargo has built it, or by the next [`Cluster::up`].
#[derive(Debug)]
pub struct SharedCluster {
    options: fn() -> ClusterOptions,
    cluster: OnceCell<Cluster>,
}

impl SharedCluster {
    /// To be kept in a `static`.
    pub const fn new(options: fn() -> ClusterOptions) -> Self {
        Self { options, cluster: OnceCell::const_new() }
    }

    /// The running cluster.
    pub async fn get(&self) -> Result<&Cluster> {
        self.cluster.get_or_try_init(async || Cluster::up((self.options)()).await).await
    }
}
