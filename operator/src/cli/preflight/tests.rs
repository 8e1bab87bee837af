//! What is said of clusters that others have set up. Fixtures are what a user's `kubectl get -o yaml` shows, in short.

use metallb_crds::MetalLB;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cluster::{Cluster, Kubernetes};
use super::installation::Installer;
use super::*;
use crate::cli::documents;
use crate::cli::inventory::Inventory;

const NAMESPACE: &str = "metallb-system";

fn object<K: DeserializeOwned>(text: &str) -> K {
    let value: Value = serde_saphyr::from_str(text).unwrap();
    metallb_crds::read(&value).unwrap()
}

/// Of 0.15, in the native mode, by manifests; everything about it is in order.
fn manifests() -> Cluster {
    let mut cluster = Cluster {
        namespace: NAMESPACE.to_owned(),
        kubernetes: Kubernetes { text: "v1.34.4".into(), version: Some((1, 34)) },
        daemon_sets: vec![object(&speaker("speaker", "", ""))],
        deployments: vec![object(&controller("app: metallb, component: controller"))],
        inventory: Some(Inventory::default()),
        ..Cluster::default()
    };
    for definition in metallb_crds::schema::all() {
        cluster.definitions.insert(definition.metadata.name.clone().unwrap(), definition);
    }
    cluster.metallbs = vec![metallb("{bgpBackend: native}")];
    cluster
}

fn metallb(spec: &str) -> Value {
    let spec: Value = serde_saphyr::from_str(spec).unwrap();
    let metallb = json!({
        "apiVersion": "metallb.io/v1beta1", "kind": "MetalLB",
        "metadata": { "name": "metallb", "namespace": NAMESPACE }, "spec": spec,
    });
    let _: MetalLB = metallb_crds::read(&metallb).unwrap();
    metallb
}

fn speaker(name: &str, more_metadata: &str, more_containers: &str) -> String {
    let labels = "{app: metallb, component: speaker}";
    format!(
        "{{metadata: {{name: {name}, namespace: {NAMESPACE}, labels: {labels}, {more_metadata}}}, spec: {{selector: \
         {{matchLabels: {labels}}}, template: {{metadata: {{labels: {labels}}}, spec: {{containers: [{{name: speaker, \
         image: 'registry.example/speaker:v0.15.2', args: [--port=7472, --lb-class=]}}{more_containers}]}}}}}}}}"
    )
}

fn controller(labels: &str) -> String {
    format!(
        "{{metadata: {{name: controller, namespace: {NAMESPACE}}}, spec: {{selector: {{matchLabels: {{{labels}}}}}, \
         template: {{metadata: {{labels: {{{labels}}}}}, spec: {{containers: [{{name: controller}}]}}}}}}}}"
    )
}

fn frr_k8s() -> String {
    format!(
        "{{metadata: {{name: frr-k8s, namespace: {NAMESPACE}}}, spec: {{selector: {{}}, template: {{}}}}}}"
    )
}

fn inventory(text: &str) -> Inventory {
    let mut read = Vec::new();
    documents::parse("x.yaml", text, &mut read).unwrap();
    Inventory::of(&read, NAMESPACE).unwrap()
}

/// Level and code of each remark, notes left out unless they are asked for.
fn said(cluster: &Cluster) -> Vec<(Level, String)> {
    let remarks = preflight(cluster).remarks;
    remarks.into_iter().map(|it| (it.level, it.code)).filter(|(level, _)| *level != Level::Note).collect()
}

fn noted(cluster: &Cluster) -> Vec<String> {
    let remarks = preflight(cluster).remarks;
    remarks.into_iter().filter(|it| it.level == Level::Note).map(|it| it.code).collect()
}

fn no_go(code: &str) -> Vec<(Level, String)> {
    vec![(Level::NoGo, code.to_owned())]
}

fn step(code: &str) -> Vec<(Level, String)> {
    vec![(Level::Step, code.to_owned())]
}

#[test]
fn manifests_in_order_can_be_taken_over() {
    let verdict = preflight(&manifests());
    assert!(verdict.go, "{verdict:?}");
    assert_eq!(verdict.remarks, []);
    assert_eq!(
        verdict.text(),
        "Kubernetes v1.34.4; MetalLB v0.15.2 in namespace metallb-system, installed by manifests, backend native\ngo\n"
    );
    assert_eq!(verdict.exit(), ExitCode::SUCCESS);
}

