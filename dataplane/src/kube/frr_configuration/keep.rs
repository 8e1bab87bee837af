//! The one who writes the object of this node: what is wanted in, the object in line with it.
//!
//! The first change is written at once and what follows joins the next write, a pace later. What others do to the
//! object is undone. It belongs to its Node, so that it goes when that goes, with nobody there to delete it.
//!
//! It is written as a whole (update, with the version that was seen), not by server-side apply: the API's lists are
//! atomic, an applied object would keep what others add beside them, and the rights that MetalLB's manifests have
//! always given here do not include patch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use metallb_core::names::{NodeName, PeerName};
use metallb_core::refusal::FrrRefusal;
use metallb_core::table::{Event, Table};
use metallb_process::cluster::{REQUEST_TIMEOUT, owned_by};
use metallb_process::watch::{self, ObjectKey};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::answer::{Place, Trouble, dropped};
use super::api::{FRRConfiguration, Spec};
use super::build::{Built, Frame, Passwords, build};
use super::wanted::{Inbox, News, Wanted};
use crate::kube::caveats::{Caveats, Source};

/// Changes of the object that wait. When it is full the watch waits.
const INPUTS: usize = 4;
/// The longest wait between two attempts.
const PATIENCE: Duration = Duration::from_secs(30);
/// A peer that was refused is tried again so often: the API may have learnt what it did not know.
const AMNESTY: Duration = Duration::from_mins(10);
/// Who writes, in `managedFields`.
const FIELD_MANAGER: &str = "metallb-speaker";

/// Where the object is, and how it is written.
#[derive(Clone, Debug)]
pub struct Target {
    /// The node it is for.
    pub node: NodeName,
    /// The namespace of frr-k8s.
    pub namespace: String,
    /// frr-k8s finds the Secrets of passwords where it is.
    pub names_secrets: bool,
    /// The shortest time between two writes.
    pub pace: Duration,
}

/// Keeps the object in line with what is put into `inbox`. Ends with the runtime.
pub async fn keep(client: Client, target: Target, inbox: Inbox, caveats: Caveats) {
    let name = format!("metallb-{}", target.node);
    let api: Api<FRRConfiguration> = Api::namespaced(client.clone(), &target.namespace);
    let only = format!("metadata.name={name}");
    until_served(&api, &only, Place { namespace: &target.namespace, name: &name }, &caveats).await;
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    let watch = watch::watch(
        watch::Source::<FRRConfiguration>::within(client.clone(), &target.namespace),
        watcher::Config::default().fields(&only),
        sender,
        |read| read.ok().map(without_noise),
        |event| event,
    );
    let pace = target.pace;
    let mut writer = Writer {
        api,
        nodes: Api::all(client),
        key: (target.namespace.clone(), name),
        target,
        wanted: Wanted::default(),
        object: Table::default(),
        last: None,
        outcasts: BTreeMap::new(),
        amnesty: Instant::now() + AMNESTY,
        caveats,
    };
    let work = async {
        let mut due = false;
        let mut attempted = None;
        let mut failures: u32 = 0;
        loop {
            let wait = pace.saturating_mul(1 << failures.min(16)).min(PATIENCE.max(pace));
            let next = attempted.map_or_else(Instant::now, |at: Instant| at + wait);
            tokio::select! {
                news = inbox.take() => {
                    writer.take_in(news);
                    due = true;
                    failures = 0; // what failed before may not fail now
                }
                Some(event) = inputs.recv() => due |= !writer.object.reduce(event).is_empty(),
                () = sleep_until(next), if due && writer.is_informed() => {
                    due = false;
                    match writer.bring_in_line().await {
                        Effort::Nothing => {}
                        Effort::Done => (attempted, failures) = (Some(Instant::now()), 0),
                        Effort::Failed => {
                            (attempted, failures) = (Some(Instant::now()), failures.saturating_add(1));
                            due = true;
                        }
                    }
                }
                () = sleep_until(writer.amnesty) => {
                    writer.amnesty = Instant::now() + AMNESTY;
                    due |= !writer.outcasts.is_empty();
                    writer.outcasts.clear();
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = watch => {}
    }
}

/// Waits until the API server knows the kind and lets it be read, and says what is missing until then.
async fn until_served(api: &Api<FRRConfiguration>, only: &str, place: Place<'_>, caveats: &Caveats) {
    let mut wait = Duration::from_secs(1);
    loop {
        let list = ListParams::default().fields(only).limit(1);
        match request(api.list(&list), place, &[]).await {
            Ok(_) => return,
            Err(Trouble::Standing(refusal)) => caveats.say(Source::FrrConfiguration, vec![refusal]),
            Err(Trouble::Passing(error)) => {
                tracing::warn!(
                    event = "frrConfigurationFailed",
                    error,
                    "cannot read FRRConfigurations, will retry"
                );
            }
            Err(Trouble::Stale | Trouble::Peers(_)) => {}
        }
        sleep(wait).await;
        wait = (wait * 2).min(PATIENCE);
    }
}

/// Drops what changes without the object changing.
fn without_noise(mut object: FRRConfiguration) -> FRRConfiguration {
    object.metadata.managed_fields = None;
    object
}

async fn request<T>(
    request: impl Future<Output = kube::Result<T>>,
    place: Place<'_>,
    places: &[Vec<PeerName>],
) -> Result<T, Trouble> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| Trouble::of(error, place, places)),
        Err(_) => Err(Trouble::Passing("no answer".to_owned())),
    }
}

