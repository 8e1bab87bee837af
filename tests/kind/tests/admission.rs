//! What users are told when they edit the configuration, and what mistakes cost, on a whole cluster as the manifest
//! installs it: one of the lab, or the one of kind that `run-on-kind` makes.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use metallb_lab::{Cluster, Outcome, eventually, load_balancer};
use metallb_scenarios::installation::{Installation, NAMESPACE, options};
use metallb_scenarios::kind::{Access, Kind};
use metallb_scenarios::layer2;
use metallb_scenarios::place::{Machine as _, Place};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn editing_the_configuration_of_a_whole_cluster() {
    match Access::given().unwrap() {
        Some(access) => told_on(&Kind::open(access).await.unwrap()).await,
        None => told_on(&Cluster::up(options("edits").unwrap().nodes(2)).await.unwrap()).await,
    }
}

async fn told_on(place: &impl Place) {
    let metallb = Installation::prepare(place).await.unwrap();
    metallb.install_operator().await.unwrap();
    metallb.apply_metallb(&json!({})).await.unwrap();
    metallb.pool("lab", &[&place.addresses().v4s(200, 250)]).await.unwrap();
    metallb.run_hello().await.unwrap();

    let scenario = Scenario { place, metallb: &metallb };
    scenario.a_mistake_is_refused_with_every_reason_and_a_dangling_reference_only_warns().await;
    scenario.an_edit_that_takes_addresses_is_made_and_says_from_whom().await;
    scenario.an_old_bgp_peer_comes_back_as_it_was_written().await;
    scenario.a_lease_holder_that_was_stopped_past_expiry_gives_nothing_twice().await;
    scenario.malformed_objects_of_every_kind_disturb_nothing_else_also_over_a_restart().await;
}

struct Scenario<'a, P> {
    place: &'a P,
    metallb: &'a Installation,
}

