//! An API server with all that a speaker goes by: a node, routers, a pool, and services that have addresses and endpoints.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use metallb_crds::schema;
use metallb_lab::{ApiServer, User, eventually, load_balancer};
use serde_json::{Value, json};

use super::site::{NODE, NODE_AS, ROUTER_AS, ROUTERS};

/// The speaker's node.
pub const NODE_NAME: &str = "bench-node";
/// Its pod.
pub const POD: &str = "speaker";
/// Requests under way at once.
const CONCURRENCY: usize = 16;
/// Nothing that is prepared here takes this long.
const PATIENCE: Duration = Duration::from_mins(2);

/// Whether endpoints are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// They are: the address is announced.
    Ready,
    /// They are not.
    Unready,
}

/// How the routers are watched by BFD, in the order of [`ROUTERS`]: milliseconds, three of which may pass. None at all
/// for routers that speak no BFD.
pub type Intervals = Option<[u32; 4]>;

/// How services are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// To the routers.
    Bgp(Intervals),
    /// To the LAN.
    Layer2,
}

/// An API server of its own, which ends when it is dropped.
pub struct World {
    server: ApiServer,
    system: User,
    services: Api<Service>,
    slices: Api<EndpointSlice>,
}

impl World {
    /// With `count` services that are to be announced.
    pub async fn with(count: usize, announced: Announced) -> Result<Self> {
        let server = ApiServer::start_plain().await?;
        let admin = server.admin().await?;
        for definition in schema::all() {
            admin.apply_yaml(&serde_json::to_string(&definition)?).await?;
        }
        let system = admin.in_new_namespace().await?;
        let user = admin.in_new_namespace().await?;
        let services = Api::namespaced(user.client(), user.namespace());
        let slices = Api::namespaced(user.client(), user.namespace());
        let world = Self { server, system, services, slices };
        world.configure(announced).await?;
        let create = |n| world.create(n, Endpoints::Ready);
        stream::iter(0..count).map(create).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
        Ok(world)
    }

    /// Where the API server is.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// MetalLB's namespace.
    pub fn namespace(&self) -> &str {
        self.system.namespace()
    }

    /// For the speaker.
    pub fn kubeconfig(&self) -> &Path {
        self.system.kubeconfig()
    }

    async fn configure(&self, announced: Announced) -> Result<()> {
        let metadata = |name: &str| json!({ "name": name, "namespace": self.namespace() });
        let mut objects = vec![
            json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE_NAME } }),
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": metadata(POD),
                "spec": { "containers": [{ "name": "speaker", "image": "none.example/none:1" }] },
            }),
            json!({
                "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": metadata("bench"),
                "spec": { "addresses": ["10.200.0.0/16"] },
            }),
        ];
        let (kind, routers, bfd) = match announced {
            Announced::Bgp(bfd) => ("BGPAdvertisement", &ROUTERS[..], bfd),
            Announced::Layer2 => ("L2Advertisement", &[][..], None),
        };
        objects.push(json!({
            "apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": metadata("bench"),
            "spec": { "ipAddressPools": ["bench"] },
        }));
        for (router, n) in routers.iter().zip(0_usize..) {
            let mut spec = json!({
                "myASN": NODE_AS, "peerASN": ROUTER_AS, "peerAddress": router.to_string(),
                "holdTime": "90s", "keepaliveTime": "30s",
            });
            if let Some(interval) = bfd.and_then(|intervals| intervals.get(n).copied()) {
                let profile = format!("every-{interval}");
                objects.push(json!({
                    "apiVersion": "metallb.io/v1beta1", "kind": "BFDProfile", "metadata": metadata(&profile),
                    "spec": {
                        "receiveInterval": interval, "transmitInterval": interval, "detectMultiplier": 3,
                    },
                }));
                spec["bfdProfile"] = Value::from(profile);
            }
            let name = format!("tor-{}", n + 1);
            objects.push(json!({
                "apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": metadata(&name), "spec": spec,
            }));
        }
        for object in objects {
            // A kind that was defined a moment ago may not be served yet.
            let what = format!("{} is there", object["kind"]);
            eventually(PATIENCE, &what, async || self.system.apply_yaml(&object.to_string()).await).await;
        }
        let nodes: Api<Node> = Api::all(self.system.client());
        let status = json!({
            "status": { "addresses": [{ "type": "InternalIP", "address": NODE.to_string() }] },
        });
        nodes.patch_status(NODE_NAME, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }

    /// Creates the service of that number, with its address and an endpoint on the node.
    pub async fn create(&self, n: usize, endpoints: Endpoints) -> Result<()> {
        let name = name(n);
        let mut service = load_balancer(&name).port(80).build();
        service.metadata.namespace = None;
        if let Some(spec) = &mut service.spec {
            spec.allocate_load_balancer_node_ports = Some(false); // there are fewer than 3,000 of them
        }
        self.services.create(&PostParams::default(), &service).await.context("create a service")?;
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/service-name": name } },
            "addressType": "IPv4",
            "ports": [{ "port": 8080, "protocol": "TCP" }],
            "endpoints": endpoint(endpoints),
        }))?;
        self.slices.create(&PostParams::default(), &slice).await.context("create its endpoints")?;
        let address = address(n).to_string();
        let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": address }] } } });
        let patch = Patch::Merge(status);
        self.services
            .patch_status(&name, &PatchParams::default(), &patch)
            .await
            .context("give it an address")?;
        Ok(())
    }

    /// Labels the node anew: everything is decided again.
    pub async fn relabel(&self, number: usize) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.system.client());
        let patch = Patch::Merge(json!({ "metadata": { "labels": { "bench": number.to_string() } } }));
        nodes.patch(NODE_NAME, &PatchParams::default(), &patch).await.context("label the node")?;
        Ok(())
    }

    /// Makes the endpoint of a service ready, or unready.
    pub async fn set(&self, n: usize, endpoints: Endpoints) -> Result<()> {
        let patch = Patch::Merge(json!({ "endpoints": endpoint(endpoints) }));
        self.slices.patch(&name(n), &PatchParams::default(), &patch).await.context("change an endpoint")?;
        Ok(())
    }
}

fn name(n: usize) -> String {
    format!("bench-{n}")
}

/// The address of the service of that number.
pub fn address(n: usize) -> Ipv4Addr {
    let [_, _, high, low] = u32::try_from(n).unwrap_or_default().to_be_bytes();
    Ipv4Addr::new(10, 200, high, low)
}

fn endpoint(endpoints: Endpoints) -> Value {
    let ready = endpoints == Endpoints::Ready;
    json!([{ "addresses": ["10.244.0.7"], "nodeName": NODE_NAME, "conditions": { "ready": ready } }])
}
