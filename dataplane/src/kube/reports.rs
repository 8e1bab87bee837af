//! Objects that report: each says one thing about one subject, as one node sees it.
//!
//! One implementation for every kind of them. What is to be said arrives as a map, and the objects are brought in line
//! with it. They belong to the speaker's Pod, so they go when it goes; what an earlier speaker of the node left is taken
//! over.
//!
//! Not here: what the kinds say ([`super::service_l2_status`], [`super::service_bgp_status`]), and who decides it.

mod digest;
mod due;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use metallb_core::few::FewSet;
use metallb_core::gather::Gather as _;
use metallb_core::names::NodeName;
use metallb_core::pack::Pack as _;
use metallb_core::shared::SharedMap;
use metallb_core::table::{Event, Table};
use metallb_process::cluster::REQUEST_TIMEOUT;
use metallb_process::watch;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::{mpsc, watch as latest};
use tokio::time::sleep_until;

use super::rounds::{Round, Rounds};
use crate::net::heap;
use digest::Digest;
use due::Due;

/// Changes that wait. When it is full the watch waits.
const INPUTS: usize = 64;
/// Should a change have been missed, all is looked at again this often.
const SWEEP: Duration = Duration::from_mins(1);
/// After a write failed all is looked at again sooner.
const RETRY: Duration = Duration::from_secs(10);
/// After so many steps in a round there is memory to give back.
const MANY: usize = 100;
/// An object that was deleted by somebody else is not created again before.
const RECREATE: Duration = Duration::from_secs(10);

/// How many nodes say something about one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voices {
    /// One at a time about each part of it: whoever has something to say deletes what contradicts it ([`Report::contradicts`]).
    One,
    /// Each for itself: the objects of other nodes are not even looked at.
    EachNode,
}

