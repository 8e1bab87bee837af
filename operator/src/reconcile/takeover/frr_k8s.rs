//! Upstream's frr-k8s beside our speakers: who has the sessions.
//!
//! Its pods hold the sessions that our speakers are to have, from the same nodes to the same routers, and no router keeps two. So
//! they are handed over node by node. While that goes on the speakers' DaemonSet replaces no pod by itself (`OnDelete`), and
//! the operator does, one move at a time:
//!
//! 1. When our controller is ready, the DaemonSet `frr-k8s` is let go of: it is deleted, its pods stay at work, and nobody makes them anew.
//! 2. Of one node the pod of frr-k8s goes, and when it is gone, the speaker of old; ours takes its place.
//! 3. When every speaker is ready, that is, has announced all it should, the next node follows.
//!
//! A speaker that does not become ready stops this where it is, with all other nodes announcing as before.
//!
//! An frr-k8s that has FRRConfigurations of others is never touched: whose sessions these are is not for us to decide. The
//! same holds for one that the backend `frr-k8s-external` names.

use std::collections::BTreeMap;

use metallb_process::watch::ObjectKey;

use super::super::gather::{Live, PodRow, Role, World};
use super::super::rollout::Rollout;
use super::super::steps::Superfluous;
use crate::render::{CONTROLLER, Kind, ObjectId, SPEAKER, SpeakerUpdate, is_ours};
use crate::wanted::BgpBackend;

/// What upstream's operator and its manifests call the DaemonSet.
const DAEMONS: [&str; 2] = ["frr-k8s", "frr-k8s-daemon"];
/// Everything else that upstream's operator makes for it.
const PIECES: [(Kind, &str); 5] = [
    (Kind::Deployment, "statuscleaner"),
    (Kind::Service, "frr-k8s-webhook-service"),
    (Kind::Service, "frr-k8s-monitor-service"),
    (Kind::ServiceMonitor, "frr-k8s-monitor"),
    (Kind::ConfigMap, "frr-startup"),
];
/// How our speakers call the FRRConfiguration of a node, and upstream's.
const WRITTEN_BY_SPEAKERS: &str = "metallb-";
/// Kept by the DaemonSet's own controller.
const GENERATION: &str = "/metadata/annotations/deprecated.daemonset.template.generation";

/// How upstream's frr-k8s in our namespace stands to our speakers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Absent,
    /// The backend names it, so it is to stay.
    Kept,
    /// It is not known yet whom it serves.
    Unknown,
    /// Its sessions are to be handed over.
    HandOver,
    /// It serves FRRConfigurations of others, so nothing is done to it.
    InUse(Vec<ObjectKey>),
}

/// The next thing to be done for the hand-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Nothing until that is different.
    Wait(String),
    /// Delete this DaemonSet, and leave its pods.
    LetGo(Superfluous),
    /// Delete this pod.
    DeletePod {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
        /// Its node.
        node: String,
    },
    /// It is done.
    Done,
}

/// The FRRConfigurations that no speaker wrote. `None`: not known yet.
pub fn of_others(world: &World) -> Option<Vec<ObjectKey>> {
    let all = world.frr_configurations()?.into_iter();
    Some(all.filter(|(_, name)| !is_written_by_speakers(name)).cloned().collect())
}

/// Is this the name of an FRRConfiguration that a speaker writes?
pub fn is_written_by_speakers(name: &str) -> bool {
    name.starts_with(WRITTEN_BY_SPEAKERS)
}

/// The FRRConfigurations of others, if nobody is there to read them. Empty as long as that is not certain.
pub fn unserved(world: &World) -> Vec<ObjectKey> {
    let is_served = world.frr_daemons().is_none_or(|daemons| daemons.values().any(|daemon| daemon.runs))
        || world.pods().values().any(|pod| pod.role == Role::FrrK8s);
    if is_served { Vec::new() } else { of_others(world).unwrap_or_default() }
}

