//! The small size: etcd and kube-apiserver on loopback, for tests of what talks to the API and touches no network.
//!
//! In this room: starting and ending them, and handing out users.
//! Not here: nodes that run anything.
//! Start at [`ApiServer::shared`] or [`ApiServer::builder`].

use std::env;
use std::io::PipeWriter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, ListParams};
use socket2::{Domain, Socket, Type};
use tokio::sync::OnceCell;

use crate::control_plane::ControlPlane;
use crate::janitor::Janitor;
use crate::pki::Pki;
use crate::process::{self, Launch, Lifetime, Process};
use crate::tools::Tools;
use crate::user::{User, Users};
use crate::wait::{Verdict, until};

/// Long beside the seconds it takes, as the machine may be busy.
const START: Duration = Duration::from_mins(3);

/// A Kubernetes API of one's own: real etcd, real kube-apiserver, RBAC and node authorisation on, dual stack.
///
/// It has no nodes and, unless [asked for](ApiServerBuilder::with_controller_manager), no controllers: nothing is
/// garbage-collected, and a deleted namespace stays `Terminating`.
///
/// The servers end, and their files go, when the value is dropped or this process ends in whatever way.
#[derive(Debug)]
pub struct ApiServer {
    plane: ControlPlane,
    users: Users,
    flags: Vec<String>,
    running: Mutex<Running>,
    /// Keeps the port ours while no API server listens on it.
    _port: Socket,
}

#[derive(Debug)]
struct Running {
    processes: Vec<Process>,
    /// Every server holds a copy as its standard input. When the last copy is closed, the janitor wipes the files.
    alive: Option<PipeWriter>,
    janitor: Option<Janitor>,
}

/// What an [`ApiServer`] shall have beside etcd and kube-apiserver.
#[derive(Clone, Debug, Default)]
#[must_use = "call `start`"]
pub struct ApiServerBuilder {
    controller_manager: bool,
    fake_nodes: u16,
    flags: Vec<String>,
}

impl ApiServerBuilder {
    /// With kube-controller-manager: garbage collection, namespace deletion, service accounts, DaemonSets and
    /// Deployments becoming pods.
    pub const fn with_controller_manager(mut self) -> Self {
        self.controller_manager = true;
        self
    }

    /// With that many nodes `fake1`, `fake2`… that do not exist: kwok says they are Ready and that pods run on them.
    /// Brings the controller manager and the scheduler along.
    pub const fn with_fake_nodes(mut self, count: u16) -> Self {
        self.fake_nodes = count;
        self.controller_manager = true;
        self
    }

    /// With one more flag for kube-apiserver.
    pub fn with_flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Starts it all and waits until it is ready.
    pub async fn start(self) -> Result<ApiServer> {
        let tools = tokio::task::spawn_blocking(Tools::for_api_server).await??;
        let keep = env::var_os("METALLB_LAB_KEEP").is_some_and(|value| !value.is_empty());
        let directory =
            tempfile::Builder::new().prefix("metallb-api-").tempdir().context("make a state directory")?;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let (reservation, port) = reserve_port(address)?;
        let mut flags = self.flags;
        flags.push("--permit-port-sharing=true".into()); // with our reservation
        if !self.controller_manager {
            // Nobody makes the service accounts this plugin insists on.
            flags.push("--disable-admission-plugins=ServiceAccount".into());
        }
        let pki = Pki::open(directory.path().join("pki"))?;
        let plane = ControlPlane { tools, pki, directory: directory.path().to_owned(), address, port };
        plane.certificates()?;
        let running = if keep {
            eprintln!("lab: METALLB_LAB_KEEP is set, logs stay in {}", directory.path().display());
            Running { processes: Vec::new(), alive: None, janitor: None }
        } else {
            let (janitor, alive) = Janitor::engage("rm -rf -- \"$1\"", [directory.path()])?;
            Running { processes: Vec::new(), alive: Some(alive), janitor: Some(janitor) }
        };
        let _ = directory.keep(); // from here on the janitor's
        let kubectl = plane.tools.program("kubectl")?;
        let users = Users { pki: plane.pki.clone(), server: plane.url(), suffix: String::new(), kubectl };
        let server = ApiServer { plane, users, flags, running: Mutex::new(running), _port: reservation };
        server.start(server.plane.etcd()?)?;
        server.start(server.plane.api_server(&server.flags)?)?;
        server.until_ready().await?;
        if self.controller_manager {
            server.start(server.plane.controller_manager(Duration::from_secs(50))?)?;
            server.until_service_accounts_appear().await?;
        }
        if self.fake_nodes > 0 {
            server.start(server.plane.scheduler()?)?;
            server.start(server.plane.kwok()?)?;
            server.make_fake_nodes(self.fake_nodes).await?;
        }
        Ok(server)
    }
}

impl ApiServer {
    /// Says what it shall have; [`start`](ApiServerBuilder::start) starts it.
    pub const fn builder() -> ApiServerBuilder {
        ApiServerBuilder { controller_manager: false, fake_nodes: 0, flags: Vec::new() }
    }

    /// A plain one.
    pub async fn start_plain() -> Result<Self> {
        Self::builder().start().await
    }

