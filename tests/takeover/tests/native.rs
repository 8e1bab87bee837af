//! Upstream's MetalLB in its native mode, as its manifest installs it, with clients on layer 2 and behind a router.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use metallb_crds::cluster::pod::is_ours;
use metallb_crds::cluster::service::ingress_addresses;
use metallb_lab::{Cluster, LoadBalancer, eventually, load_balancer};
use metallb_scenarios::bgp;
use metallb_scenarios::installation::{Installation, NAMESPACE, ROLLED_OUT, options};
use metallb_scenarios::outage::{Load, Noticed, Watch, ask};
use metallb_takeover::upstream::Upstream;
use serde_json::json;

const OPERATOR: &str = "metallb-operator-controller-manager";
/// Requests that show that all is as it should be.
const STEADY: usize = 200;
/// Clients that ask for three addresses at a time are not to be what takes the time.
const LOAD: Load = Load { rate: 50, long_lived: 3 };
/// A speaker that ends takes its answers and its routes with it, until another has them: five seconds and more where upstream's find
/// out that one is gone.
const OUTAGE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_upstreams_is_taken_over_and_handed_back_with_all_its_addresses() {
    let upstream = Upstream::pack().unwrap();
    let options = options("takeover").unwrap().with_images(upstream.archives.clone());
    let cluster = Cluster::up(options).await.unwrap();
    let metallb = Installation::prepare(&cluster).await.unwrap();
    let router = bgp::router(&cluster).await.unwrap();
    upstream.install(&metallb).await.unwrap();
    configure(&metallb).await;
    metallb.run_hello().await.unwrap();
    let scenario = Scenario { cluster: &cluster, metallb: &metallb };
    for service in services() {
        metallb.user.create_service(service).await.unwrap();
    }
    let before = scenario.given(3).await;
    let nodes = cluster.nodes().len();
    let behind = before["routed"][0];
    bgp::paths(&router, behind, nodes).await;

    let asked = scenario.ask_for(&before).await;
    metallb.install_operator().await.unwrap();
    metallb.apply_metallb(&json!({ "bgpBackend": "native" })).await.unwrap();
    scenario.all_are_ours().await;
    bgp::paths(&router, behind, nodes).await;
    judge("taken over", asked).await;
    assert_eq!(scenario.given(3).await, before, "the same addresses after the take-over");
    scenario.one_more_is_given_an_address("later", &before).await;
    let before = scenario.given(4).await;

    scenario.stop_ours().await;
    assert_eq!(scenario.given(4).await, before, "the same addresses while nobody is there");
    upstream.install(&metallb).await.unwrap();
    bgp::paths(&router, behind, nodes).await;
    scenario.all_answer(&before).await;
    assert_eq!(scenario.given(4).await, before, "the same addresses with upstream's again");
    scenario.one_more_is_given_an_address("last", &before).await;
}

/// On layer 2 with one family and with two, and through the router.
fn services() -> [LoadBalancer; 3] {
    let service = |name: &str| load_balancer(name).for_app("hello").port(80);
    [service("lan"), service("both").dual_stack(), service("routed").from_pool("routed")]
}

/// Everything that upstream's native mode knows of what is tested here.
async fn configure(metallb: &Installation) {
    let metadata = |name: &str| json!({ "name": name, "namespace": NAMESPACE });
    let taken = async || metallb.pool("lab", &["10.77.0.200-10.77.0.250", "fd77::200-fd77::250"]).await;
    eventually(ROLLED_OUT, "upstream's webhooks take a pool", async || {
        taken().await.map_err(|error| format!("{error:#}"))
    })
    .await;
    for object in [
        json!({
            "apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": metadata("router"),
            "spec": { "myASN": bgp::CLUSTER_AS, "peerASN": bgp::ROUTER_AS, "peerAddress": bgp::ROUTER },
        }),
        json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata("routed"),
            "spec": { "addresses": [bgp::ROUTED], "autoAssign": false },
        }),
        json!({
            "apiVersion": "metallb.io/v1beta1", "kind": "BGPAdvertisement", "metadata": metadata("routed"),
            "spec": { "ipAddressPools": ["routed"] },
        }),
    ] {
        metallb.admin.apply_yaml(&object.to_string()).await.unwrap();
    }
}

