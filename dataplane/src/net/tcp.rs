//! TCP connections to routers: made and accepted with the options that a BGPPeer asks for, each one's result looked at.
//!
//! Not here: what is said on them (`metallb_protocols::bgp`), and when they are made (`speaker::bgp`).

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU8;
use std::time::Duration;

use metallb_core::address::Family;
use metallb_core::config::Password;
use metallb_core::names::{InterfaceName, VrfName};
use metallb_protocols::bgp::session::Unconnected;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::route::interface_towards;
use super::sys::tcp::{drop_below, sign};

/// Internetwork control, as routers mark their own protocols (RFC 4271 appendix E leaves it open; all do).
const TRAFFIC_CLASS: u32 = 0xc0;
/// A session without a hold timer says nothing for hours: its connection must be found dead all the same.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_mins(1))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 16;

/// How far away the router may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// As far as the kernel's default TTL goes.
    Anywhere,
    /// On the same link: packets carry TTL 1, and no router forwards them.
    Link,
    /// Behind other routers: TTL 255.
    Far,
    /// At most that many hops away, and proved by the TTL of what arrives (RFC 5082).
    Within(NonZeroU8),
}

/// A connection to be made.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The router's address.
    pub peer: IpAddr,
    /// Its port.
    pub port: u16,
    /// The interface that it is behind; needed for link-local addresses.
    pub interface: Option<InterfaceName>,
    /// The VRF; `None` is the default one.
    pub vrf: Option<VrfName>,
    /// Our own address; `None` leaves it to the routing table.
    pub source: Option<IpAddr>,
    /// How far away it may be.
    pub reach: Reach,
    /// For TCP-MD5.
    pub password: Option<Password>,
}

impl Dial {
    /// Connects. Takes as long as the kernel does: who gives up earlier drops the future.
    pub async fn connect(&self) -> Result<TcpStream, Unconnected> {
        let socket = self.socket()?;
        let to = self.to()?;
        let stream = TcpSocket::from_std_stream(socket.into()).connect(to).await;
        stream.map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ECONNREFUSED | Errno::ECONNRESET) => Unconnected::Refused,
            Some(Errno::ETIMEDOUT) => Unconnected::NoAnswer,
            Some(Errno::EHOSTUNREACH | Errno::ENETUNREACH) => Unconnected::Unreachable,
            _ => here(format!("connecting failed: {error}")),
        })
    }

    fn socket(&self) -> Result<Socket, Unconnected> {
        let Self { peer, port: _, interface, vrf, source, reach, password } = self;
        let family = Family::of(*peer);
        let domain = match family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| here(format!("{what}: {error}"))
        };
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).map_err(failed("no socket"))?;
        socket.set_nonblocking(true).map_err(failed("no socket"))?;
        if let Some(vrf) = vrf {
            let text = format!("VRF {vrf} (spec.vrf) cannot be used; is there such a device on this node?");
            socket.bind_device(Some(vrf.as_str().as_bytes())).map_err(failed(&text))?;
        }
        if let Some(interface) = interface {
            let text = format!("interface {interface} (spec.interface) cannot be used; is it on this node?");
            socket.bind_device(Some(interface.as_str().as_bytes())).map_err(failed(&text))?;
        }
        dress_socket(&socket, family, *reach).map_err(failed("a socket option was refused"))?;
        if let Some(password) = password {
            let to = self.to()?;
            sign(&socket, to, password.reveal())
                .map_err(failed("the kernel did not take the password (TCP-MD5)"))?;
        }
        if let Some(source) = source {
            let text = format!(
                "{source} (spec.sourceAddress) cannot be used; give the address to an interface of this node"
            );
            socket.bind(&SocketAddr::new(*source, 0).into()).map_err(failed(&text))?;
        }
        Ok(socket)
    }

    fn to(&self) -> Result<SocketAddr, Unconnected> {
        match (self.peer, &self.interface) {
            (IpAddr::V6(peer), Some(interface)) if peer.is_unicast_link_local() => {
                let index = nix::net::if_::if_nametoindex(interface.as_str())
                    .map_err(|_| here(format!("there is no interface {interface} on this node")))?;
                Ok(SocketAddrV6::new(peer, self.port, 0, index).into())
            }
            (peer, Some(_) | None) => Ok(SocketAddr::new(peer, self.port)),
        }
    }
}

/// What every connection to a router has, whoever made it.
pub fn dress_socket(socket: &Socket, family: Family, reach: Reach) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    let ttl = match reach {
        Reach::Anywhere => None,
        Reach::Link => Some(1),
        Reach::Far | Reach::Within(_) => Some(255),
    };
    match family {
        Family::V4 => {
            socket.set_tos_v4(TRAFFIC_CLASS)?;
            ttl.map_or(Ok(()), |ttl| socket.set_ttl_v4(ttl))?;
        }
        Family::V6 => {
            socket.set_tclass_v6(TRAFFIC_CLASS)?;
            ttl.map_or(Ok(()), |ttl| socket.set_unicast_hops_v6(ttl))?;
        }
    }
    match reach {
        Reach::Within(hops) => {
            let least = u8::MAX.saturating_sub(hops.get() - 1);
            drop_below(socket, least, family == Family::V6)
        }
        Reach::Anywhere | Reach::Link | Reach::Far => Ok(()),
    }
}

