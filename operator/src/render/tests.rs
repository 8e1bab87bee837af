//! The first snapshot holds everything that a `MetalLB` without a spec comes to; the others hold the objects that are
//! different, and the names of those that are gone.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use metallb_crds::MetalLB;
use serde_json::json;

use super::*;
use crate::environment::Environment;
use crate::wanted::{OF_BOTH, OF_SPEAKER, OWN_VARIABLES, Wanted};

mod openshift;

const SAMPLE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples/metallb_customised.yaml"));

#[test]
fn a_metallb_without_a_spec_comes_to_this() {
    insta::assert_snapshot!(documents(&rendered("{}", &[])));
}

#[test]
fn every_field_reaches_the_workloads() {
    let spec = r#"
        image: "of old"
        nodeSelector: { role: edge, kubernetes.io/os: openwrt }
        speakerTolerations:
        - { key: dedicated, operator: Equal, value: edge, effect: NoExecute, tolerationSeconds: 60 }
        - { key: other, operator: Exists }
        logLevel: debug
        loadBalancerClass: example.com/mine
        controllerNodeSelector: { role: infra }
        controllerTolerations: [{ key: infra, operator: Exists, effect: NoSchedule }]
        controllerConfig:
          priorityClassName: system-cluster-critical
          runtimeClassName: gvisor
          annotations: { controller: demo }
          resources: { limits: { cpu: 200m }, requests: { memory: 64Mi } }
          affinity:
            podAffinity:
              requiredDuringSchedulingIgnoredDuringExecution:
              - { labelSelector: { matchLabels: { app: web } }, topologyKey: kubernetes.io/hostname }
        speakerConfig:
          priorityClassName: system-node-critical
          runtimeClassName: kata
          annotations: { speaker: demo }
          resources: { limits: { cpu: 100m } }
          affinity:
            nodeAffinity:
              preferredDuringSchedulingIgnoredDuringExecution:
              - { weight: 10, preference: { matchExpressions: [{ key: fast, operator: Exists }] } }
        bgpBackend: frr-k8s-external
        frrk8sConfig: { namespace: routers, secretPassthrough: true, alwaysBlock: [192.168.1.0/24] }
    "#;
    insta::assert_snapshot!(different(&rendered(spec, &[])));
}

#[test]
fn every_field_that_only_we_have_reaches_the_workloads() {
    let spec = r#"
        ignoreExcludeLB: true
        bgpListenPort: 179
        imagePullSecrets: [{ name: registry }]
        speakerUpdateStrategy: { rollingUpdate: { maxUnavailable: 2 } }
        controllerReplicas: 2
        networkPolicy: { apiServerPorts: [8443] }
        layer2: { excludedInterfaces: ['^br-"x"$'], conflictPolicy: ProbeFirst, restartGraceSeconds: 7, refreshSeconds: 9 }
        nodeLeaving: { taint: out, annotation: away, announceSeconds: 1, flowSeconds: 2 }
        controllerConfig: { env: { A: b }, extraArgs: [--pprof-bind-address=x] }
        speakerConfig: { env: { METALLB_BGP_DEBOUNCE_TIMEOUT: "50" }, extraArgs: [--ml-wan-config] }
    "#;
    insta::assert_snapshot!(different(&rendered(spec, &[])));
}

#[test]
fn variables_of_the_user_are_refused_where_the_operator_sets_them() {
    let spec = "{nodeLeaving: {taint: a, annotation: b}}";
    let mut own = Vec::new();
    for component in [CONTROLLER, SPEAKER] {
        let pod = pod(&rendered(spec, &[]), component);
        own.extend(pod.containers[0].env.iter().flatten().map(|variable| variable.name.clone()));
    }
    own.retain(|name| !OWN_VARIABLES.contains(&name.as_str()));
    assert_eq!(own, [""; 0], "and not in OWN_VARIABLES");
}

