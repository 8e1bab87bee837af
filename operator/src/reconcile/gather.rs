//! The world: every `MetalLB` of the cluster, what is installed in the operator's namespace, and what of others has a
//! say in it, as the watches report it.
//!
//! Rows keep what matters and nothing else, so what changes without a consequence (resource versions, the bookkeeping
//! of field managers) touches nothing.

mod neighbours;
mod rows;
mod watches;

use std::collections::{BTreeMap, BTreeSet};

use metallb_core::table::{Event, Table};
use metallb_process::watch::ObjectKey;

pub use neighbours::{Daemon, FRRConfiguration, Judgement, PodRow, Role};
pub use rows::{Installed, Live, Reach, Row};
pub use watches::start_watches;

use super::rollout::Rollout;
use crate::render::{
    Kind, ObjectId, Platform, SPEAKER, Served, ServiceCa, certified_services, is_certified, names_constraints,
};

/// A change of the world.
#[derive(Clone, Debug)]
pub enum Input {
    /// Of a `MetalLB`.
    MetalLB(Event<ObjectKey, Row>),
    /// Of something installed.
    Installed(Kind, Event<String, Live>),
    /// The API server said whether it knows that kind, which not every cluster has.
    Served(Kind, Served),
    /// The API server has not said for long whether it knows that kind.
    Undiscovered(Kind),
    /// The API server said whether it knows OpenShift's routes.
    Routes(Served),
    /// Of a pod that speaks to routers: a speaker, or one of frr-k8s.
    Pod(Event<String, PodRow>),
    /// The API server does not know FRRConfigurations.
    NoFrrConfigurations,
    /// Of an FRRConfiguration.
    FrrConfiguration(Event<ObjectKey, ()>),
    /// Of a DaemonSet of frr-k8s, wherever it is.
    FrrDaemon(Event<ObjectKey, Daemon>),
    /// Of what a controller or a speaker says of the configuration.
    Judgement(Event<String, Judgement>),
}

/// Everything that is watched.
#[derive(Debug, Default)]
pub struct World {
    metallbs: Table<ObjectKey, Row>,
    installed: BTreeMap<Kind, Table<String, Live>>,
    /// Whether the API server knows kinds that not every cluster has, as far as it has said.
    served: BTreeMap<Kind, Served>,
    /// Kinds of which it has not said so for long.
    undiscovered: BTreeSet<Kind>,
    routes: Option<Served>,
    pods: Table<String, PodRow>,
    /// Is it known that there is no such kind?
    no_frr_configurations: bool,
    frr_configurations: Table<ObjectKey, ()>,
    frr_daemons: Table<ObjectKey, Daemon>,
    judgements: Table<String, Judgement>,
}

/// Kinds that every cluster has.
const COMMON: [Kind; 5] =
    [Kind::NetworkPolicy, Kind::ConfigMap, Kind::Service, Kind::DaemonSet, Kind::Deployment];

impl World {
    /// Takes in a change. True when something is now different.
    pub fn apply(&mut self, input: Input) -> bool {
        match input {
            Input::MetalLB(event) => reduce(&mut self.metallbs, event),
            Input::Installed(kind, event) => reduce(self.installed.entry(kind).or_default(), event),
            Input::Served(kind, served) => self.served.insert(kind, served) != Some(served),
            Input::Undiscovered(kind) => self.undiscovered.insert(kind),
            Input::Routes(served) => self.routes.replace(served) != Some(served),
            Input::Pod(event) => reduce(&mut self.pods, event),
            Input::NoFrrConfigurations => !std::mem::replace(&mut self.no_frr_configurations, true),
            Input::FrrConfiguration(event) => reduce(&mut self.frr_configurations, event),
            Input::FrrDaemon(event) => reduce(&mut self.frr_daemons, event),
            Input::Judgement(event) => reduce(&mut self.judgements, event),
        }
    }

