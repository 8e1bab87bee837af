//! The objects that upstream's manifests and its operator leave in a cluster: names, labels, containers and who is said to
//! manage their fields.

use serde_json::{Value, json};

fn container(name: &str, image: &str, port: u16) -> Value {
    json!({
        "name": name, "image": image, "ports": [{ "name": format!("p{port}"), "containerPort": port }],
        "env": [{ "name": "OF_OLD", "value": "x" }],
    })
}

/// DaemonSet `speaker` of the FRR mode, with a proxy in front of its metrics.
pub fn speaker() -> Value {
    let empty = |name: &str| json!({ "name": name, "emptyDir": {} });
    let mut own = container("speaker", "quay.io/metallb/speaker:v0.14.9", 7472);
    own["volumeMounts"] = json!([
        { "name": "reloader", "mountPath": "/etc/frr_reloader" },
        { "name": "metallb-excludel2", "mountPath": "/etc/metallb" },
    ]);
    own["args"] = json!(["--port=7472", "--log-level=info"]);
    let mut init = container("cp-frr-files", "quay.io/frrouting/frr:9.1.0", 0);
    for field in ["ports", "env"] {
        init[field] = json!([]);
    }
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {
            "name": "speaker",
            "labels": { "app": "metallb", "component": "speaker", "of-old": "yes" },
            "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}" },
        },
        "spec": {
            "revisionHistoryLimit": 3,
            "selector": { "matchLabels": { "app": "metallb", "component": "speaker" } },
            "template": {
                "metadata": {
                    "labels": { "app": "metallb", "component": "speaker" },
                    "annotations": { "prometheus.io/port": "7472", "prometheus.io/scrape": "true" },
                },
                "spec": {
                    "hostNetwork": true, "shareProcessNamespace": true,
                    "serviceAccountName": "speaker", "terminationGracePeriodSeconds": 0,
                    "nodeSelector": { "kubernetes.io/os": "linux" },
                    "initContainers": [init],
                    "containers": [
                        own,
                        container("frr", "quay.io/frrouting/frr:9.1.0", 2601),
                        container("reloader", "quay.io/frrouting/frr:9.1.0", 2602),
                        container("frr-metrics", "quay.io/frrouting/frr:9.1.0", 7473),
                        container("kube-rbac-proxy", "quay.io/brancz/kube-rbac-proxy:v0.12.0", 9120),
                    ],
                    "volumes": [
                        empty("frr-sockets"),
                        empty("reloader"),
                        { "name": "metallb-excludel2", "configMap": { "name": "metallb-excludel2" } },
                    ],
                },
            },
        },
    })
}

/// Deployment `controller`.
pub fn controller() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "controller", "labels": { "app": "metallb", "component": "controller", "of-old": "yes" },
        },
        "spec": {
            "revisionHistoryLimit": 3,
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
            "selector": { "matchLabels": { "app": "metallb", "component": "controller" } },
            "template": {
                "metadata": { "labels": { "app": "metallb", "component": "controller" } },
                "spec": {
                    "serviceAccountName": "controller",
                    "volumes": [{ "name": "cert", "secret": { "secretName": "metallb-webhook-cert" } }],
                    "containers": [
                        container("controller", "quay.io/metallb/controller:v0.14.9", 7472),
                        container("kube-rbac-proxy", "quay.io/brancz/kube-rbac-proxy:v0.12.0", 9120),
                    ],
                },
            },
        },
    })
}

/// A Deployment of upstream's operator that serves webhooks, and renews their certificate.
pub fn webhook_server() -> Value {
    let labels = json!({ "app": "metallb", "component": "webhook-server" });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "metallb-operator-webhook-server", "labels": labels },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [container("webhook-server", "quay.io/metallb/controller:v0.15.2", 9443)] },
            },
        },
    })
}
