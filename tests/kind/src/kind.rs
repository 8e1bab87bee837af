//! A cluster of [kind](https://kind.sigs.k8s.io) as the place of a scenario: nodes that are Docker's containers, and one more
//! container on their network as the client.
//!
//! What is asked of nodes runs in their containers. The client's container only holds a network: this machine's own programs and
//! this very process work in it, as in the lab. So Docker must run on this kernel (not in a virtual machine), and it takes root.
//!
//! Not here: making the cluster and loading images (`tests/kind/run-on-kind`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use metallb_lab::{Cluster, Outcome, User, eventually, inside_network, run};

use crate::place::{Addresses, Machine, Place};

/// How long nodes of a cluster that is just made may take.
const SOON: Duration = Duration::from_mins(1);

/// How a cluster of kind is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// Its name.
    pub cluster: String,
    /// The network of its nodes, as Docker calls it.
    pub network: String,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// A kubectl.
    pub kubectl: PathBuf,
    /// A docker.
    pub docker: PathBuf,
}

/// A cluster of kind. The client goes with this value.
pub struct Kind {
    user: User,
    addresses: Addresses,
    /// All of them.
    nodes: Vec<Container>,
    /// Those that take any pod.
    workers: Vec<String>,
    client: Container,
    docker: PathBuf,
}

/// One of Docker's containers, and how a command is run in its network.
#[derive(Clone, Debug)]
pub struct Container {
    name: String,
    network: PathBuf,
    /// What comes before a command.
    runner: Vec<OsString>,
}

impl Access {
    /// What `run-on-kind` says: the cluster's name in `$METALLB_KIND`, and its kubeconfig in `$KUBECONFIG`. `None`: nobody asks for
    /// a cluster of kind.
    pub fn given() -> anyhow::Result<Option<Self>> {
        let Some(cluster) = env::var("METALLB_KIND").ok().filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let kubeconfig =
            env::var_os("KUBECONFIG").context("METALLB_KIND without KUBECONFIG, its kubeconfig")?;
        // Kind's own variable.
        let network = env::var("KIND_EXPERIMENTAL_DOCKER_NETWORK").unwrap_or_else(|_| "kind".to_owned());
        let (kubectl, docker) = ("kubectl".into(), "docker".into());
        Ok(Some(Self { cluster, network, kubeconfig: kubeconfig.into(), kubectl, docker }))
    }
}

impl Kind {
    /// Looks at the cluster, and puts a client beside it.
    pub async fn open(access: Access) -> anyhow::Result<Self> {
        let Access { cluster, network, kubeconfig, kubectl, docker } = access;
        ensure!(
            nix::unistd::geteuid().is_root(),
            "the client's network is entered, which takes root: use sudo"
        );
        let user = User::connect(&kubeconfig, kubectl).await?;
        let ask = async |args: &[&str]| {
            let words = [docker.as_os_str()].into_iter().chain(args.iter().map(AsRef::as_ref));
            run(words).await?.success()
        };
        let addresses = Addresses::of_docker(&ask(&["network", "inspect", &network]).await?)
            .with_context(|| format!("the network {network} of Docker"))?;
        let api: Api<Node> = Api::all(user.client());
        let found = eventually(SOON, "every node takes part", async || {
            let found = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
            let waiting: Vec<_> =
                found.iter().filter(|node| is_not_ready_yet(node)).map(Node::name_any).collect();
            if waiting.is_empty() { Ok(found) } else { Err(format!("{waiting:?} do not")) }
        })
        .await;
        let mut workers: Vec<_> =
            found.iter().filter(|node| takes_any_pod(node)).map(Node::name_any).collect();
        workers.sort();
        let Some(first) = workers.first() else {
            bail!("cluster {cluster} has no node that takes any pod: `tests/kind/kind.yaml` has three");
        };
        let mut nodes = Vec::new();
        for name in found.iter().map(Node::name_any) {
            let network = network_of(&ask, &name).await?;
            let runner = vec![docker.clone().into(), "exec".into(), name.clone().into()];
            nodes.push(Container { name, network, runner });
        }
        let name = format!("{cluster}-client");
        drop(ask(&["rm", "--force", "--volumes", &name]).await); // left by one that was killed, or not there
        // There is one image on this machine for sure: that of the nodes.
        let image = ask(&["inspect", "--format", "{{.Config.Image}}", first]).await?;
        let container = ["run", "--detach", "--name", &name, "--network", &network, "--entrypoint", "sleep"];
        ask(&[&container[..], &[&image, "infinity"]].concat()).await?;
        let client = Container { name, network: PathBuf::new(), runner: Vec::new() };
        // From here on the container goes with the value.
        let mut kind = Self { user, addresses, nodes, workers, client, docker: docker.clone() };
        let network = network_of(&ask, &kind.client.name).await?;
        let mut enter = OsString::from("--net=");
        enter.push(&network);
        kind.client.runner = vec!["nsenter".into(), enter, "--".into()];
        kind.client.network = network;
        Ok(kind)
    }
}

