//! The ClusterServiceVersion: who we are, which kinds are ours, what to run and with which rights.

use metallb_crds::schema;
use serde_json::{Value, json};

use super::directory::PACKAGE;
use crate::generate::manifest::{Accounts, Certificates, accounts, definitions, deployment};
use crate::generate::{Images, yaml};

/// The examples that OLM's console offers: the samples, one of every kind.
const EXAMPLES: [&str; 7] = [
    include_str!("../../../../config/samples/metallb.yaml"),
    include_str!("../../../../config/samples/ipaddresspool.yaml"),
    include_str!("../../../../config/samples/l2advertisement.yaml"),
    include_str!("../../../../config/samples/bgpadvertisement.yaml"),
    include_str!("../../../../config/samples/bgppeer.yaml"),
    include_str!("../../../../config/samples/bfdprofile.yaml"),
    include_str!("../../../../config/samples/community.yaml"),
];

pub(super) fn cluster_service_version(images: &Images) -> Result<Value, yaml::Error> {
    let version = env!("CARGO_PKG_VERSION");
    let mut deployment = serde_json::to_value(deployment(images))?;
    // OLM provides the certificate and tells the API server of it.
    let args = &mut deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    if let Some(args) = args.as_array_mut() {
        args.push("--disable-cert-rotation=true".into());
    }
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let Accounts { cluster_permissions, permissions } = accounts(Certificates::Installer);
    Ok(json!({
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": format!("{PACKAGE}.v{version}"),
            "namespace": "placeholder",
            "annotations": {
                "alm-examples": examples()?,
                "capabilities": "Basic Install",
                "categories": "Networking",
                "containerImage": images.operator,
                "description": "Gives Services of type LoadBalancer addresses on networks without a cloud",
                "operatorframework.io/suggested-namespace": "metallb-system",
            },
        },
        "spec": {
            "displayName": "MetalLB",
            "description": "MetalLB gives every Service of type LoadBalancer an address from your pools, and makes \
                your network send its traffic to the cluster. Apply a MetalLB resource named `metallb`, then an \
                IPAddressPool and an advertisement.",
            "keywords": ["load balancer", "layer 2", "bare metal"],
            "maturity": "alpha",
            "minKubeVersion": "1.33.0",
            "version": version,
            "provider": { "name": "MetalLB" },
            "maintainers": [],
            "links": [],
            "installModes": install_modes(),
            "customresourcedefinitions": { "owned": owned() },
            "webhookdefinitions": definitions(name),
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
        },
    }))
}

fn examples() -> Result<String, yaml::Error> {
    let examples = EXAMPLES.iter().map(|text| yaml::read(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(serde_json::to_string_pretty(&examples)?)
}

/// Services and nodes are the whole cluster's, so there is one MetalLB for all of it.
fn install_modes() -> Value {
    let modes = ["OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"];
    modes.map(|mode| json!({ "type": mode, "supported": mode == "AllNamespaces" })).into_iter().collect()
}

fn owned() -> Vec<Value> {
    let mut owned = Vec::new();
    for definition in schema::all() {
        for version in &definition.spec.versions {
            let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
            owned.push(json!({
                "name": definition.metadata.name,
                "kind": definition.spec.names.kind,
                "version": version.name,
                "displayName": definition.spec.names.kind,
                "description": schema.and_then(|schema| schema.description.clone()).unwrap_or_default(),
            }));
        }
    }
    owned
}
