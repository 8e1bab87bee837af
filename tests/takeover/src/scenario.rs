//! What is configured and asked for on a cluster that is taken over, and what is to be true of it at each step.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use metallb_crds::cluster::pod::is_ours;
use metallb_crds::cluster::service::ingress_addresses;
use metallb_lab::routers::Router;
use metallb_lab::{Cluster, Host, eventually, load_balancer};
use metallb_scenarios::bgp;
use metallb_scenarios::installation::{Installation, NAMESPACE, ROLLED_OUT};
use metallb_scenarios::outage::{Load, Watch, ask};
use serde_json::{Value, json};

use crate::sessions::Sessions;

const OPERATOR: &str = "metallb-operator-controller-manager";
/// Requests that show that all is as it should be.
const STEADY: usize = 200;
/// Clients that ask for several addresses at a time are not to be what takes the time.
const LOAD: Load = Load { rate: 50, long_lived: 3 };
/// The service behind the router.
pub const ROUTED: &str = "routed";

/// Addresses by service.
pub type Given = BTreeMap<String, Vec<IpAddr>>;

/// A cluster with upstream's MetalLB or ours.
pub struct Scenario<'a> {
    /// Its hosts.
    pub cluster: &'a Cluster,
    /// What is installed there.
    pub metallb: &'a Installation,
}

impl Scenario<'_> {
    /// A pool on layer 2, and one behind the router with these addresses. `more` is added to the BGPPeer that is the router.
    pub async fn configure(&self, routed: &[&str], more: &Value) -> anyhow::Result<()> {
        let metadata = |name: &str| json!({ "name": name, "namespace": NAMESPACE });
        let pool =
            async || self.metallb.pool("lab", &["10.77.0.200-10.77.0.250", "fd77::200-fd77::250"]).await;
        eventually(ROLLED_OUT, "the webhooks take a pool", async || {
            pool().await.map_err(|error| format!("{error:#}"))
        })
        .await;
        let mut peer = json!({
            "apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": metadata("router"),
            "spec": { "myASN": bgp::CLUSTER_AS, "peerASN": bgp::ROUTER_AS, "peerAddress": bgp::ROUTER },
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            peer["spec"][field] = value.clone();
        }
        for object in [
            peer,
            json!({
                "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata(ROUTED),
                "spec": { "addresses": routed, "autoAssign": false },
            }),
            json!({
                "apiVersion": "metallb.io/v1beta1", "kind": "BGPAdvertisement", "metadata": metadata(ROUTED),
                "spec": { "ipAddressPools": [ROUTED] },
            }),
        ] {
            self.metallb.admin.apply_yaml(&object.to_string()).await?;
        }
        Ok(())
    }

    /// The addresses of the services, once that many have some.
    pub async fn given(&self, count: usize) -> Given {
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

    /// Waits until the router reaches all that is behind it through every node.
    pub async fn all_paths(&self, router: &Router, given: &Given) {
        for address in &given[ROUTED] {
            bgp::paths(router, *address, self.cluster.nodes().len()).await;
        }
    }

    /// Those on layer 2 by the client in their network, the others through the router.
    fn client_of(&self, name: &str) -> Host {
        self.cluster.host(if name == ROUTED { "remote" } else { "client" })
    }

    /// Begins to ask for all addresses.
    pub async fn ask_for(&self, given: &Given) -> BTreeMap<String, Watch> {
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

    /// Begins to look at the sessions that the nodes have with the router.
    pub fn watch_sessions(&self) -> Sessions {
        let nodes = (11..).take(self.cluster.nodes().len()).map(|last| Ipv4Addr::new(10, 77, 0, last));
        Sessions::watch(&self.cluster.host("router"), nodes.collect())
    }

    /// Waits until there is an answer at every address.
    pub async fn all_answer(&self, given: &Given) {
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

    /// Makes a service, which gets an address that nobody has, and answers there.
    pub async fn one_more_is_given_an_address(&self, name: &str, before: &Given) -> anyhow::Result<()> {
        let service = load_balancer(name).for_app("hello").port(80);
        let service = self.metallb.user.create_service(service).await?;
        let address = self.metallb.address(&service).await;
        ensure!(!before.values().flatten().any(|taken| *taken == address), "{address} is not free");
        self.all_answer(&[(name.to_owned(), vec![address])].into()).await;
        Ok(())
    }

    /// Waits until no pod of MetalLB is upstream's.
    pub async fn all_are_ours(&self) {
        let api: Api<Pod> = self.metallb.api();
        eventually(ROLLED_OUT, "all pods are ours", async || {
            let pods = api.list(&ListParams::default().labels("app=metallb")).await.ok()?.items;
            pods.iter().all(|pod| is_ours(pod.metadata.annotations.as_ref())).then_some(())
        })
        .await;
    }

    /// The first step of going back, as docs/migration.md says it.
    pub async fn stop_ours(&self) -> anyhow::Result<()> {
        self.metallb.delete_metallb().await?;
        let params = DeleteParams::default();
        self.metallb.api::<Deployment>().delete(OPERATOR, &params).await?;
        self.metallb.api::<PodDisruptionBudget>().delete(OPERATOR, &params).await?;
        self.metallb.api::<Secret>().delete("metallb-webhook-cert", &params).await?;
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(self.metallb.admin.client());
        for name in [
            "metallb-webhook-configuration",
            "metallb-operator-webhook-configuration",
            "metallb-deletion-warning-configuration",
        ] {
            webhooks.delete(name, &params).await?;
        }
        Ok(())
    }
}

/// Says what clients noticed, and that nothing was away for longer than that.
pub async fn judge(what: &str, asked: BTreeMap<String, Watch>, outage: Duration) -> anyhow::Result<()> {
    for watch in asked.values() {
        watch.goes_on(STEADY).await;
    }
    let (mut answered, mut failed, mut longest_gap) = (0, 0, Duration::ZERO);
    let (mut kept, mut broken) = (0, 0);
    for (name, watch) in asked {
        let noticed = watch.finish()?;
        println!("{what}, {name}: {noticed:?}");
        ensure!(noticed.longest_gap < outage, "{what}, {name}: {noticed:?}");
        answered += noticed.answered;
        failed += noticed.failed;
        longest_gap = longest_gap.max(noticed.longest_gap);
        kept += noticed.kept;
        broken += noticed.broken;
    }
    println!(
        "{what}: {failed} of {} requests failed, nothing was away for longer than {:.2} s, {broken} of {} connections broke",
        answered + failed,
        longest_gap.as_secs_f32(),
        kept + broken
    );
    Ok(())
}
