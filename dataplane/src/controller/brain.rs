//! The one task that owns the world: what the watches report goes into the [`Ledger`], what it decides is written.
//!
//! It works only while the lease is held. Its world begins with lists read after the lease was acquired, so whatever
//! the holder before wrote is in it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::Client;
use kube::runtime::watcher;
use metallb_core::names::ServiceKey;
use metallb_crds::IPAddressPool;
use metallb_process::cluster::REQUEST_TIMEOUT;
use metallb_process::events::Recorder;
use metallb_process::lease::Lease;
use metallb_process::serve::debug::Question;
use metallb_process::shutdown::Shutdown;
use metallb_process::watch;
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinSet;
use tokio::time::{Duration, MissedTickBehavior};

use super::ledger::{Input, Ledger};
use super::metrics::Metrics;
use super::pool_row::PoolRow;
use super::reporting::{Reporter, read_kept_back};
use super::reservations::Lines;
use super::row::Row;
use super::writing::Outcome;
use crate::kube::configuration::{Configuration, Scope};
use crate::kube::configuration_state::{self, Component, publish};
use metallb_crds::cluster::service::LoadBalancerClass;

/// Changes that wait for the brain. When it is full the watches wait, and the API server keeps the changes.
const INPUTS: usize = 256;
/// Changes taken in before the next plan: what arrives together is planned together.
const BATCH: usize = 1024;
/// Writes under way at a time.
const WRITES: usize = 16;
/// How often to look whether writes that waited for a renewal of the lease may go, what is kept back has passed its
/// time, and the last round of reports left something to tell.
const PATROL: Duration = Duration::from_secs(1);
/// How often to try again what the API server refused: a role may have been completed.
const RETRY_REFUSED: Duration = Duration::from_secs(30);

/// What the brain needs besides its world.
pub struct Context {
    /// To watch and to write with.
    pub client: Client,
    /// MetalLB's namespace.
    pub namespace: String,
    /// The Pod of this process.
    pub pod: String,
    /// Which services are ours.
    pub class: LoadBalancerClass,
    /// Where events go.
    pub recorder: Recorder,
    /// What is counted.
    pub metrics: Metrics,
}

/// Works until the lease is lost or the process is to end. Then every write that is under way has its outcome, or at
/// least the time in which it could have had one.
pub async fn work(
    context: &Context,
    lease: &Lease,
    shutdown: &Shutdown,
    questions: &mut mpsc::Receiver<Question>,
) {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let mut watches = JoinSet::new(); // aborted when dropped
    start_watches(context, sender, &mut watches);
    let (verdicts, verdict) = latest::channel(None);
    watches.spawn(configuration_state::keep(
        context.client.clone(),
        context.namespace.clone(),
        Component::Controller,
        context.pod.clone(),
        verdict,
    ));
    let mut ledger = Ledger::new(context.class.clone());
    let Some(kept_back) = restore(context, &mut ledger, lease, shutdown).await else { return };
    let mut reporter = Reporter::new(context.client.clone(), context.namespace.clone(), kept_back);
    let mut writes: JoinSet<(ServiceKey, Outcome)> = JoinSet::new();
    let mut patrol = tokio::time::interval(PATROL);
    patrol.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut retries = tokio::time::interval(RETRY_REFUSED);
    retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = lease.lost() => break,
            () = shutdown.requested() => break,
            Some(done) = writes.join_next() => match done {
                Ok((_, Outcome::Abandoned)) => break, // what the world looks like now has to be read anew
                Ok((service, outcome)) => finish(context, &mut ledger, &service, outcome),
                Err(error) => tracing::error!(event = "writeFailed", %error, "the task that wrote ended early"),
            },
            Some(input) = inputs.recv() => {
                let more = std::iter::from_fn(|| inputs.try_recv().ok()).take(BATCH);
                for input in std::iter::once(input).chain(more) {
                    context.metrics.client.updates.inc();
                    ledger.apply(input);
                }
            }
            news = reporter.reported() => news.into_iter().for_each(|input| ledger.apply(input)),
            Some(question) = questions.recv() => {
                let _ = question.send(ledger.state()); // who asked is gone: nobody to tell
            }
            _ = patrol.tick() => {}
            _ = retries.tick() => ledger.retry_refused(),
        }
        ledger.tell_time(Timestamp::now().as_second());
        for happening in ledger.plan() {
            context.recorder.record(happening);
        }
        if ledger.is_ready() {
            context.metrics.client.config_loaded.set(1);
        }
        if let Some(verdict) = ledger.verdict() {
            context.metrics.client.config_stale.set(i64::from(!verdict.is_valid()));
            publish(&verdicts, verdict);
        }
        reporter.report(&ledger, &context.metrics, lease);
        while writes.len() < WRITES && lease.outlives(REQUEST_TIMEOUT) {
            let Some(write) = ledger.take_write() else { break };
            let (client, lease, service) = (context.client.clone(), lease.clone(), write.service.clone());
            writes.spawn(async move { (service, write.perform(client, lease).await) });
        }
    }
    // A request that was sent cannot be called back. The lease must outlive it: nobody else may start before.
    let all_done = async { while writes.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(REQUEST_TIMEOUT, all_done).await;
    let _ = tokio::time::timeout(REQUEST_TIMEOUT, reporter.end(&ledger, lease)).await;
}

