//! Which kinds of others the API server knows. Each is asked for on its own, whatever else is there.

use std::ops::ControlFlow;
use std::time::Duration;

use kube::{Client, CustomResource, Resource};
use serde::{Deserialize, Serialize};

/// How long until the API server is asked again whether it knows a kind.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// The same after it did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// The kind that OpenShift, MicroShift and OKD are known by. None is ever read.
#[derive(CustomResource, Clone, Debug, Serialize, Deserialize)]
#[kube(group = "route.openshift.io", version = "v1", kind = "Route", namespaced, schema = "disabled")]
pub struct RouteSpec {}

/// How long a decision waits for an answer that it can do without.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Asks until the API server knows kind `K`, or until `absent`, told each time that it does not, has heard enough.
pub async fn until_served<K, Told>(client: &Client, mut absent: impl FnMut() -> Told) -> ControlFlow<()>
where
    K: Resource<DynamicType = ()>,
    Told: Future<Output = ControlFlow<()>>,
{
    while !is_served::<K>(client).await {
        absent().await?;
        tokio::time::sleep(ASK_AGAIN).await;
    }
    ControlFlow::Continue(())
}

/// Does the API server know kind `K`? Asks until it answers.
async fn is_served<K: Resource<DynamicType = ()>>(client: &Client) -> bool {
    let version = K::api_version(&());
    loop {
        match client.list_api_group_resources(&version).await {
            Ok(list) => return list.resources.iter().any(|resource| resource.kind == K::kind(&())),
            // Who may not ask is to have what works without.
            Err(kube::Error::Api(status)) if [403, 404].contains(&status.code) => return false,
            Err(error) => {
                tracing::warn!(
                    event = "discoveryFailed",
                    kind = %K::kind(&()),
                    error = &error as &dyn std::error::Error,
                    "will retry"
                );
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}
