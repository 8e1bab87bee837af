//! The full size: real nodes, a LAN, a client, a router and a client behind it, in namespaces of this machine.
//!
//! In this room: everything that takes root. Each step records what it will make, then makes it; each looks at what is
//! there and adds what is missing, so `up` also repairs.
//! Not here: the API server's command line ([`crate::control_plane`]), talking to it ([`crate::user`]).
//! Start at [`Cluster::up`]; the picture of the network is in `network`.

mod cgroup;
mod down;
mod forward;
mod host;
mod layout;
mod machine;
mod network;
mod node;
mod node_files;
mod options;
mod power;
mod shared;
mod site;
mod state;
mod status;
mod up;

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::PipeWriter;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::Client;

pub use host::Host;
pub use options::{ClusterOptions, ProxyMode};
pub use shared::SharedCluster;
pub use status::{ClusterStatus, HostStatus, ProcessStatus};

use crate::janitor::Janitor;
use crate::process::{Launch, Process};
use crate::user::{User, Users};
use crate::wait::until;
use forward::Forward;
use layout::Layout;
use site::Site;
use state::{Directory, Ledger, State};
use up::Clock;

/// A running cluster.
///
/// ```no_run
/// use metallb_lab::{Cluster, ClusterOptions, HELLO, load_balancer};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> anyhow::Result<()> {
/// let cluster = Cluster::up(ClusterOptions::named("story")).await?;
/// let admin = cluster.admin().await?;
/// admin.apply_yaml(HELLO).await?;
/// let hello = admin.create_service(load_balancer("hello").port(80)).await?;
/// admin.set_ingress_ips(&hello, &["10.77.0.200".parse()?]).await?;
/// cluster.host("client").route_via("10.77.0.200".parse()?, &cluster.host("n2")).await?;
/// println!("{}", cluster.host("client").curl("http://10.77.0.200/").await?);
/// cluster.power_off("n2").await?;
/// # Ok(()) }
/// ```
///
/// A cluster made by this process goes with it: down on drop, and after a crash with the next `up` of any cluster. One
/// that was up already stays, and so does one that is [kept](ClusterOptions::kept).
#[derive(Debug)]
pub struct Cluster {
    site: Site,
    users: Users,
    forward: Option<Forward>,
    down_on_drop: bool,
    /// Held, so that its end can be noticed.
    janitor: Option<(Janitor, PipeWriter)>,
}

/// The kubeconfig a person uses.
fn kubeconfig(directory: &Directory) -> PathBuf {
    directory.join("pki/administrator.kubeconfig")
}

impl Cluster {
    /// Makes a cluster, or completes and repairs the one of that name.
    pub async fn up(options: ClusterOptions) -> Result<Self> {
        Self::up_forwarded_by(options, None).await
    }

    /// The same; forwarding to the API server is done by a process that outlives this one: that program, called
    /// with `forward --name NAME` and a listening socket as its standard input, calls [`forward_api`].
    pub async fn up_forwarded_by(mut options: ClusterOptions, forwarder: Option<&Path>) -> Result<Self> {
        let clock = Clock::start();
        if !nix::unistd::geteuid().is_root() {
            bail!(
                "a cluster is made of network namespaces, which takes root: use sudo (an API server alone does not)"
            );
        }
        options.kept |=
            forwarder.is_some() || env::var_os("METALLB_LAB_KEEP").is_some_and(|it| !it.is_empty());
        for archive in &mut options.images {
            *archive = fs::canonicalize(&archive).with_context(|| format!("find {}", archive.display()))?;
        }
        Self::remove_abandoned().await?;
        let layout = Layout::new(&options.name, options.nodes)?;
        let directory = Directory::of(&options.name)?;
        let lock = directory.lock().await?;
        let us = Process::current()?;
        let mut there = directory.load()?;
        if let Some(owner) = there.as_ref().and_then(|state| state.owner.clone()).filter(|owner| *owner != us)
        {
            if owner.alive() {
                bail!(
                    "cluster {} belongs to the running process {}; choose another name",
                    options.name,
                    owner.pid
                );
            }
            down::remove(&directory).await?;
            there = None;
        }
        if let Some(state) = &there {
            up::check_options(&state.options, &options)?;
        }
        let is_new = there.is_none();
        let site = Site::open(layout, directory.clone()).await?;
        let janitor = if is_new && !options.kept { janitor(&options.name)? } else { None };
        let owner = (!options.kept).then_some(us);
        let mut state = there.unwrap_or_else(|| State::new(options.clone(), owner));
        state.options = options;
        let down_on_drop = is_new && state.owner.is_some();
        let ledger = Ledger::open(directory, state)?;
        let built = Self::build(site.clone(), &ledger, forwarder, &clock).await;
        drop(lock);
        let built = built.map(|mut cluster| {
            cluster.down_on_drop = down_on_drop;
            cluster.janitor = janitor;
            cluster
        });
        if built.is_err() && down_on_drop {
            let logs = last_words(&ledger.read());
            down::down(&site.layout.cluster).await?;
            return built.with_context(|| format!("cluster {}{logs}", site.layout.cluster));
        }
        built.with_context(|| format!("the logs are in {}", site.directory.path().display()))
    }