    /// The plain one all tests of this test binary share; each works
    /// [in a new namespace](User::in_new_namespace). A test that kills or restarts the server starts its own.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: SharedApiServer = SharedApiServer::new(ApiServer::builder());
        SHARED.get().await
    }

    /// The administrator, who may do everything.
    pub async fn admin(&self) -> Result<User> {
        self.users.admin().await
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

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.plane.kubeconfig("admin")
    }

    /// `https://127.0.0.1:PORT`; stays the same over [`restart`](ApiServer::restart).
    pub fn url(&self) -> String {
        self.plane.url()
    }

    /// The log of one of the servers, for a test that looks into it: `"kube-apiserver"`.
    pub fn log(&self, name: &str) -> PathBuf {
        crate::control_plane::log_in(&self.plane.directory, name)
    }

    /// Kills kube-apiserver at once: connections break, new ones are refused. etcd lives on.
    pub fn kill(&self) -> Result<()> {
        let mut running = self.running();
        let (gone, stay) =
            running.processes.drain(..).partition::<Vec<_>, _>(|process| process.name == "kube-apiserver");
        running.processes = stay;
        process::end(&gone)
    }

    /// Starts kube-apiserver again, with the same data at the same address, after killing it if need be; waits until
    /// it is ready.
    pub async fn restart(&self) -> Result<()> {
        self.kill()?;
        self.start(self.plane.api_server(&self.flags)?)?;
        self.until_ready().await
    }

    fn start(&self, launch: Launch) -> Result<()> {
        let mut running = self.running();
        let launch = match &running.alive {
            Some(alive) => launch.holding(alive.try_clone().context("copy a pipe")?),
            None => launch,
        };
        let process = launch.start(Lifetime::ThisProcess)?;
        running.processes.push(process);
        Ok(())
    }

    async fn until_ready(&self) -> Result<()> {
        let admin = self.admin().await?;
        until(START, "the API server is ready", async || match admin.readyz().await {
            Ok(()) => Verdict::Yes(()),
            Err(error) => self.not_yet(&error),
        })
        .await
    }

    async fn until_service_accounts_appear(&self) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await?.client(), "default");
        until(START, "the controller manager makes service accounts", async || {
            match accounts.get("default").await {
                Ok(_) => Verdict::Yes(()),
                Err(error) => self.not_yet(&error.into()),
            }
        })
        .await
    }

    async fn make_fake_nodes(&self, count: u16) -> Result<()> {
        use std::fmt::Write as _;
        let admin = self.admin().await?;
        let mut yaml = String::new();
        for number in 1..=count {
            writeln!(
                yaml,
                "---\n{{apiVersion: v1, kind: Node, metadata: {{name: fake{number}, \
                 labels: {{kubernetes.io/hostname: fake{number}, kubernetes.io/os: linux}}, \
                 annotations: {{kwok.x-k8s.io/node: fake}}}}}}"
            )?;
        }
        admin.apply_yaml(&yaml).await?;
        let nodes: Api<Node> = Api::all(admin.client());
        until(START, "kwok says the fake nodes are Ready", async || {
            let nodes = match nodes.list(&ListParams::default()).await {
                Ok(nodes) => nodes.items,
                Err(error) => return self.not_yet(&error.into()),
            };
            let ready = nodes.iter().filter(|node| is_ready(node)).count();
            if ready == usize::from(count) {
                return Verdict::Yes(());
            }
            self.not_yet(&anyhow!("{ready} of {count} are"))
        })
        .await
    }

    fn not_yet(&self, because: &anyhow::Error) -> Verdict<()> {
        process::not_yet(&self.running().processes, because)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let mut running = self.running();
        if let Err(error) = process::end(&running.processes) {
            eprintln!("lab: {error:#}");
        }
        running.alive = None;
        if let Some(janitor) = running.janitor.take() {
            janitor.wait();
        }
    }
}

/// An [`ApiServer`] for all tests of a test binary, started when the first one asks.
///
/// ```no_run
/// use metallb_lab::{ApiServer, SharedApiServer};
/// static SERVER: SharedApiServer = SharedApiServer::new(ApiServer::builder().with_controller_manager());
/// # async fn test() -> anyhow::Result<()> {
/// let admin = SERVER.get().await?.admin().await?.in_new_namespace().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SharedApiServer {
    builder: ApiServerBuilder,
    server: OnceCell<ApiServer>,
}

impl SharedApiServer {
    /// To be kept in a `static`.
    pub const fn new(builder: ApiServerBuilder) -> Self {
        Self { builder, server: OnceCell::const_new() }
    }

    /// The running server.
    pub async fn get(&self) -> Result<&ApiServer> {
        self.server.get_or_try_init(async || self.builder.clone().start().await).await
    }
}

/// Whether a node says so itself.
pub(crate) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// A free port, and a socket that keeps it: bound, never listening, and willing to share with the API server.
fn reserve_port(address: IpAddr) -> Result<(Socket, u16)> {
    let socket = Socket::new(Domain::for_address(SocketAddr::new(address, 0)), Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::new(address, 0).into()).context("find a free port")?;
    let port = socket.local_addr()?.as_socket().context("a socket without a port")?.port();
    Ok((socket, port))
}