#[test]
fn into_an_empty_cluster_it_is_installed_and_wants_its_resource() {
    let cluster = Cluster { namespace: NAMESPACE.into(), ..Cluster::default() };
    let verdict = preflight(&cluster);
    assert_eq!((verdict.go, said(&cluster)), (true, step("metallb-missing")));
    assert!(verdict.text().contains("no MetalLB runs in namespace metallb-system"), "{}", verdict.text());
    assert!(verdict.text().ends_with("go, with 1 to be done on the way: docs/migration.md has the order\n"));
}

#[test]
fn a_reason_against_it_is_told_first_and_is_the_exit_status() {
    let mut cluster = manifests();
    cluster.metallbs.clear();
    cluster.kubernetes = Kubernetes { text: "v1.32.1".into(), version: Some((1, 32)) };
    let verdict = preflight(&cluster);
    let codes: Vec<&str> = verdict.remarks.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(codes, ["kubernetes-too-old", "metallb-missing"]);
    assert_eq!((verdict.go, verdict.exit()), (false, ExitCode::FAILURE));
    assert!(verdict.text().ends_with("no-go, for 1 of the above\n"), "{}", verdict.text());
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!((&json["go"], &json["remarks"][0]["level"]), (&json!(false), &json!("no-go")));
    assert_eq!(json["installation"]["by"], json!({ "kind": "manifests" }));
}

#[test]
fn who_installed_it_is_told_by_what_they_leave() {
    let by = |metadata: &str| {
        let cluster = Cluster { daemon_sets: vec![object(&speaker("speaker", metadata, ""))], ..manifests() };
        preflight(&cluster).installation.unwrap().by
    };
    let owner = "ownerReferences: [{apiVersion: metallb.io/v1beta1, kind: MetalLB, name: metallb, uid: u}]";
    assert_eq!(by(owner), Installer::Operator);
    assert_eq!(by(""), Installer::Manifests);
    let release = "annotations: {meta.helm.sh/release-name: lab}";
    assert_eq!(by(release), Installer::Helm { release: "lab".into() });

    let mut ours: Value = serde_saphyr::from_str(&speaker("speaker", "", "")).unwrap();
    let (key, value) = crate::render::OURS;
    ours["spec"]["template"]["metadata"]["annotations"][key] = value.into();
    let cluster = Cluster { daemon_sets: vec![metallb_crds::read(&ours).unwrap()], ..manifests() };
    assert_eq!(preflight(&cluster).installation.unwrap().by, Installer::Ourselves);
}

#[test]
fn how_it_speaks_bgp_is_told_by_its_containers_and_its_variable() {
    let backend = |containers: &str| {
        let cluster =
            Cluster { daemon_sets: vec![object(&speaker("speaker", "", containers))], ..manifests() };
        preflight(&cluster).installation.unwrap().bgp_backend
    };
    assert_eq!(backend(""), "native");
    assert_eq!(backend(", {name: frr}, {name: reloader}"), "frr");
    let with_variable = speaker("speaker", "", "")
        .replace("args: [", "env: [{name: METALLB_BGP_TYPE, value: frr-k8s}], args: [");
    let cluster = Cluster { daemon_sets: vec![object(&with_variable)], ..manifests() };
    assert_eq!(preflight(&cluster).installation.unwrap().bgp_backend, "frr-k8s");
}

#[test]
fn a_version_before_0_14_is_updated_first() {
    for (tag, expected) in [
        ("v0.13.12", no_go("version-too-old")),
        ("v0.14.9", vec![]),
        ("v0.16.1", vec![]),
        ("main", vec![]),
        ("v0.15.2@sha256:00", vec![]),
    ] {
        let set = speaker("speaker", "", "").replace("v0.15.2", tag);
        assert_eq!(said(&Cluster { daemon_sets: vec![object(&set)], ..manifests() }), expected, "{tag}");
    }
}

#[test]
fn speakers_in_another_namespace_would_announce_beside_ours() {
    let mut cluster = manifests();
    cluster.daemon_sets.push(object(&speaker("speaker", "", "").replace(NAMESPACE, "elsewhere")));
    assert_eq!(said(&cluster), no_go("another-namespace"));
}

