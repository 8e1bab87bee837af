//! ServiceL2Status: which node announces a service, for everybody to read.
//!
//! One object a service, written by the node that announces it; that node also deletes what others left behind. The
//! objects belong to the speaker's Pod, so they go when it goes.
//!
//! Not here: who announces. That arrives as a map, and the objects are brought in line with it.

use std::collections::BTreeMap;
use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use metallb_core::config::Interfaces;
use metallb_core::names::{InterfaceName, NodeName, ServiceKey};
use metallb_core::table::{Event, Table};
use metallb_crds::{AnnouncingInterface, ServiceL2Status, ServiceL2StatusStatus};
use metallb_process::cluster::REQUEST_TIMEOUT;
use metallb_process::watch;
use serde_json::json;
use tokio::sync::{mpsc, watch as latest};
use tokio::time::{Duration, MissedTickBehavior};

/// Whoever writes the status, for server-side apply.
const FIELD_MANAGER: &str = "metallb-speaker-l2status";
/// Changes that wait. When it is full the watch waits.
const INPUTS: usize = 64;
/// What changes within a round is brought in line together.
const ROUND: Duration = Duration::from_millis(500);
/// After a write failed, and against drift: look again this often.
const SWEEP: Duration = Duration::from_secs(10);
/// An object that was deleted by somebody else is not created again before.
const RECREATE: Duration = Duration::from_secs(10);

const NODE: &str = "metallb.io/node";
const SERVICE_NAME: &str = "metallb.io/service-name";
const SERVICE_NAMESPACE: &str = "metallb.io/service-namespace";

/// The services that this node announces, and where.
pub type Announced = BTreeMap<ServiceKey, Interfaces>;

/// An object as it is: whose it is, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    node: NodeName,
    service: ServiceKey,
    status: Option<ServiceL2StatusStatus>,
}

/// One step towards objects that say what is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Create(ServiceKey, Interfaces),
    Write(String, ServiceKey, Interfaces),
    Delete(String),
}

/// Keeps the objects in `namespace` in line with `wanted` until its sender is gone.
pub async fn keep(
    client: Client,
    namespace: String,
    node: NodeName,
    owner: OwnerReference,
    mut wanted: latest::Receiver<Announced>,
) {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let api: Api<ServiceL2Status> = Api::namespaced(client.clone(), &namespace);
    let watch = tokio::spawn(watch::watch(
        Api::<watch::Guarded<ServiceL2Status>>::namespaced(client, &namespace),
        watcher::Config::default(),
        sender,
        |read| row(&read.ok()?),
        |event| event.map_keys(|(_, name)| name),
    ));
    let mut objects: Table<String, Row> = Table::default();
    let mut created: BTreeMap<ServiceKey, Instant> = BTreeMap::new();
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due = true;
    let mut last_sweep = Instant::now();
    loop {
        tokio::select! {
            changed = wanted.changed() => match changed {
                Ok(()) => due = true,
                Err(_) => break,
            },
            Some(event) = inputs.recv() => due |= !objects.reduce(event).is_empty(),
            _ = rounds.tick() => {
                if last_sweep.elapsed() >= SWEEP {
                    last_sweep = Instant::now();
                    due = true;
                }
                if objects.is_listed() && std::mem::take(&mut due) {
                    let announced = wanted.borrow_and_update().clone();
                    for action in actions(objects.rows(), &announced, &node) {
                        if !is_premature(&action, &mut created) {
                            perform(&api, &node, &owner, action, &mut objects).await;
                        }
                    }
                }
            }
        }
    }
    watch.abort();
}

/// Another speaker may delete what this one creates: they do not hear each other, and both think that they announce.
/// Then creating it again at once would keep the API server busy and help nobody.
fn is_premature(action: &Action, created: &mut BTreeMap<ServiceKey, Instant>) -> bool {
    let Action::Create(service, _) = action else { return false };
    created.retain(|_, at| at.elapsed() < RECREATE);
    if created.contains_key(service) {
        return true;
    }
    created.insert(service.clone(), Instant::now());
    false
}

/// One step. Where it fails the next sweep tries again.
async fn perform(
    api: &Api<ServiceL2Status>,
    node: &NodeName,
    owner: &OwnerReference,
    action: Action,
    objects: &mut Table<String, Row>,
) {
    let act = act(api, node, owner, action.clone());
    match tokio::time::timeout(REQUEST_TIMEOUT, act).await {
        Ok(Ok(event)) => drop(objects.reduce(event)),
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(event = "statusFailed", ?action, error, "will retry");
        }
        Err(_) => tracing::warn!(event = "statusFailed", ?action, error = "no answer", "will retry"),
    }
}

/// What is to do so that every announced service has one object, which says so, and no other service has one of ours.
fn actions(objects: &BTreeMap<String, Row>, announced: &Announced, node: &NodeName) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut mine: BTreeMap<&ServiceKey, &str> = BTreeMap::new();
    for (name, row) in objects {
        let is_mine = row.node == *node;
        let is_ours = announced.contains_key(&row.service);
        let is_first = is_mine && is_ours && !mine.contains_key(&row.service);
        if is_first {
            mine.insert(&row.service, name);
        } else if is_mine || is_ours {
            actions.push(Action::Delete(name.clone()));
        }
    }
    for (service, interfaces) in announced {
        match mine.get(service) {
            None => actions.push(Action::Create(service.clone(), interfaces.clone())),
            Some(name) => {
                let says = objects.get(*name).and_then(|row| row.status.as_ref());
                if says != Some(&status(node, service, interfaces)) {
                    actions.push(Action::Write((*name).to_owned(), service.clone(), interfaces.clone()));
                }
            }
        }
    }
    actions
}