#[test]
fn no_flag_that_the_operator_sets_is_offered_to_the_user() {
    let spec = "{bgpBackend: frr-k8s-external, frrk8sConfig: {namespace: a, secretPassthrough: true}, bgpListenPort: 179,
                 ignoreExcludeLB: true, loadBalancerClass: example.com/mine}";
    let variables = [
        ("TLS_MIN_VERSION", "VersionTLS12"),
        ("TLS_CIPHER_SUITES", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        ("TLS_CURVE_PREFERENCES", "29"),
        ("DEPLOY_SERVICEMONITORS", "true"),
    ];
    let platform = Platform { security_context_constraints: Served::Yes, service_ca: ServiceCa::Awaited };
    let objects = render_in(spec, &variables, Circumstances { platform, ..circumstances(Served::Yes) });
    let all = [CONTROLLER, SPEAKER].map(|component| args(&objects, component)).concat();
    let flags = all.iter().map(|arg| arg.trim_start_matches('-').split('=').next().unwrap_or_default());
    let flags: std::collections::BTreeSet<_> = flags.collect();
    assert!(flags.len() > 10, "{flags:?}");
    let offered: Vec<_> =
        OF_SPEAKER.iter().chain(&OF_BOTH).filter(|offered| flags.contains(**offered)).collect();
    assert_eq!(offered, [&""; 0]);
}

#[test]
fn only_a_low_port_needs_a_right() {
    for (port, expected) in [
        (0, &["NET_RAW"][..]),
        (179, &["NET_BIND_SERVICE", "NET_RAW"]),
        (1023, &["NET_BIND_SERVICE", "NET_RAW"]),
        (1024, &["NET_RAW"]),
    ] {
        let pod = pod(&rendered(&format!("bgpListenPort: {port}"), &[]), SPEAKER);
        let context = pod.containers[0].security_context.clone().unwrap();
        assert_eq!(context.capabilities.unwrap().add.unwrap(), expected, "{port}");
    }
}

#[test]
fn no_interface_may_be_excluded() {
    let objects = rendered("layer2: {excludedInterfaces: []}", &[]);
    let text = objects.iter().find_map(|object| match object {
        Object::ConfigMap(map) => map.data.as_ref()?.get("excludel2.yaml").cloned(),
        _ => None,
    });
    assert_eq!(text.unwrap(), "announcedInterfacesToExclude: []\n", "a list, as the speaker reads one");
}

#[test]
fn another_list_of_interfaces_makes_new_speakers_as_these_read_it_when_they_start() {
    let template = |list: &str| {
        let objects = rendered(&format!("layer2: {{excludedInterfaces: {list}}}"), &[]);
        let set = objects.into_iter().find(|object| object.id().kind == Kind::DaemonSet).unwrap();
        set.to_value().unwrap()["spec"]["template"].clone()
    };
    assert_ne!(template("[a]"), template("[b]"));
    assert_ne!(template("[]"), template("[b]"));
}

