//! A cluster that knows SecurityContextConstraints, and refuses those of the speakers.

mod common;

use anyhow::{Context as _, Result};
use metallb_lab::{ApiServer, eventually};
use metallb_operator::render::SPEAKER_CONSTRAINTS;

use common::{Installation, SOON};

/// The kind, with a field that has to be there.
fn definition(required: &str) -> String {
    format!(
        "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: securitycontextconstraints.security.openshift.io}}
spec:
  group: security.openshift.io
  scope: Cluster
  names: {{kind: SecurityContextConstraints, plural: securitycontextconstraints, singular: securitycontextconstraints}}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, required: [{required}], x-kubernetes-preserve-unknown-fields: true}}}}
"
    )
}

#[tokio::test]
async fn no_speaker_requires_constraints_that_are_not_there() -> Result<()> {
    let server = ApiServer::start_plain().await?;
    let admin = server.admin().await?;
    admin.apply_yaml(&definition("neverThere")).await?;
    eventually(SOON, "the kind can be discovered", async || {
        admin.kubectl(["get", "--raw", "/apis/security.openshift.io/v1"]).await?.success()
    })
    .await;
    let installation = Installation::start(&admin).await?;
    installation.ask_for("{}").await?;
    let message = installation.until("Degraded", "ApplyFailed").await;
    assert!(message.contains(SPEAKER_CONSTRAINTS) && message.contains("neverThere"), "{message}");
    installation.controller().await.context("what does not need them is installed")?;
    let speakers = installation.daemon_sets().get_opt("speaker").await?;
    assert!(speakers.is_none(), "{speakers:?}");

    admin.apply_yaml(&definition("users")).await?;
    eventually(SOON, "once they are there, speakers are", async || installation.speaker().await).await;
    Ok(())
}
