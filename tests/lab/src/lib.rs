//! Kubernetes and networks for tests, on one machine and without Docker.
//!
//! * [`ApiServer`]: etcd and kube-apiserver on loopback, in seconds, for any user. For tests of what talks to the API.
//! * [`Cluster`]: nodes, clients and a router in network namespaces, with real kubelets, kube-proxies and pods. Needs
//!   root. For tests of what reaches a service.
//!
//! * [`network`] and [`routers`]: hosts and links without Kubernetes, and FRR, BIRD or GoBGP on them. Needs root. For tests
//!   of what speaks with routers.
//!
//! The first two hand out [`User`]s, who apply manifests and look at objects, and run the same upstream programs
//! ([`tools`]). A scenario waits with [`eventually`] and nowhere else.
//!
//! ```no_run
//! use std::time::Duration;
//! use metallb_lab::{ApiServer, eventually, load_balancer};
//!
//! # const POOL: &str = "";
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! let admin = ApiServer::shared().await?.admin().await?.in_new_namespace().await?;
//! admin.apply_yaml(POOL).await?;
//! let web = admin.create_service(load_balancer("web").port(80).dual_stack()).await?;
//! eventually(Duration::from_secs(10), "web has two addresses", async || {
//!     admin.ingress_ips(&web).await.is_ok_and(|addresses| addresses.len() == 2)
//! })
//! .await;
//! assert!(admin.events_of(&web).await?.iter().any(|event| event.reason == "IPAllocated"));
//! # Ok(()) }
//! ```

mod api_server;
mod cluster;
mod command;
mod control_plane;
mod janitor;
mod lock;
mod netns;
pub mod network;
mod pki;
mod process;
pub mod routers;
mod service;
pub mod tools;
mod user;
mod wait;

pub use api_server::{ApiServer, ApiServerBuilder, SharedApiServer};
pub use cluster::{
    Cluster, ClusterOptions, ClusterStatus, Host, HostStatus, ProcessStatus, ProxyMode, SharedCluster,
    forward_api,
};
pub use command::{Outcome, run};
pub use netns::within as inside_network;
pub use process::Process;
pub use service::{LoadBalancer, load_balancer};
pub use user::{Happening, User, refusal};
pub use wait::{Attempt, Verdict, eventually};

/// A manifest: on every node a pod labelled `app: hello` that answers on TCP (HTTP) and UDP port 8080 with its name and
/// the address it sees the client at.
pub const HELLO: &str = include_str!("hello.yaml");