#[test]
fn a_helm_release_is_deleted_by_hand_and_its_webhook_with_it() {
    let labels = "{app.kubernetes.io/name: metallb, app.kubernetes.io/component: speaker, \
                  app.kubernetes.io/instance: lab}";
    let set = speaker("lab-metallb-speaker", "", "").replace("{app: metallb, component: speaker}", labels);
    let mut cluster = Cluster { daemon_sets: vec![object(&set)], deployments: Vec::new(), ..manifests() };
    assert_eq!(said(&cluster), step("helm-release"));
    let webhook = "{metadata: {name: lab-webhook}, webhooks: [{name: x, admissionReviewVersions: [v1], sideEffects: None, \
                   clientConfig: {}, rules: [{apiGroups: [metallb.io], apiVersions: ['*'], resources: ['*'], operations: ['*']}]}]}";
    cluster.webhooks = vec![object(webhook)];
    assert_eq!(said(&cluster), [step("helm-release"), step("webhook-of-others")].concat());
    cluster.webhooks =
        vec![object(&webhook.replace("name: lab-webhook", "name: x, labels: {olm.owner: csv}"))];
    assert_eq!(said(&cluster), step("helm-release"), "OLM sees to that one");
    cluster.webhooks = vec![object(&webhook.replace("lab-webhook", "metallb-webhook-configuration"))];
    assert_eq!(said(&cluster), step("helm-release"), "that one becomes ours");
}

#[test]
fn a_workload_with_another_selector_cannot_be_taken_over() {
    let deployments = vec![object(&controller("app: metallb, component: controller, release: x"))];
    assert_eq!(said(&Cluster { deployments, ..manifests() }), no_go("selector-differs"));
}

#[test]
fn upstreams_operator_is_stopped_and_under_olm_by_its_subscription() {
    let operator = |more: &str| -> k8s_openapi::api::apps::v1::Deployment {
        object(&format!(
            "{{metadata: {{name: metallb-operator-controller-manager, namespace: {NAMESPACE}, {more}}}, spec: {{selector: {{}}, \
             template: {{spec: {{containers: [{{name: manager, env: [{{name: FRR_IMAGE, value: frr}}]}}]}}}}}}}}"
        ))
    };
    let mut cluster = manifests();
    let fix = |cluster: &Cluster| {
        let remarks = preflight(cluster).remarks;
        remarks.into_iter().find(|it| it.code == "upstream-operator").map(|it| it.fix)
    };
    cluster.deployments.push(operator(""));
    assert!(fix(&cluster).unwrap().starts_with("delete that Deployment"));
    let csv = "ownerReferences: [{apiVersion: operators.coreos.com/v1alpha1, kind: ClusterServiceVersion, name: c, uid: u}]";
    *cluster.deployments.last_mut().unwrap() = operator(csv);
    assert!(fix(&cluster).unwrap().contains("Subscription"));
    let mut ours = operator("");
    ours.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].env = None;
    *cluster.deployments.last_mut().unwrap() = ours;
    assert_eq!(fix(&cluster), None, "ours starts without an image of FRR");
}

#[test]
fn upstreams_webhook_server_goes_by_itself_unless_olm_brings_it_back() {
    let server = |more: &str| {
        object(&format!(
            "{{metadata: {{name: metallb-operator-webhook-server, namespace: {NAMESPACE}, {more}}}, spec: {{selector: {{}}, \
             template: {{}}}}}}"
        ))
    };
    let mut cluster = manifests();
    cluster.deployments.push(server(""));
    assert_eq!((said(&cluster), noted(&cluster)), (vec![], vec!["webhook-server".to_owned()]));
    let csv = "ownerReferences: [{apiVersion: operators.coreos.com/v1alpha1, kind: ClusterServiceVersion, name: c, uid: u}]";
    *cluster.deployments.last_mut().unwrap() = server(csv);
    assert_eq!(said(&cluster), step("webhook-server"));
}

#[test]
fn raw_configuration_is_a_reason_against_it_where_an_frr_reads_it() {
    let extras =
        format!("{{metadata: {{name: bgpextras, namespace: {NAMESPACE}}}, data: {{extras: router bgp 1}}}}");
    let with = |containers: &str, backend: &str| Cluster {
        bgp_extras: Some(object(&extras)),
        daemon_sets: vec![object(&speaker("speaker", "", containers))],
        metallbs: vec![metallb(&format!("{{bgpBackend: {backend}}}"))],
        ..manifests()
    };
    assert_eq!(said(&with(", {name: frr}", "frr")), no_go("raw-frr-configuration"));
    assert_eq!(said(&with("", "native")), []);
    assert_eq!(noted(&with("", "native")), ["raw-frr-configuration"]);
}

