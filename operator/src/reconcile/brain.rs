//! The one task that owns the world: what the watches report goes into it, and after every change the five steps are
//! run.
//!
//! It works only while it has the [`Mandate`], and its world begins with lists read after that: whatever another
//! replica wrote is in it.

mod install;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::FutureExt as _;
use kube::Client;
use metallb_crds::{MetalLBSpec, MetalLBStatus};
use metallb_process::cluster::REQUEST_TIMEOUT;
use metallb_process::events::Recorder;
use metallb_process::shutdown::Shutdown;
use metallb_process::watch::ObjectKey;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::apply::{Failure, delete, lead_back};
use super::gather::{Row, World, start_watches};
use super::report::{Standing, is_spoken_for};
use super::steps::{Settled, Superfluous};
use super::sweep::remnants;
use super::takeover::leftovers;
use super::{METALLB, Mandate};
use crate::environment::Environment;
use crate::metrics::Metrics;
use crate::render::ObjectId;
use crate::tls_profile::ClusterTls;

/// Changes that wait. When it is full the watches wait, and the API server keeps the changes.
const INPUTS: usize = 256;
/// Changes taken in before the next pass: what arrives together is acted on together.
const BATCH: usize = 1024;
/// After a pass failed. Doubles up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// How long a `MetalLB` in another namespace is left alone: there may be an operator that looks after it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the brain needs besides its world.
pub struct Context {
    /// To watch and to write with.
    pub client: Client,
    /// Where it works, and what it installs.
    pub environment: Environment,
    /// Where events go.
    pub recorder: Recorder,
    /// What is counted.
    pub metrics: Metrics,
    /// What the cluster asks of TLS.
    pub tls: watch::Receiver<ClusterTls>,
}

/// Works until the mandate is lost, or until `shutdown`; then the write under way is the last one, and ends first.
pub async fn work(context: &Context, mandate: &Mandate, shutdown: &Shutdown) {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let mut watches = JoinSet::new(); // aborted when dropped
    let environment = &context.environment;
    start_watches(&context.client, &environment.namespace, environment.monitors, &sender, &mut watches);
    let mut brain = Brain {
        context,
        mandate,
        shutdown,
        world: World::default(),
        tls: ClusterTls::Unknown,
        memory: Memory::default(),
        patience_ends: None,
    };
    let mut tls = context.tls.clone();
    tls.mark_changed();
    let mut retry: Option<(Instant, Duration)> = None;
    loop {
        let changed = tokio::select! {
            () = mandate.lost() => return,
            () = shutdown.requested() => return,
            Some(input) = inputs.recv() => {
                let more = std::iter::from_fn(|| inputs.try_recv().ok()).take(BATCH);
                std::iter::once(input).chain(more).fold(false, |changed, input| brain.world.apply(input) | changed)
            }
            Ok(()) = tls.changed() => {
                brain.tls = tls.borrow_and_update().clone();
                true
            }
            () = until(retry.map(|(at, _)| at)) => true,
            () = until(brain.patience_ends) => true,
        };
        // Pods made before it is known what their servers are to speak would be the wrong ones.
        if !changed || !brain.world.is_listed() || matches!(brain.tls, ClusterTls::Unknown) {
            continue;
        }
        let outcome = tokio::select! {
            () = mandate.lost() => return,
            // Boxed: it holds every kind of request, and its size is everybody's who waits for it.
            outcome = Box::pin(brain.pass()) => outcome,
        };
        retry = match outcome {
            Outcome::Done => None,
            Outcome::Failed => {
                let delay = retry.map_or(FIRST_RETRY, |(_, delay)| (delay * 2).min(LONGEST_RETRY));
                Some((Instant::now() + delay, delay))
            }
        };
    }
}

/// Returns at that time; never, without one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everything is as it should be.
    Done,
    /// Something is to be tried again.
    Failed,
}

struct Brain<'c> {
    context: &'c Context,
    mandate: &'c Mandate,
    shutdown: &'c Shutdown,
    world: World,
    tls: ClusterTls,
    memory: Memory,
    /// When to look again whether somebody looks after a `MetalLB` in another namespace.
    patience_ends: Option<Instant>,
}

