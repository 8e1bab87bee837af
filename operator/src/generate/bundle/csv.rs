//! The ClusterServiceVersion: who we are, which kinds are ours, what to run and with which rights.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::release::Release;
use super::{examples, owned};
use crate::generate::manifest::{Accounts, Certificates, accounts, definitions, deployment};
use crate::generate::yaml;

/// The highest level whose every row in `docs/olm.md` has a test.
const CAPABILITIES: &str = "Seamless Upgrades";
const ICON: &str = include_str!("icon.svg");
const DESCRIPTION: &str = include_str!("description.md");

pub(super) fn cluster_service_version(release: &Release) -> Result<Value, yaml::Error> {
    let mut deployment = serde_json::to_value(deployment(&release.images))?;
    // OLM provides the certificate and tells the API server of it.
    let args = &mut deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    if let Some(args) = args.as_array_mut() {
        args.push("--disable-cert-rotation=true".into());
    }
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let Accounts { cluster_permissions, permissions } = accounts(Certificates::Installer);
    let mut spec = json!({
        "displayName": "MetalLB",
        "description": DESCRIPTION,
        "icon": [{ "base64data": BASE64_STANDARD.encode(ICON), "mediatype": "image/svg+xml" }],
        "keywords": ["load balancer", "bare metal", "layer 2", "ARP", "NDP", "BGP", "BFD"],
        "maturity": "alpha",
        "minKubeVersion": "1.33.0",
        "version": release.version,
        "provider": { "name": "MetalLB" },
        "links": [{ "name": "MetalLB", "url": "https://metallb.io" }],
        "installModes": install_modes(),
        "customresourcedefinitions": { "owned": owned::all() },
        "webhookdefinitions": definitions(name),
        "relatedImages": [
            { "name": "operator", "image": release.images.operator },
            { "name": "dataplane", "image": release.images.dataplane },
        ],
        "install": {
            "strategy": "deployment",
            "spec": {
                "clusterPermissions": cluster_permissions,
                "permissions": permissions,
                "deployments": [{
                    "name": name,
                    "label": deployment["metadata"]["labels"],
                    "spec": deployment["spec"],
                }],
            },
        },
    });
    if let Some(replaced) = release.replaced() {
        spec["replaces"] = replaced.into();
    }
    Ok(json!({
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": release.name(),
            "namespace": "placeholder",
            "annotations": annotations(release)?,
            "labels": {
                "operatorframework.io/os.linux": "supported",
                "operatorframework.io/arch.amd64": "supported",
                "operatorframework.io/arch.arm64": "supported",
            },
        },
        "spec": spec,
    }))
}

fn annotations(release: &Release) -> Result<Value, yaml::Error> {
    let examples = examples::all()?;
    let first = examples.iter().find(|example| example["kind"] == "MetalLB");
    let mut annotations = json!({
        "alm-examples": serde_json::to_string_pretty(&examples)?,
        "capabilities": CAPABILITIES,
        "categories": "Networking",
        "containerImage": release.images.operator,
        "description": "Gives Services of type LoadBalancer addresses on networks without a cloud",
        // What consoles offer to make first, and what they do not offer at all.
        "operatorframework.io/initialization-resource": serde_json::to_string_pretty(&first)?,
        "operators.operatorframework.io/internal-objects": serde_json::to_string(&owned::reports())?,
        "operatorframework.io/suggested-namespace": "metallb-system",
        // Speakers are on the hosts' networks with raw sockets.
        "operatorframework.io/suggested-namespace-template": serde_json::to_string_pretty(&json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": "metallb-system",
                "labels": {
                    "pod-security.kubernetes.io/enforce": "privileged",
                    "pod-security.kubernetes.io/audit": "privileged",
                    "pod-security.kubernetes.io/warn": "privileged",
                },
            },
        }))?,
    });
    if let Some(skips) = release.skips() {
        annotations["olm.skipRange"] = skips.into();
    }
    Ok(annotations)
}

/// Services and nodes are the whole cluster's, so there is one MetalLB for all of it.
fn install_modes() -> Value {
    let modes = ["OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"];
    modes.map(|mode| json!({ "type": mode, "supported": mode == "AllNamespaces" })).into_iter().collect()
}
