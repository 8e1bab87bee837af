//! Keeps the Lease object as the rules of [`super::elector`] say, and tells the rest of the process how things stand.

use std::future::Future;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease as LeaseObject, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;

use super::elector::{Action, Elector, Record, Timing};
use crate::cluster::REQUEST_TIMEOUT;
use crate::shutdown::Shutdown;

/// How things stand with the lease, for those whose writes depend on it. Clones all see the same.
#[derive(Clone, Debug)]
pub struct Lease {
    holds_until: watch::Receiver<Option<Instant>>,
}

impl Lease {
    /// Is it certain, on the monotonic clock, that the lease is still ours after `duration` from now?
    ///
    /// A lease is no fence: a write that is under way when the lease ends cannot be called back. So before each write
    /// the holder asks whether the lease outlives the longest that the write can take.
    pub fn outlives(&self, duration: Duration) -> bool {
        self.holds_until.borrow().is_some_and(|until| Instant::now() + duration < until)
    }

    /// Returns when the lease is held.
    pub async fn held(&self) {
        self.wait_for(Option::is_some).await;
    }

    /// Returns when the lease is not held any more.
    pub async fn lost(&self) {
        self.wait_for(Option::is_none).await;
    }

    async fn wait_for(&self, condition: impl FnMut(&Option<Instant>) -> bool) {
        if self.holds_until.clone().wait_for(condition).await.is_err() {
            std::future::pending().await // the keeper ended: nothing changes any more
        }
    }
}

/// Starts keeping the Lease `name` in `namespace` for the replica `identity`, until `shutdown`; then releases it.
///
/// `identity` must be unique among running processes, and may stay the same over a restart of a container: the name
/// of the Pod is both. The returned future ends once the lease is released: await it last.
pub fn keep(
    client: Client,
    namespace: &str,
    name: &str,
    identity: String,
    shutdown: Shutdown,
) -> (Lease, impl Future<Output = ()> + use<>) {
    let (sender, holds_until) = watch::channel(None);
    let keeper = Keeper {
        leases: Api::namespaced(client, namespace),
        name: name.to_owned(),
        elector: Elector::new(identity, Timing::default()),
        standing: sender,
        object: None,
    };
    let task = tokio::spawn(keeper.run(shutdown));
    let done = async move {
        let _ = task.await; // a panic in it was logged by the runtime
    };
    (Lease { holds_until }, done)
}

struct Keeper {
    leases: Api<LeaseObject>,
    name: String,
    elector: Elector,
    standing: watch::Sender<Option<Instant>>,
    /// As last read or written: the next write carries its resourceVersion.
    object: Option<LeaseObject>,
}

impl Keeper {
    async fn run(mut self, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(self.elector.timing().retry_period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.requested() => break,
                _ = ticks.tick() => {}
            }
            let result = tokio::time::timeout(REQUEST_TIMEOUT, self.round()).await;
            let error = match result {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the API server did not answer".to_owned()),
            };
            if let Some(error) = error {
                tracing::warn!(event = "leaseFailed", lease = %self.name, error, "will retry");
            }
            self.publish();
        }
        self.release().await;
    }

    /// Looks, and writes if the rules say so.
    async fn round(&mut self) -> kube::Result<()> {
        let object = self.leases.get_opt(&self.name).await?;
        let record = object.as_ref().map(record_of);
        self.object = object;
        let action = self.elector.observe(Instant::now(), record);
        if action == Action::Wait {
            return Ok(());
        }
        let sent = Instant::now();
        match self.write(action).await {
            Ok(object) => {
                self.object = Some(object);
                self.elector.written(sent);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                self.elector.lost_the_race();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn write(&self, action: Action) -> kube::Result<LeaseObject> {
        let now = MicroTime(Timestamp::now());
        let seconds = i32::try_from(self.elector.timing().duration.as_secs()).ok();
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let mut object = self.object.clone().unwrap_or(LeaseObject { metadata, spec: None });
        let is_new = object.metadata.resource_version.is_none();
        let spec = object.spec.get_or_insert_default();
        if action == Action::Acquire {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1)));
        }
        spec.holder_identity = Some(self.elector.identity().to_owned());
        spec.lease_duration_seconds = seconds;
        spec.renew_time = Some(now);
        if is_new {
            self.leases.create(&PostParams::default(), &object).await
        } else {
            self.leases.replace(&self.name, &PostParams::default(), &object).await
        }
    }

    /// Clears the name, so that another replica need not wait for the lease to run out.
    async fn release(&mut self) {
        let held = self.elector.holds_until(Instant::now()).is_some();
        let _ = self.standing.send(None);
        let Some(mut object) = self.object.take().filter(|_| held) else { return };
        object.spec = Some(LeaseSpec {
            lease_transitions: object.spec.and_then(|spec| spec.lease_transitions),
            ..LeaseSpec::default()
        });
        let params = PostParams::default();
        let replace = self.leases.replace(&self.name, &params, &object);
        // Where it fails the lease runs out by itself.
        if let Ok(Ok(_)) = tokio::time::timeout(REQUEST_TIMEOUT, replace).await {
            tracing::info!(event = "leaseReleased", lease = %self.name, "released");
        }
    }

    fn publish(&self) {
        let until = self.elector.holds_until(Instant::now());
        let before = self.standing.send_replace(until);
        match (before.is_some(), until.is_some()) {
            (false, true) => {
                tracing::info!(event = "leaseAcquired", lease = %self.name, "this replica works")
            }
            (true, false) => tracing::warn!(
                event = "leaseLost",
                lease = %self.name,
                holder = self.elector.holder(),
                "this replica stops"
            ),
            (true, true) | (false, false) => {}
        }
    }
}

fn record_of(object: &LeaseObject) -> Record {
    let spec = object.spec.clone().unwrap_or_default();
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        renewed: spec.renew_time.map(|time| time.0.to_string()).unwrap_or_default(),
        duration: spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs),
    }
}
