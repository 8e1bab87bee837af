//! The manifest is complete, in order, and gives nobody more than it needs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::file::objects;
use super::rbac::SPEAKER;
use super::*;
use crate::environment::Environment;

fn objects_of(kind: &str) -> Vec<Value> {
    let objects = objects(&Images::default()).unwrap();
    objects.into_iter().filter(|object| object["kind"] == kind).collect()
}

fn names_of(kind: &str) -> Vec<String> {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    objects_of(kind).iter().map(name).collect()
}

#[test]
fn it_reads_back_as_what_it_was_made_from() {
    let content = manifest(&Images::default()).unwrap().content;
    let read: Vec<Value> = serde_saphyr::from_multiple(&content).unwrap();
    let made = objects(&Images::default()).unwrap();
    assert_eq!(read.len(), made.len());
    for (read, made) in read.iter().zip(&made) {
        // Numbers in schemas are whole or not by type.
        let kind = made["kind"].as_str().unwrap();
        assert!(kind == "CustomResourceDefinition" || read == made, "{kind} {}", made["metadata"]["name"]);
    }
}

#[test]
fn a_namespace_and_the_kinds_come_before_what_needs_them() {
    let kinds: Vec<String> = objects(&Images::default())
        .unwrap()
        .iter()
        .map(|object| object["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds[0], "Namespace");
    assert!(kinds[1..12].iter().all(|kind| kind == "CustomResourceDefinition"));
    assert_eq!(kinds.last().unwrap(), "Deployment");
    assert_eq!(kinds.len(), 1 + 11 + 3 + 3 * 4 + 2 + 3 + 1 + 1);
}

#[test]
fn names_are_upstreams() {
    assert_eq!(names_of("Namespace"), ["metallb-system"]);
    assert_eq!(names_of("Deployment"), ["metallb-operator-controller-manager"]);
    assert_eq!(names_of("ServiceAccount"), ["manager-account", "controller", "speaker"]);
    assert_eq!(
        names_of("ClusterRole"),
        ["metallb-manager-role", "metallb-system:controller", "metallb-system:speaker"]
    );
    assert_eq!(names_of("Role"), ["metallb-manager-role", "controller", "speaker"]);
    assert_eq!(names_of("Service"), ["metallb-webhook-service", "metallb-operator-webhook-service"]);
    assert_eq!(
        names_of("ValidatingWebhookConfiguration")[..2],
        ["metallb-webhook-configuration", "metallb-operator-webhook-configuration"]
    );
}

#[test]
fn every_account_is_bound_to_its_roles_and_no_other() {
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        for binding in objects_of(kind) {
            let [subject] = &binding["subjects"].as_array().unwrap()[..] else { panic!("{binding}") };
            assert_eq!(subject["namespace"], "metallb-system");
            let (role, account) =
                (binding["roleRef"]["name"].as_str().unwrap(), subject["name"].as_str().unwrap());
            assert!(names_of(binding["roleRef"]["kind"].as_str().unwrap()).iter().any(|name| name == role));
            let own = if account == "manager-account" { "metallb-manager-role" } else { account };
            assert!(role.ends_with(own), "{account} has {role}");
        }
    }
}

#[test]
fn nobody_gets_everything_or_what_leads_there() {
    for kind in ["Role", "ClusterRole"] {
        for role in objects_of(kind) {
            for rule in role["rules"].as_array().unwrap() {
                let text = rule.to_string();
                for word in ["*", "escalate", "bind", "impersonate", "clusterroles", "roles", "pods/exec"] {
                    assert!(!text.contains(&format!("\"{word}\"")), "{}: {text}", role["metadata"]["name"]);
                }
                let reads_secrets = text.contains("\"secrets\"") && text.contains("\"get\"");
                // BGPPeers name the Secrets with their passwords, so only the namespace bounds what speakers read.
                let is_speakers = kind == "Role" && role["metadata"]["name"] == SPEAKER;
                assert!(!reads_secrets || text.contains("resourceNames") || is_speakers, "{text}");
            }
        }
    }
}

#[test]
fn a_speaker_may_write_every_kind_that_it_reports_with() {
    let roles = objects_of("Role");
    let speaker = roles.iter().find(|role| role["metadata"]["name"] == SPEAKER).unwrap();
    let may = |group: &str, resource: &str, verb: &str| {
        let has = |rule: &Value, field: &str, wanted: &str| {
            rule[field].as_array().unwrap().iter().any(|found| found == wanted)
        };
        speaker["rules"].as_array().unwrap().iter().any(|rule| {
            has(rule, "apiGroups", group) && has(rule, "resources", resource) && has(rule, "verbs", verb)
        })
    };
    for (group, kind) in [
        ("metallb.io", "bgpnodestatuses"),
        ("metallb.io", "servicebgpstatuses"),
        ("metallb.io", "servicel2statuses"),
        ("frrk8s.metallb.io", "bgpsessionstates"),
    ] {
        for verb in ["list", "watch", "create", "patch", "delete"] {
            assert!(may(group, kind, verb), "{verb} {kind}");
        }
        assert!(may(group, &format!("{kind}/status"), "patch"), "{kind}");
    }
}

#[test]
fn a_speaker_may_keep_frr_configurations_wherever_frr_k8s_is_and_read_one_config_map() {
    let rule = |kind: &str, name: &str, resource: &str| -> Value {
        let found = objects_of(kind);
        let role = found.iter().find(|role| role["metadata"]["name"] == name).unwrap();
        let mut rules = role["rules"].as_array().unwrap().iter();
        rules.find(|rule| rule["resources"][0] == resource).unwrap().clone()
    };
    let frr_configurations = rule("ClusterRole", "metallb-system:speaker", "frrconfigurations");
    assert_eq!(frr_configurations["apiGroups"], serde_json::json!(["frrk8s.metallb.io"]));
    let verbs = serde_json::json!(["get", "list", "watch", "create", "update", "delete"]);
    assert_eq!(frr_configurations["verbs"], verbs);
    let config_maps = rule("Role", SPEAKER, "configmaps");
    assert_eq!(config_maps["resourceNames"], serde_json::json!(["bgpextras"]));
    assert_eq!(config_maps["verbs"], serde_json::json!(["get", "list", "watch"]));
}

#[test]
fn the_images_are_those_asked_for() {
    let images =
        Images { operator: "registry:5000/o:1".into(), dataplane: "registry:5000/d@sha256:0".into() };
    let content = manifest(&images).unwrap().content;
    let deployment = serde_saphyr::from_multiple::<Value>(&content).unwrap().pop().unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry:5000/o:1");
    for name in ["CONTROLLER_IMAGE", "SPEAKER_IMAGE"] {
        let env = container["env"].as_array().unwrap();
        let variable = env.iter().find(|variable| variable["name"] == name).unwrap();
        assert_eq!(variable["value"], "registry:5000/d@sha256:0");
    }
    assert!(!content.contains("localhost/"));
}

#[test]
fn the_operator_understands_its_own_deployment() {
    let deployment = objects_of("Deployment").remove(0);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let env: BTreeMap<&str, &str> = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), it["value"].as_str().unwrap_or("from the pod")))
        .collect();
    Environment::read(|name| env.get(name).map(|value| (*value).to_owned())).unwrap();
    let args = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    let args = std::iter::once("manager").chain(args);
    <crate::args::Args as clap::Parser>::try_parse_from(args).unwrap();
}

