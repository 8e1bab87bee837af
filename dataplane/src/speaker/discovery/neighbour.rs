//! Who is at the other end of an interface, or why nobody is.

use std::fmt;
use std::net::IpAddr;

/// The router at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its address; link-local if it is IPv6.
    pub address: IpAddr,
    /// Ours, from which to connect: it is the one that the router found, and it may turn others away.
    pub local: IpAddr,
    /// The index of the interface, which is the scope of link-local addresses. An interface that was made anew has another,
    /// though all else may be as before.
    pub interface: u32,
}

/// Why nobody is known to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The node has no such interface.
    NoInterface,
    /// Nothing goes through it.
    Down,
    /// It has no link-local IPv6 address, and none in an IPv4 network for two.
    NoAddress,
    /// Router advertisements cannot be received there.
    Deaf {
        /// What the system says.
        error: String,
    },
    /// No router has advertised itself yet.
    Silent,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterface => f.write_str(
                "there is no interface of this name on the node; correct spec.interface, or exclude the node in spec.nodeSelectors",
            ),
            Self::Down => f.write_str("the interface is down, or has no carrier; bring it up, and look at the other end"),
            Self::NoAddress => f.write_str(
                "the interface has no link-local IPv6 address that it may use, nor an address in an IPv4 /30 or /31; is \
                 net.ipv6.conf.*.disable_ipv6 set, or the address taken by another station?",
            ),
            Self::Deaf { error } => write!(
                f,
                "cannot open a raw ICMPv6 socket there: {error}; does the container have CAP_NET_RAW?"
            ),
            Self::Silent => f.write_str(
                "no router has advertised itself there; let it send IPv6 router advertisements (FRR does where a neighbor is \
                 configured by interface)",
            ),
        }
    }
}
