//! A last look at the API server when the speaker is told to stop: is it the node that goes, and how long is there?
//!
//! The watches may be behind: a kubelet that shuts its node down says so and stops the Pods in one breath.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::core::PartialObjectMeta;
use metallb_core::table::Event;
use metallb_crds::cluster::node;

use super::brain::Context;
use super::facts::{Facts, Input};

/// The API server may be away, and the Pod is killed soon.
const PATIENCE: Duration = Duration::from_secs(1);
/// Before the kill: to close sessions, and for what runs late.
const MARGIN: Duration = Duration::from_secs(2);

/// Tells `facts` what the Node says now, and when the Pod will be killed.
pub async fn look(context: &Context, facts: &mut Facts) {
    let asked = Instant::now();
    let nodes = Api::<Node>::all(context.client.clone());
    let pods = Api::<PartialObjectMeta<Pod>>::namespaced(context.client.clone(), &context.namespace);
    let name = facts.node().clone();
    let both = async { tokio::join!(nodes.get_opt(name.as_str()), pods.get_opt(&context.pod)) };
    let Ok((node, pod)) = tokio::time::timeout(PATIENCE, both).await else {
        tracing::info!(event = "apiServerAway", "the last known state decides whether this is a restart");
        return;
    };
    match node {
        Ok(Some(node)) => facts.apply(Input::Node(Event::Applied(name, node::read(&node, &context.signs)))),
        Ok(None) => facts.apply(Input::Node(Event::Deleted(name))),
        Err(error) => tracing::info!(event = "nodeUnknown", %error, "the last known state decides"),
    }
    let grace = pod.ok().flatten().and_then(|pod| pod.metadata.deletion_grace_period_seconds);
    if let Some(grace) = grace.and_then(|grace| u64::try_from(grace).ok()) {
        facts.hurry(Instant::now(), asked + Duration::from_secs(grace).saturating_sub(MARGIN));
    }
}