    async fn build(site: Site, ledger: &Ledger, forwarder: Option<&Path>, clock: &Clock) -> Result<Self> {
        machine::prepare().await?;
        up::prepare(&site, ledger, clock).await?;
        if let Some(program) = forwarder {
            start_forwarder(&site, ledger, program)?;
        }
        let cluster = Self::reach(site, &ledger.read())?;
        up::complete(&cluster.site, ledger, &cluster.users, clock).await?;
        Ok(cluster)
    }

    /// The cluster of that name, which is up.
    pub async fn attach(name: &str) -> Result<Self> {
        let directory = Directory::of(name)?;
        let Some(state) = directory.load()? else {
            bail!("there is no cluster {name}: `lab up --name {name}` makes one");
        };
        let layout = Layout::new(name, state.options.nodes)?;
        Self::reach(Site::open(layout, directory).await?, &state)
    }

    fn reach(site: Site, state: &State) -> Result<Self> {
        let mut forward = None;
        let port = match state.forward_port.filter(|_| state.runs(FORWARDER)) {
            Some(port) => port,
            None => forward.insert(Forward::start(&site.layout)?).port,
        };
        let users = Users {
            pki: site.plane.pki.clone(),
            server: format!("https://127.0.0.1:{port}"),
            suffix: if forward.is_some() { format!("-{port}") } else { String::new() },
            kubectl: site.plane.tools.program("kubectl")?,
        };
        Ok(Self { site, users, forward, down_on_drop: false, janitor: None })
    }

    /// Takes the cluster of that name away, whatever is left of it; false when there is none.
    pub async fn down(name: &str) -> Result<bool> {
        down::down(name).await
    }

    /// Takes those away whose process has died, and gives their names.
    pub async fn remove_abandoned() -> Result<Vec<String>> {
        let mut removed = Vec::new();
        for name in down::abandoned() {
            if down::down_if_abandoned(&name).await? {
                removed.push(name);
            }
        }
        Ok(removed)
    }

    /// Waits a moment for the death of the process the cluster belongs to, and takes the cluster away if it comes.
    pub async fn bury(name: &str) -> Result<()> {
        until(Duration::from_secs(5), "there is no cluster whose process lives", async || {
            !state::all().iter().any(|known| known == name)
                || down::abandoned().iter().any(|dead| dead == name)
        })
        .await?;
        down::down_if_abandoned(name).await?;
        Ok(())
    }

    /// What there is of the cluster of that name.
    pub async fn status(name: &str) -> Result<Option<ClusterStatus>> {
        status::status(name).await
    }

    /// The names of all clusters on this machine.
    pub fn all() -> Vec<String> {
        state::all()
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.site.layout.cluster
    }

    /// The administrator, who may do everything.
    pub async fn admin(&self) -> Result<User> {
        self.users.admin().await
    }

    /// The administrator's client.
    pub async fn client(&self) -> Result<Client> {
        Ok(self.admin().await?.client())
    }

    /// Somebody with a certificate of that name, who may do what RBAC grants to it.
    pub async fn user(&self, name: &str) -> Result<User> {
        self.users.with_certificate(name, None).await
    }

    /// The same, member of a group.
    pub async fn user_in_group(&self, name: &str, group: &str) -> Result<User> {
        self.users.with_certificate(name, Some(group)).await
    }

