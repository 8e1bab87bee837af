//! One machine of a cluster: running things there.

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::layout::{Layout, addresses};
use super::node::{self, nsenter, running_init};
use super::site::Site;
use super::state::Directory;
use crate::command::{Outcome, output};
use crate::netns;
use crate::process::{Launch, Process};

/// A machine of a [`Cluster`](crate::Cluster): a node (`n1`…), `client`, `router`, `remote`, `cp` or `lan`.
#[derive(Clone, Debug)]
pub struct Host {
    pub(super) name: String,
    pub(super) layout: Layout,
    pub(super) directory: Directory,
}

impl Host {
    /// Its name in the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The IPv4 address of its `eth0`; none on `lan`.
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        addresses(&self.name).map(|(v4, _)| v4)
    }

    /// The IPv6 address of its `eth0`; none on `lan`.
    pub fn ipv6(&self) -> Option<Ipv6Addr> {
        addresses(&self.name).map(|(_, v6)| v6)
    }

    /// Runs a command there to its end, also when it fails: [`Outcome::success`] turns that into an error.
    pub async fn exec<S: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = S>) -> Result<Outcome> {
        let words = self.command_line(command)?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        output(command).await
    }

    /// Fetches a URL from there on a new connection, patient for two seconds: the body, or why there is none.
    pub async fn curl(&self, url: &str) -> Result<String> {
        let flags = ["curl", "--silent", "--show-error", "--fail", "--max-time", "2", "--noproxy", "*", url];
        self.exec(flags).await?.success()
    }

    /// Sends packets for an address to a node, as a router that knows nothing better: for tests without announcer.
    pub async fn route_via(&self, address: IpAddr, next_hop: &Host) -> Result<()> {
        let next_hop = match address {
            IpAddr::V4(_) => next_hop.ipv4().map(IpAddr::V4),
            IpAddr::V6(_) => next_hop.ipv6().map(IpAddr::V6),
        };
        let next_hop = next_hop.context("the bridge is no next hop")?;
        self.exec(["ip", "route", "replace", &address.to_string(), "via", &next_hop.to_string()])
            .await?
            .success()?;
        Ok(())
    }

    /// Starts a program there that keeps running: at most as long as the cluster. It is recorded under
    /// `HOST-NAME`, where `lab logs` finds it.
    pub async fn spawn<S: AsRef<OsStr>>(
        &self,
        name: &str,
        command: impl IntoIterator<Item = S>,
    ) -> Result<Process> {
        let _lock = self.directory.lock().await?;
        let site = Site::open(self.layout.clone(), self.directory.clone()).await?;
        let ledger = site.ledger()?;
        let name = format!("{}-{name}", self.name);
        if ledger.read().runs(&name) {
            bail!("{name} runs already: give this one another name");
        }
        let mut words = command.into_iter();
        let program = words.next().context("no command")?;
        let launch = Launch::new(&name, program, site.log(&name)).args(words);
        let Ok(node) = self.layout.node(&self.name) else {
            return site.start_in_plain_group(
                &ledger,
                &self.name,
                launch.through(self.layout.nsenter(&self.name)),
            );
        };
        node::start_inside(&site, &ledger, node, launch).await
    }

    /// Does something in its network, on a thread of its own: sockets made in there live in its network for ever.
    ///
    /// ```no_run
    /// # fn story(client: metallb_lab::Host) -> anyhow::Result<()> {
    /// use std::net::TcpStream;
    /// let connection = client.inside(|| TcpStream::connect("10.77.0.200:80"))??;
    /// # Ok(()) }
    /// ```
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        netns::within(&self.layout.netns(&self.name), work)
    }

    /// The command line that runs a command there.
    pub fn command_line<S: AsRef<OsStr>>(
        &self,
        command: impl IntoIterator<Item = S>,
    ) -> Result<Vec<OsString>> {
        let state =
            self.directory.load()?.with_context(|| format!("there is no cluster {}", self.layout.cluster))?;
        let mut words = if self.layout.node(&self.name).is_ok() {
            let init = running_init(&state, &self.name);
            nsenter(
                &init.with_context(|| format!("{0} is off; `lab power-on {0}` switches it on", self.name))?,
            )
        } else {
            self.layout.nsenter(&self.name).into()
        };
        let before = words.len();
        words.extend(command.into_iter().map(|word| word.as_ref().to_owned()));
        if words.len() == before {
            bail!("no command for {}", self.name);
        }
        Ok(words)
    }
}