/// Listens for routers that connect by themselves, on all addresses of both families.
pub fn listen(port: u16) -> io::Result<[TcpListener; 2]> {
    let open = |family: Family| {
        let (domain, address): (_, IpAddr) = match family {
            Family::V4 => (Domain::IPV4, std::net::Ipv4Addr::UNSPECIFIED.into()),
            Family::V6 => (Domain::IPV6, std::net::Ipv6Addr::UNSPECIFIED.into()),
        };
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_address(true)?;
        if family == Family::V6 {
            socket.set_only_v6(true)?;
        }
        socket.bind(&SocketAddr::new(address, port).into())?;
        TcpSocket::from_std_stream(socket.into()).listen(BACKLOG)
    };
    Ok([open(Family::V4)?, open(Family::V6)?])
}

/// The passwords of routers that may connect by themselves. `None` ends one.
pub fn expect_signed(listener: &TcpListener, peer: IpAddr, password: Option<&Password>) -> io::Result<()> {
    sign(listener, SocketAddr::new(peer, 0), password.map_or(&[], Password::reveal))
}

/// The addresses of this node that routes can lead to, as seen from the other end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Those of the connection's interface, and where that has none of a family or cannot be reached (`lo`), those of
    /// the interface towards the router. Link-local ones only where no router is between (RFC 2545 §3).
    pub addresses: Vec<IpAddr>,
}

impl Surroundings {
    /// Of a connection with these ends, which is bound to that interface, or to that VRF.
    pub fn of(
        local: IpAddr,
        peer: IpAddr,
        bound: Option<&InterfaceName>,
        vrf: Option<&VrfName>,
    ) -> io::Result<Self> {
        let all: Vec<_> = interface_addresses()?;
        let towards = || match interface_towards(peer, vrf) {
            Ok(name) => name.map(|name| name.as_str().to_owned()),
            Err(error) => {
                tracing::debug!(event = "routeUnknown", %peer, %error, "next hops are those of the session's address");
                None
            }
        };
        Ok(Self::among(&all, local, peer, bound.map(InterfaceName::as_str), towards))
    }

    fn among(
        all: &[(String, ipnet::IpNet)],
        local: IpAddr,
        peer: IpAddr,
        bound: Option<&str>,
        towards: impl FnOnce() -> Option<String>,
    ) -> Self {
        let usable = |interface: &str| -> Vec<IpAddr> {
            let own = all.iter().filter(|(name, _)| name == interface).map(|(_, net)| net);
            let on_link = own.clone().any(|net| net.contains(&peer));
            let usable = |address: &IpAddr| {
                let nobodys = address.is_loopback() || address.is_unspecified() || address.is_multicast();
                !nobodys && (on_link || !is_link_local(*address))
            };
            own.map(ipnet::IpNet::addr).filter(usable).collect()
        };
        // Two interfaces may have one link-local address, as a VLAN device and its parent have: then the name counts.
        let owner = || all.iter().find(|(_, net)| net.addr() == local).map(|(name, _)| name.as_str());
        let interface = bound.or_else(owner);
        let mut addresses = interface.map(usable).unwrap_or_default();
        let has = |family| addresses.iter().any(|own| Family::of(*own) == family && !is_link_local(*own));
        if bound.is_none()
            && !(has(Family::V4) && has(Family::V6))
            && let Some(towards) = towards()
            && Some(towards.as_str()) != interface
        {
            addresses.extend(usable(&towards));
        }
        Self { addresses }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn interface_addresses() -> io::Result<Vec<(String, ipnet::IpNet)>> {
    let address = |storage: Option<nix::sys::socket::SockaddrStorage>| -> Option<IpAddr> {
        let storage = storage?;
        let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    let net = |entry: nix::ifaddrs::InterfaceAddress| {
        let (own, mask) = (address(entry.address)?, address(entry.netmask)?);
        let net = ipnet::IpNet::with_netmask(own, mask).ok()?;
        Some((entry.interface_name, net))
    };
    Ok(getifaddrs()?.filter_map(net).collect())
}

fn here(text: String) -> Unconnected {
    Unconnected::Here { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(local: &str, peer: &str, bound: Option<&str>, towards: &str) -> Vec<String> {
        let all = [
            ("lo", "127.0.0.1/8"),
            ("lo", "10.255.0.1/32"),
            ("lo", "::1/128"),
            ("eth0", "192.0.2.7/24"),
            ("eth0", "2001:db8::7/64"),
            ("eth0", "fe80::7/64"),
            ("eth0.5", "198.51.100.7/24"),
            ("eth0.5", "fe80::7/64"),
        ];
        let all = all.map(|(name, net)| (name.to_owned(), net.parse().unwrap()));
        let [local, peer] = [local, peer].map(|address| address.parse().unwrap());
        let around = Surroundings::among(&all, local, peer, bound, || Some(towards.to_owned()));
        around.addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_session_from_the_loopback_leads_to_the_interface_that_it_leaves_by() {
        let next_door = addresses("10.255.0.1", "192.0.2.1", None, "eth0");
        assert_eq!(next_door, ["10.255.0.1", "192.0.2.7", "2001:db8::7", "fe80::7"]);
        let far = addresses("10.255.0.1", "203.0.113.1", None, "eth0");
        assert_eq!(far, ["10.255.0.1", "192.0.2.7", "2001:db8::7"], "RFC 2545: nobody there is on this link");
    }

    #[test]
    fn of_two_interfaces_with_one_address_it_is_the_one_that_the_session_is_bound_to() {
        assert_eq!(addresses("fe80::7", "fe80::1", Some("eth0.5"), "eth0"), ["198.51.100.7", "fe80::7"]);
    }

    #[test]
    fn an_interface_of_both_families_is_enough() {
        let own = addresses("192.0.2.7", "192.0.2.1", None, "eth0.5");
        assert_eq!(own, ["192.0.2.7", "2001:db8::7", "fe80::7"]);
    }
}