    /// An existing service account, with a token that lasts an hour; working in its namespace.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<User> {
        self.users.service_account(namespace, name).await
    }

    /// The administrator's kubeconfig, for programs on this machine. Good as long as this value, or as the cluster if
    /// it was made by `lab up`.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        self.users.administrator()
    }

    /// A machine: `n1`…, `client` on the LAN, `router`, `remote` behind it, `cp` with the API server, or `lan`, the
    /// bridge itself. One that does not exist fails when used.
    pub fn host(&self, name: &str) -> Host {
        Host {
            name: name.to_owned(),
            layout: self.site.layout.clone(),
            directory: self.site.directory.clone(),
        }
    }

    /// The same, of a cluster that need not be reached.
    pub fn find_host(cluster: &str, name: &str) -> Result<Host> {
        let directory = Directory::of(cluster)?;
        let state = directory.load()?.with_context(|| format!("there is no cluster {cluster}"))?;
        let layout = Layout::new(cluster, state.options.nodes)?;
        layout.check_host(name)?;
        Ok(Host { name: name.to_owned(), layout, directory })
    }

    /// The names of the nodes.
    pub fn nodes(&self) -> Vec<String> {
        self.site.layout.nodes().map(layout::Node::name).collect()
    }

    /// The log of a process: `"kube-apiserver"`, `"n1-kubelet"`.
    pub fn log(&self, process: &str) -> PathBuf {
        self.site.log(process)
    }

    /// Leaves the cluster up when this value goes. It ends with this process all the same if it was made for it.
    pub fn leave_up(mut self) {
        self.down_on_drop = false;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.forward.take()); // it holds on to the namespace
        if !self.down_on_drop {
            return;
        }
        let name = self.site.layout.cluster.clone();
        let down = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(down::down(&name))
        });
        match down.join() {
            Ok(Err(error)) => eprintln!("lab: {error:#}"),
            Err(_) => eprintln!("lab: taking the cluster down has panicked"),
            Ok(Ok(_)) => {}
        }
    }
}

/// Somebody to take the cluster away if this process cannot, where cargo has built the program for it.
fn janitor(cluster: &str) -> Result<Option<(Janitor, PipeWriter)>> {
    let us = env::current_exe().context("find this program")?;
    // A test is target/debug/deps/name-hash, and this crate's program target/debug/lab.
    let mut near = us.ancestors().skip(1).take(2).map(|directory| directory.join("lab"));
    let Some(lab) = near.find(|program| program.is_file()) else { return Ok(None) };
    Janitor::engage("exec \"$1\" --name \"$2\" bury", [lab.as_os_str(), cluster.as_ref()]).map(Some)
}

/// The name of the forwarding process in the state.
const FORWARDER: &str = "forward";

fn start_forwarder(site: &Site, ledger: &Ledger, program: &Path) -> Result<()> {
    if ledger.read().runs(FORWARDER) {
        return Ok(());
    }
    let listener = forward::listen()?;
    let port = listener.local_addr()?.port();
    let args: [OsString; 3] = [FORWARDER.into(), "--name".into(), site.layout.cluster.clone().into()];
    let launch = Launch::new(FORWARDER, program, site.log(FORWARDER)).args(args);
    ledger.write(|state| state.forward_port = Some(port))?;
    site.start_in_plain_group(
        ledger,
        layout::CONTROL_PLANE,
        launch.holding(std::os::fd::OwnedFd::from(listener)),
    )?;
    Ok(())
}

/// Forwards from a listening socket to a cluster's API server until this process ends: what the program given to
/// [`Cluster::up_forwarded_by`] does.
pub fn forward_api(cluster: &str, listener: TcpListener) -> Result<()> {
    let directory = Directory::of(cluster)?;
    let state = directory.load()?.with_context(|| format!("there is no cluster {cluster}"))?;
    forward::forever(&Layout::new(cluster, state.options.nodes)?, listener)
}

/// What the dead say, of a cluster about to be removed with all its logs.
fn last_words(state: &State) -> String {
    let mut said = String::new();
    for process in state.processes.values().filter(|process| !process.alive()) {
        let _ = write!(said, "\n{} has died:\n{}", process.name, process.last_words()); // to a String: cannot fail
    }
    said
}
