//! From a Subscription to a load balancer, and from one release to the next.

#![allow(clippy::unwrap_used)] // a scenario ends where it fails

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use metallb_lab::{Cluster, ClusterOptions, Host, Verdict, eventually, load_balancer};
use metallb_olm::images::{Packaged, Packed};
use metallb_olm::manager::{Manager, image_of};
use metallb_scenarios::installation::{Installation, NAMESPACE, ROLLED_OUT};
use metallb_scenarios::outage::{Load, Watch, ask};
use serde_json::json;

/// A kubelet replaces a pod in a second or two, and in more where machines are busy.
const GRACE: u16 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_leads_to_a_load_balancer_and_an_upgrade_loses_no_address() {
    let images = Packed::pack().unwrap();
    let options = ClusterOptions::named("olm").with_images(&images.archives);
    let cluster = Cluster::up(options).await.unwrap();
    let metallb = Installation::prepare(&cluster).await.unwrap();
    let manager = Manager::install(&metallb.user, &images).await.unwrap();
    let scenario = Scenario { cluster: &cluster, metallb: &metallb, manager: &manager };

    manager.add_catalog(&images.previous.catalog).await.unwrap();
    manager.subscribe().await.unwrap();
    manager.installed(&images.previous.release).await;
    let address = scenario.a_metallb_serves_an_address(&images.previous).await;
    scenario.admission_works_with_the_certificates_of_the_manager().await;
    scenario.an_upgrade_loses_no_address(&images.current, address).await;
    scenario.admission_works_with_the_certificates_of_the_manager().await;
    scenario.the_way_back_loses_no_address(&images.current, &images.previous, address).await;
}

struct Scenario<'a> {
    cluster: &'a Cluster,
    metallb: &'a Installation,
    manager: &'a Manager,
}