impl<P: Place> Scenario<'_, P> {
    /// `kubectl apply` of an object of metallb.io in MetalLB's namespace.
    async fn apply(&self, version: &str, kind: &str, name: &str, spec: Value) -> Outcome {
        let object = json!({
            "apiVersion": format!("metallb.io/{version}"), "kind": kind,
            "metadata": { "name": name, "namespace": NAMESPACE }, "spec": spec,
        });
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("object.json");
        std::fs::write(&file, object.to_string()).unwrap();
        self.metallb.admin.kubectl(["apply", "-f", file.to_str().unwrap()]).await.unwrap()
    }

    fn services(&self) -> Api<Service> {
        Api::default_namespaced(self.metallb.user.client())
    }

    async fn given(&self) -> BTreeMap<String, Vec<IpAddr>> {
        let list = self.services().list(&ListParams::default()).await.unwrap();
        let mut given = BTreeMap::new();
        for service in list {
            let addresses = self.metallb.user.ingress_ips(&service).await.unwrap();
            if !addresses.is_empty() {
                given.insert(service.name_any(), addresses);
            }
        }
        given
    }

    async fn serve(&self, name: &str) -> Service {
        let service = load_balancer(name).for_app("hello").port(80);
        let service = self.metallb.user.create_service(service).await.unwrap();
        self.metallb.address(&service).await;
        service
    }

    async fn a_mistake_is_refused_with_every_reason_and_a_dangling_reference_only_warns(&self) {
        let taken = format!("{}/28", self.place.addresses().v4(240));
        let refused =
            self.apply("v1beta1", "IPAddressPool", "twice", json!({ "addresses": [taken, "10.9.0.1"] }));
        let refused = refused.await;
        assert!(!refused.status.success());
        assert!(refused.stderr.contains("10.9.0.1/32"), "{}", refused.stderr); // how to write it
        let overlap = self.apply("v1beta1", "IPAddressPool", "twice", json!({ "addresses": [taken] })).await;
        assert!(overlap.stderr.contains("overlaps with already defined CIDR"), "{}", overlap.stderr);
        assert!(overlap.stderr.contains("lab"), "{}", overlap.stderr);

        let peer = json!({ "myASN": 0, "peerAddress": "router.example", "routerID": "fd00::1" });
        let refused = self.apply("v1beta2", "BGPPeer", "router", peer).await;
        assert!(!refused.status.success());
        for reason in ["invalid BGPPeer address", "routerID", "myASN", "peerASN"] {
            assert!(refused.stderr.contains(reason), "{reason} is missing: {}", refused.stderr);
        }

        let dangling =
            self.apply("v1beta1", "L2Advertisement", "early", json!({ "ipAddressPools": ["later"] })).await;
        assert!(dangling.status.success(), "{}", dangling.stderr);
        assert!(
            dangling.stderr.contains("Warning") && dangling.stderr.contains("later"),
            "{}",
            dangling.stderr
        );
        self.metallb.admin.kubectl(["delete", "l2advertisement", "early"]).await.unwrap().success().unwrap();
    }

    async fn an_edit_that_takes_addresses_is_made_and_says_from_whom(&self) {
        let service = self.serve("moves").await;
        let before = self.metallb.address(&service).await;
        let spec = json!({ "addresses": [self.place.addresses().v4s(230, 250)] });
        let warned = self.apply("v1beta1", "IPAddressPool", "lab", spec).await;
        assert!(warned.status.success(), "{}", warned.stderr);
        assert!(
            warned.stderr.contains("default/moves") && warned.stderr.contains(&before.to_string()),
            "{}",
            warned.stderr
        );
        eventually(Duration::from_secs(20), "the service has an address of the pool as it is", async || {
            let now = self.metallb.user.ingress_ips(&service).await.ok()?;
            (!now.is_empty() && !now.contains(&before)).then_some(())
        })
        .await;
        let deleted =
            self.metallb.admin.kubectl(["delete", "ipaddresspool", "lab", "--dry-run=server"]).await.unwrap();
        assert!(deleted.stderr.contains("default/moves"), "{}", deleted.stderr);
    }

    async fn an_old_bgp_peer_comes_back_as_it_was_written(&self) {
        let written = json!({
            "myASN": 64512, "peerASN": 64513, "peerAddress": "10.77.0.1", "holdTime": "90s", "keepaliveTime": "30s",
            "nodeSelectors": [{ "matchLabels": { "rack": "1" } }],
        });
        self.apply("v1beta1", "BGPPeer", "old", written.clone()).await.success().unwrap();
        let read = |version: &str| {
            let resource = format!("bgppeers.{version}.metallb.io");
            async move {
                let found =
                    self.metallb.admin.kubectl(["get", &resource, "old", "-o", "json"]).await.unwrap();
                let found: Value = serde_json::from_str(&found.success().unwrap()).unwrap();
                found["spec"].clone()
            }
        };
        assert_eq!(read("v1beta1").await, written);
        let new = read("v1beta2").await;
        assert_eq!((&new["holdTime"], &new["peerASN"]), (&json!("90s"), &json!(64513)), "{new}");
        self.metallb.admin.kubectl(["delete", "bgppeer", "old"]).await.unwrap().success().unwrap();
    }

    async fn a_lease_holder_that_was_stopped_past_expiry_gives_nothing_twice(&self) {
        let scale = |replicas: &'static str| async move {
            let args = ["scale", "deployment", "controller", replicas];
            self.metallb.admin.kubectl(args).await.unwrap().success().unwrap();
        };
        scale("--replicas=2").await;
        let pods = async || self.metallb.pods("app=metallb,component=controller").await.unwrap();
        eventually(Duration::from_mins(1), "two controllers run", async || {
            let running = |phase: Option<&str>| phase == Some("Running");
            let pods = pods().await;
            pods.iter().filter(|pod| running(pod.status.as_ref().and_then(|it| it.phase.as_deref()))).count()
                == 2
        })
        .await;
        let holder = self.holder().await.unwrap();
        let pod = pods().await.into_iter().find(|pod| pod.name_any() == holder).unwrap();
        let node = self.place.node(pod.spec.unwrap().node_name.as_deref().unwrap());
        let find = format!(
            "for pid in $(pgrep -f ^/controller); do grep -qz METALLB_POD_NAME={holder} /proc/$pid/environ && echo $pid; done"
        );
        let pid = node.run(&["sh", "-c", &find]).await.unwrap().success().unwrap();
        for n in 0..5 {
            let service = load_balancer(format!("stopped-{n}")).for_app("hello").port(80);
            self.metallb.user.create_service(service).await.unwrap();
        }
        node.run(&["kill", "-STOP", &pid]).await.unwrap().success().unwrap();
        for n in 5..10 {
            let service = load_balancer(format!("stopped-{n}")).for_app("hello").port(80);
            self.metallb.user.create_service(service).await.unwrap();
        }
        eventually(Duration::from_mins(1), "the other one took the lease", async || {
            self.holder().await.is_some_and(|now| now != holder)
        })
        .await;
        eventually(Duration::from_mins(1), "all have an address", async || self.given().await.len() == 11)
            .await;
        let given = self.given().await;
        node.run(&["kill", "-CONT", &pid]).await.unwrap().success().unwrap();
        let more = self.serve("after").await;
        self.metallb.address(&more).await;
        let now = self.given().await;
        assert!(
            given.iter().all(|(service, addresses)| now.get(service) == Some(addresses)),
            "{given:?} {now:?}"
        );
        let mut addresses: Vec<_> = now.values().flatten().collect();
        addresses.sort();
        let count = addresses.len();
        addresses.dedup();
        assert_eq!(addresses.len(), count, "an address was given twice: {now:?}");
        scale("--replicas=1").await;
    }

    async fn holder(&self) -> Option<String> {
        let leases: Api<Lease> = Api::namespaced(self.metallb.admin.client(), NAMESPACE);
        leases.get("metallb-controller").await.ok()?.spec?.holder_identity.filter(|it| !it.is_empty())
    }

    async fn malformed_objects_of_every_kind_disturb_nothing_else_also_over_a_restart(&self) {
        let before = self.given().await;
        self.open_the_gates().await;
        for (version, kind) in [
            ("v1beta1", "IPAddressPool"),
            ("v1beta1", "L2Advertisement"),
            ("v1beta1", "BGPAdvertisement"),
            ("v1beta2", "BGPPeer"),
            ("v1beta1", "BFDProfile"),
            ("v1beta1", "Community"),
        ] {
            let nonsense = json!({
                "addresses": 7, "ipAddressPools": 7, "myASN": "x", "peerASN": [], "receiveInterval": {}, "communities": 7,
            });
            let written = self.apply(version, kind, "malformed", nonsense).await;
            assert!(written.status.success(), "{kind}: {}", written.stderr);
        }
        let service = self.serve("in-spite").await;
        let address = self.metallb.address(&service).await;
        layer2::answered_by_one(self.place, address).await.unwrap();
        self.metallb.rollout_restart("controller").await.unwrap();
        self.metallb
            .admin
            .kubectl(["rollout", "restart", "daemonset", "speaker"])
            .await
            .unwrap()
            .success()
            .unwrap();
        let waits = ["rollout", "status", "daemonset", "speaker", "--timeout=90s"];
        self.metallb.admin.kubectl(waits).await.unwrap().success().unwrap();
        let after = self.given().await;
        assert!(
            before.iter().all(|(service, addresses)| after.get(service) == Some(addresses)),
            "{before:?} {after:?}"
        );
        layer2::answered_by_one(self.place, address).await.unwrap();
        let service = self.serve("after-all").await;
        layer2::answered_by_one(self.place, self.metallb.address(&service).await).await.unwrap();
    }

    /// No webhooks, and no schemas: as if the objects had been stored before there were any.
    async fn open_the_gates(&self) {
        let client = self.metallb.admin.client();
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        for configuration in webhooks.list(&ListParams::default()).await.unwrap() {
            webhooks.delete(&configuration.name_any(), &DeleteParams::default()).await.unwrap();
        }
        let definitions: Api<CustomResourceDefinition> = Api::all(client);
        for mut definition in definitions.list(&ListParams::default()).await.unwrap() {
            if definition.spec.group != "metallb.io" || definition.spec.names.kind == "MetalLB" {
                continue;
            }
            let mut patch = serde_json::to_value(&definition.spec.versions).unwrap();
            for version in patch.as_array_mut().unwrap() {
                version["schema"] = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
            }
            let patch = Patch::Merge(json!({ "spec": { "versions": patch } }));
            definition =
                definitions.patch(&definition.name_any(), &PatchParams::default(), &patch).await.unwrap();
            assert_eq!(definition.spec.group, "metallb.io");
        }
    }
}