impl Drop for Kind {
    fn drop(&mut self) {
        let removed = std::process::Command::new(&self.docker)
            .args(["rm", "--force", "--volumes", &self.client.name])
            .stdout(std::process::Stdio::null())
            .status();
        if !removed.is_ok_and(|status| status.success()) {
            eprintln!("cannot remove the container {0}: `docker rm --force {0}`", self.client.name);
        }
    }
}

/// A node that is ready has this taint for a moment longer.
fn is_not_ready_yet(node: &Node) -> bool {
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.any(|taint| taint.key == "node.kubernetes.io/not-ready")
}

/// A control plane takes not any pod, and kubeadm keeps load balancers away from it.
fn takes_any_pod(node: &Node) -> bool {
    node.spec.as_ref().is_none_or(|spec| spec.taints.as_ref().is_none_or(Vec::is_empty))
}

/// The file that is a container's network on this machine.
async fn network_of(
    docker: &impl AsyncFn(&[&str]) -> anyhow::Result<String>,
    container: &str,
) -> anyhow::Result<PathBuf> {
    let pid = docker(&["inspect", "--format", "{{.State.Pid}}", container]).await?;
    let network = Path::new("/proc").join(&pid).join("ns/net");
    let theirs = fs::read_link(&network);
    let ours = fs::read_link("/proc/self/ns/net").context("look at the own network")?;
    match theirs {
        Ok(theirs) if theirs != ours => Ok(network),
        _ => bail!(
            "process {pid}, which is container {container} by what docker says, is none of a container on this machine: Docker must run \
             on this kernel, not in a virtual machine or elsewhere"
        ),
    }
}

impl Place for Kind {
    type Machine = Container;

    async fn admin(&self) -> anyhow::Result<User> {
        Ok(self.user.clone())
    }

    fn nodes(&self) -> Vec<String> {
        self.workers.clone()
    }

    fn node(&self, name: &str) -> Container {
        let known = self.nodes.iter().find(|node| node.name == name);
        // One that does not exist fails when used.
        let unknown = || Container { name: name.to_owned(), network: PathBuf::new(), runner: Vec::new() };
        known.cloned().unwrap_or_else(unknown)
    }

    fn client(&self) -> Container {
        self.client.clone()
    }

    fn addresses(&self) -> Addresses {
        self.addresses
    }

    fn lab(&self) -> Option<&Cluster> {
        None
    }
}

impl Machine for Container {
    async fn run(&self, command: &[&str]) -> anyhow::Result<Outcome> {
        ensure!(!self.runner.is_empty(), "the cluster has no node {}", self.name);
        run(self.runner.iter().cloned().chain(command.iter().map(OsString::from))).await
    }

    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        inside_network(&self.network, work)
    }
}