/// How frr-k8s in `namespace` stands to speakers with that backend, which belong to the `MetalLB` with the uid `owner`.
pub fn standing(world: &World, namespace: &str, owner: &str, backend: &BgpBackend) -> Standing {
    let is_named = matches!(backend, BgpBackend::FrrK8sExternal { namespace: its, .. } if its == namespace);
    // Pods that were let go of have no DaemonSet any more. Those of somebody else's have theirs.
    let are_let_go = sets(world).next().is_none() && pods(world).next().is_some();
    if daemons(world, namespace, owner).next().is_none() && !are_let_go {
        return Standing::Absent;
    }
    if is_named {
        return Standing::Kept;
    }
    // One elsewhere reads what is elsewhere.
    let runs_elsewhere = world
        .frr_daemons()
        .is_some_and(|daemons| daemons.iter().any(|((other, _), daemon)| other != namespace && daemon.runs));
    let Some(served) = of_others(world) else { return Standing::Unknown };
    let served: Vec<_> =
        served.into_iter().filter(|(other, _)| other == namespace || !runs_elsewhere).collect();
    if served.is_empty() { Standing::HandOver } else { Standing::InUse(served) }
}

/// Is this a part of it?
pub fn is_piece(id: &ObjectId) -> bool {
    (id.kind == Kind::DaemonSet && DAEMONS.contains(&id.name.as_str()))
        || PIECES.contains(&(id.kind, id.name.as_str()))
}

impl Standing {
    /// How speakers are replaced meanwhile: none by itself beside a pod of frr-k8s that is still there, also where somebody
    /// begins to use that half-way.
    pub fn speaker_update(&self) -> SpeakerUpdate {
        match self {
            Self::HandOver | Self::Unknown | Self::InUse(_) => SpeakerUpdate::OnDelete,
            Self::Absent | Self::Kept => SpeakerUpdate::Rolling,
        }
    }

    /// Must the speakers stay as they are? Upstream's need the frr-k8s that is in use, and ours would want its sessions.
    pub fn holds_speakers(&self, world: &World) -> bool {
        let live = world.installed(&ObjectId::new(Kind::DaemonSet, SPEAKER));
        matches!(self, Self::InUse(_) | Self::Unknown) && live.is_some_and(|live| !is_ours(&live.object))
    }
}

/// What is to be done now, after the DaemonSet `speaker` was applied.
pub fn next_move(world: &World, namespace: &str, owner: &str) -> Move {
    let Some(speaker) = world.installed(&ObjectId::new(Kind::DaemonSet, SPEAKER)) else {
        return Move::Wait("DaemonSet speaker is not there yet".to_owned());
    };
    let rollout = speaker.rollout.clone().unwrap_or_default();
    if !is_ours(&speaker.object)
        || speaker.text("/spec/updateStrategy/type") != Some("OnDelete")
        || !rollout.observed
    {
        return Move::Wait("the new DaemonSet speaker has not been picked up yet".to_owned());
    }
    if let Some((id, live)) = daemons(world, namespace, owner).next() {
        return if live.is_deleting() {
            Move::Wait(format!("{id} is being let go of"))
        } else if !controller_is_ready(world) {
            Move::Wait(
                "Deployment controller is not ready yet, and speakers need the key that it makes".to_owned(),
            )
        } else {
            Move::LetGo(Superfluous { id, uid: live.uid.clone() })
        };
    }
    let nodes = Nodes::of(world, speaker.text(GENERATION));
    nodes.next_move(rollout.desired)
}

/// Is ours there? It makes the Secret without which no speaker of ours starts, and the first node would be without a session
/// meanwhile.
fn controller_is_ready(world: &World) -> bool {
    let controller = world.installed(&ObjectId::new(Kind::Deployment, CONTROLLER));
    controller
        .is_some_and(|live| is_ours(&live.object) && live.rollout.as_ref().is_some_and(Rollout::has_one))
}

