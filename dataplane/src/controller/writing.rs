//! One write of one Service's status, until its outcome is certain.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use metallb_core::ipam::Vips;
use metallb_core::names::{PoolName, ServiceKey};
use metallb_process::cluster::REQUEST_TIMEOUT;
use metallb_process::lease::Lease;
use serde_json::{Value, json};

use metallb_crds::cluster::annotations::Annotation;

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// What a Service's status should say, and on which version of it that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The service.
    pub service: ServiceKey,
    /// The write is refused when the object is no longer at this version.
    pub resource_version: String,
    /// What becomes of `status.loadBalancer.ingress`.
    pub ingress: Ingress,
    /// The pool for the annotation; `None` removes it.
    pub pool: Option<PoolName>,
}

/// What becomes of `status.loadBalancer.ingress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// It stays as it is, down to what others wrote beside the addresses.
    Keep,
    /// It holds these addresses and nothing else.
    Set(Vips),
    /// It is empty.
    Clear,
}

/// How a write ended.
#[derive(Debug)]
pub enum Outcome {
    /// It was made. This is the object now.
    Written(Box<Service>),
    /// The object has changed in the meantime. Nothing was written.
    Conflict,
    /// The object is gone.
    Gone,
    /// The API server refuses it, and would again.
    Refused(kube::Error),
    /// The lease ran out before the outcome was certain: whoever holds it next goes on from what is there.
    Abandoned,
}

impl Write {
    /// A merge patch of the status subresource, which carries annotations as well. Releasing writes an explicit empty
    /// list, and the rest of an entry (`ipMode`, `ports`) is the server's.
    fn patch(&self) -> Value {
        let mut patch = json!({
            "metadata": {
                "resourceVersion": self.resource_version,
                "annotations": { Annotation::IpAllocatedFromPool.key(): self.pool.as_ref().map(PoolName::as_str) },
            },
        });
        let addresses = match self.ingress {
            Ingress::Keep => return patch,
            Ingress::Set(vips) => vips.to_vec(),
            Ingress::Clear => Vec::new(),
        };
        let ingress: Vec<_> = addresses.iter().map(|address| json!({ "ip": address.to_string() })).collect();
        patch["status"] = json!({ "loadBalancer": { "ingress": ingress } });
        patch
    }

    /// Writes. Where the answer stays out the same write is tried again, for it may have been made: only a definite
    /// answer ends it, or the end of the lease.
    pub async fn perform(self, client: Client, lease: Lease) -> Outcome {
        let services: Api<Service> = Api::namespaced(client, self.service.namespace.as_str());
        let patch = Patch::Merge(self.patch());
        let params = PatchParams::default();
        let mut delay = FIRST_RETRY;
        loop {
            if !lease.outlives(REQUEST_TIMEOUT) {
                return Outcome::Abandoned;
            }
            let request = services.patch_status(&self.service.name, &params, &patch);
            match tokio::time::timeout(REQUEST_TIMEOUT, fenced(Instant::now() + REQUEST_TIMEOUT, request))
                .await
            {
                Ok(Ok(service)) => return Outcome::Written(Box::new(service)),
                Ok(Err(kube::Error::Api(status))) if status.code == 409 => return Outcome::Conflict,
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Outcome::Gone,
                Ok(Err(kube::Error::Api(status)))
                    if (400..500).contains(&status.code) && status.code != 429 =>
                {
                    return Outcome::Refused(kube::Error::Api(status));
                }
                Ok(Err(error)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(event = "writeFailed", service = %self.service, error, "will retry");
                }
                Err(_) => {
                    tracing::warn!(event = "writeFailed", service = %self.service, error = "no answer", "will retry");
                }
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(LONGEST_RETRY);
        }
    }
}

/// Lets `request` go on until `deadline`, and not a step after it: a process that was stopped in between must not send
/// when it wakes what it made before. (A timeout looks at the clock only after the request has gone on.)
async fn fenced<T>(deadline: Instant, request: impl Future<Output = T>) -> T {
    let mut request = pin!(request);
    poll_fn(|task| if Instant::now() < deadline { request.as_mut().poll(task) } else { Poll::Pending }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_was_made_before_a_stop_is_not_sent_after_it() {
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        let now = Instant::now();
        let in_time = pin!(fenced(now + REQUEST_TIMEOUT, async { "sent" }));
        assert_eq!(in_time.poll(&mut task), Poll::Ready("sent"));
        let too_late = pin!(fenced(now, async { "sent" }));
        assert_eq!(too_late.poll(&mut task), Poll::Pending);
    }

    #[test]
    fn releasing_writes_an_explicit_empty_list_and_takes_the_annotation_away() {
        let write = Write {
            service: ServiceKey::new("default", "web"),
            resource_version: "7".into(),
            ingress: Ingress::Clear,
            pool: None,
        };
        let expected = json!({
            "metadata": { "resourceVersion": "7", "annotations": { "metallb.io/ip-allocated-from-pool": null } },
            "status": { "loadBalancer": { "ingress": [] } },
        });
        assert_eq!(write.patch(), expected);
    }

    #[test]
    fn addresses_that_stay_are_not_written_again() {
        let write = Write {
            service: ServiceKey::new("default", "web"),
            resource_version: "7".into(),
            ingress: Ingress::Keep,
            pool: Some("lab".into()),
        };
        assert_eq!(write.patch().get("status"), None);
    }
}
