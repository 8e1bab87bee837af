//! What is different on OpenShift: each part by what the cluster has of it, whatever the backend.

use serde_json::Value;

use super::*;

const MICROSHIFT_WITHOUT_ROUTES: Platform =
    Platform { security_context_constraints: Served::Yes, service_ca: ServiceCa::Absent };
const OPENSHIFT: Platform =
    Platform { security_context_constraints: Served::Yes, service_ca: ServiceCa::Awaited };
const SIGNED: Platform =
    Platform { security_context_constraints: Served::Yes, service_ca: ServiceCa::Signed };
const ROUTES_ALONE: Platform =
    Platform { security_context_constraints: Served::No, service_ca: ServiceCa::Awaited };
const MONITORS: [(&str, &str); 1] = [("DEPLOY_SERVICEMONITORS", "true")];

fn rendered_on(platform: Platform, spec: &str, variables: &[(&str, &str)]) -> Vec<Object> {
    render_in(spec, variables, Circumstances { platform, ..circumstances(Served::Yes) })
}

fn constraints(objects: &[Object]) -> Option<Value> {
    let found = objects.iter().find(|object| object.id().kind == Kind::SecurityContextConstraints);
    found.map(|object| object.to_value().unwrap())
}

fn find(objects: &[Object], kind: Kind, name: &str) -> Value {
    let id = ObjectId::new(kind, name);
    objects.iter().find(|object| object.id() == id).unwrap().to_value().unwrap()
}

#[test]
fn pods_run_by_constraints_of_their_own_or_of_their_namespace() {
    insta::assert_snapshot!(different(&rendered_on(OPENSHIFT, "{}", &[])));
}

#[test]
fn metrics_have_certificates_of_the_cluster() {
    insta::assert_snapshot!(different(&rendered_on(SIGNED, "{}", &MONITORS)));
}

#[test]
fn kubernetes_has_no_constraints_and_nothing_names_any() {
    let objects = rendered("{}", &MONITORS);
    assert_eq!(constraints(&objects), None);
    let text = documents(&objects);
    assert!(!text.contains("openshift") && !text.contains("metrics-certs"), "{text}");
}

#[test]
fn speakers_ask_for_what_they_need_of_what_they_may_do() {
    for (port, expected) in [(0, json!(["NET_RAW"])), (179, json!(["NET_BIND_SERVICE", "NET_RAW"]))] {
        let objects = rendered_on(OPENSHIFT, &format!("bgpListenPort: {port}"), &[]);
        let constraints = constraints(&objects).unwrap();
        let container = pod(&objects, SPEAKER).containers[0].clone();
        let asked = container.security_context.unwrap().capabilities.unwrap();
        assert_eq!(json!(asked.add), expected);
        assert_eq!(constraints["allowedCapabilities"], json!(["NET_BIND_SERVICE", "NET_RAW"]));
        assert_eq!(constraints["requiredDropCapabilities"], json!(asked.drop));
        assert_eq!(constraints["defaultAddCapabilities"], json!([]));
    }
}

#[test]
fn operators_of_one_cluster_agree_about_the_constraints_whatever_they_install_and_whichever_their_version() {
    let expected = constraints(&rendered_on(OPENSHIFT, "{}", &[])).unwrap();
    for spec in ["{bgpListenPort: 179}", "{bgpListenPort: 1790, logLevel: debug, ignoreExcludeLB: true}"] {
        let other = rendered_on(OPENSHIFT, spec, &[("OPERATOR_NAMESPACE", "elsewhere")]);
        assert_eq!(constraints(&other).as_ref(), Some(&expected), "{spec}");
    }
    let text = expected.to_string();
    assert!(!text.contains(env!("CARGO_PKG_VERSION")), "{text}");
}

#[test]
fn every_volume_of_the_speakers_is_of_a_kind_that_is_allowed() {
    let objects = rendered_on(OPENSHIFT, "{}", &MONITORS);
    let allowed = constraints(&objects).unwrap()["volumes"].clone();
    for volume in pod(&objects, SPEAKER).volumes.unwrap() {
        let volume = serde_json::to_value(volume).unwrap();
        let kinds = volume.as_object().unwrap().keys().filter(|key| *key != "name");
        for kind in kinds {
            assert!(allowed.as_array().unwrap().contains(&json!(kind)), "{kind}");
        }
    }
}

#[test]
fn each_part_is_there_by_its_own_api() {
    let fixed_user = |objects: &[Object]| pod(objects, CONTROLLER).security_context.unwrap().run_as_user;
    let has_certificate = |objects: &[Object], component: &str| {
        args(objects, component).contains(&"--metrics-cert-dir=/etc/metrics".to_owned())
    };
    for (platform, is_constrained, is_certified) in [
        (Platform::KUBERNETES, false, false),
        (MICROSHIFT_WITHOUT_ROUTES, true, false),
        (ROUTES_ALONE, false, true),
        (OPENSHIFT, true, true),
    ] {
        let objects = rendered_on(platform, "{}", &MONITORS);
        assert_eq!(constraints(&objects).is_some(), is_constrained, "{platform:?}");
        assert_eq!(fixed_user(&objects).is_none(), is_constrained, "{platform:?}");
        for component in [CONTROLLER, SPEAKER] {
            assert_eq!(has_certificate(&objects, component), is_certified, "{component} on {platform:?}");
        }
    }
}