/// Reads what was kept back before, until that succeeds. `None` when it is over before.
async fn restore(
    context: &Context,
    ledger: &mut Ledger,
    lease: &Lease,
    shutdown: &Shutdown,
) -> Option<Lines> {
    loop {
        let read = read_kept_back(&context.client, &context.namespace).await;
        let error = match read {
            Ok((kept, lines)) => {
                ledger.tell_time(Timestamp::now().as_second());
                ledger.apply(Input::Restored(kept));
                return Some(lines);
            }
            Err(error) => error,
        };
        let error = &error as &dyn std::error::Error;
        tracing::warn!(
            event = "reservationsUnknown",
            error,
            "nothing is given out before they are read; will retry"
        );
        tokio::select! {
            () = lease.lost() => return None,
            () = shutdown.requested() => return None,
            () = tokio::time::sleep(PATROL) => {}
        }
    }
}

fn start_watches(context: &Context, sender: mpsc::Sender<Input>, watches: &mut JoinSet<()>) {
    let client = &context.client;
    Configuration::watch(
        &Scope::Allocation,
        client,
        &context.namespace,
        &sender,
        Input::Configuration,
        watches,
    );
    watches.spawn(watch::watch(
        watch::Source::<Namespace>::everywhere(client.clone()),
        watcher::Config::default(),
        sender.clone(),
        |read| Some(read.ok()?.metadata.labels.unwrap_or_default()),
        |event| Input::Namespace(event.map_keys(|(_, name)| name.into())),
    ));
    watches.spawn(watch::watch(
        watch::Source::<IPAddressPool>::within(client.clone(), &context.namespace),
        watcher::Config::default(),
        sender.clone(),
        |read| Some(PoolRow::of(&read)),
        |event| Input::Pool(event.map_keys(|(_, name)| name.into())),
    ));
    let class = context.class.clone();
    watches.spawn(watch::watch(
        watch::Source::<Service>::everywhere(client.clone()),
        watcher::Config::default(),
        sender,
        move |read| Row::of(&read.ok()?, &class),
        |event| Input::Service(event.map_keys(|(namespace, name)| ServiceKey::new(namespace, name))),
    ));
}

fn finish(context: &Context, ledger: &mut Ledger, service: &ServiceKey, outcome: Outcome) {
    match outcome {
        Outcome::Written(object) => {
            for happening in ledger.written(&object) {
                context.recorder.record(happening);
            }
        }
        // Gone: its deletion is on its way through the watch.
        Outcome::Conflict | Outcome::Gone | Outcome::Abandoned => ledger.conflicted(service),
        Outcome::Refused(error) => {
            context.metrics.client.update_errors.inc();
            let error = &error as &dyn std::error::Error;
            tracing::error!(event = "writeRefused", %service, error, "is the role of the controller complete?");
            ledger.refused(service);
        }
    }
}
