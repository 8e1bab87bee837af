//! BGP, as far as this node's world decides it: with which routers to talk, and what each is to hear.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use k8s_openapi::api::core::v1::ObjectReference;
use metallb_core::config::Peer;
use metallb_core::few::{FewMap, FewSet};
use metallb_core::names::{PeerName, ServiceKey};
use metallb_core::pack::Pack;
use metallb_core::plan::{Departure, PeerChanges, RoutePlanner, Touched, World, peers};
use metallb_core::refusal::HOSTNAME;
use metallb_core::shared::SharedMap;
use metallb_protocols::liveness::Handover;

use super::Facts;
use super::told::{News, Protocol, Told, Verdicts};
use crate::kube::configuration::Configuration;
use crate::kube::frr_configuration::{Neighbour, Neighbours};
use crate::speaker::bgp::StandIns;
use crate::speaker::bgp::wanted::{Profile, Wanted};

/// What goes to the BGP lane.
#[derive(Debug, Default, PartialEq)]
pub struct Decided {
    /// The routers, when it is first known which they are, be there none, and whenever they are different.
    pub peers: Option<BTreeMap<PeerName, Wanted>>,
    /// Routes are announced as about to go, or no longer, if that is different now.
    pub draining: Option<bool>,
    /// What each is to hear that it did not before.
    pub routes: BTreeMap<PeerName, PeerChanges>,
    /// All that routers are to hear in the name of other nodes, if that is different now.
    pub stand_ins: Option<StandIns>,
}

/// The peers that hear of a service from this node.
pub type Heard = SharedMap<ServiceKey, FewSet<PeerName>>;

/// The routes of this node, and what was said of them.
#[derive(Debug)]
pub struct Routing {
    profile: Profile,
    planner: RoutePlanner,
    touched: Touched,
    /// `None` until it is known.
    peers: Option<BTreeMap<PeerName, Wanted>>,
    peers_stale: bool,
    /// Wanted, and not told yet what they are to hear.
    newcomers: BTreeSet<PeerName>,
    draining: bool,
    told: Told,
    /// Decided and not told yet.
    untold: BTreeSet<IpAddr>,
    /// Everything was decided anew: any service may be heard by others.
    all_untold: bool,
    /// `None` until routes were decided, be there none.
    heard: Option<Heard>,
}

impl Routing {
    pub const fn new(profile: Profile) -> Self {
        Self {
            profile,
            planner: RoutePlanner::new(),
            touched: Touched::Everything,
            peers: None,
            peers_stale: true,
            newcomers: BTreeSet::new(),
            draining: false,
            told: Told::new(Protocol::Bgp),
            untold: BTreeSet::new(),
            all_untold: false,
            heard: None,
        }
    }

    /// What was decided.
    pub const fn planner(&self) -> &RoutePlanner {
        &self.planner
    }

    pub const fn set_peers_stale(&mut self) {
        self.peers_stale = true;
    }

    /// The routers to talk to, as far as that is known.
    pub fn peers(&self) -> impl Iterator<Item = &PeerName> {
        self.peers.iter().flat_map(BTreeMap::keys)
    }

    /// What is to be decided anew.
    pub const fn touched(&self) -> &Touched {
        &self.touched
    }

    pub fn touch(&mut self, touched: Touched) {
        let before = std::mem::replace(&mut self.touched, Touched::nothing());
        self.touched = before.and(touched);
    }

    /// Sessions begin as soon as the peers are known, so that they are there when the routes are.
    pub fn decide(
        &mut self,
        world: &World,
        configuration: &Configuration,
        knows_peers: bool,
        knows_routes: bool,
    ) -> Decided {
        let mut decided = Decided::default();
        if knows_peers && std::mem::take(&mut self.peers_stale) {
            let peers = self.wanted(world, configuration);
            if peers != self.peers {
                let ran = |name: &PeerName| self.peers.iter().any(|peers| peers.contains_key(name));
                let wanted = peers.iter().flatten().map(|(name, _)| name);
                self.newcomers.retain(|name| peers.iter().any(|peers| peers.contains_key(name)));
                self.newcomers.extend(wanted.filter(|name| !ran(name)).cloned());
                self.peers.clone_from(&peers);
                decided.peers = peers;
            }
        }
        // Routes that are withdrawn keep the mark: telling them anew without it would be telling the opposite.
        let draining = world.departure() != Departure::Staying;
        if self.draining != draining {
            self.draining = draining;
            decided.draining = Some(draining);
        }
        if knows_routes && !self.touched.is_nothing() {
            let touched = std::mem::replace(&mut self.touched, Touched::nothing());
            self.all_untold |= touched == Touched::Everything;
            if let Touched::Addresses(addresses) = &touched {
                self.untold.extend(addresses);
            }
            let changes = self.planner.replan(world, &touched);
            self.untold.extend(changes.addresses);
            decided.routes = changes.peers;
        }
        if knows_routes {
            // They may be known to the planner for long: what it said of them then, nobody was there to take up.
            for name in std::mem::take(&mut self.newcomers) {
                if let Some(routes) = self.planner.routes().get(&name) {
                    let routes =
                        routes.iter().map(|(prefix, route)| (*prefix, Some(route.clone()))).collect();
                    decided.routes.insert(name, PeerChanges { complete: true, routes });
                }
            }
        }
        decided
    }

