//! The objects of metallb.io that make up the configuration, followed, and what they amount to.
//!
//! Controller and speaker follow the same kinds, since each tells what is wrong with all of them; they differ in what
//! counts for them, see [`Scope`].

mod follow;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use metallb_core::config::{BgpAdvertisement, Config, Password, PasswordSource, Peer, share_a_node};
use metallb_core::gather::Gather as _;
use metallb_core::labels::Labels;
use metallb_core::names::{NodeName, PeerName};
use metallb_core::refusal::{Effect, Kind, ObjectRef, ObjectRefusal};
use metallb_core::table::{Event, Table};
use metallb_crds::config::{Node, Objects, Parsed, Secret, Stored, parse};
use metallb_crds::{BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, L2Advertisement};
use metallb_process::watch::ObjectKey;

use super::configuration_state::Verdict;

/// A change to an object of the configuration, or to one that it refers to.
#[derive(Clone, Debug)]
pub enum Change {
    /// Of an IPAddressPool.
    Pool(Event<ObjectKey, Stored<IPAddressPool>>),
    /// Of an L2Advertisement.
    L2Advertisement(Event<ObjectKey, Stored<L2Advertisement>>),
    /// Of a BGPAdvertisement.
    BgpAdvertisement(Event<ObjectKey, Stored<BGPAdvertisement>>),
    /// Of a BGPPeer.
    BgpPeer(Box<Event<ObjectKey, Stored<BGPPeer>>>),
    /// Of a BFDProfile.
    BfdProfile(Event<ObjectKey, Stored<BFDProfile>>),
    /// Of a Community.
    Community(Event<ObjectKey, Stored<Community>>),
    /// Of a Secret in MetalLB's namespace.
    Secret(Event<ObjectKey, KeyedSecret>),
}

/// What is read of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedSecret {
    /// What the rules ask of it.
    pub shape: Secret,
    /// The password in it, where it is of the type that peers name.
    pub password: Option<Password>,
}

/// For whom the configuration is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Whoever allocates: pools count, and nothing else.
    #[default]
    Allocation,
    /// Whoever announces from this node: everything counts that concerns the node. Secrets are followed too.
    Announcement(NodeName),
}

/// The objects, and what they amount to.
#[derive(Debug, Default)]
pub struct Configuration {
    scope: Scope,
    pools: Table<ObjectKey, Stored<IPAddressPool>>,
    l2_advertisements: Table<ObjectKey, Stored<L2Advertisement>>,
    bgp_advertisements: Table<ObjectKey, Stored<BGPAdvertisement>>,
    bgp_peers: Table<ObjectKey, Stored<BGPPeer>>,
    bfd_profiles: Table<ObjectKey, Stored<BFDProfile>>,
    communities: Table<ObjectKey, Stored<Community>>,
    secrets: Table<ObjectKey, KeyedSecret>,
    /// Secrets are where somebody else reads them: nobody here knows whether they are there.
    foreign_secrets: bool,
    /// The labels of the node it is for, once that is known to be there.
    node: Option<Labels>,
    objects: Objects,
    parsed: Parsed,
}

impl Configuration {
    /// An empty one.
    pub fn new(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }

    /// The Secrets that peers name are somebody else's business.
    pub fn leave_secrets_alone(&mut self) {
        self.foreign_secrets = true;
    }

    /// Takes in a change. True when what counts in the configuration is now different, be it only a password.
    pub fn apply(&mut self, change: Change) -> bool {
        let secrets = matches!(change, Change::Secret(_));
        let touched = match change {
            Change::Pool(event) => self.pools.reduce(event),
            Change::L2Advertisement(event) => self.l2_advertisements.reduce(event),
            Change::BgpAdvertisement(event) => self.bgp_advertisements.reduce(event),
            Change::BgpPeer(event) => self.bgp_peers.reduce(*event),
            Change::BfdProfile(event) => self.bfd_profiles.reduce(event),
            Change::Community(event) => self.communities.reduce(event),
            Change::Secret(event) => self.secrets.reduce(event),
        };
        !touched.is_empty() && (self.parse() || secrets)
    }

    /// The labels of the node it is for are these; `None` when there is no such node. True when what counts in the
    /// configuration is now different.
    pub fn set_node(&mut self, labels: Option<Labels>) -> bool {
        if self.node == labels {
            return false;
        }
        self.node = labels;
        self.parse()
    }

