//! Where a scenario takes place: nodes, and a client on their network. The lab is one, and a cluster of kind is another.
//!
//! Whoever needs power, cables or a router needs the lab ([`Place::lab`]); all else is told by what is here.

mod addresses;

use std::future::Future;

use anyhow::Context as _;
use metallb_lab::{Cluster, Host, Outcome, User};

pub use addresses::Addresses;

/// A cluster, and a client on the network of its nodes.
pub trait Place {
    /// What its nodes and its client are.
    type Machine: Machine;

    /// The administrator.
    fn admin(&self) -> impl Future<Output = anyhow::Result<User>>;

    /// The names of the nodes that run pods and may announce.
    fn nodes(&self) -> Vec<String>;

    /// One of them, by its name.
    fn node(&self, name: &str) -> Self::Machine;

    /// A machine on their network that uses services.
    fn client(&self) -> Self::Machine;

    /// The addresses there that nobody has.
    fn addresses(&self) -> Addresses;

    /// The cluster of the lab that this is, if it is one: its nodes have power and cables to lose.
    fn lab(&self) -> Option<&Cluster>;

    /// The same, for who cannot do without.
    fn demand_lab(&self) -> anyhow::Result<&Cluster> {
        self.lab().context("only in the lab a node has power and cables to lose")
    }
}

/// A node or a client: programs are run there, and sockets opened. Its interface is `eth0`.
pub trait Machine: Clone + Send + 'static {
    /// Runs a command there to its end, also when it fails.
    fn run(&self, command: &[&str]) -> impl Future<Output = anyhow::Result<Outcome>>;

    /// Does something in its network, on a thread of its own.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> anyhow::Result<T>;
}

impl Place for Cluster {
    type Machine = Host;

    async fn admin(&self) -> anyhow::Result<User> {
        self.admin().await
    }

    fn nodes(&self) -> Vec<String> {
        self.nodes()
    }

    fn node(&self, name: &str) -> Host {
        self.host(name)
    }

    fn client(&self) -> Host {
        self.host("client")
    }

    fn addresses(&self) -> Addresses {
        Addresses::OF_THE_LAB
    }

    fn lab(&self) -> Option<&Cluster> {
        Some(self)
    }
}

impl Machine for Host {
    async fn run(&self, command: &[&str]) -> anyhow::Result<Outcome> {
        self.exec(command).await
    }

    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        self.inside(work)
    }
}