#[test]
fn every_setting_of_the_operator_reaches_the_workloads() {
    let variables = [
        ("MEMBER_LIST_BIND_PORT", "1946"),
        ("METRICS_PORT", "1120"),
        ("OPERAND_LIVENESS_PORT", "1472"),
        ("TLS_MIN_VERSION", "VersionTLS12"),
        ("TLS_CIPHER_SUITES", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        ("TLS_CURVE_PREFERENCES", "29,23"),
    ];
    insta::assert_snapshot!(different(&rendered("{}", &variables)));
}

#[test]
fn monitors_are_services_and_where_the_kinds_are_known_service_monitors_and_rules() {
    let monitors = [("DEPLOY_SERVICEMONITORS", "true")];
    insta::assert_snapshot!(different(&rendered("{}", &monitors)));
    let kinds = |service_monitors, prometheus_rules| -> Vec<Kind> {
        let (controller, speaker) = (ControllerUpdate::Rolling, SpeakerUpdate::Rolling);
        let platform = Platform::KUBERNETES;
        let circumstances =
            Circumstances { service_monitors, prometheus_rules, platform, controller, speaker };
        let objects = render_in("{}", &monitors, circumstances);
        objects.iter().map(|object| object.id().kind).filter(|kind| *kind >= Kind::ServiceMonitor).collect()
    };
    let [monitor, rule] = [Kind::ServiceMonitor, Kind::PrometheusRule];
    assert!(rendered("{}", &monitors).iter().any(|object| object.id().kind == Kind::Service));
    assert_eq!(kinds(Served::No, Served::No), []);
    assert_eq!(kinds(Served::Yes, Served::No), [monitor, monitor]);
    assert_eq!(kinds(Served::No, Served::Yes), [rule]);
}

#[test]
fn without_monitors_there_are_no_alerts_as_there_would_be_no_series() {
    let is_alert = |object: &Object| object.id().kind == Kind::PrometheusRule;
    assert!(!rendered("{}", &[]).iter().any(is_alert));
}

#[test]
fn an_operator_that_others_can_ask_is_monitored_too() {
    let environment = environment(&[("DEPLOY_SERVICEMONITORS", "true")]);
    let environment = Environment { own_metrics: Some(8081), ..environment };
    let objects = render_within(&environment, "{}", circumstances(Served::Yes));
    let is_its = |object: &&Object| object.id().name.starts_with("operator-");
    insta::assert_snapshot!(documents(&objects.iter().filter(is_its).cloned().collect::<Vec<_>>()));
}

#[test]
fn the_network_policy_can_be_left_out() {
    let without = rendered("{}", &[("DISABLE_NETWORK_POLICIES", "true")]);
    assert_eq!(different(&without), "# gone: NetworkPolicy controller\n");
}

#[test]
fn the_backend_is_a_variable_of_both_workloads_and_no_more_containers() {
    for (backend, expected) in [
        ("native", None),
        ("frr", Some("frr")),
        ("frr-k8s", Some("frr-k8s")),
        ("frr-k8s-external", Some("frr-k8s-external")),
    ] {
        let variables = [("FRRK8S_EXTERNAL_NAMESPACE", "frr-k8s-system")];
        let objects = rendered(&format!("bgpBackend: {backend}"), &variables);
        for component in [CONTROLLER, SPEAKER] {
            let pod = pod(&objects, component);
            let [Container { env: Some(env), .. }] = &pod.containers[..] else { panic!("{pod:?}") };
            assert_eq!(value(env, "METALLB_BGP_TYPE"), expected, "{backend}, {component}");
            assert_eq!(pod.init_containers, None);
        }
    }
}

#[test]
fn backends_in_the_speaker_differ_in_that_variable_and_in_nothing_else() {
    let without = |backend: &str| -> Vec<serde_json::Value> {
        let objects = rendered(&format!("bgpBackend: {backend}"), &[]);
        let others = objects.iter().filter(|object| object.id().name != IN_FORCE);
        let mut values: Vec<_> = others.map(|object| object.to_value().unwrap()).collect();
        for value in &mut values {
            if let Some(env) = value.pointer_mut("/spec/template/spec/containers/0/env") {
                env.as_array_mut().unwrap().retain(|variable| variable["name"] != "METALLB_BGP_TYPE");
            }
        }
        values
    };
    let native = without("native");
    assert_eq!(without("frr"), native);
    assert_eq!(without("frr-k8s"), native);
    let frr = rendered("bgpBackend: frr", &[]);
    let workloads = |objects: &[Object]| [CONTROLLER, SPEAKER].map(|component| pod(objects, component));
    assert_eq!(workloads(&frr), workloads(&rendered("{}", &[])), "the default");
}

#[test]
fn an_external_frr_k8s_is_named_to_the_speaker_with_the_way_of_passwords() {
    let flags = |config: &str| -> Vec<String> {
        let objects = rendered(&format!("{{bgpBackend: frr-k8s-external, frrk8sConfig: {config}}}"), &[]);
        args(&objects, SPEAKER).into_iter().filter(|arg| arg.contains("frrk8s")).collect()
    };
    assert_eq!(flags("{namespace: a}"), ["--frrk8s-namespace=a"]);
    assert_eq!(flags("{namespace: a, secretPassthrough: false}"), ["--frrk8s-namespace=a"]);
    assert_eq!(
        flags("{namespace: a, secretPassthrough: true}"),
        ["--frrk8s-namespace=a", "--frrk8s-secret-passthrough"]
    );
    let inside = "{bgpBackend: frr-k8s, frrk8sConfig: {namespace: a, secretPassthrough: true}}";
    assert!(!args(&rendered(inside, &[]), SPEAKER).iter().any(|arg| arg.contains("frrk8s")));
}

#[test]
fn tolerations_of_control_plane_nodes_come_before_the_users() {
    let spec = "speakerTolerations: [{key: a, operator: Exists}, {key: b, operator: Exists}]";
    let tolerations = pod(&rendered(spec, &[]), SPEAKER).tolerations.unwrap();
    let keys: Vec<_> = tolerations.iter().filter_map(|toleration| toleration.key.as_deref()).collect();
    assert_eq!(keys, ["node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane", "a", "b"]);
    assert_eq!(pod(&rendered(spec, &[]), CONTROLLER).tolerations, None);
}

#[test]
fn image_references_are_passed_on_as_they_are() {
    for image in [
        "speaker",
        "registry:5000/a/speaker",
        "registry:5000/a/speaker:v1",
        "speaker@sha256:0123456789abcdef",
        "a/speaker:v1@sha256:0123456789abcdef",
    ] {
        let objects = rendered("{}", &[("SPEAKER_IMAGE", image)]);
        assert_eq!(pod(&objects, SPEAKER).containers[0].image.as_deref(), Some(image));
    }
}

#[test]
fn nothing_limits_a_cpu_unless_the_user_does() {
    for component in [CONTROLLER, SPEAKER] {
        assert_eq!(pod(&rendered("{}", &[]), component).containers[0].resources, None);
    }
}

#[test]
fn the_customised_sample_is_valid() {
    let sample: serde_json::Value = serde_saphyr::from_str(SAMPLE).unwrap();
    assert!(!rendered(&sample["spec"].to_string(), &[]).is_empty());
}

#[test]
fn the_spec_that_everything_comes_from_is_installed_with_it_and_reads_back() {
    let spec = "{logLevel: debug, speakerTolerations: [{key: a, operator: Exists}], nodeSelector: {a: b}}";
    let objects = rendered(spec, &[]);
    let is_it = |object: &&Object| object.id() == ObjectId::new(Kind::ConfigMap, IN_FORCE);
    let config_map = objects.iter().find(is_it).unwrap().to_value().unwrap();
    let read = spec_in_force(&config_map).unwrap();
    let value: serde_json::Value = serde_saphyr::from_str(spec).unwrap();
    let metallb: MetalLB = metallb_crds::read(&json!({ "metadata": {}, "spec": value })).unwrap();
    assert_eq!(read, metallb.spec);
    assert_eq!(spec_in_force(&json!({ "data": { "spec.json": "spoiled" } })), None);
    assert_eq!(spec_in_force(&json!({})), None);
}

#[test]
fn during_a_take_over_the_strategies_are_others_and_the_pods_the_same() {
    let circumstances = Circumstances {
        service_monitors: Served::Yes,
        prometheus_rules: Served::Yes,
        platform: Platform::KUBERNETES,
        controller: ControllerUpdate::Recreate,
        speaker: SpeakerUpdate::OnDelete,
    };
    for (ours, rolling) in render_in("{}", &[], circumstances).iter().zip(&rendered("{}", &[])) {
        let (ours, rolling) = (ours.to_value().unwrap(), rolling.to_value().unwrap());
        assert_eq!(ours.pointer("/spec/template"), rolling.pointer("/spec/template"));
        let strategy = ["/spec/strategy/type", "/spec/updateStrategy/type"].map(|it| ours.pointer(it));
        match ours["kind"].as_str().unwrap() {
            "Deployment" => assert_eq!(strategy, [Some(&json!("Recreate")), None]),
            "DaemonSet" => assert_eq!(strategy, [None, Some(&json!("OnDelete"))]),
            _ => assert_eq!(ours, rolling),
        }
    }
}

#[test]
fn nobody_can_take_the_mark_off_our_pods() {
    let (key, value) = OURS;
    let spec = format!("speakerConfig: {{annotations: {{{key}: go, a: b}}}}");
    let objects = rendered(&spec, &[]);
    let speaker = objects.iter().find(|object| object.id().kind == Kind::DaemonSet).unwrap();
    let speaker = speaker.to_value().unwrap();
    assert!(is_ours(&speaker));
    let annotations = &speaker["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations, &json!({ key: value, "a": "b" }));
}

#[test]
fn everything_is_in_the_namespace_and_belongs_to_the_metallb() {
    for object in rendered("{}", &[("DEPLOY_SERVICEMONITORS", "true")]) {
        let value = object.to_value().unwrap();
        assert_eq!(value["metadata"]["namespace"], "metallb-system");
        assert_eq!(value["metadata"]["ownerReferences"], json!([owner()]), "{}", object.id());
        assert_eq!(value["kind"], object.id().kind.to_string());
        assert!(!has_null(&value), "server-side apply would take a null for a value: {value}");
    }
}

fn has_null(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::Array(items) => items.iter().any(has_null),
        serde_json::Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

fn owner() -> OwnerReference {
    OwnerReference {
        api_version: "metallb.io/v1beta1".into(),
        kind: "MetalLB".into(),
        name: "metallb".into(),
        uid: "the uid of the MetalLB".into(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn rendered(spec: &str, variables: &[(&str, &str)]) -> Vec<Object> {
    render_in(spec, variables, circumstances(Served::Yes))
}

fn circumstances(monitoring: Served) -> Circumstances {
    let (controller, speaker) = (ControllerUpdate::Rolling, SpeakerUpdate::Rolling);
    let platform = Platform::KUBERNETES;
    Circumstances {
        service_monitors: monitoring,
        prometheus_rules: monitoring,
        platform,
        controller,
        speaker,
    }
}

fn render_in(spec: &str, variables: &[(&str, &str)], circumstances: Circumstances) -> Vec<Object> {
    render_within(&environment(variables), spec, circumstances)
}

fn render_within(environment: &Environment, spec: &str, circumstances: Circumstances) -> Vec<Object> {
    let spec: serde_json::Value = serde_saphyr::from_str(spec).unwrap();
    let metallb: MetalLB = metallb_crds::read(&json!({ "metadata": {}, "spec": spec })).unwrap();
    let wanted = Wanted::check(&metallb.spec, environment.external_frrk8s_namespace.as_deref()).unwrap();
    render(&metallb.spec, &wanted, environment, &owner(), circumstances)
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let images = [("CONTROLLER_IMAGE", "controller:test"), ("SPEAKER_IMAGE", "speaker:test")];
    let variables: BTreeMap<&str, &str> = [("OPERATOR_NAMESPACE", "metallb-system")]
        .into_iter()
        .chain(images)
        .chain(variables.iter().copied())
        .collect();
    Environment::read(|variable| variables.get(variable).map(|value| (*value).to_owned())).unwrap()
}

fn pod(objects: &[Object], component: &str) -> PodSpec {
    let template = objects.iter().find_map(|object| match object {
        Object::DaemonSet(set) if component == SPEAKER => set.spec.as_ref().map(|spec| &spec.template),
        Object::Deployment(deployment) if component == CONTROLLER => {
            deployment.spec.as_ref().map(|spec| &spec.template)
        }
        _ => None,
    });
    template.and_then(|template| template.spec.clone()).unwrap()
}

fn args(objects: &[Object], component: &str) -> Vec<String> {
    pod(objects, component).containers[0].args.clone().unwrap()
}

fn value<'e>(env: &'e [EnvVar], name: &str) -> Option<&'e str> {
    env.iter().find(|variable| variable.name == name)?.value.as_deref()
}

fn different(objects: &[Object]) -> String {
    let minimal = rendered("{}", &[]);
    let new: Vec<Object> = objects.iter().filter(|object| !minimal.contains(object)).cloned().collect();
    let gone = minimal.iter().filter(|object| objects.iter().all(|other| other.id() != object.id()));
    let gone: Vec<String> = gone.map(|object| format!("# gone: {}\n", object.id())).collect();
    gone.concat() + &documents(&new)
}

fn documents(objects: &[Object]) -> String {
    let texts: Vec<String> =
        objects.iter().map(|object| serde_saphyr::to_string(&object.to_value().unwrap()).unwrap()).collect();
    texts.join("---\n").replace(env!("CARGO_PKG_VERSION"), "VERSION")
}
