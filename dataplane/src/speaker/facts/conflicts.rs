//! What is said of stations outside the cluster that have an announced address too.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use metallb_crds::AddressConflict;
use metallb_process::events::{Happening, Severity};

use crate::speaker::lane::{Conflict, Contested};

/// The conflicts that are known, and those of which nothing was said yet.
#[derive(Debug, Default)]
pub struct Conflicts {
    known: Contested,
    /// What was said of each address.
    said: Contested,
}

impl Conflicts {
    /// These there are now. The addresses where that is different.
    pub fn set(&mut self, known: Contested) -> BTreeSet<IpAddr> {
        let before = std::mem::replace(&mut self.known, known);
        let addresses = before.keys().chain(self.known.keys());
        addresses.filter(|address| before.get(address) != self.known.get(address)).copied().collect()
    }

    /// What happened to the services with an address, as far as that was not said yet.
    pub fn tell(&mut self, services_on: impl Fn(IpAddr) -> Vec<ObjectReference>) -> Vec<Happening> {
        let mut happenings = Vec::new();
        let addresses: BTreeSet<IpAddr> = self.said.keys().chain(self.known.keys()).copied().collect();
        for address in addresses {
            let (said, known) = (self.said.get(&address), self.known.get(&address));
            if said == known {
                continue;
            }
            let happening = |regarding| match known {
                Some(conflict) => Happening {
                    regarding,
                    severity: Severity::Warning,
                    reason: "addressConflict",
                    message: conflict.explain(address),
                },
                None => Happening {
                    regarding,
                    severity: Severity::Normal,
                    reason: "addressConflictOver",
                    message: format!("no station outside the cluster has {address} any more"),
                },
            };
            happenings.extend(services_on(address).into_iter().map(happening));
        }
        self.said.clone_from(&self.known);
        happenings
    }

    /// Those of these addresses, in their order.
    pub fn of(&self, addresses: &[IpAddr]) -> Arc<[AddressConflict]> {
        let known = addresses.iter().filter_map(|address| Some((address, self.known.get(address)?)));
        known.map(|(address, conflict)| status(*address, conflict)).collect()
    }

    /// The one of an address.
    pub fn on(&self, address: IpAddr) -> Option<&Conflict> {
        self.known.get(&address)
    }
}

fn status(address: IpAddr, Conflict { interface, station }: &Conflict) -> AddressConflict {
    AddressConflict {
        address: address.to_string(),
        hardware_address: station.to_string(),
        interface: interface.as_ref().map(ToString::to_string),
    }
}