async fn act(
    api: &Api<ServiceL2Status>,
    node: &NodeName,
    owner: &OwnerReference,
    action: Action,
) -> kube::Result<Event<String, Row>> {
    match action {
        Action::Create(service, interfaces) => {
            let created = api.create(&PostParams::default(), &object(node, owner, &service)).await?;
            write(api, node, created.name_any(), &service, &interfaces).await
        }
        Action::Write(name, service, interfaces) => write(api, node, name, &service, &interfaces).await,
        Action::Delete(name) => match api.delete(&name, &DeleteParams::default()).await {
            Ok(_) => Ok(Event::Deleted(name)),
            Err(kube::Error::Api(error)) if error.code == 404 => Ok(Event::Deleted(name)),
            Err(error) => Err(error),
        },
    }
}

async fn write(
    api: &Api<ServiceL2Status>,
    node: &NodeName,
    name: String,
    service: &ServiceKey,
    interfaces: &Interfaces,
) -> kube::Result<Event<String, Row>> {
    let status = status(node, service, interfaces);
    let patch = json!({
        "apiVersion": "metallb.io/v1beta1",
        "kind": "ServiceL2Status",
        "metadata": { "name": name },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(&name, &params, &Patch::Apply(patch)).await?;
    Ok(Event::Applied(name, Row { node: node.clone(), service: service.clone(), status: Some(status) }))
}

fn object(node: &NodeName, owner: &OwnerReference, service: &ServiceKey) -> ServiceL2Status {
    let labels = [
        (NODE, node.as_str()),
        (SERVICE_NAME, &*service.name),
        (SERVICE_NAMESPACE, service.namespace.as_str()),
    ];
    ServiceL2Status {
        metadata: ObjectMeta {
            generate_name: Some("l2-".to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            owner_references: Some(vec![owner.clone()]),
            ..ObjectMeta::default()
        },
        ..ServiceL2Status::default()
    }
}

fn status(node: &NodeName, service: &ServiceKey, interfaces: &Interfaces) -> ServiceL2StatusStatus {
    let name = |name: &InterfaceName| AnnouncingInterface { name: Some(name.to_string()) };
    ServiceL2StatusStatus {
        node: Some(node.to_string()),
        service_name: Some(service.name.to_string()),
        service_namespace: Some(service.namespace.to_string()),
        interfaces: match interfaces {
            Interfaces::All => Vec::new(),
            Interfaces::Only(names) => names.iter().map(name).collect(),
        },
    }
}

/// Objects without all three labels are nobody's, and left alone.
fn row(object: &ServiceL2Status) -> Option<Row> {
    let label = |key: &str| object.labels().get(key).map(String::as_str);
    Some(Row {
        node: label(NODE)?.into(),
        service: ServiceKey::new(label(SERVICE_NAMESPACE)?, label(SERVICE_NAME)?),
        status: object.status.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> ServiceKey {
        ServiceKey::new("default", name)
    }

    fn objects(rows: &[(&str, &str, &str, &Interfaces)]) -> BTreeMap<String, Row> {
        let row = |node: &str, name: &str, interfaces: &Interfaces| {
            let (node, service) = (NodeName::from(node), service(name));
            let status = Some(status(&node, &service, interfaces));
            Row { node, service, status }
        };
        rows.iter()
            .map(|(name, node, service, interfaces)| ((*name).to_owned(), row(node, service, interfaces)))
            .collect()
    }

    const ALL: &Interfaces = &Interfaces::All;

    #[test]
    fn a_service_announced_from_here_has_one_object_which_says_so() {
        let announced = Announced::from([(service("web"), Interfaces::All)]);
        let me = NodeName::from("n1");
        let create = vec![Action::Create(service("web"), Interfaces::All)];
        assert_eq!(actions(&objects(&[]), &announced, &me), create);
        assert_eq!(actions(&objects(&[("l2-a", "n1", "web", ALL)]), &announced, &me), []);
    }

    #[test]
    fn what_other_nodes_left_behind_and_duplicates_are_deleted_by_who_announces() {
        let announced = Announced::from([(service("web"), Interfaces::All)]);
        let found = objects(&[
            ("l2-a", "n1", "web", ALL),
            ("l2-b", "n1", "web", ALL),
            ("l2-c", "n2", "web", ALL),
            ("l2-d", "n2", "other", ALL),
        ]);
        let deleted = vec![Action::Delete("l2-b".into()), Action::Delete("l2-c".into())];
        assert_eq!(actions(&found, &announced, &"n1".into()), deleted);
    }

    #[test]
    fn who_announces_no_more_deletes_only_its_own() {
        let found = objects(&[("l2-a", "n1", "web", ALL), ("l2-c", "n2", "web", ALL)]);
        assert_eq!(actions(&found, &Announced::new(), &"n1".into()), [Action::Delete("l2-a".into())]);
    }

    #[test]
    fn a_change_of_interfaces_is_written() {
        let eth1 = Interfaces::Only(["eth1".into()].into());
        let announced = Announced::from([(service("web"), eth1.clone())]);
        let found = objects(&[("l2-a", "n1", "web", ALL)]);
        let written = vec![Action::Write("l2-a".into(), service("web"), eth1)];
        assert_eq!(actions(&found, &announced, &"n1".into()), written);
    }
}