    /// `None` without the own Node: nobody knows then which peers are this node's.
    fn wanted(&self, world: &World, configuration: &Configuration) -> Option<BTreeMap<PeerName, Wanted>> {
        let node = world.own_node()?;
        let wanted = peers(world).filter_map(|(name, peer)| {
            let password = configuration.password(peer);
            let wanted = if peer.password.is_some() && password.is_none() {
                // Its Secret is gone, and the peer is in force as it was: so is its password.
                self.peers.as_ref()?.get(name)?.clone()
            } else {
                Wanted::of(peer, password, self.profile, world.node(), &node.addresses)
            };
            Some((name.clone(), wanted))
        });
        Some(wanted.collect())
    }

    /// What is new for services, and who hears of each: when that is first known, and whenever it changed.
    pub fn tell(
        &mut self,
        world: &World,
        reference: impl Fn(&ServiceKey) -> Option<ObjectReference>,
    ) -> (News, Option<Heard>) {
        let changed = std::mem::take(&mut self.untold);
        let planner = &self.planner;
        let verdicts = |address: IpAddr| -> Verdicts {
            let verdicts = planner.verdicts().get(&address).into_iter().flat_map(FewMap::iter);
            let told =
                |verdict: &metallb_core::plan::Verdict| verdict.as_ref().map(|_| ()).map_err(Clone::clone);
            verdicts.map(|(service, verdict)| (service.clone(), told(verdict))).collect()
        };
        let news = self.told.tell(world.node(), verdicts, &changed, reference);
        let all = std::mem::take(&mut self.all_untold);
        // The first thing that is decided is everything. Before that nobody knows, which is not the same as nobody hears.
        if self.heard.is_none() && !all {
            return (news, None);
        }
        let affected: BTreeSet<ServiceKey> = if all {
            let heard = self.heard.iter().flat_map(SharedMap::keys);
            heard.cloned().chain(world.services().map(|(service, _)| service.clone())).collect()
        } else {
            let gone = news.withdrawn.iter().map(|(service, _)| service);
            let services = changed.iter().flat_map(|address| world.services_on(*address));
            services.map(|(service, _)| service).chain(gone).cloned().collect()
        };
        let mut differs = self.heard.is_none();
        let heard = self.heard.get_or_insert_default();
        for service in affected {
            let addresses = world.service(&service).map_or(&[][..], |service| &service.addresses);
            let now = self.planner.peers_of(world, &service, addresses);
            if heard.get(&service).is_some_and(|before| *before == now) {
                continue;
            }
            if now.is_empty() {
                differs |= heard.remove(&service).is_some();
            } else {
                differs = true;
                heard.insert(service, now);
            }
        }
        (news, differs.then(|| heard.clone()))
    }
}

impl Pack for Routing {
    fn pack(&mut self) {
        self.planner.pack();
        self.told.pack();
    }
}

impl Facts {
    /// Has everything been delivered that routes depend on? Before that none is withdrawn: routers may have kept those
    /// of the process before this one.
    pub fn knows_routes(&self) -> bool {
        self.services.is_listed()
            && self.slices.is_listed()
            && self.nodes.is_listed()
            && self.configuration.is_complete()
    }

    /// Which routers to talk to, if that is different now, and what each is to hear that it did not before. It goes on
    /// the wire before anything is told ([`Facts::tell_routes`]).
    pub fn decide_routes(&mut self, now: Instant) -> Decided {
        self.stand_ins.pass_time(now);
        if self.nodes.is_listed() {
            self.departure.set(now, self.world.leaving().is_some());
            let touched = self.world.set_departure(self.departure.stance());
            self.routing.touch(touched);
        }
        let knows_peers = self.nodes.is_listed() && self.configuration.is_complete();
        let knows_routes = self.knows_routes();
        let stand_ins = if knows_routes && !self.stand_ins.is_idle() {
            self.stand_ins.decide(&mut self.world, self.routing.touched())
        } else {
            None
        };
        let decided = self.routing.decide(&self.world, &self.configuration, knows_peers, knows_routes);
        Decided { stand_ins, ..decided }
    }

    /// All routers know what this speaker announces: nobody needs to announce it in its name.
    pub fn take_routes_back(&mut self) {
        self.tables.routes = Some(Handover::TakenBack);
        self.tables_changed = true;
    }

    /// The routers that the BGP lane was told to talk to.
    pub fn peers(&self) -> impl Iterator<Item = &PeerName> {
        self.routing.peers()
    }

    /// The routers of this node as the user wrote them; `None` until that is certain.
    pub fn neighbours(&self) -> Option<Neighbours> {
        let certain = self.nodes.is_listed() && self.configuration.is_complete();
        certain.then(|| neighbours(&self.world, &self.configuration))
    }

    /// What is new for services since the last time, and to which peers each is announced: when that is first
    /// known, be it to none, and whenever it changed.
    pub fn tell_routes(&mut self) -> (News, Option<Heard>) {
        let (services, world) = (&self.services, &self.world);
        self.routing.tell(world, |service| services.get(service).map(|row| row.reference(service)))
    }
}

/// The routers of this node as the user wrote them. Without its Node nobody knows which they are.
fn neighbours(world: &World, configuration: &Configuration) -> Neighbours {
    let Some(node) = world.own_node() else { return Neighbours::default() };
    let neighbour = |peer: &Peer| Neighbour { peer: peer.clone(), password: configuration.password(peer) };
    Neighbours {
        hostname: node.labels.get(HOSTNAME).cloned(),
        peers: peers(world).map(|(name, peer)| (name.clone(), neighbour(peer))).collect(),
    }
}
