//! What routes lead to: the addresses of this node at the near end of a connection.

use std::net::{IpAddr, SocketAddr};

use metallb_core::config::Endpoint;
use metallb_protocols::bgp::adverts::NextHops;
use metallb_protocols::bgp::session::Path;
use tokio::net::TcpStream;

use crate::net::tcp::Surroundings;
use crate::speaker::bgp::wanted::Transport;

/// The addresses of this node that the router can send to (RFC 4271 §5.1.3, RFC 2545 §2).
pub(super) fn path(stream: &TcpStream, transport: &Transport) -> Path {
    let address = |end: std::io::Result<SocketAddr>| end.ok().map(|end| end.ip().to_canonical());
    let Some((local, peer)) = address(stream.local_addr()).zip(address(stream.peer_addr())) else {
        return Path::default();
    };
    let interface = match &transport.endpoint {
        Endpoint::Address(_) => None,
        Endpoint::Interface(interface) => Some(interface),
    };
    let around = Surroundings::of(local, peer, interface, transport.vrf.as_ref());
    Path { next_hops: next_hops(local, &around.unwrap_or_default().addresses) }
}

/// The session's own address first; of the other family, what there is around it.
fn next_hops(local: IpAddr, addresses: &[IpAddr]) -> NextHops {
    let mut v4s = addresses.iter().filter_map(|address| match address {
        IpAddr::V4(v4) => Some(*v4),
        IpAddr::V6(_) => None,
    });
    let v6s = || {
        addresses.iter().filter_map(|address| match address {
            IpAddr::V6(v6) => Some(*v6),
            IpAddr::V4(_) => None,
        })
    };
    let link_local = v6s().find(std::net::Ipv6Addr::is_unicast_link_local);
    let global = || v6s().find(|v6| !v6.is_unicast_link_local());
    match local {
        IpAddr::V4(own) => NextHops { v4: Some(own), v6: global(), link_local, over_ipv4: true },
        IpAddr::V6(own) if own.is_unicast_link_local() => {
            NextHops { v4: v4s.next(), v6: global(), link_local: Some(own), over_ipv4: false }
        }
        IpAddr::V6(own) => NextHops { v4: v4s.next(), v6: Some(own), link_local, over_ipv4: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_hops_are_addresses_of_the_interface_that_the_session_leaves_by() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let interface = ["192.0.2.7", "192.0.2.8", "2001:db8::7", "fe80::7"].map(address);
        let shown = |local: &str, addresses: &[IpAddr]| {
            let NextHops { v4, v6, link_local, over_ipv4: _ } = next_hops(address(local), addresses);
            [v4.map(|v4| v4.to_string()), v6.map(|v6| v6.to_string()), link_local.map(|ll| ll.to_string())]
                .map(Option::unwrap_or_default)
        };
        assert_eq!(shown("192.0.2.8", &interface), ["192.0.2.8", "2001:db8::7", "fe80::7"]);
        assert_eq!(shown("2001:db8::7", &interface), ["192.0.2.7", "2001:db8::7", "fe80::7"]);
        assert_eq!(shown("fe80::7", &interface), ["192.0.2.7", "2001:db8::7", "fe80::7"]);
        assert_eq!(shown("fe80::7", &interface[3..]), ["", "", "fe80::7"]);
        assert_eq!(shown("192.0.2.7", &interface[..1]), ["192.0.2.7", "", ""]);
    }
}
