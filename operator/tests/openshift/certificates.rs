//! Certificates for the metrics: asked for with the monitors, and trusted once they are made.

use anyhow::Result;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, DeleteParams};
use metallb_lab::eventually;
use metallb_operator::render::ServiceMonitor;
use serde_json::{Value, json};

use crate::common::{Installation, MONITORING, SOON, edit, metallbs};
use crate::{again, start};

#[tokio::test]
async fn prometheus_verifies_them_when_both_services_have_theirs() -> Result<()> {
    let (installation, turn) = start(&[]).await?;
    installation.admin.apply_yaml(MONITORING).await?;
    drop(installation);
    let (installation, _turn) = again(&[("DEPLOY_SERVICEMONITORS", "true")], turn).await?;
    installation.ask_for("{}").await?;
    until_monitors_say(&installation, json!({ "insecureSkipVerify": true })).await;
    let services: Api<Service> = Api::default_namespaced(installation.admin.client());
    for component in ["controller", "speaker"] {
        let name = format!("{component}-monitor-service");
        let service = services.get(&name).await?.metadata.annotations.unwrap_or_default();
        let secret = service.get("service.beta.openshift.io/serving-cert-secret-name");
        assert_eq!(secret, Some(&format!("{component}-certs-secret")));
        // As OpenShift's signer notes it.
        let made =
            json!({ "service.beta.openshift.io/serving-cert-signed-by": "openshift-service-serving-signer" });
        edit(&services, &name, json!({ "metadata": { "annotations": made } })).await?;
    }
    let verified = json!({
        "insecureSkipVerify": false, "serverName": "speaker-monitor-service.metallb-system.svc",
        "caFile": "/etc/prometheus/configmaps/serving-certs-ca-bundle/service-ca.crt",
        "certFile": "/etc/prometheus/secrets/metrics-client-certs/tls.crt",
        "keyFile": "/etc/prometheus/secrets/metrics-client-certs/tls.key",
    });
    until_monitors_say(&installation, verified).await;
    metallbs(&installation.admin).delete("metallb", &DeleteParams::default()).await?;
    Ok(())
}

async fn until_monitors_say(installation: &Installation, expected: Value) {
    let monitors: Api<ServiceMonitor> = Api::default_namespaced(installation.admin.client());
    eventually(SOON, &format!("the speakers' monitor says {expected}"), async || {
        let monitor = monitors.get("speaker-monitor").await?;
        let found = serde_json::to_value(&monitor.spec.endpoints[0].tls_config)?;
        anyhow::ensure!(found == expected, "{found}");
        Ok(())
    })
    .await;
}
