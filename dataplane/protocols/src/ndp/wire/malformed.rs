//! Why bytes are no message that may be believed.

use std::net::Ipv6Addr;

/// Why a packet is discarded (RFC 4861 §6.1, §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It may have come through a router: from anywhere.
    #[error("hop limit {0}, not 255: it may not be from this link")]
    HopLimit(u8),
    /// Shorter than its type demands.
    #[error("too short")]
    Truncated,
    /// The ethertype, or the version in the header, is another.
    #[error("not IPv6")]
    NotIpv6,
    /// Something else follows the IPv6 header: another protocol, or an extension header, which nobody needs here.
    #[error("protocol {0}, not ICMPv6")]
    OtherProtocol(u8),
    /// It is not what was sent, or not for whom it says.
    #[error("a checksum that is wrong")]
    Checksum,
    /// Another ICMPv6 message.
    #[error("ICMPv6 type {0}")]
    OtherType(u8),
    /// The code is not 0.
    #[error("code {0}")]
    Code(u8),
    /// An advertisement from elsewhere than a link-local address.
    #[error("advertised from {0}, which is not link-local")]
    NotLinkLocal(Ipv6Addr),
    /// An option of length 0, which would never end.
    #[error("an option of length 0")]
    EmptyOption,
    /// An option that is longer than what is left.
    #[error("an option that is cut off")]
    OptionTruncated,
    /// From more than one, as if that could be.
    #[error("from {0}, which is a group")]
    FromAGroup(Ipv6Addr),
    /// About a group, which nobody has for itself.
    #[error("about {0}, which is a group")]
    AboutAGroup(Ipv6Addr),
    /// Who has no address yet asks somebody in particular.
    #[error("from nobody to {0}, which is no group of those who are asked")]
    NobodyToSomebody(Ipv6Addr),
    /// An answer to a question, to everybody.
    #[error("solicited, and yet for all")]
    SolicitedByAll,
    /// Who has no address yet says how to reach it.
    #[error("a link-layer address, from nobody")]
    LinkLayerOfNobody,
}