impl Scenario<'_> {
    fn client(&self) -> Host {
        self.cluster.host("client")
    }

    async fn a_metallb_serves_an_address(&self, package: &Packaged) -> IpAddr {
        self.metallb.apply_metallb(&json!({ "layer2": { "restartGraceSeconds": GRACE } })).await.unwrap();
        self.images_are_those_of(package).await;
        self.metallb.pool("lab", &["10.77.0.200-10.77.0.220"]).await.unwrap();
        self.metallb.run_hello().await.unwrap();
        let service = load_balancer("web").for_app("hello").port(80);
        let service = self.metallb.user.create_service(service).await.unwrap();
        let address = self.metallb.address(&service).await;
        let client = self.client();
        eventually(Duration::from_secs(30), "the client is answered", async || {
            client.inside(|| ask(address)).ok()?.ok()
        })
        .await;
        address
    }

    async fn admission_works_with_the_certificates_of_the_manager(&self) {
        // A bad pool is refused, with the reason. That the certificate is another one the API server hears a moment later.
        eventually(ROLLED_OUT, "a bad pool is refused with the reason", async || {
            let pool = json!({ "addresses": ["10.77.0.200/29"] });
            let bad = self.apply("v1beta1", "IPAddressPool", pool).await;
            assert!(!bad.status.success());
            let reasoned = bad.stderr.contains("overlaps with already defined CIDR");
            if reasoned { Verdict::Yes(()) } else { Verdict::NotYet(bad.stderr) }
        })
        .await;
        // So is an edit of the one MetalLB that cannot be acted on.
        let patch = r#"{"spec":{"bgpBackend":"none-such"}}"#;
        let refused = ["patch", "metallb", "metallb", "--type=merge", "-p", patch];
        let refused = self.metallb.admin.kubectl(refused).await.unwrap();
        assert!(!refused.status.success() && refused.stderr.contains("bgpBackend"), "{}", refused.stderr);
        // An old peer is stored as a new one.
        let peer = json!({ "myASN": 64512, "peerASN": 64513, "peerAddress": "10.77.0.1" });
        let applied = self.apply("v1beta1", "BGPPeer", peer).await;
        assert!(applied.status.success(), "{}", applied.stderr);
        let read =
            ["get", "bgppeers.v1beta2.metallb.io", "tried", "-o", "jsonpath={.apiVersion} {.spec.peerASN}"];
        let read = self.metallb.admin.kubectl(read).await.unwrap().success().unwrap();
        assert_eq!(read.trim(), "metallb.io/v1beta2 64513");
        self.metallb.admin.kubectl(["delete", "bgppeer", "tried"]).await.unwrap().success().unwrap();

        // None of it goes by what the operator would make without the manager.
        let client = self.metallb.user.client();
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        let configurations = configurations.list(&ListParams::default()).await.unwrap();
        let ours: Vec<_> = configurations
            .iter()
            .filter(|it| {
                it.labels().get("olm.owner.kind").is_some_and(|kind| kind == "ClusterServiceVersion")
            })
            .flat_map(|it| it.webhooks.iter().flatten())
            .collect();
        assert_eq!(ours.len(), 8, "six kinds, MetalLB, deletions");
        assert!(ours.iter().all(|webhook| webhook.client_config.ca_bundle.is_some()));
        let definitions: Api<CustomResourceDefinition> = Api::all(client);
        // Written apart from the webhooks that validate, and a moment after them at times.
        let converted_by = eventually(ROLLED_OUT, "the manager says who converts", async || {
            let peers = definitions.get("bgppeers.metallb.io").await.ok()?;
            peers.spec.conversion?.webhook?.client_config?.service
        })
        .await;
        assert_eq!(converted_by.name, "metallb-operator-controller-manager-service");
        let secrets: Api<Secret> = self.metallb.api();
        assert!(secrets.get_opt("metallb-webhook-cert").await.unwrap().is_none());
    }

    async fn an_upgrade_loses_no_address(&self, package: &Packaged, address: IpAddr) {
        let watch = self.ask(address).await;
        self.manager.publish(&package.catalog).await.unwrap();
        self.manager.installed(&package.release).await;
        self.nothing_was_lost(package, watch, address).await;
    }

    /// The operator is removed, what it installed stays, and the older one looks after it.
    async fn the_way_back_loses_no_address(&self, from: &Packaged, to: &Packaged, address: IpAddr) {
        let watch = self.ask(address).await;
        self.manager.publish(&to.catalog).await.unwrap();
        self.manager.remove(&from.release).await.unwrap();
        watch.goes_on(200).await;
        self.manager.forget_catalogs().await.unwrap();
        self.manager.subscribe().await.unwrap();
        self.manager.installed(&to.release).await;
        self.nothing_was_lost(to, watch, address).await;
    }

    async fn ask(&self, address: IpAddr) -> Watch {
        let watch = Watch::with(&self.client(), address, Load { rate: 100, long_lived: 2 });
        watch.goes_on(200).await;
        watch
    }

    async fn nothing_was_lost(&self, package: &Packaged, watch: Watch, address: IpAddr) {
        self.images_are_those_of(package).await;
        self.metallb.available().await;
        watch.goes_on(200).await;
        let noticed = watch.finish().unwrap();
        println!("to version {}: {noticed:?}", package.release.version);
        // One in a hundred may be late for want of processors. Whether connections stay open through a roll-out is for the
        // scenarios of faults: here operators, controllers and catalogs start beside it, and the machine is as busy as can be.
        assert!(noticed.failed <= noticed.answered / 100, "{noticed:?}");
        let services: Api<Service> = Api::default_namespaced(self.metallb.user.client());
        let service = services.get("web").await.unwrap();
        assert_eq!(self.metallb.address(&service).await, address);
    }

    /// Waits until operator, controller and speakers are those of a release.
    async fn images_are_those_of(&self, package: &Packaged) {
        let images = &package.release.images;
        let (deployments, daemon_sets): (Api<Deployment>, Api<DaemonSet>) =
            (self.metallb.api(), self.metallb.api());
        let version = &package.release.version;
        eventually(ROLLED_OUT, &format!("everything is of version {version}"), async || {
            let operator = deployments.get("metallb-operator-controller-manager").await;
            let controller = deployments.get("controller").await;
            let speaker = daemon_sets.get("speaker").await;
            let found =
                [operator.map(|it| json!(it)), controller.map(|it| json!(it)), speaker.map(|it| json!(it))];
            let found = found.map(|it| it.ok().as_ref().and_then(image_of).map(str::to_owned));
            let wanted = [&images.operator, &images.dataplane, &images.dataplane];
            let same = found.iter().zip(wanted).all(|(found, wanted)| found.as_ref() == Some(wanted));
            if same { Verdict::Yes(()) } else { Verdict::NotYet(format!("{found:?}")) }
        })
        .await;
    }

    async fn apply(&self, version: &str, kind: &str, spec: serde_json::Value) -> metallb_lab::Outcome {
        let object = json!({
            "apiVersion": format!("metallb.io/{version}"), "kind": kind,
            "metadata": { "name": "tried", "namespace": NAMESPACE }, "spec": spec,
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, object.to_string()).unwrap();
        self.metallb.admin.kubectl(["apply", "-f", file.path().to_str().unwrap()]).await.unwrap()
    }
}
