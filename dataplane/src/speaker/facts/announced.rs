//! What this node announces on layer 2: which addresses of a service, and how; and the sockets that it needs for all of them.

use std::net::IpAddr;

use metallb_core::config::Interfaces;
use metallb_core::names::ServiceKey;

use super::Facts;
use crate::kube::service_l2_status::OnLayer2;
use crate::speaker::lane::{Needed, Sockets};

impl Facts {
    /// `None`: no address of the service is announced from here. Each has an owner of its own, so of two it may be one.
    pub(super) fn announced_from_here(&self, service: &ServiceKey) -> Option<OnLayer2> {
        let all = &self.services.get(service)?.service.addresses;
        let here = |address: &IpAddr| Some((*address, self.announced_on(*address, service)?));
        let (addresses, interfaces): (Vec<_>, Vec<_>) = all.iter().filter_map(here).unzip();
        let first = addresses.first()?;
        let tenures = self.tenures.as_ref();
        Some(OnLayer2 {
            has_first: all.first() == Some(first),
            epoch: tenures.and_then(|tenures| tenures.epoch_of(*first, self.world.node())),
            conflicts: self.conflicts.of(&addresses),
            interfaces: interfaces.into_iter().cloned().reduce(|some, others| some.union(&others))?,
            addresses: addresses.into(),
        })
    }

    /// The sockets that are needed for what is announced from here, where those of the lane stand like this.
    pub fn needed_sockets(&self, sockets: &Sockets) -> Needed {
        Needed::of(&self.tables, sockets)
    }

    /// Where an address is announced from here for the service, if it is.
    fn announced_on(&self, address: IpAddr, service: &ServiceKey) -> Option<&Interfaces> {
        let plan = self.planner.plan().get(&address)?;
        let is_announced = matches!(plan.services.get(service), Some(Ok(())));
        plan.announce.as_ref().filter(|_| is_announced)
    }
}
