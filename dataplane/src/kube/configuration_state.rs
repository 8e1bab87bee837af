//! ConfigurationState: whether a process could use all of the configuration, for everybody to read.
//!
//! One object a process. It belongs to the process's Pod, so it goes when that goes; whoever deletes it gets it back.
//!
//! Not here: the judgement. It arrives as a [`Verdict`], and the object is brought in line with it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use metallb_core::names::NodeName;
use metallb_core::refusal::{Caveat, ObjectRefusal, Refusal as _};
use metallb_core::table::{Event, Table};
use metallb_crds::{ConfigurationResult, ConfigurationState, ConfigurationStateStatus};
use metallb_process::cluster::{self, REQUEST_TIMEOUT};
use metallb_process::watch;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch as latest};
use tokio::time::sleep_until;

use super::rounds::{Round, Rounds};

/// Changes that wait. When it is full the watch waits.
const INPUTS: usize = 16;
/// After a write failed, and against drift: look again this often.
const SWEEP: Duration = Duration::from_secs(10);
/// What the API server takes for the message of a condition, in characters.
const LONGEST_MESSAGE: usize = 32 * 1024;

const COMPONENT_TYPE: &str = "metallb.io/component-type";
const NODE_NAME: &str = "metallb.io/node-name";

/// Whose object it is. Names, labels and field managers are upstream's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Component {
    /// The controller.
    Controller,
    /// The speaker of a node.
    Speaker(NodeName),
}

impl Component {
    fn object_name(&self) -> String {
        match self {
            Self::Controller => "controller".to_owned(),
            Self::Speaker(node) => format!("speaker-{node}"),
        }
    }

    fn labels(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Controller => vec![(COMPONENT_TYPE, "controller")],
            Self::Speaker(node) => vec![(COMPONENT_TYPE, "speaker"), (NODE_NAME, node.as_str())],
        }
    }

    /// Who writes labels and owner.
    const fn manager(&self) -> &'static str {
        match self {
            Self::Controller => "metallb-controller",
            Self::Speaker(_) => "metallb-speaker",
        }
    }

    /// Who writes the status, and the condition it writes.
    const fn reporter(&self) -> (&'static str, &'static str) {
        match self {
            Self::Controller => ("poolReconciler", "poolReconcilerValid"),
            Self::Speaker(_) => ("configReconciler", "configReconcilerValid"),
        }
    }
}

/// What is to be said about the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is not in force: every cause, in the form in which tools expect to read it.
    causes: Vec<String>,
    /// What has no effect, and need not.
    remarks: Vec<String>,
}

impl Verdict {
    /// On a configuration of which this is not in force.
    pub fn on<'r>(refusals: impl Iterator<Item = &'r ObjectRefusal>) -> Self {
        let mut refusals: Vec<_> = refusals.collect();
        refusals.sort_by(|one, other| one.rank().cmp(&other.rank()));
        let causes =
            refusals.into_iter().map(|refusal| format!("configuration error: {}", refusal.summary()));
        Self { causes: causes.collect(), remarks: Vec::new() }
    }

    /// And others found this.
    #[must_use]
    pub fn and<'r>(mut self, caveats: impl Iterator<Item = &'r Caveat>) -> Self {
        for caveat in caveats {
            if caveat.is_harmless() {
                self.remarks.push(format!("without effect: {}", caveat.explain()));
            } else {
                self.causes.push(format!("configuration error: {}", caveat.explain()));
            }
        }
        self
    }

    /// Is everything in force?
    pub const fn is_valid(&self) -> bool {
        self.causes.is_empty()
    }

    /// The first cause, for `status.errorSummary`. Upstream stops at the first, and its tools compare the whole text.
    fn summary(&self) -> Option<&str> {
        self.causes.first().map(String::as_str)
    }

    /// Every cause and every remark, for the condition, as far as there is room.
    pub fn message(&self) -> String {
        let lines = || self.causes.iter().chain(&self.remarks);
        let whole = lines().map(String::as_str).collect::<Vec<_>>().join("\n");
        if whole.chars().count() <= LONGEST_MESSAGE {
            return whole;
        }
        // Room for the last line, which says how many are missing.
        let mut room = LONGEST_MESSAGE - 64;
        let fits = |line: &&String| {
            let length = line.chars().count() + 1;
            let fits = length <= room;
            room = room.saturating_sub(length);
            fits
        };
        let told: Vec<&str> = lines().take_while(fits).map(String::as_str).collect();
        let mut text = told.join("\n");
        let separator = if told.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{separator}and {} more", lines().count() - told.len());
        text
    }

    const fn result(&self) -> ConfigurationResult {
        if self.is_valid() { ConfigurationResult::Valid } else { ConfigurationResult::Invalid }
    }
}