#[test]
fn frr_k8s_hands_its_sessions_over_unless_it_serves_others() {
    let mut cluster = manifests();
    cluster.daemon_sets.push(object(&frr_k8s()));
    cluster.frr_configurations = vec![(NAMESPACE.into(), "metallb-node-1".into())];
    assert_eq!((said(&cluster), noted(&cluster)), (vec![], vec!["frr-k8s-sessions".to_owned()]));
    cluster.frr_configurations.push((NAMESPACE.into(), "mine".into()));
    assert_eq!(said(&cluster), no_go("frr-k8s-serves-others"));
    cluster.metallbs =
        vec![metallb("{bgpBackend: frr-k8s-external, frrk8sConfig: {namespace: metallb-system}}")];
    assert_eq!((said(&cluster), noted(&cluster)), (vec![], vec!["frr-k8s-kept".to_owned()]));
}

#[test]
fn configurations_of_others_need_an_frr_k8s_somewhere() {
    let mut cluster = manifests();
    cluster.frr_configurations = vec![("routers".into(), "mine".into())];
    assert_eq!(said(&cluster), no_go("frr-configurations-unserved"));
    cluster.daemon_sets.push(object(&frr_k8s().replace(NAMESPACE, "routers")));
    assert_eq!(said(&cluster), []);
}

#[test]
fn frr_k8s_webhook_without_its_service_refuses_everything() {
    let webhook = |namespace: &str| {
        object(&format!(
            "{{metadata: {{name: frr-k8s-validating-webhook-configuration}}, webhooks: [{{name: x, admissionReviewVersions: [v1], \
             sideEffects: None, clientConfig: {{service: {{name: frr-k8s-webhook-service, namespace: {namespace}}}}}}}]}}"
        ))
    };
    let mut cluster = manifests();
    cluster.webhooks = vec![webhook("gone")];
    assert_eq!(said(&cluster), step("frr-k8s-webhook-without-service"));
    cluster.webhooks = vec![webhook(NAMESPACE)];
    assert_eq!(noted(&cluster), ["frr-k8s-webhook-without-service"], "the operator sees to it");
    cluster.services = vec![(NAMESPACE.into(), "frr-k8s-webhook-service".into())];
    assert_eq!(noted(&cluster), Vec::<String>::new());
}

#[test]
fn a_denial_of_everything_is_opened_unless_it_is_upstreams() {
    let policy = |name: &str, spec: &str| {
        object(&format!("{{metadata: {{name: {name}, namespace: {NAMESPACE}}}, spec: {spec}}}"))
    };
    let denial = || policy("default-deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}");
    let mut cluster = manifests();
    cluster.policies = vec![denial()];
    assert_eq!(said(&cluster), step("default-deny"));
    cluster
        .policies
        .push(policy("operator", "{podSelector: {matchLabels: {control-plane: controller-manager}}}"));
    assert_eq!((said(&cluster), noted(&cluster)), (vec![], vec!["default-deny".to_owned()]));
    cluster.policies = vec![policy("some", "{podSelector: {}, ingress: [{}]}")];
    assert_eq!(said(&cluster), [], "it lets everybody in");
    cluster.policies = vec![policy("some", "{podSelector: {matchLabels: {app: mine}}}")];
    assert_eq!(said(&cluster), [], "it is about others");
}

#[test]
fn ipvs_without_strict_arp_answers_for_every_address() {
    let with = |settings: &str| {
        let settings = json!({ "metadata": { "name": "kube-proxy" }, "data": { "config.conf": settings } });
        Cluster { kube_proxy: Some(metallb_crds::read(&settings).unwrap()), ..manifests() }
    };
    assert_eq!(said(&with("mode: ipvs\nipvs: {strictARP: false}")), step("kube-proxy-answers-arp"));
    assert_eq!(said(&with("mode: ipvs")), step("kube-proxy-answers-arp"));
    assert_eq!(said(&with("mode: ipvs\nipvs: {strictARP: true}")), []);
    assert_eq!(said(&with("mode: iptables")), []);
}