    /// Is everything known that a decision needs? Kinds of the Prometheus operator and FRRConfigurations are not waited for: who may not
    /// look at those shall have the rest. Whether the API server knows OpenShift's constraints is waited for, as pods made before that
    /// would be the wrong ones; but not for ever.
    pub fn is_listed(&self) -> bool {
        let is_listed = |kind| self.installed.get(kind).is_some_and(Table::is_listed);
        let constraints = Kind::SecurityContextConstraints;
        let is_platform_known =
            self.served.contains_key(&constraints) || self.undiscovered.contains(&constraints);
        is_platform_known
            && self.metallbs.is_listed()
            && self.pods.is_listed()
            && COMMON.iter().all(is_listed)
    }

    /// All `MetalLB`s.
    pub fn metallbs(&self) -> &BTreeMap<ObjectKey, Row> {
        self.metallbs.rows()
    }

    /// Something installed.
    pub fn installed(&self, id: &ObjectId) -> Option<&Live> {
        self.installed.get(&id.kind)?.get(&id.name)
    }

    /// Everything installed, and of some kinds what others have beside it.
    pub fn all_installed(&self) -> impl Iterator<Item = (ObjectId, &Live)> {
        self.installed.iter().flat_map(|(kind, table)| {
            table.rows().iter().map(|(name, live)| (ObjectId::new(*kind, name), live))
        })
    }

    /// How far a workload is. Of one that is not there nothing is known.
    pub fn rollout(&self, kind: Kind, name: &str) -> Rollout {
        let live = self.installed(&ObjectId::new(kind, name));
        live.and_then(|live| live.rollout.clone()).unwrap_or_default()
    }

    /// Does the API server know that kind, which not every cluster has?
    pub fn served(&self, kind: Kind) -> Served {
        self.served.get(&kind).copied().unwrap_or(Served::No)
    }

    /// What the cluster has of OpenShift.
    pub fn platform(&self) -> Platform {
        let is_signed = || {
            certified_services()
                .iter()
                .all(|id| self.installed(id).is_some_and(|it| is_certified(&it.object)))
        };
        Platform {
            security_context_constraints: self.constraints(),
            service_ca: match self.routes {
                None | Some(Served::No) => ServiceCa::Absent,
                Some(Served::Yes) if is_signed() => ServiceCa::Signed,
                Some(Served::Yes) => ServiceCa::Awaited,
            },
        }
    }

    /// Are pods run by OpenShift's constraints? While nobody says so, they are if the speakers that are there name some.
    fn constraints(&self) -> Served {
        let kind = Kind::SecurityContextConstraints;
        let speaker = self.installed(&ObjectId::new(Kind::DaemonSet, SPEAKER));
        let names_some = || speaker.is_some_and(|live| names_constraints(&live.object));
        self.served.get(&kind).copied().unwrap_or(if names_some() { Served::Yes } else { Served::No })
    }

    /// Pods that speak to routers, by name.
    pub fn pods(&self) -> &BTreeMap<String, PodRow> {
        self.pods.rows()
    }

    /// Every FRRConfiguration of the cluster. `None`: not known yet.
    pub fn frr_configurations(&self) -> Option<Vec<&ObjectKey>> {
        let is_known = self.no_frr_configurations || self.frr_configurations.is_listed();
        is_known.then(|| self.frr_configurations.rows().keys().collect())
    }

    /// Every DaemonSet of an frr-k8s in the cluster. `None`: not known yet.
    pub fn frr_daemons(&self) -> Option<&BTreeMap<ObjectKey, Daemon>> {
        self.frr_daemons.is_listed().then(|| self.frr_daemons.rows())
    }

    /// What controller and speakers say of the configuration, by the name of the object that says it.
    pub fn judgements(&self) -> &BTreeMap<String, Judgement> {
        self.judgements.rows()
    }
}

/// True when something is now different, or known for the first time.
fn reduce<K: Ord + Clone, V: PartialEq>(table: &mut Table<K, V>, event: Event<K, V>) -> bool {
    let is_first = !table.is_listed();
    !table.reduce(event).is_empty() || is_first
}
