//! What a person with hands would do to a running cluster: power, cables, images.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use nix::sys::signal::Signal;

use super::state::Progress;
use super::{Cluster, layout, network, node, up};

impl Cluster {
    /// Loads image archives into every node that is on.
    pub async fn import(&self, archives: &[impl AsRef<Path>]) -> Result<()> {
        let _lock = self.site.directory.lock().await?;
        let ledger = self.site.ledger()?;
        let state = ledger.read();
        for archive in archives {
            let archive =
                fs::canonicalize(archive).with_context(|| format!("find {}", archive.as_ref().display()))?;
            let on = |node: &layout::Node| node::running_init(&state, &node.name()).is_some();
            let nodes = self.site.layout.nodes().filter(on);
            try_join_all(nodes.map(|node| node::import(&ledger, node, &archive))).await?;
        }
        Ok(())
    }

    /// A node loses power: its cable is dead first, so not a packet leaves, then all in it.
    pub async fn power_off(&self, node: &str) -> Result<()> {
        let node = self.site.layout.node(node)?;
        let _lock = self.site.directory.lock().await?;
        let ledger = self.site.ledger()?;
        let name = node.name();
        ledger.write(|state| {
            state.namespaces.insert(name.clone(), Progress::Begun);
        })?;
        network::cut(&self.site.layout, &name).await?;
        node::kill(&self.site, &ledger, node)?;
        // Firewall rules, connections and neighbours go with the namespace, as with a real machine.
        network::remove(&self.site.layout, &[name]).await
    }

    /// It gets power again; back when it is Ready. A node that is on stays as it is.
    pub async fn power_on(&self, node: &str) -> Result<()> {
        let node = self.site.layout.node(node)?;
        let _lock = self.site.directory.lock().await?;
        let ledger = self.site.ledger()?;
        let hosts = [node.name()];
        network::ensure(&self.site.layout, &ledger, &hosts).await?;
        network::route_pods(&self.site.layout, &hosts).await?;
        node::start(&self.site, &ledger, node).await?;
        up::join(&self.site, &ledger, &self.admin().await?, &[node]).await
    }

    /// Pulls a host's cable out of the bridge: the host itself still sees a link.
    pub async fn unplug(&self, host: &str) -> Result<()> {
        self.site.layout.check_host(host)?;
        network::unplug(&self.site.layout, host).await
    }

    /// Puts it back.
    pub async fn plug(&self, host: &str) -> Result<()> {
        self.site.layout.check_host(host)?;
        network::plug(&self.site.layout, host).await
    }

    /// The far end of a host's cable goes dead: the host sees that it has no carrier.
    pub async fn lose_carrier(&self, host: &str) -> Result<()> {
        self.site.layout.check_host(host)?;
        network::set_carrier(&self.site.layout, host, false).await
    }

    /// It comes back.
    pub async fn regain_carrier(&self, host: &str) -> Result<()> {
        self.site.layout.check_host(host)?;
        network::set_carrier(&self.site.layout, host, true).await
    }

    /// A server of the control plane (`kube-apiserver`, `etcd`, …) stands still, or goes on.
    pub fn freeze(&self, server: &str, still: bool) -> Result<()> {
        let state = self.site.ledger()?.read();
        let process = state.processes.get(server);
        let process = process.with_context(|| format!("{server} is no server of the control plane"))?;
        process.signal(if still { Signal::SIGSTOP } else { Signal::SIGCONT });
        Ok(())
    }
}
