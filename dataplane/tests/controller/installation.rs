//! A MetalLB of a test's own, on the API server that all tests of this program share.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use metallb_crds::cluster::service::ingress_addresses;
use metallb_crds::{IPAddressPool, schema};
use metallb_lab::{ApiServer, Happening, LoadBalancer, SharedApiServer, User, eventually};
use nix::sys::signal::Signal;
use serde_json::json;

static SERVER: SharedApiServer = SharedApiServer::new(ApiServer::builder());

pub const SOON: Duration = Duration::from_secs(20);

/// A MetalLB of its own: a namespace for its pools, another for services, and a class that keeps it apart.
pub struct Installation {
    pub admin: User,
    pub class: String,
    pub services: User,
}

impl Installation {
    pub async fn new() -> Self {
        Self::on(SERVER.get().await.unwrap()).await
    }

    pub async fn on(server: &ApiServer) -> Self {
        let admin = server.admin().await.unwrap();
        for crd in schema::all() {
            admin.apply_yaml(&serde_json::to_string(&crd).unwrap()).await.unwrap();
        }
        let admin = admin.in_new_namespace().await.unwrap();
        let services = admin.in_new_namespace().await.unwrap();
        let class = format!("lab.example/{}", admin.namespace());
        let installation = Self { admin, class, services };
        eventually(SOON, "the kinds are served", async || {
            installation.pool("probe", &["192.0.2.0/32"]).await
        })
        .await;
        installation.pools().delete("probe", &DeleteParams::default()).await.unwrap();
        installation
    }

    pub fn pools(&self) -> Api<IPAddressPool> {
        Api::namespaced(self.admin.client(), self.admin.namespace())
    }

    pub fn services(&self) -> Api<Service> {
        Api::namespaced(self.services.client(), self.services.namespace())
    }

    pub async fn pool(&self, name: &str, addresses: &[&str]) -> anyhow::Result<()> {
        self.annotated_pool(name, addresses, json!({})).await
    }

    pub async fn annotated_pool(
        &self,
        name: &str,
        addresses: &[&str],
        annotations: serde_json::Value,
    ) -> anyhow::Result<()> {
        let pool = json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "IPAddressPool",
            "metadata": { "name": name, "namespace": self.admin.namespace(), "annotations": annotations },
            "spec": { "addresses": addresses },
        });
        self.admin.apply_yaml(&pool.to_string()).await.map(drop)
    }

    /// Assigned and available IPv4 addresses, as the status of the pool has them.
    pub async fn counters(&self, pool: &str) -> Option<(i64, i64)> {
        let status = self.pools().get(pool).await.unwrap().status?;
        Some((status.assigned_ipv4, status.available_ipv4))
    }

    /// Starts a replica of the controller. It is killed when dropped.
    pub fn controller(&self, pod: &str) -> Controller {
        self.controller_with(pod, &["--port=0"])
    }

    /// With these flags besides.
    pub fn controller_with(&self, pod: &str, flags: &[&str]) -> Controller {
        let child = Command::new(env!("CARGO_BIN_EXE_metallb-controller"))
            .args(["--health-probe-port=0", "--webhook-mode=disabled", "-log-level", "debug"])
            .args(flags)
            .arg(format!("--namespace={}", self.admin.namespace()))
            .arg(format!("--lb-class={}", self.class))
            .arg(format!("--pod-name={pod}"))
            .arg(format!("--kubeconfig={}", self.admin.kubeconfig().display()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Controller(child)
    }

    pub async fn service(&self, service: LoadBalancer) -> Service {
        self.services.create_service(service.of_class(&self.class)).await.unwrap()
    }

    pub async fn addresses(&self, service: &Service) -> Vec<IpAddr> {
        self.services.ingress_ips(service).await.unwrap()
    }

    pub async fn given(&self, service: &Service) -> IpAddr {
        eventually(SOON, "the service has an address", async || {
            self.addresses(service).await.first().copied()
        })
        .await
    }

    /// What the controller said of it. The API server has its own say about services, at times: when its repair of
    /// cluster IPs comes by before it has seen that a new one is allocated.
    pub async fn told(&self, service: &Service) -> Vec<Happening> {
        let mut events = self.services.events_of(service).await.unwrap();
        events.retain(|event| event.reporter == "metallb-controller");
        events
    }

    /// The reasons among it.
    pub async fn reasons(&self, service: &Service) -> Vec<String> {
        self.told(service).await.into_iter().map(|event| event.reason).collect()
    }

    /// The address of every service that has one.
    pub async fn all_given(&self) -> BTreeMap<String, IpAddr> {
        let list = self.services().list(&ListParams::default()).await.unwrap();
        let first = |service: &Service| ingress_addresses(service).unwrap().first().copied();
        list.iter().filter_map(|service| Some((service.name_any(), first(service)?))).collect()
    }
}

pub struct Controller(Child);

impl Controller {
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// SIGTERM, and wait for its end.
    pub fn terminate(mut self) {
        self.signal(Signal::SIGTERM);
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