#[test]
fn kinds_of_old_are_no_longer_read() {
    let mut cluster = manifests();
    cluster.address_pools = vec![(NAMESPACE.into(), "old".into())];
    assert_eq!(said(&cluster), no_go("address-pools"));
    let mut cluster = manifests();
    cluster.definitions.remove("l2advertisements.metallb.io");
    assert_eq!(said(&cluster), no_go("kinds-missing"));
}

#[test]
fn which_secret_speakers_share_is_noted() {
    let with = |names: &[&str]| {
        let secrets = Some(names.iter().map(|&name| name.to_owned()).collect());
        let remarks = preflight(&Cluster { secrets, ..manifests() }).remarks;
        remarks.into_iter().find(|it| it.code == "memberlist-secret").unwrap().object
    };
    assert_eq!(with(&["memberlist"]), "Secret memberlist");
    assert_eq!(with(&["memberlist", "metallb-memberlist"]), "Secret metallb-memberlist");
    assert_eq!(with(&[]), "Secret metallb-memberlist");
}

const POOL: &str = "{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: lab}, \
                    spec: {addresses: [192.0.2.0/28]}}\n";

#[test]
fn an_object_that_would_be_set_aside_is_a_reason_against_it() {
    let bad = POOL.replace("192.0.2.0/28", "192.0.2.1");
    let cluster = Cluster { inventory: Some(inventory(&bad)), ..manifests() };
    assert_eq!(said(&cluster), no_go("pool-bad-addresses"));
    let cluster = Cluster { inventory: Some(inventory(POOL)), ..manifests() };
    assert_eq!((said(&cluster), noted(&cluster)), (vec![], vec!["pool-not-advertised".to_owned()]));
}

#[test]
fn an_address_that_fits_no_pool_is_a_reason_against_it() {
    let service = |address: &str| {
        format!(
            "{POOL}---\n{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {{type: LoadBalancer, clusterIP: 10.0.0.9, \
             clusterIPs: [10.0.0.9]}}, status: {{loadBalancer: {{ingress: [{{ip: {address}}}]}}}}}}"
        )
    };
    let with = |address: &str| Cluster { inventory: Some(inventory(&service(address))), ..manifests() };
    assert_eq!(said(&with("192.0.2.9")), []);
    assert_eq!(said(&with("203.0.113.9")), no_go("addresses-change"));
    let remarks = preflight(&with("203.0.113.9")).remarks;
    assert_eq!(remarks[0].object, "Service default/web");
    assert!(remarks[0].sentence.contains("203.0.113.9"), "{}", remarks[0].sentence);
}

#[test]
fn the_resource_asks_for_what_runs() {
    let with = |spec: &str| Cluster { metallbs: vec![metallb(spec)], ..manifests() };
    assert_eq!(said(&with("{}")), step("backend-differs"), "without a backend it is FRR's");
    assert_eq!(said(&with("{bgpBackend: bird}"))[0].1, "unknown-bgp-backend");
    assert_eq!(
        said(&with("{bgpBackend: native, loadBalancerClass: lab}")),
        no_go("load-balancer-class-differs")
    );
    let mut cluster = manifests();
    cluster.metallbs[0]["metadata"]["name"] = "other".into();
    assert_eq!(said(&cluster), [step("metallb-misplaced"), step("metallb-missing")].concat());
    cluster.metallbs.clear();
    let remarks = preflight(&cluster).remarks;
    assert!(remarks[0].fix.contains("spec.bgpBackend native"), "{}", remarks[0].fix);
}

#[test]
fn every_code_is_explained_in_the_document_that_tells_to_ask() {
    let sources = [
        include_str!("frr.rs"),
        include_str!("objects.rs"),
        include_str!("surroundings.rs"),
        include_str!("workloads.rs"),
    ];
    let document = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/migration.md"));
    let code = regex::Regex::new(r#"Remark::new\(\s*(?:Level::\w+|level),\s*"([a-z0-9-]+)""#).unwrap();
    let codes: Vec<&str> = sources
        .iter()
        .flat_map(|source| code.captures_iter(source))
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    assert!(codes.len() > 20, "{codes:?}");
    for code in codes {
        assert!(document.contains(&format!("`{code}`")), "{code}");
    }
}