/// Upstream's entries, and the UPDATE of a BFDProfile.
#[test]
fn webhooks_are_those_of_upstream_and_one_that_only_warns() {
    let configurations = objects_of("ValidatingWebhookConfiguration");
    let mut found = Vec::new();
    for webhook in configurations.iter().flat_map(|it| it["webhooks"].as_array().unwrap()) {
        let rule = &webhook["rules"][0];
        let operations: Vec<_> =
            rule["operations"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        let (name, policy) = (webhook["name"].as_str().unwrap(), webhook["failurePolicy"].as_str().unwrap());
        let (version, resource) =
            (rule["apiVersions"][0].as_str().unwrap(), rule["resources"][0].as_str().unwrap());
        found.push(format!(
            "{} {version}/{resource} {} {policy}",
            name.split_once('.').unwrap().0,
            operations.join("+")
        ));
        assert_eq!(
            (&webhook["sideEffects"], &webhook["admissionReviewVersions"][0]),
            (&"None".into(), &"v1".into())
        );
        assert_eq!(webhook["clientConfig"].get("caBundle"), None, "the operator's to write");
        assert_eq!(webhook["clientConfig"]["service"]["port"], 443);
    }
    assert_eq!(
        found,
        [
            "bgppeersvalidationwebhook v1beta2/bgppeers CREATE+UPDATE Fail",
            "bfdprofilevalidationwebhook v1beta1/bfdprofiles CREATE+UPDATE+DELETE Fail",
            "bgpadvertisementvalidationwebhook v1beta1/bgpadvertisements CREATE+UPDATE Fail",
            "communityvalidationwebhook v1beta1/communities CREATE+UPDATE Fail",
            "ipaddresspoolvalidationwebhook v1beta1/ipaddresspools CREATE+UPDATE Fail",
            "l2advertisementvalidationwebhook v1beta1/l2advertisements CREATE+UPDATE Fail",
            "metallbvalidationwebhook v1beta1/metallbs CREATE+UPDATE Fail",
            "deletionwarningwebhook v1beta1/bgpadvertisements DELETE Ignore",
        ]
    );
}

#[test]
fn only_peers_are_converted() {
    for definition in objects_of("CustomResourceDefinition") {
        let conversion = &definition["spec"]["conversion"];
        if definition["metadata"]["name"] == "bgppeers.metallb.io" {
            let client = &conversion["webhook"]["clientConfig"];
            assert_eq!(client["service"]["path"], "/convert");
            assert_eq!(client.get("caBundle"), None, "the operator's to write");
        } else {
            assert!(conversion.is_null(), "{definition}");
        }
    }
}

#[test]
fn services_and_budget_are_about_the_pods_of_the_operator() {
    let deployment = objects_of("Deployment").remove(0);
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let pod = &deployment["spec"]["template"]["spec"];
    let port =
        pod["containers"][0]["ports"].as_array().unwrap().iter().find(|it| it["name"] == "webhook-server");
    for service in objects_of("Service") {
        assert_eq!(&service["spec"]["selector"], labels);
        assert_eq!(service["spec"]["ports"][0]["targetPort"], port.unwrap()["containerPort"]);
    }
    let budget = objects_of("PodDisruptionBudget").remove(0);
    assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    let args = <crate::args::Args as clap::Parser>::parse_from(["manager"]);
    let drain = i64::from(args.webhook_drain_seconds);
    assert!(pod["terminationGracePeriodSeconds"].as_i64().unwrap() > drain + 10, "time to leave in");
    assert_eq!(i64::from(args.webhook_port), port.unwrap()["containerPort"].as_i64().unwrap());
}
