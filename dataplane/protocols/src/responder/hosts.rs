//! Hosts of the tests of both protocols.

use std::net::IpAddr;

use super::Host;
use crate::ethernet::Mac;

/// One that is to announce an address once it is given it.
pub(crate) struct Awaiting {
    pub(crate) address: IpAddr,
    pub(crate) station: Mac,
}

impl Host for Awaiting {
    fn announces(&self, _: IpAddr) -> bool {
        false
    }

    fn awaits(&self, address: IpAddr) -> bool {
        address == self.address
    }

    fn has_station(&self, station: Mac) -> bool {
        station == self.station
    }
}
