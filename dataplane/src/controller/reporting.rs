//! What is written beside the services themselves: the status of pools, and what they keep back.
//!
//! In rounds: the first change is written at once, what follows within [`PAUSE`] goes into the next round, and a round
//! that failed is made again. So 5,000 addresses given in ten seconds cost a pool a few dozen writes, and the last
//! state always arrives.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use metallb_core::names::PoolName;
use metallb_core::table::Event;
use metallb_crds::{IPAddressPool, IPAddressPoolStatus};
use metallb_process::cluster::REQUEST_TIMEOUT;
use metallb_process::lease::Lease;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ledger::{Input, Ledger};
use super::metrics::Metrics;
use super::pool_row::PoolRow;
use super::reservations::{self, Kept, Lines};

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(250);
/// After a round in which something failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Whoever writes the status of pools, for server-side apply.
const STATUS_MANAGER: &str = "metallb-controller-poolstatus";
/// Whoever writes the ConfigMap, likewise.
const RESERVATIONS_MANAGER: &str = "metallb-controller-reservations";

/// What one round writes.
#[derive(Debug, Default, PartialEq)]
struct Round {
    statuses: Vec<(PoolName, IPAddressPoolStatus)>,
    kept_back: Option<Lines>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Reported {
    written: Vec<(PoolName, PoolRow)>,
    kept_back: Option<Lines>,
    failed: bool,
}

/// Writes rounds, one at a time.
pub struct Reporter {
    client: Client,
    namespace: String,
    under_way: JoinSet<Reported>,
    not_before: Instant,
    /// What the ConfigMap says.
    kept_back: Lines,
}

impl Reporter {
    /// A reporter for the pools of `namespace`, whose ConfigMap says `kept_back`.
    pub fn new(client: Client, namespace: String, kept_back: Lines) -> Self {
        Self { client, namespace, under_way: JoinSet::new(), not_before: Instant::now(), kept_back }
    }

    /// Begins a round if it is time for one and there is something to tell.
    pub fn report(&mut self, ledger: &Ledger, metrics: &Metrics, lease: &Lease) {
        if !self.under_way.is_empty() || Instant::now() < self.not_before || !ledger.is_ready() {
            return;
        }
        metrics.show(ledger.usages());
        self.not_before = Instant::now() + PAUSE;
        let round = self.round(ledger);
        if round != Round::default() && lease.outlives(REQUEST_TIMEOUT) {
            let (client, namespace, lease) = (self.client.clone(), self.namespace.clone(), lease.clone());
            self.under_way.spawn(async move { round.write(&client, &namespace, &lease).await });
        }
    }

    fn round(&self, ledger: &Ledger) -> Round {
        let kept_back = ledger.kept_back();
        Round {
            statuses: ledger.wrong_statuses(),
            kept_back: (kept_back != self.kept_back).then_some(kept_back),
        }
    }

    /// The outcome of the round that is under way; waits for ever while there is none.
    pub async fn reported(&mut self) -> Vec<Input> {
        let reported = match self.under_way.join_next().await {
            Some(Ok(reported)) => reported,
            Some(Err(error)) => {
                tracing::error!(event = "writeFailed", %error, "the task that reported ended early");
                Reported { failed: true, ..Reported::default() }
            }
            None => std::future::pending().await,
        };
        if reported.failed {
            self.not_before = Instant::now() + PAUSE_AFTER_FAILURE;
        }
        self.kept_back = reported.kept_back.unwrap_or_else(|| std::mem::take(&mut self.kept_back));
        let as_input = |(name, row)| Input::Pool(Event::Applied(name, row));
        reported.written.into_iter().map(as_input).collect()
    }

    /// Ends in order: what is under way ends, and what is kept back is written a last time.
    pub async fn end(mut self, ledger: &Ledger, lease: &Lease) {
        while !self.under_way.is_empty() {
            self.reported().await;
        }
        let round = Round { statuses: Vec::new(), ..self.round(ledger) };
        if ledger.is_ready() && round != Round::default() && lease.outlives(REQUEST_TIMEOUT) {
            round.write(&self.client, &self.namespace, lease).await;
        }
    }
}

impl Round {
    async fn write(self, client: &Client, namespace: &str, lease: &Lease) -> Reported {
        let mut reported = Reported::default();
        if let Some(lines) = self.kept_back {
            match timely(write_kept_back(client, namespace, &lines)).await {
                Ok(()) => reported.kept_back = Some(lines),
                Err(error) => failed(&mut reported, reservations::NAME, &error),
            }
        }
        for (name, status) in self.statuses {
            if !lease.outlives(REQUEST_TIMEOUT) {
                break;
            }
            match timely(write_status(client, namespace, &name, &status)).await {
                Ok(Some(row)) => reported.written.push((name, row)),
                Ok(None) => {} // gone meanwhile
                Err(error) => failed(&mut reported, name.as_str(), &error),
            }
        }
        reported
    }
}

fn failed(reported: &mut Reported, object: &str, error: &kube::Error) {
    tracing::warn!(event = "reportFailed", object, error = error as &dyn std::error::Error, "will retry");
    reported.failed = true;
}

/// No answer is a failure.
async fn timely<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    tokio::time::timeout(REQUEST_TIMEOUT, request)
        .await
        .unwrap_or_else(|_| Err(kube::Error::Service("the API server did not answer".into())))
}

async fn write_status(
    client: &Client,
    namespace: &str,
    name: &PoolName,
    status: &IPAddressPoolStatus,
) -> kube::Result<Option<PoolRow>> {
    let pools: Api<IPAddressPool> = Api::namespaced(client.clone(), namespace);
    let patch = json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "IPAddressPool",
        "metadata": { "name": name.as_str() },
        "status": status,
    });
    let params = PatchParams::apply(STATUS_MANAGER).force();
    match pools.patch_status(name.as_str(), &params, &Patch::Apply(patch)).await {
        Ok(pool) => Ok(Some(PoolRow::of(&Ok(pool)))),
        Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

async fn write_kept_back(client: &Client, namespace: &str, lines: &Lines) -> kube::Result<()> {
    if reservations::is_full(lines) {
        let object = reservations::NAME;
        tracing::warn!(event = "tooManyReservations", object, "a restart forgets those that have no room");
    }
    let objects: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let patch = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": reservations::NAME },
        "data": lines,
    });
    let params = PatchParams::apply(RESERVATIONS_MANAGER).force();
    objects.patch(reservations::NAME, &params, &Patch::Apply(patch)).await.map(drop)
}

/// What a process before this one kept back, and the ConfigMap's text. Not being allowed to read it is as if there were
/// none: a role that predates it must not stop allocation.
pub async fn read_kept_back(client: &Client, namespace: &str) -> kube::Result<(Vec<Kept>, Lines)> {
    let objects: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    match timely(objects.get_opt(reservations::NAME)).await {
        Ok(Some(object)) => Ok((reservations::read(&object), object.data.unwrap_or_default())),
        Ok(None) => Ok((Vec::new(), Lines::new())),
        Err(kube::Error::Api(answer)) if answer.code == 403 => {
            let object = reservations::NAME;
            tracing::warn!(event = "notAllowed", object, "reservations of pools will not survive a restart");
            Ok((Vec::new(), Lines::new()))
        }
        Err(error) => Err(error),
    }
}
