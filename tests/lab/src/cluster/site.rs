//! What every step of building a cluster needs to know about where it builds.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::cgroup;
use super::layout::{CONTROL_PLANE, Layout, api_server};
use super::state::{Directory, Ledger};
use crate::control_plane::{ControlPlane, log_in};
use crate::pki::Pki;
use crate::process::{Launch, Process};
use crate::tools::{Tools, packages};

/// The API server's port.
pub(super) const API_PORT: u16 = 6443;

/// Names, places and programs of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) layout: Layout,
    pub(super) directory: Directory,
    pub(super) cgroups: cgroup::Layout,
    pub(super) plane: ControlPlane,
}

impl Site {
    /// Looks whether this machine can carry a cluster, and has the tools built when they are not.
    pub(super) async fn open(layout: Layout, directory: Directory) -> Result<Self> {
        packages::require()?;
        let cgroups = cgroup::Layout::detect()?;
        let tools = tokio::task::spawn_blocking(Tools::ensure).await??;
        let plane = ControlPlane {
            tools,
            pki: Pki::open(directory.join("pki"))?,
            directory: directory.path().to_owned(),
            address: api_server(),
            port: API_PORT,
        };
        plane.certificates()?;
        Ok(Self { layout, directory, cgroups, plane })
    }

    pub(super) fn log(&self, process: &str) -> PathBuf {
        log_in(self.directory.path(), process)
    }

    /// Starts one of the control plane's servers, unless it runs.
    pub(super) fn start_server(&self, ledger: &Ledger, launch: Launch) -> Result<()> {
        if ledger.read().runs(launch.name()) {
            return Ok(());
        }
        let launch = launch.through(self.layout.nsenter(CONTROL_PLANE));
        self.start_in_plain_group(ledger, CONTROL_PLANE, launch).map(drop)
    }

    /// Starts something on a host that is no node.
    pub(super) fn start_in_plain_group(
        &self,
        ledger: &Ledger,
        host: &str,
        launch: Launch,
    ) -> Result<Process> {
        let groups = self.cgroups.plain(&self.layout.scoped(host));
        ledger.write(|state| state.cgroups.extend(groups.directories.iter().cloned()))?;
        groups.create()?;
        ledger.start(launch.in_cgroups(groups.join))
    }

    /// The ledger of an existing cluster. The caller holds the lock.
    pub(super) fn ledger(&self) -> Result<Ledger> {
        let state = self.directory.load()?.with_context(|| {
            format!("there is no cluster {0}: `lab up --name {0}` makes one", self.layout.cluster)
        })?;
        Ledger::open(self.directory.clone(), state)
    }
}
