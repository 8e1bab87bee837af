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
    assert!(kinds[1..11].iter().all(|kind| kind == "CustomResourceDefinition"));
    assert_eq!(kinds.last().unwrap(), "Deployment");
    assert_eq!(kinds.len(), 1 + 10 + 3 + 3 * 4 + 1);
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
