//! The controller's program against a real API server: given once, written once, kept over every kind of restart.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use metallb_crds::cluster::service::ingress_addresses;
use metallb_crds::{IPAddressPool, schema};
use metallb_lab::{ApiServer, LoadBalancer, SharedApiServer, User, eventually, load_balancer};
use serde_json::json;

static SERVER: SharedApiServer = SharedApiServer::new(ApiServer::builder());

const SOON: Duration = Duration::from_secs(20);

/// A MetalLB of its own: a namespace for its pools, another for services, and a class that keeps it apart.
struct Installation {
    admin: User,
    class: String,
    services: User,
}

impl Installation {
    async fn new() -> Self {
        Self::on(SERVER.get().await.unwrap()).await
    }

    async fn on(server: &ApiServer) -> Self {
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

    fn pools(&self) -> Api<IPAddressPool> {
        Api::namespaced(self.admin.client(), self.admin.namespace())
    }

    fn services(&self) -> Api<Service> {
        Api::namespaced(self.services.client(), self.services.namespace())
    }

    async fn pool(&self, name: &str, addresses: &[&str]) -> anyhow::Result<()> {
        let pool = json!({
            "apiVersion": "metallb.io/v1beta1",
            "kind": "IPAddressPool",
            "metadata": { "name": name, "namespace": self.admin.namespace() },
            "spec": { "addresses": addresses },
        });
        self.admin.apply_yaml(&pool.to_string()).await.map(drop)
    }

    /// Starts a replica of the controller. It is killed when dropped.
    fn controller(&self, pod: &str) -> Controller {
        let child = Command::new(env!("CARGO_BIN_EXE_metallb-controller"))
            .args(["--port=0", "--health-probe-port=0", "--webhook-mode=disabled", "-log-level", "debug"])
            .arg(format!("--namespace={}", self.admin.namespace()))
            .arg(format!("--lb-class={}", self.class))
            .arg(format!("--pod-name={pod}"))
            .arg(format!("--kubeconfig={}", self.admin.kubeconfig().display()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Controller(child)
    }

    async fn service(&self, service: LoadBalancer) -> Service {
        self.services.create_service(service.of_class(&self.class)).await.unwrap()
    }

    async fn addresses(&self, service: &Service) -> Vec<IpAddr> {
        self.services.ingress_ips(service).await.unwrap()
    }

    async fn given(&self, service: &Service) -> IpAddr {
        eventually(SOON, "the service has an address", async || {
            self.addresses(service).await.first().copied()
        })
        .await
    }

    async fn reasons(&self, service: &Service) -> Vec<String> {
        let events = self.services.events_of(service).await.unwrap();
        events.into_iter().map(|event| event.reason).collect()
    }

    /// The address of every service that has one.
    async fn all_given(&self) -> BTreeMap<String, IpAddr> {
        let list = self.services().list(&ListParams::default()).await.unwrap();
        let first = |service: &Service| ingress_addresses(service).unwrap().first().copied();
        list.iter().filter_map(|service| Some((service.name_any(), first(service)?))).collect()
    }
}

struct Controller(Child);

impl Controller {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// SIGTERM, and wait for its end.
    fn terminate(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_service_gets_an_address_and_says_from_where() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let _controller = metallb.controller("a");
    let web = metallb.service(load_balancer("web").port(80)).await;
    assert_eq!(metallb.given(&web).await, ip("10.1.0.0"));
    let now = metallb.services().get("web").await.unwrap();
    assert_eq!(now.annotations()["metallb.io/ip-allocated-from-pool"], "lab");
    eventually(SOON, "the event is there", async || metallb.reasons(&web).await == ["IPAllocated"]).await;
    let asks = metallb.service(load_balancer("asks").port(80).requesting_ip("10.1.0.77")).await;
    assert_eq!(metallb.given(&asks).await, ip("10.1.0.77"));
}

#[tokio::test]
async fn a_service_that_ends_or_changes_its_type_leaves_its_address_to_who_waits() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/32"]).await.unwrap();
    let _controller = metallb.controller("a");
    let first = metallb.service(load_balancer("first").port(80)).await;
    metallb.given(&first).await;
    let second = metallb.service(load_balancer("second").port(80)).await;
    eventually(SOON, "the second is refused", async || {
        metallb.reasons(&second).await == ["AllocationFailed"]
    })
    .await;
    let event = &metallb.services.events_of(&second).await.unwrap()[0];
    assert!(event.message.contains("no free IPv4 address in pool lab"), "{}", event.message);

    let services = metallb.services();
    let to_cluster_ip = json!({ "spec": { "type": "ClusterIP", "loadBalancerClass": null } });
    services.patch("first", &PatchParams::default(), &Patch::Merge(to_cluster_ip)).await.unwrap();
    metallb.given(&second).await;
    let annotation = "metallb.io/ip-allocated-from-pool";
    let cleared = async || !services.get("first").await.unwrap().annotations().contains_key(annotation);
    eventually(SOON, "nothing is left on the first", cleared).await;

    let third = metallb.service(load_balancer("third").port(80)).await;
    services.delete("second", &DeleteParams::default()).await.unwrap();
    metallb.given(&third).await;
}

#[tokio::test]
async fn of_two_services_that_ask_for_one_address_one_gets_it_and_the_other_is_told() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let _controller = metallb.controller("a");
    let holder = metallb.service(load_balancer("holder").port(80).requesting_ip("10.1.0.5")).await;
    metallb.given(&holder).await;
    let other = metallb.service(load_balancer("other").port(80).requesting_ip("10.1.0.5")).await;
    eventually(SOON, "the other is told", async || metallb.reasons(&other).await == ["AllocationFailed"])
        .await;
    let outside = metallb.service(load_balancer("outside").port(80).requesting_ip("192.0.2.9")).await;
    eventually(SOON, "the outsider is told", async || {
        metallb.reasons(&outside).await == ["AllocationFailed"]
    })
    .await;
    assert_eq!(metallb.all_given().await.len(), 1);
}

#[tokio::test]
async fn a_malformed_pool_is_told_on_the_pool_and_takes_nothing_from_anybody() {
    let metallb = Installation::new().await;
    metallb.pool("good", &["10.1.0.0/24"]).await.unwrap();
    metallb.pool("soon-bad", &["10.2.0.0/24"]).await.unwrap();
    let controller = metallb.controller("a");
    let on_bad = metallb.service(load_balancer("on-bad").port(80).from_pool("soon-bad")).await;
    assert_eq!(metallb.given(&on_bad).await, ip("10.2.0.0"));

    metallb.pool("soon-bad", &["10.2.0.0-nonsense"]).await.unwrap();
    let bad = metallb.pools().get("soon-bad").await.unwrap();
    let told = async || {
        let events = metallb.admin.events_of(&bad).await.unwrap();
        events.into_iter().find(|event| event.reason == "ConfigurationError")
    };
    let event = eventually(SOON, "the pool has an event", told).await;
    assert!(event.message.contains("10.2.0.0-nonsense"), "{}", event.message);

    // A new process has no last good value, and lets go of nothing all the same.
    controller.kill();
    let _controller = metallb.controller("a");
    let new = metallb.service(load_balancer("new").port(80)).await;
    assert_eq!(metallb.given(&new).await, ip("10.1.0.0"), "the good pool serves");
    assert_eq!(metallb.addresses(&on_bad).await, [ip("10.2.0.0")]);

    metallb.pool("soon-bad", &["10.2.0.0/28"]).await.unwrap();
    let other = metallb.service(load_balancer("other").port(80).from_pool("soon-bad")).await;
    assert_eq!(metallb.given(&other).await, ip("10.2.0.1"), "the mended pool serves, around what was held");
}

#[tokio::test]
async fn five_kills_in_the_middle_of_allocating_change_no_address_and_give_none_twice() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let mut controller = metallb.controller("a");
    let mut seen: BTreeMap<String, IpAddr> = BTreeMap::new();
    for round in 0..5 {
        for n in 0..20 {
            metallb.service(load_balancer(format!("web-{round}-{n}")).port(80)).await;
        }
        let before = seen.len();
        eventually(SOON, "it is in the middle of it", async || metallb.all_given().await.len() > before)
            .await;
        controller.kill();
        for (name, address) in metallb.all_given().await {
            assert_eq!(*seen.entry(name).or_insert(address), address, "an address changed");
        }
        controller = metallb.controller("a"); // the same pod: a container that restarts
    }
    eventually(SOON, "all are served", async || metallb.all_given().await.len() == 100).await;
    let all = metallb.all_given().await;
    assert!(seen.iter().all(|(name, address)| all[name] == *address), "an address changed");
    assert_eq!(all.values().collect::<BTreeSet<_>>().len(), 100, "an address was given twice");
}

#[tokio::test]
async fn a_rolling_update_with_two_at_once_changes_nothing_and_the_second_goes_on() {
    let metallb = Installation::new().await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let old = metallb.controller("old");
    for n in 0..20 {
        metallb.service(load_balancer(format!("web-{n:02}")).port(80)).await;
    }
    eventually(SOON, "all are served", async || metallb.all_given().await.len() == 20).await;
    let before = metallb.all_given().await;
    let _new = metallb.controller("new");
    for n in 20..40 {
        metallb.service(load_balancer(format!("web-{n:02}")).port(80)).await;
    }
    eventually(SOON, "the old one still works", async || metallb.all_given().await.len() == 40).await;
    old.terminate();
    let last = metallb.service(load_balancer("last").port(80)).await;
    metallb.given(&last).await;
    let after = metallb.all_given().await;
    assert!(before.iter().all(|(name, address)| after[name] == *address), "an address changed");
    assert_eq!(after.values().collect::<BTreeSet<_>>().len(), 41, "an address was given twice");
}

#[tokio::test]
async fn the_api_server_may_restart_and_allocation_goes_on() {
    let server = ApiServer::start_plain().await.unwrap();
    let metallb = Installation::on(&server).await;
    metallb.pool("lab", &["10.1.0.0/24"]).await.unwrap();
    let _controller = metallb.controller("a");
    let before = metallb.service(load_balancer("before").port(80)).await;
    let address = metallb.given(&before).await;
    server.restart().await.unwrap();
    let after = metallb.service(load_balancer("after").port(80)).await;
    assert_eq!(metallb.given(&after).await, ip("10.1.0.1"));
    assert_eq!(metallb.addresses(&before).await, [address]);
}
