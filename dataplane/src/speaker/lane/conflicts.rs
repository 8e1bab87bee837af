//! What the lane tells of stations that have an announced address too.

use std::collections::BTreeMap;
use std::net::IpAddr;

use metallb_core::names::InterfaceName;
use metallb_protocols::ethernet::Mac;

/// By address.
pub type Contested = BTreeMap<IpAddr, Conflict>;

/// A station that is none of the cluster's has an address that is announced here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Where it was heard; `None` if that interface is gone.
    pub interface: Option<InterfaceName>,
    /// Its hardware address.
    pub station: Mac,
}

impl Conflict {
    /// For people.
    pub fn explain(&self, address: IpAddr) -> String {
        let on = self.interface.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
        format!(
            "station {}{on}, which is none of the cluster's, has {address} too: clients reach one or the other; give that \
             station another address, or take this one out of the pool",
            self.station
        )
    }

    pub(super) fn log(&self, address: IpAddr) {
        let interface = self.interface.as_ref().map(ToString::to_string);
        tracing::warn!(event = "addressConflict", %address, interface, station = %self.station, text = self.explain(address), "");
    }
}
