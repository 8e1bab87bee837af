//! Why bytes are no message that may be believed.

use std::net::Ipv6Addr;

/// Why a packet is discarded (RFC 4861 §6.1.1, §6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It may have come through a router: from anywhere.
    #[error("hop limit {0}, not 255: it may not be from this link")]
    HopLimit(u8),
    /// Shorter than its type demands.
    #[error("too short")]
    Truncated,
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
    /// Who has no address yet says how to reach it.
    #[error("a link-layer address, from nobody")]
    LinkLayerOfNobody,
}