#[test]
fn backends_and_settings_change_nothing_about_it() {
    let expected = constraints(&rendered_on(OPENSHIFT, "{}", &[]));
    for backend in ["native", "frr", "frr-k8s", "frr-k8s-external"] {
        for variables in [&[][..], &MONITORS, &[("DISABLE_NETWORK_POLICIES", "true")]] {
            let spec = format!("{{bgpBackend: {backend}, frrk8sConfig: {{namespace: routers}}}}");
            let (here, there) = (
                rendered_on(OPENSHIFT, &spec, variables),
                rendered_on(Platform::KUBERNETES, &spec, variables),
            );
            assert_eq!(constraints(&here), expected, "{backend} {variables:?}");
            let more: Vec<_> =
                here.iter().filter(|it| there.iter().all(|other| other.id() != it.id())).collect();
            assert_eq!((more.len(), here.len()), (1, there.len() + 1), "the constraints, and nothing else");
        }
    }
}

#[test]
fn pods_do_not_wait_for_a_certificate_and_without_monitors_none_is_asked_for() {
    let objects = rendered_on(OPENSHIFT, "{}", &MONITORS);
    for component in [CONTROLLER, SPEAKER] {
        let volumes = pod(&objects, component).volumes.unwrap();
        let volume = volumes.iter().find(|volume| volume.name == "metrics-certs").unwrap();
        let secret = volume.secret.clone().unwrap();
        assert_eq!(secret.optional, Some(true));
        let service = find(&objects, Kind::Service, &format!("{component}-monitor-service"));
        let asked = &service["metadata"]["annotations"]["service.beta.openshift.io/serving-cert-secret-name"];
        assert_eq!(asked, &json!(secret.secret_name));
    }
    assert!(!documents(&rendered_on(OPENSHIFT, "{}", &[])).contains("metrics-cert"));
}

#[test]
fn prometheus_trusts_anything_until_the_certificates_are_made_and_the_pods_stay_the_same() {
    let (awaited, signed) = (rendered_on(OPENSHIFT, "{}", &MONITORS), rendered_on(SIGNED, "{}", &MONITORS));
    for component in [CONTROLLER, SPEAKER] {
        let tls = |objects: &[Object]| {
            let monitor = find(objects, Kind::ServiceMonitor, &format!("{component}-monitor"));
            monitor["spec"]["endpoints"][0]["tlsConfig"].clone()
        };
        assert_eq!(tls(&awaited), json!({ "insecureSkipVerify": true }));
        assert_eq!(tls(&signed)["insecureSkipVerify"], false);
        let name = format!("{component}-monitor-service.metallb-system.svc");
        assert_eq!(tls(&signed)["serverName"], json!(name));
        assert_eq!(pod(&awaited, component), pod(&signed, component));
    }
}

#[test]
fn nobody_can_lead_the_speakers_to_other_constraints() {
    let spec = "speakerConfig: {annotations: {openshift.io/required-scc: privileged}}";
    let objects = rendered_on(OPENSHIFT, spec, &[]);
    let speaker = find(&objects, Kind::DaemonSet, SPEAKER);
    let annotations = &speaker["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["openshift.io/required-scc"], "metallb-speaker");
}

#[test]
fn constraints_are_in_no_namespace_belong_to_nobody_and_are_marked() {
    let constraints = constraints(&rendered_on(OPENSHIFT, "{}", &[])).unwrap();
    let metadata = &constraints["metadata"];
    assert_eq!((&metadata["namespace"], &metadata["ownerReferences"]), (&Value::Null, &Value::Null));
    let (label, ours) = SWEPT;
    assert_eq!(metadata["labels"][label], ours);
    assert!(!has_null(&constraints), "server-side apply would take a null for a value");
}

#[test]
fn what_a_workload_was_told_of_tls_can_be_read_from_it() {
    let variables = [("TLS_MIN_VERSION", "VersionTLS12"), ("TLS_CURVE_PREFERENCES", "29,23")];
    let speaker = find(&rendered("{}", &variables), Kind::DaemonSet, SPEAKER);
    let flags = tls_in_force(&speaker).unwrap();
    assert_eq!((&*flags.tls_min_version, &*flags.tls_curve_preferences), ("VersionTLS12", "29,23"));
    assert_eq!(flags.tls_cipher_suites, "");
    let upstreams = json!({ "spec": { "template": { "spec": { "containers": [{ "args": [] }] } } } });
    assert!(tls_in_force(&upstreams).is_none(), "another's");
}

#[test]
fn what_somebody_wrote_into_a_workload_is_not_in_force_if_no_server_could_start_with_it() {
    let mut speaker = find(&rendered("{}", &[("TLS_MIN_VERSION", "VersionTLS12")]), Kind::DaemonSet, SPEAKER);
    let args = speaker.pointer_mut("/spec/template/spec/containers/0/args").unwrap().as_array_mut().unwrap();
    let version = args.iter_mut().find(|arg| **arg == "--tls-min-version=VersionTLS12").unwrap();
    *version = json!("--tls-min-version=foo");
    assert!(tls_in_force(&speaker).is_none());
}
