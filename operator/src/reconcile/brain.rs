//! The one task that owns the world: what the watches report goes into it, and after every change the five steps are
//! run.
//!
//! It works only while it has the [`Mandate`], and its world begins with lists read after that: whatever another
//! replica wrote is in it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource as _};
use metallb_core::table::Event;
use metallb_crds::MetalLB;
use metallb_process::cluster::REQUEST_TIMEOUT;
use metallb_process::events::{Happening, Recorder};
use metallb_process::shutdown::Shutdown;
use metallb_process::watch::ObjectKey;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::apply::{Failure, request, take};
use super::gather::{Input, Row, World, start_watches};
use super::report::{Standing, is_spoken_for};
use super::steps::{Settled, Step, steps};
use super::{FIELD_MANAGER, METALLB, Mandate};
use crate::environment::Environment;
use crate::metrics::Metrics;
use crate::render::{CONTROLLER, Kind, Object, ObjectId, SPEAKER, render};
use crate::wanted::{SpecRefusal, Wanted};

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
        memory: Memory::default(),
        patience_ends: None,
    };
    let mut retry: Option<(Instant, Duration)> = None;
    loop {
        let changed = tokio::select! {
            () = mandate.lost() => return,
            () = shutdown.requested() => return,
            Some(input) = inputs.recv() => {
                let more = std::iter::from_fn(|| inputs.try_recv().ok()).take(BATCH);
                std::iter::once(input).chain(more).fold(false, |changed, input| brain.world.apply(input) | changed)
            }
            () = until(retry.map(|(at, _)| at)) => true,
            () = until(brain.patience_ends) => true,
        };
        if !changed || !brain.world.is_listed() {
            continue;
        }
        let outcome = tokio::select! {
            () = mandate.lost() => return,
            outcome = brain.pass() => outcome,
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

/// Is there time left for one more write?
fn may_write(mandate: &Mandate, shutdown: &Shutdown) -> bool {
    mandate.outlives(REQUEST_TIMEOUT) && shutdown.requested().now_or_never().is_none()
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
    memory: Memory,
    /// When to look again whether somebody looks after a `MetalLB` in another namespace.
    patience_ends: Option<Instant>,
}

/// What a process remembers. None of it is needed: without it everything is applied once more.
#[derive(Default)]
struct Memory {
    /// The last objects that a valid spec came to, with the uid of the `MetalLB`. In force while its spec is invalid.
    last_good: Option<(String, Vec<Object>)>,
    /// What was applied, as it was then.
    settled: BTreeMap<ObjectId, Settled>,
    /// Statuses as written, by the uid of the `MetalLB`.
    written: BTreeMap<String, Written>,
    /// Since when a `MetalLB` in another namespace has been seen, by its uid, with nobody looking after it.
    alone_since: BTreeMap<String, Instant>,
}

/// The status of a `MetalLB` as last written. The watch may be behind: what it shows may be an earlier one.
#[derive(Default)]
struct Written {
    latest: Vec<Condition>,
    /// Those before, until the watch has shown the latest.
    earlier: Vec<Vec<Condition>>,
}

impl Brain<'_> {
    async fn pass(&mut self) -> Outcome {
        let timer = self.context.metrics.duration.start_timer();
        let rows = self.world.metallbs().clone();
        self.memory.written.retain(|uid, _| rows.values().any(|row| row.uid == *uid));
        self.memory.alone_since.retain(|uid, _| rows.values().any(|row| row.uid == *uid));
        self.patience_ends = None;
        let mut failures = Vec::new();
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
        let (standing, mut failures) = if namespace != own {
            if is_spoken_for(&row.conditions, row.generation) || self.is_new_here(row) {
                return Vec::new();
            }
            (Standing::misplaced(own, namespace), Vec::new())
        } else if name != METALLB {
            (Standing::misnamed(own, name), Vec::new())
        } else {
            self.install(row).await
        };
        failures.extend(self.report(key, row, &standing).await.err());
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

    /// Check, build, apply; and what to say about it.
    async fn install(&mut self, row: &Row) -> (Standing, Vec<Failure>) {
        let environment = &self.context.environment;
        let checked = match &row.spec {
            Ok(spec) => Wanted::check(spec, environment.external_frrk8s_namespace.as_deref()),
            Err(error) => Err(vec![SpecRefusal::Unreadable { error: error.clone() }]),
        };
        let refusals = match checked {
            Ok(wanted) => {
                let owner = row.owner_reference(METALLB);
                let objects = render(&wanted, environment, &owner, self.world.service_monitors());
                self.memory.last_good = Some((row.uid.clone(), objects));
                Vec::new()
            }
            Err(refusals) => refusals,
        };
        let last_good = self.memory.last_good.take_if(|(uid, _)| *uid == row.uid);
        let failures = match &last_good {
            Some((_, objects)) => self.bring_about(objects, &row.uid).await,
            None => Vec::new(),
        };
        self.memory.last_good = last_good;
        let standing = if !refusals.is_empty() {
            Standing::invalid(&refusals)
        } else if !failures.is_empty() {
            Standing::failed(&failures)
        } else {
            let rollout = |kind, name| {
                let live = self.world.installed(&ObjectId::new(kind, name));
                live.and_then(|live| live.rollout.clone()).unwrap_or_default()
            };
            Standing::of(&rollout(Kind::Deployment, CONTROLLER), &rollout(Kind::DaemonSet, SPEAKER))
        };
        (standing, failures)
    }

    /// Takes the steps. One that fails does not keep the others from being taken, but nothing is deleted after it.
    async fn bring_about(&mut self, objects: &[Object], owner: &str) -> Vec<Failure> {
        let steps = match steps(objects, self.world.all_installed(), &self.memory.settled, owner) {
            Ok(steps) => steps,
            Err(error) => {
                let source = kube::Error::SerdeError(error);
                return vec![Failure::Refused { what: "write the objects down".into(), source }];
            }
        };
        let mut failures = Vec::new();
        for step in steps {
            if matches!(step, Step::Delete(..)) && !failures.is_empty() {
                break;
            }
            failures.extend(self.take(&step).await.err());
        }
        failures
    }

    async fn take(&mut self, step: &Step) -> Result<(), Failure> {
        if !may_write(self.mandate, self.shutdown) {
            return Err(Failure::NoMandate);
        }
        let context = self.context;
        let live = take(context.client.clone(), &context.environment.namespace, step).await?;
        match (step, live) {
            (Step::Apply(object), Some(live)) => {
                context.metrics.applied.inc();
                let id = object.id();
                if let Ok(sent) = object.to_value() {
                    let became = live.object.clone();
                    self.memory.settled.insert(id.clone(), Settled { sent, became });
                }
                self.world.apply(Input::Installed(id.kind, Event::Applied(id.name, live)));
            }
            (Step::Apply(_) | Step::Delete(..), _) => context.metrics.deleted.inc(),
        }
        Ok(())
    }

    /// Writes the status, unless it says so already, and an event when things have changed.
    async fn report(&mut self, key: &ObjectKey, row: &Row, standing: &Standing) -> Result<(), Failure> {
        let new = || Written { latest: row.conditions.clone(), earlier: Vec::new() };
        let written = self.memory.written.entry(row.uid.clone()).or_insert_with(new);
        if written.latest == row.conditions {
            written.earlier.clear();
        }
        let conditions = standing.conditions(row.generation, &written.latest, Timestamp::now());
        let is_on_its_way = written.latest == conditions && written.earlier.contains(&row.conditions);
        if row.conditions == conditions || is_on_its_way {
            return Ok(());
        }
        if !may_write(self.mandate, self.shutdown) {
            return Err(Failure::NoMandate);
        }
        let event = standing.event(&written.latest);
        let context = self.context;
        let (namespace, name) = key;
        let patch = json!({
            "apiVersion": MetalLB::api_version(&()),
            "kind": MetalLB::kind(&()),
            "metadata": { "name": name, "namespace": namespace },
            "status": { "conditions": conditions },
        });
        let metallbs: Api<MetalLB> = Api::namespaced(context.client.clone(), namespace);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(patch);
        let what = format!("write the status of MetalLB {namespace}/{name}");
        match request(what, metallbs.patch_status(name, &params, &patch)).await {
            Ok(_) => {}
            // Deleted in the meantime: the watch will tell.
            Err(Failure::Refused { source: kube::Error::Api(status), .. }) if status.code == 404 => {
                return Ok(());
            }
            Err(failure) => return Err(failure),
        }
        context.metrics.statuses.inc();
        let earlier = std::mem::replace(&mut written.latest, conditions);
        written.earlier.push(earlier);
        if let Some((severity, reason, message)) = event {
            tracing::info!(event = "statusChanged", metallb = format!("{namespace}/{name}"), reason, message);
            context.recorder.record(Happening { regarding: row.reference(key), severity, reason, message });
        }
        Ok(())
    }
}
