//! What MetalLB promises over BGP, on a whole cluster with a real router.
//!
//! One cluster serves all of them, one after the other, since they take power from its nodes.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::net::IpAddr;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, Node};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use metallb_crds::{BGPNodeStatus, ServiceBGPStatus};
use metallb_lab::routers::Router;
use metallb_lab::{Cluster, eventually, load_balancer};
use metallb_scenarios::bgp;
use metallb_scenarios::installation::{Installation, options};
use metallb_scenarios::outage::{Watch, ask};
use serde_json::json;

/// Long beside what it takes, as the machine may be busy.
const SOON: Duration = Duration::from_secs(30);
/// Requests that may be under way at one moment.
const UNDER_WAY: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metallb_with_a_router() {
    let cluster = Cluster::up(options("e2e-bgp").unwrap()).await.unwrap();
    let metallb = Installation::prepare(&cluster).await.unwrap();
    metallb.install_operator().await.unwrap();
    let leaving = json!({ "announceSeconds": 3, "flowSeconds": 2, "annotation": "example.org/leaving" });
    metallb.apply_metallb(&json!({ "logLevel": "debug", "nodeLeaving": leaving })).await.unwrap();
    metallb.run_hello().await.unwrap();
    let router = bgp::router(&cluster).await.unwrap();
    bgp::announce(&metallb).await.unwrap();
    let service = load_balancer("routed").for_app("hello").port(80).from_pool("routed");
    let service = metallb.user.create_service(service.external_traffic_policy_local()).await.unwrap();
    let address = metallb.address(&service).await;

    let scenario = Scenario { cluster: &cluster, metallb: &metallb, router: &router, address };
    scenario.the_router_spreads_connections_over_all_nodes().await;
    scenario.objects_and_events_say_how_it_stands().await;
    scenario.a_node_that_leaves_loses_no_request().await;
    scenario.a_restarted_speaker_loses_no_request().await;
    scenario.a_node_without_power_is_taken_out_by_bfd().await;
}

struct Scenario<'a> {
    cluster: &'a Cluster,
    metallb: &'a Installation,
    router: &'a Router,
    address: IpAddr,
}

impl Scenario<'_> {
    async fn the_router_spreads_connections_over_all_nodes(&self) {
        let paths = bgp::paths(self.router, self.address, self.cluster.nodes().len()).await;
        for path in &paths {
            assert_eq!(path.as_path, [bgp::CLUSTER_AS]);
            assert_eq!(path.communities, ["64500:7".to_owned()].into());
        }
        let remote = self.cluster.host("remote");
        let mut bodies = std::collections::BTreeSet::new();
        eventually(SOON, "every node has served a request", async || {
            if let Ok(body) = remote.inside(|| ask(self.address)).unwrap() {
                bodies.insert(body);
            }
            bodies.len() == self.cluster.nodes().len()
        })
        .await;
    }

    async fn objects_and_events_say_how_it_stands(&self) {
        let api: Api<BGPNodeStatus> = self.metallb.api();
        eventually(SOON, "every node says that its session is up", async || {
            let said = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
            let text = serde_json::to_string(&said).map_err(|error| error.to_string())?;
            let up = text.matches("\"state\":\"Established\"").count();
            if up == self.cluster.nodes().len() { Ok(()) } else { Err(text) }
        })
        .await;
        let api: Api<ServiceBGPStatus> = self.metallb.api();
        eventually(SOON, "every node says to whom it announces the service", async || {
            let said = api.list(&ListParams::default()).await.ok()?.items;
            let to_router = |status: &&ServiceBGPStatus| {
                status.status.as_ref().is_some_and(|status| status.peers == ["router"])
            };
            (said.iter().filter(to_router).count() == self.cluster.nodes().len()).then_some(())
        })
        .await;
        let api: Api<Event> = self.metallb.api();
        eventually(SOON, "an event tells that the session is up", async || {
            let events = api.list(&ListParams::default().fields("reason=SessionUp")).await.ok()?.items;
            let of_peer = |event: &&Event| event.involved_object.name.as_deref() == Some("router");
            events.iter().find(of_peer).map(|_| ())
        })
        .await;
    }

    /// Announced as going (RFC 8326), withdrawn, and only then gone: no request is lost, and the annotation's end brings
    /// the routes back. Where ways come and go, a router spreads flows anew, and a node that is given one of another's resets it: so
    /// what is under way at these two moments may break.
    async fn a_node_that_leaves_loses_no_request(&self) {
        let nodes: Api<Node> = Api::all(self.metallb.admin.client());
        let all = self.cluster.nodes();
        let annotate = async |value: serde_json::Value| {
            let patch = json!({ "metadata": { "annotations": { "example.org/leaving": value } } });
            nodes.patch(&all[0], &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        };
        let watch = Watch::start(&self.cluster.host("remote"), self.address);
        annotate(json!("")).await;
        let prefix = ipnet::IpNet::from(self.address).to_string();
        let going = |path: &&metallb_lab::routers::Path| path.communities.contains("65535:0");
        let marked = |paths: &[metallb_lab::routers::Path]| paths.iter().filter(going).count() == 1;
        self.router.route(&prefix, marked).await;
        bgp::paths(self.router, self.address, all.len() - 1).await;
        annotate(json!(null)).await;
        bgp::paths(self.router, self.address, all.len()).await;
        let noticed = watch.finish().unwrap();
        assert!(noticed.disruptions <= 2 && noticed.failed <= 2 * UNDER_WAY, "{noticed:?}");
    }

    /// Graceful restart keeps the routes, though BFD watches.
    async fn a_restarted_speaker_loses_no_request(&self) {
        let all = self.cluster.nodes();
        let watch = Watch::start(&self.cluster.host("remote"), self.address);
        let pods = self.metallb.pods("app=metallb,component=speaker").await.unwrap();
        let pod = pods.iter().find(|pod| pod.spec.as_ref().unwrap().node_name.as_deref() == Some(&all[1]));
        let name = pod.unwrap().metadata.name.clone().unwrap();
        let api: Api<k8s_openapi::api::core::v1::Pod> = self.metallb.api();
        api.delete(&name, &kube::api::DeleteParams::default()).await.unwrap();
        let prefix = ipnet::IpNet::from(self.address).to_string();
        // While it is away the router has a path that is stale, and uses it.
        self.router.route(&prefix, |paths| paths.iter().any(|path| path.stale)).await;
        bgp::paths(self.router, self.address, all.len()).await;
        let noticed = watch.finish().unwrap();
        assert_eq!(noticed.failed, 0, "{noticed:?}");
    }

    async fn a_node_without_power_is_taken_out_by_bfd(&self) {
        let all = self.cluster.nodes();
        bgp::watched(self.router, all.len()).await;
        let watch = Watch::start(&self.cluster.host("remote"), self.address);
        let gone = Instant::now();
        self.cluster.power_off(&all[2]).await.unwrap();
        bgp::paths(self.router, self.address, all.len() - 1).await;
        let took = gone.elapsed();
        let noticed = watch.finish().unwrap();
        // 150 ms to detect it; the rest is for a machine that does other work too.
        assert!(
            took < Duration::from_secs(5) && noticed.longest_gap < Duration::from_secs(3),
            "{took:?} {noticed:?}"
        );
        self.cluster.power_on(&all[2]).await.unwrap();
        bgp::paths(self.router, self.address, all.len()).await;
    }
}