    fn parse(&mut self) -> bool {
        let nodes = match &self.scope {
            Scope::Allocation => None,
            // Peers that contradict each other on other nodes are the business of those.
            Scope::Announcement(name) => Some(
                self.node
                    .iter()
                    .map(|labels| (name.to_string(), Node { labels: labels.clone(), ..Node::default() }))
                    .collect(),
            ),
        };
        self.objects = Objects {
            pools: by_name(&self.pools),
            l2_advertisements: by_name(&self.l2_advertisements),
            bgp_advertisements: by_name(&self.bgp_advertisements),
            bgp_peers: by_name(&self.bgp_peers),
            bfd_profiles: by_name(&self.bfd_profiles),
            communities: by_name(&self.communities),
            nodes,
            secrets: (self.scope != Scope::Allocation && !self.foreign_secrets).then(|| self.shapes()),
        };
        let mut parsed = parse(&self.objects);
        self.keep_last_good(&mut parsed);
        let before = std::mem::replace(&mut self.parsed, parsed);
        match &self.scope {
            Scope::Allocation => before.config.pools != self.parsed.config.pools,
            Scope::Announcement(_) => before.config != self.parsed.config,
        }
    }

    /// An object that was in force and is not any more stays in force as it was: a slip of the pen must not take
    /// everything it announces off the air. It is told as set aside all the same, and a restart forgets it. Where it
    /// contradicts what is in force by now it goes.
    ///
    /// Pools are not kept: what their services hold is held for them ([`Pools::set_aside`]).
    ///
    /// [`Pools::set_aside`]: metallb_core::config::Pools::set_aside
    fn keep_last_good(&self, parsed: &mut Parsed) {
        let last = &self.parsed.config;
        let Parsed { config, refusals } = parsed;
        for ObjectRefusal { object: ObjectRef { kind, name }, .. } in refusals {
            let name = name.as_str();
            // Pools are held, profiles and communities are copied into what uses them.
            match kind {
                Kind::L2Advertisement if !config.l2_advertisements.contains_key(name) => {
                    let good = last.l2_advertisements.get_key_value(name);
                    config.l2_advertisements.extend(good.map(|(name, good)| (name.clone(), good.clone())));
                }
                Kind::BgpAdvertisement if !config.bgp_advertisements.contains_key(name) => {
                    let good = last.bgp_advertisements.get_key_value(name);
                    let good = good.filter(|(_, good)| !self.is_contradicted(good, config));
                    config.bgp_advertisements.extend(good.map(|(name, good)| (name.clone(), good.clone())));
                }
                Kind::BgpPeer if !config.peers.contains_key(name) => {
                    let good = last.peers.get_key_value(name);
                    let good = good.filter(|(_, good)| !self.is_in_conflict(good, config));
                    config.peers.extend(good.map(|(name, good)| (name.clone(), good.clone())));
                }
                Kind::IpAddressPool
                | Kind::BfdProfile
                | Kind::Community
                | Kind::L2Advertisement
                | Kind::BgpAdvertisement
                | Kind::BgpPeer => {}
            }
        }
    }

    fn is_in_conflict(&self, peer: &Peer, config: &Config) -> bool {
        config.peers.values().any(|other| {
            !peer.conflicts(other).is_empty()
                && share_a_node(&peer.node_selectors, &other.node_selectors, Some(&self.node))
        })
    }

    fn is_contradicted(&self, advertisement: &BgpAdvertisement, config: &Config) -> bool {
        config.bgp_advertisements.values().any(|other| {
            let both = |pool: &&metallb_core::config::Pool| {
                advertisement.covers_pool(&pool.name, &pool.labels)
                    && other.covers_pool(&pool.name, &pool.labels)
            };
            config.pools.iter().filter(both).any(|pool| advertisement.contradicts(other, pool))
                && share_a_node(&advertisement.node_selectors, &other.node_selectors, Some(&self.node))
        })
    }

    /// Has every watch delivered its list that allocation and layer 2 need? Before that an absent object means nothing.
    pub fn is_listed(&self) -> bool {
        self.pools.is_listed() && self.l2_advertisements.is_listed()
    }