/// What a process remembers. None of it is needed: without it everything is applied once more.
#[derive(Default)]
struct Memory {
    /// The last spec that can be acted on, with the uid of the `MetalLB`. In force while its spec cannot be.
    last_good: Option<(String, MetalLBSpec)>,
    /// Nothing of frr-k8s' is in anybody's way, outside the namespace either.
    is_rid_of_frr: bool,
    /// What was applied, as it was then.
    settled: BTreeMap<ObjectId, Settled>,
    /// Statuses as written, by the uid of the `MetalLB`.
    written: BTreeMap<String, Written>,
    /// The `MetalLB`s that metrics tell of.
    told: BTreeSet<String>,
    /// Since when a `MetalLB` in another namespace has been seen, by its uid, with nobody looking after it.
    alone_since: BTreeMap<String, Instant>,
}

/// The status of a `MetalLB` as last written. The watch may be behind: what it shows may be an earlier one.
#[derive(Default)]
struct Written {
    latest: MetalLBStatus,
    /// Those before, until the watch has shown the latest.
    earlier: Vec<MetalLBStatus>,
}

impl Brain<'_> {
    async fn pass(&mut self) -> Outcome {
        let timer = self.context.metrics.duration.start_timer();
        let rows = self.world.metallbs().clone();
        self.memory.written.retain(|uid, _| rows.values().any(|row| row.uid == *uid));
        self.memory.alone_since.retain(|uid, _| rows.values().any(|row| row.uid == *uid));
        self.patience_ends = None;
        self.forget_all_but(rows.keys());
        let mut failures = self.remove_rivals().await;
        failures.extend(self.sweep().await);
        for (key, row) in rows {
            // What is being deleted is left to the garbage collector; making it anew would only delay that.
            if !row.is_deleting {
                failures.extend(self.attend_to(&key, &row).await);
            }
        }
        timer.observe_duration();
        let result = if failures.is_empty() { "success" } else { "error" };
        self.context.metrics.reconciles.with_label_values(&[result]).inc();
        for failure in &failures {
            tracing::warn!(event = "reconcileFailed", error = %failure, "will retry");
        }
        if failures.is_empty() { Outcome::Done } else { Outcome::Failed }
    }

    /// All five steps for one `MetalLB`.
    async fn attend_to(&mut self, key: &ObjectKey, row: &Row) -> Vec<Failure> {
        let own = &self.context.environment.namespace;
        let (namespace, name) = key;
        let (outlook, mut failures) = if namespace != own {
            let conditions = &row.status.conditions;
            if is_spoken_for(conditions, row.generation) || self.is_new_here(row) {
                return Vec::new();
            }
            (Standing::misplaced(own, namespace).into(), Vec::new())
        } else if name != METALLB {
            (Standing::misnamed(own, name).into(), Vec::new())
        } else {
            self.install(key, row).await
        };
        failures.extend(self.report(key, row, outlook).await.err());
        failures
    }

    /// May somebody else still be about to look after this `MetalLB` in another namespace? Then it is looked at again.
    fn is_new_here(&mut self, row: &Row) -> bool {
        let now = Instant::now();
        let ends = *self.memory.alone_since.entry(row.uid.clone()).or_insert(now) + PATIENCE;
        let is_new = now < ends;
        if is_new {
            self.patience_ends = Some(self.patience_ends.map_or(ends, |other| other.min(ends)));
        }
        is_new
    }

    /// Deletes what works against the operator, whether or not a `MetalLB` is there.
    async fn remove_rivals(&self) -> Vec<Failure> {
        let mut failures = Vec::new();
        for rival in leftovers::rivals(&self.world) {
            failures.extend(self.delete(&rival).await.err());
        }
        if let Some((misled, patch)) = leftovers::misled_service(&self.world) {
            failures.extend(self.lead_back(&misled, patch).await.err());
        }
        failures
    }

    /// Deletes what no owner takes with it.
    async fn sweep(&self) -> Vec<Failure> {
        let mut failures = Vec::new();
        for remnant in remnants(&self.world) {
            failures.extend(self.delete(&remnant).await.err());
        }
        failures
    }

    async fn lead_back(&self, misled: &ObjectId, patch: Value) -> Result<(), Failure> {
        self.ensure_mandate()?;
        lead_back(self.context.client.clone(), &self.context.environment.namespace, misled, patch).await
    }

    async fn delete(&self, superfluous: &Superfluous) -> Result<(), Failure> {
        self.ensure_mandate()?;
        let context = self.context;
        delete(context.client.clone(), &context.environment.namespace, superfluous).await?;
        context.metrics.deleted.inc();
        Ok(())
    }

    /// Is there time left for one more write?
    fn ensure_mandate(&self) -> Result<(), Failure> {
        let may_write =
            self.mandate.outlives(REQUEST_TIMEOUT) && self.shutdown.requested().now_or_never().is_none();
        if may_write { Ok(()) } else { Err(Failure::NoMandate) }
    }
}
