//! BGPNodeStatus: how the BGP sessions of this node stand, for everybody to read.
//!
//! One object a node, under the node's name. It belongs to the speaker's Pod, so it goes when that goes; a node without
//! sessions has none.
//!
//! | room | holds |
//! |---|---|
//! | [`session`] | what is said of a session; whoever holds the sessions fills it in |
//! | `said` | how the object says it |
//! | `pace` | when a change is worth a write |
//!
//! Not here: the sessions. They arrive as [`Sessions`], and the object is brought in line with them.

mod pace;
mod said;
pub mod session;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use metallb_core::names::NodeName;
use metallb_core::table::{Event, Table};
use metallb_crds::{BGPNodeStatus, BGPNodeStatusStatus};
use metallb_process::cluster::REQUEST_TIMEOUT;
use metallb_process::watch;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch as latest};
use tokio::time::Instant;

use super::reports::joined;

pub(super) use pace::{Difference, Pace};
pub use session::{BfdSession, Prefixes, Session, SessionError, Sessions};

/// Changes that wait. When it is full the watch waits.
const INPUTS: usize = 16;
/// Who writes the status.
const FIELD_MANAGER: &str = "metallb-speaker-bgpnodestatus";

const COMPONENT_TYPE: &str = "metallb.io/component-type";
const NODE_NAME: &str = "metallb.io/node-name";

/// A step towards an object that says what is.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// There is none.
    Create,
    /// It lacks labels or the owner: this is its metadata with them.
    Adopt(Value),
    /// It says something else.
    Say(BGPNodeStatusStatus),
    /// There is nothing to say.
    Delete,
}

/// Whose object it is.
#[derive(Clone, Debug)]
struct Speaker {
    node: NodeName,
    owner: OwnerReference,
}

/// Keeps the object of `node` in `namespace` in line with `sessions` (`None`: not known yet) until their sender is
/// gone. The first change of a quiet second is written at once.
pub async fn keep(
    client: Client,
    namespace: String,
    node: NodeName,
    owner: OwnerReference,
    mut sessions: latest::Receiver<Option<Sessions>>,
) {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let name = node.to_string();
    let api: Api<BGPNodeStatus> = Api::namespaced(client.clone(), &namespace);
    let watch = watch::watch(
        watch::Source::<BGPNodeStatus>::within(client, &namespace),
        watcher::Config::default().fields(&format!("metadata.name={name}")),
        sender,
        // One that cannot be read is there all the same, and says nothing that is right.
        |read| Some(read.unwrap_or_else(|unreadable| without_status(unreadable.metadata))),
        |event| event,
    );
    let speaker = Speaker { node, owner };
    let key = (namespace, name.clone());
    let mut object: Table<watch::ObjectKey, BGPNodeStatus> = Table::default();
    let mut pace = Pace::default();
    let work = async {
        loop {
            let (difference, steps) = match sessions.borrow_and_update().as_ref() {
                Some(sessions) if object.is_listed() => steps(&speaker, sessions, object.get(&key)),
                Some(_) | None => (Difference::None, Vec::new()),
            };
            let due = pace.due(difference);
            tokio::select! {
                changed = sessions.changed() => if changed.is_err() { return },
                Some(event) = inputs.recv() => drop(object.reduce(event)),
                () = until(due) => {
                    let mut done = true;
                    for step in steps {
                        done = match perform(&api, &speaker, step).await {
                            Some(Some(written)) => { object.reduce(Event::Applied(key.clone(), written)); true }
                            Some(None) => { object.reduce(Event::Deleted(key.clone())); true }
                            None => false,
                        };
                        if !done { break; }
                    }
                    pace.wrote(Instant::now(), done);
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = watch => {}
    }
}

/// Never, where nothing is due.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn without_status(metadata: ObjectMeta) -> BGPNodeStatus {
    BGPNodeStatus { metadata, ..BGPNodeStatus::default() }
}

/// What is to be done so that `found` says how `sessions` stand, and how much it matters.
fn steps(speaker: &Speaker, sessions: &Sessions, found: Option<&BGPNodeStatus>) -> (Difference, Vec<Step>) {
    let Some(found) = found else {
        if sessions.is_empty() {
            return (Difference::None, Vec::new());
        }
        return (Difference::News, vec![Step::Create, Step::Say(said::status(&speaker.node, sessions))]);
    };
    if sessions.is_empty() {
        return (Difference::News, vec![Step::Delete]);
    }
    let mut steps = Vec::new();
    let mut difference = Difference::None;
    if let Some(metadata) = adopted(speaker, &found.metadata) {
        steps.push(Step::Adopt(metadata));
        difference = Difference::News;
    }
    let wanted = said::status(&speaker.node, sessions);
    let says = said::difference(found.status.as_ref(), &wanted);
    if says != Difference::None {
        steps.push(Step::Say(wanted));
    }
    (difference.max(says), steps)
}

fn labels(node: &NodeName) -> BTreeMap<String, String> {
    let labels = [(COMPONENT_TYPE, "speaker"), (NODE_NAME, node.as_str())];
    labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// What has to change so that the object is this speaker's.
fn adopted(speaker: &Speaker, found: &ObjectMeta) -> Option<Value> {
    let labels = labels(&speaker.node);
    let has = |(key, value): (&String, &String)| {
        found.labels.as_ref().and_then(|labels| labels.get(key)).is_some_and(|found| found == value)
    };
    let owners = found.owner_references.as_deref().unwrap_or_default();
    match joined(owners, &speaker.owner) {
        Some(owners) => Some(json!({ "labels": labels, "ownerReferences": owners })),
        None if !labels.iter().all(has) => Some(json!({ "labels": labels })),
        None => None,
    }
}

/// Does one step: the object afterwards, or that there is none; `None` where it failed.
async fn perform(api: &Api<BGPNodeStatus>, speaker: &Speaker, step: Step) -> Option<Option<BGPNodeStatus>> {
    let act = act(api, speaker, step);
    let node = &speaker.node;
    match tokio::time::timeout(REQUEST_TIMEOUT, act).await {
        Ok(Ok(written)) => Some(written),
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(event = "statusFailed", kind = "BGPNodeStatus", %node, error, "will retry");
            None
        }
        Err(_) => {
            tracing::warn!(event = "statusFailed", kind = "BGPNodeStatus", %node, error = "no answer", "will retry");
            None
        }
    }
}

async fn act(api: &Api<BGPNodeStatus>, speaker: &Speaker, step: Step) -> kube::Result<Option<BGPNodeStatus>> {
    let name = speaker.node.as_str();
    match step {
        Step::Create => {
            let object = without_status(ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels(&speaker.node)),
                owner_references: Some(vec![speaker.owner.clone()]),
                ..ObjectMeta::default()
            });
            api.create(&PostParams::default(), &object).await.map(Some)
        }
        Step::Adopt(metadata) => {
            let patch = Patch::Merge(json!({ "metadata": metadata }));
            api.patch(name, &PatchParams::default(), &patch).await.map(Some)
        }
        Step::Say(status) => {
            let patch = Patch::Apply(json!({
                "apiVersion": "metallb.io/v1beta1",
                "kind": "BGPNodeStatus",
                "metadata": { "name": name },
                "status": status,
            }));
            api.patch_status(name, &PatchParams::apply(FIELD_MANAGER).force(), &patch).await.map(Some)
        }
        Step::Delete => match api.delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(None),
            Err(kube::Error::Api(error)) if error.code == 404 => Ok(None),
            Err(error) => Err(error),
        },
    }
}

#[cfg(test)]
mod tests;