/// What came of looking after the object.
enum Effort {
    /// There was nothing to do.
    Nothing,
    /// It is in line.
    Done,
    /// It has to be tried again.
    Failed,
}

/// What was last sent, and what the API server kept of it.
struct Sent {
    spec: Value,
    kept: Value,
    dropped: Vec<FrrRefusal>,
}

struct Writer {
    api: Api<FRRConfiguration>,
    nodes: Api<Node>,
    key: ObjectKey,
    target: Target,
    wanted: Wanted,
    object: Table<ObjectKey, FRRConfiguration>,
    last: Option<Sent>,
    /// Peers with which the object was refused.
    outcasts: BTreeMap<PeerName, FrrRefusal>,
    /// When they are forgiven.
    amnesty: Instant,
    caveats: Caveats,
}

impl Writer {
    fn take_in(&mut self, news: News) {
        if let Some(neighbours) = &news.neighbours {
            let differs =
                |peer: &PeerName| neighbours.peers.get(peer) != self.wanted.neighbours.peers.get(peer);
            self.outcasts.retain(|peer, _| !differs(peer));
        }
        self.wanted.apply(news);
    }

    /// Before this, absence means nothing: neither of routes nor of the object.
    fn is_informed(&self) -> bool {
        self.wanted.complete && self.object.is_listed()
    }

    async fn bring_in_line(&mut self) -> Effort {
        loop {
            let left_out: BTreeSet<PeerName> = self.outcasts.keys().cloned().collect();
            let frame = Frame {
                node: &self.target.node,
                namespace: &self.target.namespace,
                passwords: if self.target.names_secrets { Passwords::Named } else { Passwords::Clear },
            };
            let built = build(&self.wanted, &left_out, &frame);
            let refusals: Vec<_> = built.refusals.iter().chain(self.outcasts.values()).cloned().collect();
            match self.write(&built).await {
                Ok(effort) => {
                    let dropped = self.last.iter().flat_map(|last| &last.dropped).cloned();
                    self.caveats.say(Source::FrrConfiguration, refusals.into_iter().chain(dropped));
                    return effort;
                }
                // One peer more is left out each time, so this ends.
                Err(Trouble::Peers(peers)) => self.outcasts.extend(peers),
                Err(Trouble::Stale) => return Effort::Failed,
                Err(Trouble::Passing(error)) => {
                    let name = &self.key.1;
                    tracing::warn!(event = "frrConfigurationFailed", name, error, "will retry");
                    return Effort::Failed;
                }
                Err(Trouble::Standing(refusal)) => {
                    self.caveats.say(Source::FrrConfiguration, refusals.into_iter().chain([refusal]));
                    return Effort::Failed;
                }
            }
        }
    }

    async fn write(&mut self, built: &Built) -> Result<Effort, Trouble> {
        let (namespace, name) = &self.key;
        let place = Place { namespace, name };
        let found = self.object.get(&self.key);
        if built.spec.bgp.routers.is_empty() {
            self.last = None;
            if found.is_none() {
                return Ok(Effort::Nothing);
            }
            request(self.api.delete(name, &DeleteParams::default()), place, &[]).await?;
            tracing::info!(event = "frrConfigurationDeleted", name, "no router is to be talked to");
            self.object.reduce(Event::Deleted(self.key.clone()));
            return Ok(Effort::Done);
        }
        let spec = serde_json::to_value(&built.spec).map_err(|error| Trouble::Passing(error.to_string()))?;
        if let (Some(last), Some(found)) = (&self.last, found)
            && last.spec == spec
            && last.kept == found.spec.content
        {
            return Ok(Effort::Nothing);
        }
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let metadata = self.metadata(found, place).await?;
        let is_new = found.is_none();
        let object = FRRConfiguration { metadata, spec: Spec { content: spec.clone() } };
        let written = if is_new {
            request(self.api.create(&params, &object), place, &built.places).await?
        } else {
            request(self.api.replace(name, &params, &object), place, &built.places).await?
        };
        let written = without_noise(written);
        let routes = self.wanted.routes.values().map(BTreeMap::len).sum::<usize>();
        tracing::info!(event = "frrConfigurationWritten", name, is_new, routes, "");
        let kept = written.spec.content.clone();
        let dropped = dropped(&spec, &kept, &built.places);
        self.last = Some(Sent { spec, kept, dropped });
        self.object.reduce(Event::Applied(self.key.clone(), written));
        Ok(Effort::Done)
    }

    /// That of the object as it is, and its Node as owner.
    async fn metadata(
        &self,
        found: Option<&FRRConfiguration>,
        place: Place<'_>,
    ) -> Result<ObjectMeta, Trouble> {
        let mut metadata = found.map(|found| found.metadata.clone()).unwrap_or_default();
        metadata.name = Some(place.name.to_owned());
        metadata.namespace = Some(place.namespace.to_owned());
        let owners = metadata.owner_references.get_or_insert_default();
        if !owners.iter().any(|owner| owner.kind == "Node") {
            let get = self.nodes.get(self.target.node.as_str());
            let node = match tokio::time::timeout(REQUEST_TIMEOUT, get).await {
                Ok(answer) => answer.map_err(|error| Trouble::Passing(error.to_string()))?,
                Err(_) => return Err(Trouble::Passing("no answer".to_owned())),
            };
            owners.extend(owned_by(&node).ok());
        }
        Ok(metadata)
    }
}