/// The DaemonSets of upstream's frr-k8s in our namespace: the `MetalLB`'s, or nobody's if speakers have used it. One that
/// somebody has just installed there has been used by nobody.
fn daemons<'w>(world: &'w World, namespace: &str, owner: &str) -> impl Iterator<Item = (ObjectId, &'w Live)> {
    let speaker = world.installed(&ObjectId::new(Kind::DaemonSet, SPEAKER));
    let is_written_for = |(its, name): &&ObjectKey| its == namespace && name.starts_with(WRITTEN_BY_SPEAKERS);
    let is_upstreams = |pod: &PodRow| matches!(&pod.role, Role::Speaker { is_ours: false, .. });
    let is_used = speaker.is_some_and(|live| !is_ours(&live.object))
        || world.pods().values().any(is_upstreams)
        || world.frr_configurations().is_none_or(|all| all.iter().any(is_written_for));
    sets(world).filter(move |(id, live)| {
        let is_free = live.owner.as_deref().map_or(!live.is_anothers && is_used, |its| its == owner);
        DAEMONS.contains(&id.name.as_str()) && is_free
    })
}

/// The DaemonSets of any frr-k8s in our namespace.
fn sets(world: &World) -> impl Iterator<Item = (ObjectId, &Live)> {
    let app = "/spec/template/metadata/labels/app";
    world
        .all_installed()
        .filter(move |(id, live)| id.kind == Kind::DaemonSet && live.text(app) == Some("frr-k8s"))
}

fn pods(world: &World) -> impl Iterator<Item = (&String, &PodRow)> {
    world.pods().iter().filter(|(_, pod)| pod.role == Role::FrrK8s)
}

/// A pod, by name.
type Named<'w> = (&'w String, &'w PodRow);

/// What is on the nodes.
struct Nodes<'w> {
    frr: BTreeMap<&'w str, Named<'w>>,
    speakers_of_old: BTreeMap<&'w str, Named<'w>>,
    ready: BTreeMap<&'w str, bool>,
}

impl<'w> Nodes<'w> {
    fn of(world: &'w World, generation: Option<&str>) -> Self {
        let mut nodes =
            Self { frr: BTreeMap::new(), speakers_of_old: BTreeMap::new(), ready: BTreeMap::new() };
        for (name, pod) in world.pods() {
            let node = pod.node.as_str();
            match &pod.role {
                Role::FrrK8s => {
                    nodes.frr.insert(node, (name, pod));
                }
                Role::Speaker { generation: its, is_ours: _ } => {
                    let is_ready = pod.is_ready && !pod.is_deleting;
                    *nodes.ready.entry(node).or_default() |= is_ready;
                    if its.as_deref() != generation && !pod.is_deleting {
                        nodes.speakers_of_old.insert(node, (name, pod));
                    }
                }
            }
        }
        nodes
    }

    fn next_move(&self, desired: i32) -> Move {
        let freed: Vec<_> =
            self.speakers_of_old.iter().filter(|(node, _)| !self.frr.contains_key(*node)).collect();
        let ready = self.ready.values().filter(|is_ready| **is_ready).count();
        let all_ready = i32::try_from(ready).is_ok_and(|ready| ready >= desired);
        // The node whose frr-k8s has just gone announces nothing by BGP until it has its new speaker, whatever others do.
        if let Some((node, pod)) = freed.first().filter(|_| all_ready || freed.len() == 1) {
            return delete(node, **pod);
        }
        if let Some((node, _)) = self.frr.iter().find(|(_, (_, pod))| pod.is_deleting) {
            return Move::Wait(format!("the pod of frr-k8s on node {node} is ending"));
        }
        if !all_ready {
            let waits = self.ready.iter().find(|(_, is_ready)| !**is_ready);
            let which = waits.map_or_else(String::new, |(node, _)| format!("; the one on {node} is not"));
            return Move::Wait(format!("{ready} of {desired} speakers are ready{which}"));
        }
        self.frr.iter().next().map_or(Move::Done, |(node, pod)| delete(node, *pod))
    }
}

fn delete(node: &str, (name, pod): Named<'_>) -> Move {
    Move::DeletePod { name: name.clone(), uid: pod.uid.clone(), node: node.to_owned() }
}

#[cfg(test)]
mod tests;
