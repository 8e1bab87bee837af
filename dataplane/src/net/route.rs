//! Which interface the kernel would send by: one question, answered at once (`rtnetlink(7)`).

use std::io;
use std::net::IpAddr;

use metallb_core::names::{InterfaceName, VrfName};
use nix::net::if_::{if_indextoname, if_nametoindex};
use rtnetlink::packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

/// The interface by which packets for `peer` leave, in that VRF. `None`: there is no route.
pub fn interface_towards(peer: IpAddr, vrf: Option<&VrfName>) -> io::Result<Option<InterfaceName>> {
    let mut question = RouteMessage::default();
    let (family, length, address) = match peer {
        IpAddr::V4(v4) => (AddressFamily::Inet, 32, RouteAddress::Inet(v4)),
        IpAddr::V6(v6) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(v6)),
    };
    question.header.address_family = family;
    question.header.destination_prefix_length = length;
    question.attributes.push(RouteAttribute::Destination(address));
    if let Some(vrf) = vrf {
        question.attributes.push(RouteAttribute::Oif(if_nametoindex(vrf.as_str())?));
    }
    let RouteNetlinkMessage::NewRoute(answer) = ask(RouteNetlinkMessage::GetRoute(question))? else {
        return Ok(None);
    };
    let index = answer.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None, // the kernel's words, of which there are many
    });
    let name = index.map(if_indextoname).transpose()?;
    Ok(name.and_then(|name| Some(name.to_str().ok()?.into())))
}

/// The kernel answers before the question's system call has returned: nothing is waited for.
fn ask(question: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    let mut question = NetlinkMessage::from(question);
    question.header.flags = NLM_F_REQUEST;
    question.finalize();
    let mut bytes = vec![0; question.buffer_len()];
    question.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let (bytes, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    match answer.payload {
        NetlinkPayload::InnerMessage(message) => Ok(message),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)), // non-exhaustive, and none of them an answer
    }
}