    /// Has every watch delivered its list? Before that nobody knows whether a name that is referred to is there.
    pub fn is_complete(&self) -> bool {
        self.is_listed()
            && self.bgp_advertisements.is_listed()
            && self.bgp_peers.is_listed()
            && self.bfd_profiles.is_listed()
            && self.communities.is_listed()
            && (self.scope == Scope::Allocation || self.secrets.is_listed())
    }

    /// What is in force.
    pub fn config(&self) -> &Config {
        &self.parsed.config
    }

    /// The password that `peer` asks for. `None` where it asks for none.
    pub fn password(&self, peer: &Peer) -> Option<Password> {
        match peer.password.as_ref()? {
            PasswordSource::Inline(password) => Some(password.clone()),
            PasswordSource::Secret(name) => {
                let mut rows = self.secrets.rows().iter();
                rows.find(|((_, row), _)| row == name.as_str())?.1.password.clone()
            }
        }
    }

    fn shapes(&self) -> BTreeMap<String, Secret> {
        self.secrets.rows().iter().map(|((_, name), secret)| (name.clone(), secret.shape.clone())).collect()
    }

    /// What was set aside, each with the object that an event about it belongs to.
    pub fn refusals(&self) -> impl Iterator<Item = (&ObjectRefusal, ObjectReference)> {
        let complete = self.is_complete();
        let is_told = move |refusal: &&ObjectRefusal| match refusal.effect() {
            Effect::SetsAside => true,
            Effect::Dangling => complete,
            Effect::Warning => false,
        };
        let refusals = self.parsed.refusals.iter().filter(is_told);
        refusals.map(|refusal| (refusal, self.reference(refusal)))
    }

    /// What is to be said in the ConfigurationState; `None` until that is certain.
    pub fn verdict(&self) -> Option<Verdict> {
        let certain = match &self.scope {
            Scope::Allocation => self.is_listed(),
            Scope::Announcement(_) => self.is_complete(),
        };
        let refusals = self.refusals().map(|(refusal, _)| refusal);
        certain.then(|| Verdict::on(refusals.filter(|refusal| self.counts(&refusal.object))))
    }

    /// The object of a BGPPeer, for events; `None` when it is gone.
    pub fn peer_reference(&self, peer: &PeerName) -> Option<ObjectReference> {
        let is_there = self.bgp_peers.rows().keys().any(|(_, name)| name == peer.as_str());
        is_there.then(|| reference(&self.bgp_peers, peer.as_str()))
    }

    fn counts(&self, object: &ObjectRef) -> bool {
        match &self.scope {
            Scope::Allocation => object.kind == Kind::IpAddressPool,
            Scope::Announcement(_) => {
                self.node.as_ref().is_none_or(|labels| self.objects.may_concern(object, labels))
            }
        }
    }

    fn reference(&self, refusal: &ObjectRefusal) -> ObjectReference {
        let ObjectRef { kind, name } = &refusal.object;
        match kind {
            Kind::IpAddressPool => reference(&self.pools, name),
            Kind::L2Advertisement => reference(&self.l2_advertisements, name),
            Kind::BgpAdvertisement => reference(&self.bgp_advertisements, name),
            Kind::BgpPeer => reference(&self.bgp_peers, name),
            Kind::BfdProfile => reference(&self.bfd_profiles, name),
            Kind::Community => reference(&self.communities, name),
        }
    }
}

fn reference<K: Resource<DynamicType = ()> + Default>(
    table: &Table<ObjectKey, Stored<K>>,
    name: &str,
) -> ObjectReference {
    let stored = table.rows().iter().find(|((_, row), _)| row == name);
    let metadata: Option<&ObjectMeta> = stored.map(|(_, stored)| stored.metadata());
    ObjectReference {
        name: Some(name.to_owned()),
        namespace: metadata.and_then(|metadata| metadata.namespace.clone()),
        uid: metadata.and_then(|metadata| metadata.uid.clone()),
        ..K::default().object_ref(&())
    }
}

fn by_name<V: Clone + PartialEq>(table: &Table<ObjectKey, V>) -> BTreeMap<String, V> {
    table.rows().iter().map(|((_, name), value)| (name.clone(), value.clone())).gather()
}

#[cfg(test)]
mod tests;