/// Hands `verdict` to whoever keeps the object, if it is news.
pub fn publish(verdicts: &latest::Sender<Option<Verdict>>, verdict: Verdict) {
    verdicts.send_if_modified(|last| {
        let is_news = last.as_ref() != Some(&verdict);
        *last = Some(verdict);
        is_news
    });
}

/// Keeps the object of `component` in `namespace` in line with `verdict` (`None`: not known yet) until its sender is
/// gone. `pod` is the Pod of this process, which owns the object.
pub async fn keep(
    client: Client,
    namespace: String,
    component: Component,
    pod: String,
    mut verdict: latest::Receiver<Option<Verdict>>,
) {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let name = component.object_name();
    let api: Api<ConfigurationState> = Api::namespaced(client.clone(), &namespace);
    let watch = watch::watch(
        watch::Source::<ConfigurationState>::within(client.clone(), &namespace),
        watcher::Config::default().fields(&format!("metadata.name={name}")),
        sender,
        Result::ok,
        |event| event,
    );
    let mut object: Table<watch::ObjectKey, ConfigurationState> = Table::default();
    let mut owner = None;
    let mut asks = false; // for the owner: not at every change
    let work = async {
        let mut rounds = Rounds::with_sweeps_each(SWEEP, Instant::now());
        loop {
            tokio::select! {
                changed = verdict.changed() => match changed {
                    Ok(()) => rounds.call(Instant::now()),
                    Err(_) => return,
                },
                Some(event) = inputs.recv() => {
                    object.reduce(event);
                    rounds.call(Instant::now());
                }
                () = sleep_until(rounds.due().into()) => {
                    asks |= rounds.begin(Instant::now()) == Round::Sweep;
                    if !object.is_listed() {
                        continue; // the list calls for the next
                    }
                    if owner.is_none() && std::mem::take(&mut asks) {
                        owner = find_owner(&client, &namespace, &pod).await;
                    }
                    let Some(owner) = &owner else { continue };
                    let wanted = verdict.borrow_and_update().clone();
                    let key = (namespace.clone(), name.clone());
                    let found = object.get(&key);
                    for write in writes(&component, owner, wanted.as_ref(), found, Timestamp::now()) {
                        match perform(&api, &name, write).await {
                            Some(written) => drop(object.reduce(Event::Applied(key.clone(), written))),
                            None => break, // the next sweep tries again
                        }
                    }
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = watch => {}
    }
}

async fn find_owner(client: &Client, namespace: &str, pod: &str) -> Option<OwnerReference> {
    let found = tokio::time::timeout(REQUEST_TIMEOUT, cluster::own_pod(client.clone(), namespace, pod)).await;
    let owner = match found {
        Ok(Ok(pod)) => cluster::owned_by(&pod),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(anyhow::anyhow!("no answer")),
    };
    let warn = |error: anyhow::Error| {
        let error = format!("{error:#}");
        tracing::warn!(
            event = "stateWithoutOwner",
            error,
            "no ConfigurationState until the own pod is known"
        );
    };
    owner.map_err(warn).ok()
}

/// A step towards an object that says what is.
#[derive(Clone, Debug, PartialEq)]
struct Write {
    manager: &'static str,
    part: Part,
    patch: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Object,
    Status,
}

/// What is to be written so that `found` says `verdict`.
fn writes(
    component: &Component,
    owner: &OwnerReference,
    verdict: Option<&Verdict>,
    found: Option<&ConfigurationState>,
    now: Timestamp,
) -> Vec<Write> {
    let mut writes = Vec::new();
    let metadata = found.map(|found| &found.metadata);
    if !metadata.is_some_and(|metadata| is_ours(metadata, component, owner)) {
        let labels: serde_json::Map<_, _> =
            component.labels().into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let metadata =
            json!({ "name": component.object_name(), "labels": labels, "ownerReferences": [owner] });
        writes.push(Write {
            manager: component.manager(),
            part: Part::Object,
            patch: patch(&metadata, None),
        });
    }
    let status = found.and_then(|found| found.status.as_ref());
    let (manager, condition) = component.reporter();
    let wanted = match verdict {
        // What another process said before is better than nothing; of nothing is made "unknown".
        None if status.is_some_and(|status| status.result.is_some()) => return writes,
        None => ConfigurationStateStatus {
            result: Some(ConfigurationResult::Unknown),
            ..ConfigurationStateStatus::default()
        },
        Some(verdict) => said(condition, verdict, status, now),
    };
    if status.map(without_empty_summary) != Some(wanted.clone()) {
        let metadata = json!({ "name": component.object_name() });
        writes.push(Write { manager, part: Part::Status, patch: patch(&metadata, Some(&wanted)) });
    }
    writes
}

fn patch(metadata: &Value, status: Option<&ConfigurationStateStatus>) -> Value {
    let mut patch =
        json!({ "apiVersion": "metallb.io/v1beta1", "kind": "ConfigurationState", "metadata": metadata });
    if let Some(status) = status {
        patch["status"] = json!(status);
    }
    patch
}

fn is_ours(metadata: &ObjectMeta, component: &Component, owner: &OwnerReference) -> bool {
    let labels = metadata.labels.as_ref();
    let labelled = component
        .labels()
        .into_iter()
        .all(|(key, value)| labels.and_then(|labels| labels.get(key)).is_some_and(|found| found == value));
    labelled && metadata.owner_references.iter().flatten().any(|found| found.uid == owner.uid)
}

/// The condition keeps the time of its last change of status.
fn said(
    condition: &str,
    verdict: &Verdict,
    before: Option<&ConfigurationStateStatus>,
    now: Timestamp,
) -> ConfigurationStateStatus {
    let status = if verdict.is_valid() { "True" } else { "False" };
    let reason = if verdict.is_valid() { "Reconciled" } else { "ConfigurationError" };
    let conditions = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
    let unchanged = conditions.iter().find(|before| before.type_ == condition && before.status == status);
    ConfigurationStateStatus {
        result: Some(verdict.result()),
        error_summary: verdict.summary().map(str::to_owned),
        conditions: vec![Condition {
            type_: condition.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: verdict.message(),
            last_transition_time: unchanged
                .map_or_else(|| Time(seconds(now)), |before| before.last_transition_time.clone()),
            observed_generation: None,
        }],
    }
}

/// Times of Kubernetes have no fractions: one with them would never compare equal to what is read back.
fn seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// An empty summary and none say the same.
fn without_empty_summary(status: &ConfigurationStateStatus) -> ConfigurationStateStatus {
    let error_summary = status.error_summary.clone().filter(|summary| !summary.is_empty());
    ConfigurationStateStatus { error_summary, ..status.clone() }
}

async fn perform(api: &Api<ConfigurationState>, name: &str, write: Write) -> Option<ConfigurationState> {
    let Write { manager, part, patch } = write;
    let (params, patch) = (PatchParams::apply(manager).force(), Patch::Apply(patch));
    let write = async {
        match part {
            Part::Object => api.patch(name, &params, &patch).await,
            Part::Status => api.patch_status(name, &params, &patch).await,
        }
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, write).await {
        Ok(Ok(object)) => Some(object),
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(event = "stateFailed", %name, error, "will retry");
            None
        }
        Err(_) => {
            tracing::warn!(event = "stateFailed", %name, error = "no answer", "will retry");
            None
        }
    }
}

#[cfg(test)]
mod tests;
