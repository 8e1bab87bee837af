//! Pods and nodes as the API server shows them, and what follows for their speakers.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use metallb_crds::MetalLBSpec;
use serde_json::json;

use super::*;
use crate::environment::Environment;
use crate::render::{Circumstances, ControllerUpdate, Object, Platform, Served, SpeakerUpdate, render};

/// A pod whose container was seen running, by this condition of its own and of its node.
fn pod(ready: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": "speaker-1" },
        "spec": { "nodeName": "n1", "containers": [{ "name": "speaker" }] },
        "status": {
            "conditions": [{ "type": "Ready", "status": ready }],
            "containerStatuses": [{
                "name": "speaker", "image": "", "imageID": "", "ready": ready == "True", "restartCount": 0,
                "state": { "running": {} },
            }],
        },
    }))
    .unwrap()
}

fn node(ready: &str) -> Node {
    serde_json::from_value(json!({
        "metadata": { "name": "n1" },
        "status": { "conditions": [{ "type": "MemoryPressure", "status": "Unknown" }, { "type": "Ready", "status": ready }] },
    }))
    .unwrap()
}

fn told_by(container: serde_json::Value) -> Switches {
    let mut pod = pod("True");
    let mut own: Container = serde_json::from_value(container).unwrap();
    own.name = SPEAKER.to_owned();
    let beside = Container { name: "frr".to_owned(), ..Container::default() };
    pod.spec.as_mut().unwrap().containers = vec![beside, own];
    Speakers::of(&[pod], &[node("True")]).switches
}

#[test]
fn a_speaker_that_waits_for_a_router_runs_and_one_on_a_node_that_does_not_answer_does_not() {
    for (of_pod, of_node, runs) in [
        ("True", "True", true),
        ("False", "True", true),
        ("False", "False", true), // the kubelet says so itself
        ("False", "Unknown", false),
        ("Unknown", "Unknown", false),
        ("True", "Unknown", true), // about to be set
    ] {
        let found = Speakers::of(&[pod(of_pod)], &[node(of_node)]);
        assert_eq!(!found.running.is_empty(), runs, "pod {of_pod}, node {of_node}");
        assert_eq!(found.pods, ["n1".into()].into());
    }
    let mut waiting = pod("False");
    waiting.status.as_mut().unwrap().container_statuses = None;
    assert_eq!(Speakers::of(&[waiting], &[node("True")]).running, [].into(), "none was started");
}

#[test]
fn switches_are_read_from_flags_and_variables_of_the_speakers_container() {
    let signs = |taint: &str, annotation: &str| Switches {
        signs: LeavingSigns {
            taint: Some(taint.to_owned()).filter(|key| !key.is_empty()),
            annotation: Some(annotation.to_owned()).filter(|key| !key.is_empty()),
        },
        ..Switches::default()
    };
    let excluded_too = Switches { ignore_exclude_lb: true, ..Switches::default() };
    let variables = json!([
        { "name": "METALLB_LEAVE_TAINT", "value": "example.org/out" },
        { "name": "METALLB_LEAVE_ANNOTATION", "value": "" },
    ]);
    for (container, switches) in [
        (json!({}), Switches::default()),
        (json!({ "args": ["--port=7472", "--ignore-exclude-lb", "--lb-class=x"] }), excluded_too.clone()),
        (json!({ "args": ["-ignore-exclude-lb=T"] }), excluded_too),
        (json!({ "args": ["--ignore-exclude-lb=false"] }), Switches::default()),
        (json!({ "args": ["--ignore-exclude-lb-not"] }), Switches::default()),
        (json!({ "env": variables }), signs("example.org/out", "")),
        (
            json!({ "env": variables, "args": ["--leave-taint=a", "--leave-annotation", "b"] }),
            signs("a", "b"),
        ),
    ] {
        assert_eq!(told_by(container.clone()), switches, "{container}");
    }
}

#[test]
fn what_a_metallb_asks_for_is_what_the_speakers_that_the_operator_renders_go_by() {
    let spec = json!({ "ignoreExcludeLB": true, "nodeLeaving": { "taint": "a", "annotation": "b" } });
    for spec in [spec, json!({})] {
        let metallb = json!({ "metadata": {}, "spec": spec });
        let asked = Switches::of_metallb(&metallb).unwrap();
        let MetalLB { spec, .. } = metallb_crds::read(&metallb).unwrap();
        let daemon_set = rendered(&spec);
        let container = &daemon_set.pointer("/spec/template/spec/containers/0").unwrap();
        assert_eq!(told_by((*container).clone()), asked, "{spec:?}");
    }
}

fn rendered(spec: &MetalLBSpec) -> Value {
    let variables =
        [("OPERATOR_NAMESPACE", "metallb-system"), ("CONTROLLER_IMAGE", "c:1"), ("SPEAKER_IMAGE", "s:1")];
    let variable = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, it)| (*it).to_owned());
    let environment = Environment::read(variable).unwrap();
    let circumstances = Circumstances {
        service_monitors: Served::No,
        prometheus_rules: Served::No,
        platform: Platform::KUBERNETES,
        controller: ControllerUpdate::Rolling,
        speaker: SpeakerUpdate::Rolling,
    };
    let wanted = Wanted::check(spec, None).unwrap();
    let objects = render(spec, &wanted, &environment, &OwnerReference::default(), circumstances);
    let speakers = objects.into_iter().find_map(|object| match object {
        Object::DaemonSet(set) => Some(serde_json::to_value(*set).unwrap()),
        _ => None,
    });
    speakers.unwrap()
}
