//! Which interface the kernel would send by: one question, answered at once (`rtnetlink(7)`).

use std::io;
use std::net::IpAddr;

use metallb_core::names::{InterfaceName, VrfName};
use nix::net::if_::{if_indextoname, if_nametoindex};

use super::netlink::ask;
use super::netlink::wire::{Answer, Question};

/// The interface by which packets for `peer` leave, in that VRF. `None`: there is no route.
pub fn interface_towards(peer: IpAddr, vrf: Option<&VrfName>) -> io::Result<Option<InterfaceName>> {
    let by = vrf.map(|vrf| if_nametoindex(vrf.as_str())).transpose()?;
    let index = ask(Question::Route { to: peer, by })?.into_iter().find_map(|answer| match answer {
        Answer::Route(index) => index,
        Answer::Link(_) | Answer::Address(_) | Answer::Done | Answer::Other => None,
    });
    let name = index.map(if_indextoname).transpose()?;
    Ok(name.and_then(|name| Some(name.to_str().ok()?.into())))
}
