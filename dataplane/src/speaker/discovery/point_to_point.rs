//! IPv4 networks with room for two.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// The other address of a /30 or a /31 (RFC 3021). The first and the last of a /30 are no hosts, and have no other end.
pub(super) fn other_end(own: Ipv4Net) -> Option<Ipv4Addr> {
    let address = own.addr().to_bits();
    let other = match (own.prefix_len(), address & 0b11) {
        (31, _) => address ^ 0b01,
        (30, 0b01 | 0b10) => address ^ 0b11,
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_for_two_has_another_end_and_no_other_network_has() {
        for (own, other) in [
            ("192.0.2.0/31", Some("192.0.2.1")),
            ("192.0.2.1/31", Some("192.0.2.0")),
            ("192.0.2.255/31", Some("192.0.2.254")),
            ("192.0.2.1/30", Some("192.0.2.2")),
            ("192.0.2.2/30", Some("192.0.2.1")),
            ("192.0.2.254/30", Some("192.0.2.253")),
            ("192.0.2.0/30", None),
            ("192.0.2.3/30", None),
            ("192.0.2.1/32", None),
            ("192.0.2.1/29", None),
            ("192.0.2.1/24", None),
            ("192.0.2.1/0", None),
        ] {
            let other = other.map(|other| other.parse().unwrap());
            assert_eq!(other_end(own.parse().unwrap()), other, "{own}");
        }
    }
}