/// A kind of object that reports.
pub trait Report:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
    + 'static
{
    /// What it is about.
    type Subject: Clone + Debug + Ord + Send + Sync + 'static;
    /// What there is to say about it.
    type Said: Clone + Debug + PartialEq + Send + Sync + 'static;
    /// How the object says it.
    type Status: Clone + Debug + PartialEq + Serialize + Send + Sync + 'static;

    /// Whoever writes the status, for server-side apply.
    const FIELD_MANAGER: &'static str;
    /// The label that holds the name of the node.
    const NODE_LABEL: &'static str;
    /// How many nodes speak about one subject.
    const VOICES: Voices;

    /// How the names of its objects begin.
    fn name_prefix(node: &NodeName) -> String;

    /// The labels of the subject.
    fn labels(subject: &Self::Subject) -> Vec<(&'static str, String)>;

    /// The subject that those labels name; `None` leaves the object alone.
    fn subject(label: impl Fn(&str) -> Option<String>) -> Option<Self::Subject>;

    /// Is there nothing to say after all? Then there is no object either.
    fn is_nothing(_: &Self::Said) -> bool {
        false
    }

    /// What the status has to be.
    fn status(node: &NodeName, subject: &Self::Subject, said: &Self::Said) -> Self::Status;

    /// The addresses of which a status says something; none, where it says it of the subject as a whole.
    fn addresses(_: &Self::Status) -> FewSet<IpAddr> {
        FewSet::new()
    }

    /// Can what another node has said of these addresses not be, as this node has that to say? Of two nodes that live, and agree on
    /// which of them has which address, neither contradicts the other: else they would delete each other's objects for ever.
    fn contradicts(_: &Self::Said, _: &FewSet<IpAddr>) -> bool {
        false
    }

    /// What the status is.
    fn found(&self) -> Option<&Self::Status>;

    /// A new object, without a status.
    fn object(metadata: ObjectMeta) -> Self;
}

/// What there is to say, by subject. Who decides it changes it while it is being written about.
pub type Saying<K> = SharedMap<<K as Report>::Subject, <K as Report>::Said>;

/// An object as it is: whose it is, and what it says.
#[derive(Clone, Debug, PartialEq)]
struct Row<Subject> {
    node: NodeName,
    subject: Subject,
    owners: Arc<[OwnerReference]>,
    /// `None` from when it is created until its status is written.
    said: Option<Digest>,
    /// The addresses of which it says so.
    addresses: FewSet<IpAddr>,
}

type Rows<K> = BTreeMap<String, Row<<K as Report>::Subject>>;

/// One step towards objects that say what is.
#[derive(Clone, Debug, PartialEq)]
enum Action<Subject, Said> {
    Create(Subject, Said),
    Own(String, Vec<OwnerReference>),
    Write(String, Subject, Said),
    Delete(String),
}

type ActionOf<K> = Action<<K as Report>::Subject, <K as Report>::Said>;

/// Who speaks: the speaker of this node, in its Pod.
#[derive(Clone, Debug)]
struct Voice {
    node: NodeName,
    owner: OwnerReference,
}

/// Keeps the objects in `namespace` in line with `wanted` (`None`: not known yet) until its sender is gone.
pub async fn keep<K: Report>(
    client: Client,
    namespace: String,
    node: NodeName,
    owner: OwnerReference,
    mut wanted: latest::Receiver<Option<Saying<K>>>,
) {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let me = Voice { node, owner };
    let familiar = Familiar::<K>::new(&me.node, wanted.clone());
    let watch = watch::watch(
        watch::Source::<K>::within(client, &namespace),
        match K::VOICES {
            Voices::One => watcher::Config::default(),
            Voices::EachNode => watcher::Config::default().labels(&format!("{}={}", K::NODE_LABEL, me.node)),
        },
        sender,
        |read| row(&read.ok()?, &familiar),
        |event| event.map_keys(|(_, name)| name),
    );
    let mut objects: Table<String, Row<K::Subject>> = Table::default();
    let mut created: BTreeMap<K::Subject, Instant> = BTreeMap::new();
    let work = async {
        let mut rounds = Rounds::with_sweeps_each(SWEEP, Instant::now());
        let mut due = Due::Everything;
        let mut last: Option<Saying<K>> = None;
        loop {
            tokio::select! {
                changed = wanted.changed() => match changed {
                    Ok(()) => rounds.call(Instant::now()),
                    Err(_) => return,
                },
                Some(event) = inputs.recv() => {
                    take_in::<K>(event, &mut objects, &mut due);
                    rounds.call(Instant::now());
                }
                () = sleep_until(rounds.due().into()) => {
                    if rounds.begin(Instant::now()) == Round::Sweep {
                        due = Due::Everything;
                        created.retain(|_, at| at.elapsed() < RECREATE);
                    }
                    let saying = wanted.borrow_and_update().clone().filter(|_| objects.is_listed());
                    let Some(saying) = saying else { continue };
                    match &last {
                        Some(last) => saying.changed_since(last).into_iter().for_each(|subject| due.add(subject)),
                        None => due = Due::Everything,
                    }
                    let about = std::mem::take(&mut due);
                    last = Some(saying.clone());
                    if about.is_nothing() {
                        continue;
                    }
                    let mut performed = 0;
                    for action in actions::<K>(objects.rows(), &saying, &me, &about) {
                        if let Some(subject) = premature::<K>(&action, &mut created) {
                            due.add(subject);
                            rounds.call(Instant::now());
                            continue;
                        }
                        if !perform(&api, &me, action, &mut objects, &familiar).await {
                            rounds.sweep_by(Instant::now() + RETRY);
                        }
                        performed += 1;
                    }
                    if performed >= MANY {
                        objects.pack();
                        heap::give_back();
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

/// What objects say that somebody knows already: it is kept once, and not with each of them.
#[derive(Debug)]
struct Familiar<K: Report> {
    node: NodeName,
    /// Of the object that was read last: mostly all have the same.
    owners: Mutex<Arc<[OwnerReference]>>,
    wanted: latest::Receiver<Option<Saying<K>>>,
}

impl<K: Report> Familiar<K> {
    fn new(node: &NodeName, wanted: latest::Receiver<Option<Saying<K>>>) -> Self {
        Self { node: node.clone(), owners: Mutex::default(), wanted }
    }

    fn owners(&self, owners: &[OwnerReference]) -> Arc<[OwnerReference]> {
        let mut last = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if **last != *owners {
            *last = owners.into();
        }
        last.clone()
    }

    fn node(&self, name: String) -> NodeName {
        if name == self.node.as_str() { self.node.clone() } else { name.into() }
    }

    fn subject(&self, subject: K::Subject) -> K::Subject {
        let wanted = self.wanted.borrow();
        let known = wanted.as_ref().and_then(|wanted| wanted.get_key_value(&subject));
        known.map_or(subject, |(known, _)| known.clone())
    }
}

/// An object is different now: what it said and what it says is looked at.
fn take_in<K: Report>(
    event: Event<String, Row<K::Subject>>,
    objects: &mut Table<String, Row<K::Subject>>,
    due: &mut Due<K::Subject>,
) {
    match &event {
        Event::Listed(_) => *due = Due::Everything,
        Event::Applied(name, _) | Event::Deleted(name) => {
            if let Some(row) = objects.get(name) {
                due.add(&row.subject);
            }
        }
    }
    for name in objects.reduce(event) {
        if let Some(row) = objects.get(&name) {
            due.add(&row.subject);
        }
    }
}

/// Somebody else may delete what this speaker creates: another one that does not hear it, and thinks that it speaks.
/// Then creating it again at once would keep the API server busy and help nobody. The subject that has to wait, if so.
fn premature<'a, K: Report>(
    action: &'a ActionOf<K>,
    created: &mut BTreeMap<K::Subject, Instant>,
) -> Option<&'a K::Subject> {
    let Action::Create(subject, _) = action else { return None };
    created.retain(|_, at| at.elapsed() < RECREATE);
    if created.contains_key(subject) {
        return Some(subject);
    }
    created.insert(subject.clone(), Instant::now());
    None
}

/// What is to do so that every subject that is `due` has one object of this node, which says what there is to say, no other
/// subject has one, and no object of another node contradicts it. One that says nothing yet is not touched: it is just being made, and
/// belongs to a Pod whose speaker finds it again.
fn actions<K: Report>(
    objects: &Rows<K>,
    saying: &Saying<K>,
    me: &Voice,
    due: &Due<K::Subject>,
) -> Vec<ActionOf<K>> {
    let saying: BTreeMap<&K::Subject, &K::Said> = match due {
        Due::Everything => saying.iter().gather(),
        Due::These(subjects) => {
            subjects.iter().filter_map(|subject| Some((subject, saying.get(subject)?))).gather()
        }
    };
    let saying: BTreeMap<_, _> = saying.into_iter().filter(|(_, said)| !K::is_nothing(said)).gather();
    let mut actions = Vec::new();
    let mut mine: BTreeMap<&K::Subject, &str> = BTreeMap::new();
    for (name, row) in objects.iter().filter(|(_, row)| due.concerns(&row.subject)) {
        let is_mine = row.node == me.node;
        let said = saying.get(&row.subject);
        let is_first = is_mine && said.is_some() && !mine.contains_key(&row.subject);
        let is_contradicted =
            row.said.is_some() && said.is_some_and(|said| K::contradicts(said, &row.addresses));
        if is_first {
            mine.insert(&row.subject, name);
        } else if is_mine || is_contradicted {
            actions.push(Action::Delete(name.clone()));
        }
    }
    for (subject, said) in saying {
        let status = || K::status(&me.node, subject, said);
        match mine.get(subject).and_then(|name| Some((*name, objects.get(*name)?))) {
            None => actions.push(Action::Create(subject.clone(), said.clone())),
            Some((name, row)) => {
                if let Some(owners) = joined(&row.owners, &me.owner) {
                    actions.push(Action::Own(name.to_owned(), owners));
                }
                if row.said != Some(Digest::of(&status())) {
                    actions.push(Action::Write(name.to_owned(), subject.clone(), said.clone()));
                }
            }
        }
    }
    actions
}

/// The owners with this Pod among them; `None` if it is. The others stay: while a Pod is replaced by another there may be
/// two, and they must not take the object from each other. The cluster drops those that are gone.
pub(super) fn joined(owners: &[OwnerReference], owner: &OwnerReference) -> Option<Vec<OwnerReference>> {
    let is_among = owners.iter().any(|found| found.uid == owner.uid);
    (!is_among).then(|| owners.iter().chain([owner]).cloned().collect())
}

/// One step, which may fail: then the next sweep tries again.
async fn perform<K: Report>(
    api: &Api<K>,
    me: &Voice,
    action: ActionOf<K>,
    objects: &mut Table<String, Row<K::Subject>>,
    familiar: &Familiar<K>,
) -> bool {
    let kind = K::kind(&());
    match tokio::time::timeout(REQUEST_TIMEOUT, act(api, me, action.clone(), familiar)).await {
        Ok(Ok(event)) => {
            objects.reduce(event);
            return true;
        }
        Ok(Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(event = "statusFailed", %kind, ?action, error, "will retry");
        }
        Err(_) => tracing::warn!(event = "statusFailed", %kind, ?action, error = "no answer", "will retry"),
    }
    false
}

async fn act<K: Report>(
    api: &Api<K>,
    me: &Voice,
    action: ActionOf<K>,
    familiar: &Familiar<K>,
) -> kube::Result<Event<String, Row<K::Subject>>> {
    let gone = |name| Ok(Event::Deleted(name));
    let (written, said_now) = match action {
        Action::Create(subject, said) => {
            let created = api.create(&PostParams::default(), &object::<K>(me, &subject)).await?;
            say(api, me, &created.name_any(), &subject, &said).await?
        }
        Action::Write(name, subject, said) => say(api, me, &name, &subject, &said).await?,
        // By merge: applied, it would take away what the same manager has applied in the name of another Pod.
        Action::Own(name, joined) => {
            let owned = json!({ "metadata": { "ownerReferences": joined } });
            (api.patch(&name, &PatchParams::default(), &Patch::Merge(owned)).await?, None)
        }
        Action::Delete(name) => {
            return match api.delete(&name, &DeleteParams::default()).await {
                Ok(_) => gone(name),
                Err(kube::Error::Api(error)) if error.code == 404 => gone(name),
                Err(error) => Err(error),
            };
        }
    };
    let name = written.name_any();
    Ok(match row(&written, familiar) {
        // An API server drops fields that its CRD does not know yet: to write them again would not help.
        Some(row) => Event::Applied(name, Row { said: said_now.or(row.said), ..row }),
        None => Event::Deleted(name), // somebody took its labels meanwhile
    })
}

/// Writes the status of an object: what came of it, and what was said.
async fn say<K: Report>(
    api: &Api<K>,
    me: &Voice,
    name: &str,
    subject: &K::Subject,
    said: &K::Said,
) -> kube::Result<(K, Option<Digest>)> {
    let status = K::status(&me.node, subject, said);
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": name },
        "status": status,
    });
    let params = PatchParams::apply(K::FIELD_MANAGER).force();
    let written = api.patch_status(name, &params, &Patch::Apply(patch)).await?;
    Ok((written, Some(Digest::of(&status))))
}

fn object<K: Report>(me: &Voice, subject: &K::Subject) -> K {
    let mut labels: BTreeMap<String, String> =
        K::labels(subject).into_iter().map(|(key, value)| (key.to_owned(), value)).gather();
    labels.insert(K::NODE_LABEL.to_owned(), me.node.to_string());
    K::object(ObjectMeta {
        generate_name: Some(K::name_prefix(&me.node)),
        labels: Some(labels),
        owner_references: Some(vec![me.owner.clone()]),
        ..ObjectMeta::default()
    })
}

/// Objects without all of the labels are nobody's, and left alone.
fn row<K: Report>(object: &K, familiar: &Familiar<K>) -> Option<Row<K::Subject>> {
    let label = |key: &str| object.labels().get(key).cloned();
    Some(Row {
        node: familiar.node(label(K::NODE_LABEL)?),
        subject: familiar.subject(K::subject(label)?),
        owners: familiar.owners(object.owner_references()),
        said: object.found().map(Digest::of),
        addresses: object.found().map(K::addresses).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