/// Says what clients noticed, and that nothing was away for long.
async fn judge(what: &str, asked: BTreeMap<String, Watch>) {
    for (name, watch) in asked {
        watch.goes_on(STEADY).await;
        let noticed: Noticed = watch.finish().unwrap();
        println!("{what}, {name}: {noticed:?}");
        assert!(noticed.longest_gap < OUTAGE, "{what}, {name}: {noticed:?}");
    }
}

struct Scenario<'a> {
    cluster: &'a Cluster,
    metallb: &'a Installation,
}

impl Scenario<'_> {
    /// The addresses of the services, once that many have some.
    async fn given(&self, count: usize) -> BTreeMap<String, Vec<IpAddr>> {
        let api: Api<Service> = Api::default_namespaced(self.metallb.user.client());
        eventually(ROLLED_OUT, &format!("{count} services have addresses"), async || {
            let services = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let all: BTreeMap<_, _> = services
                .iter()
                .filter_map(|service| Some((service.name_any(), ingress_addresses(service).ok()?)))
                .filter(|(_, addresses)| !addresses.is_empty())
                .collect();
            if all.len() == count { Ok(all) } else { Err(format!("{all:?}")) }
        })
        .await
    }

    /// Those on layer 2 by the client in their network, the others through the router.
    fn client_of(&self, name: &str) -> metallb_lab::Host {
        self.cluster.host(if name == "routed" { "remote" } else { "client" })
    }

    async fn ask_for(&self, given: &BTreeMap<String, Vec<IpAddr>>) -> BTreeMap<String, Watch> {
        self.all_answer(given).await;
        let mut asked = BTreeMap::new();
        for (name, addresses) in given {
            for address in addresses {
                let watch = Watch::with(&self.client_of(name), *address, LOAD);
                watch.goes_on(STEADY).await;
                asked.insert(format!("{name} {address}"), watch);
            }
        }
        asked
    }

    async fn all_answer(&self, given: &BTreeMap<String, Vec<IpAddr>>) {
        for (name, addresses) in given {
            for address in addresses {
                let client = self.client_of(name);
                eventually(ROLLED_OUT, &format!("{name} answers at {address}"), async || {
                    client.inside(|| ask(*address)).unwrap_or_else(Err)
                })
                .await;
            }
        }
    }

    async fn one_more_is_given_an_address(&self, name: &str, before: &BTreeMap<String, Vec<IpAddr>>) {
        let service = load_balancer(name).for_app("hello").port(80);
        let service = self.metallb.user.create_service(service).await.unwrap();
        let address = self.metallb.address(&service).await;
        assert!(!before.values().flatten().any(|taken| *taken == address), "{address} is not free");
        self.all_answer(&[(name.to_owned(), vec![address])].into()).await;
    }

    async fn all_are_ours(&self) {
        let api: Api<Pod> = self.metallb.api();
        eventually(ROLLED_OUT, "all pods are ours", async || {
            let pods = api.list(&ListParams::default().labels("app=metallb")).await.ok()?.items;
            pods.iter().all(|pod| is_ours(pod.metadata.annotations.as_ref())).then_some(())
        })
        .await;
    }

    /// The first step of going back, as docs/migration.md says it.
    async fn stop_ours(&self) {
        self.metallb.delete_metallb().await.unwrap();
        let params = DeleteParams::default();
        self.metallb.api::<Deployment>().delete(OPERATOR, &params).await.unwrap();
        self.metallb.api::<PodDisruptionBudget>().delete(OPERATOR, &params).await.unwrap();
        self.metallb.api::<Secret>().delete("metallb-webhook-cert", &params).await.unwrap();
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(self.metallb.admin.client());
        for name in [
            "metallb-webhook-configuration",
            "metallb-operator-webhook-configuration",
            "metallb-deletion-warning-configuration",
        ] {
            webhooks.delete(name, &params).await.unwrap();
        }
    }
}
