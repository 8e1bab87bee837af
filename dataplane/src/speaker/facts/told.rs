//! What the events, the log and the metrics say already, so that only changes are said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use k8s_openapi::api::core::v1::ObjectReference;
use metallb_core::few::{FewMap, FewSet};
use metallb_core::names::{NodeName, ServiceKey};
use metallb_core::pack::Pack;
use metallb_core::refusal::{AnnouncementRefusal, Refusal};
use metallb_process::events::{Happening, Severity};

/// Why each service that has an address is not announced at it, or that it is.
pub type Verdicts = FewMap<ServiceKey, Result<(), AnnouncementRefusal>>;

/// How an address is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// By ARP.
    Layer2,
    /// To routers.
    Bgp,
}

impl Protocol {
    /// As upstream's metrics, events and logs have it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Layer2 => "layer2",
            Self::Bgp => "bgp",
        }
    }
}

/// What is new for services and addresses.
#[derive(Debug, PartialEq)]
pub struct News {
    /// By this protocol.
    pub protocol: Protocol,
    /// What happened to services, for events.
    pub happenings: Vec<Happening>,
    /// Addresses that are announced now and were not before, with their services.
    pub announced: BTreeSet<(ServiceKey, IpAddr)>,
    /// Addresses that were announced before and are not now, with their services.
    pub withdrawn: BTreeSet<(ServiceKey, IpAddr)>,
}

/// The verdict on every service and address, as last said.
#[derive(Debug)]
pub struct Told {
    protocol: Protocol,
    verdicts: BTreeMap<IpAddr, Verdicts>,
    /// The addresses of each service that are announced from here.
    served: BTreeMap<ServiceKey, FewSet<IpAddr>>,
}

impl Told {
    /// Nothing was said yet.
    pub const fn new(protocol: Protocol) -> Self {
        Self { protocol, verdicts: BTreeMap::new(), served: BTreeMap::new() }
    }

    /// Says what is different in `verdicts` about the `changed` addresses, and remembers it. `reference` gives the object
    /// that an event about a service belongs to.
    pub fn tell(
        &mut self,
        node: &NodeName,
        verdicts: impl Fn(IpAddr) -> Verdicts,
        changed: &BTreeSet<IpAddr>,
        reference: impl Fn(&ServiceKey) -> Option<ObjectReference>,
    ) -> News {
        let protocol = self.protocol;
        let (happenings, announced, withdrawn) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let mut news = News { protocol, happenings, announced, withdrawn };
        for address in changed {
            let before = self.verdicts.remove(address).unwrap_or_default();
            let after = verdicts(*address);
            for (service, verdict) in
                after.iter().filter(|(service, verdict)| before.get(*service) != Some(*verdict))
            {
                match verdict {
                    Ok(()) => self.announced(&mut news, node, service, *address, reference(service)),
                    Err(refusal) => {
                        self.not_announced(&mut news, service, *address, refusal);
                        if let AnnouncementRefusal::NoSuchInterface { .. } = refusal {
                            let missing =
                                reference(service).map(|service| no_such_interface(service, node, *address));
                            news.happenings.extend(missing);
                        }
                    }
                }
            }
            for service in before.keys().filter(|service| !after.contains_key(*service)) {
                self.gone(&mut news, service, *address);
            }
            if !after.is_empty() {
                self.verdicts.insert(*address, after);
            }
        }
        news
    }

    fn announced(
        &mut self,
        news: &mut News,
        node: &NodeName,
        service: &ServiceKey,
        address: IpAddr,
        reference: Option<ObjectReference>,
    ) {
        let protocol = self.protocol.label();
        tracing::info!(event = "serviceAnnounced", %service, ip = %address, protocol, "from this node");
        news.announced.insert((service.clone(), address));
        let served = self.served.entry(service.clone()).or_default();
        if served.is_empty() {
            news.happenings.extend(reference.map(|service| node_assigned(service, node, self.protocol)));
        }
        served.insert(address);
    }

    fn not_announced(
        &mut self,
        news: &mut News,
        service: &ServiceKey,
        address: IpAddr,
        refusal: &AnnouncementRefusal,
    ) {
        let (protocol, reason, text) = (self.protocol.label(), refusal.code(), refusal.explain());
        if self.unserved(news, service, address) {
            tracing::info!(event = "serviceWithdrawn", %service, ip = %address, protocol, reason, text, "");
        } else {
            tracing::debug!(event = "notAnnounced", %service, ip = %address, reason, text, "");
        }
    }

    fn gone(&mut self, news: &mut News, service: &ServiceKey, address: IpAddr) {
        if self.unserved(news, service, address) {
            let protocol = self.protocol.label();
            tracing::info!(event = "serviceWithdrawn", %service, ip = %address, protocol, reason = "gone", "");
        }
    }

    /// Was it announced until now?
    fn unserved(&mut self, news: &mut News, service: &ServiceKey, address: IpAddr) -> bool {
        let Some(served) = self.served.get_mut(service) else { return false };
        let was = served.remove(&address);
        if served.is_empty() {
            self.served.remove(service);
        }
        if was {
            news.withdrawn.insert((service.clone(), address));
        }
        was
    }
}

impl Pack for Told {
    fn pack(&mut self) {
        let Self { protocol: _, verdicts, served } = self;
        verdicts.pack();
        served.pack();
    }
}

fn node_assigned(regarding: ObjectReference, node: &NodeName, protocol: Protocol) -> Happening {
    let message = format!("announcing from node \"{node}\" with protocol \"{}\"", protocol.label());
    Happening { regarding, severity: Severity::Normal, reason: "nodeAssigned", message }
}

fn no_such_interface(regarding: ObjectReference, node: &NodeName, address: IpAddr) -> Happening {
    let message = format!(
        "the interfaces specified by LB IP \"{address}\" doesn't exist in assigned node \"{node}\" with protocol \"layer2\""
    );
    Happening { regarding, severity: Severity::Warning, reason: "announceFailed", message }
}
