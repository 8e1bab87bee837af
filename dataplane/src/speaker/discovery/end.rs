//! Our end of one link: a socket, and the state machine that it speaks and hears for.

use std::io;
use std::net::Ipv6Addr;
use std::time::Instant;

use ipnet::IpNet;
use metallb_core::names::InterfaceName;
use metallb_protocols::jitter::Jitter;
use metallb_protocols::ndp::{Discovery, Input, Output, Station};

use crate::net::interfaces::Interface;
use crate::net::router_discovery::RouterDiscovery;

/// Packets taken before the next thing gets its turn: a flood on one link must not starve the others.
const TURN: usize = 64;

pub(super) struct End {
    name: InterfaceName,
    /// The interface that it is an end of.
    index: u32,
    /// The address that we speak from.
    local: Ipv6Addr,
    /// The router.
    neighbour: Option<Ipv6Addr>,
    station: Station,
    socket: RouterDiscovery,
    discovery: Discovery,
    /// Packets could not be sent, and that was said.
    is_mute: bool,
}

impl End {
    pub(super) fn open(
        now: Instant,
        name: InterfaceName,
        interface: &Interface,
        local: Ipv6Addr,
        jitter: Jitter,
    ) -> io::Result<Self> {
        let socket = RouterDiscovery::open(&name, interface.index)?;
        let station = station(interface);
        let discovery = Discovery::new(now, station.clone(), jitter);
        Ok(Self {
            name,
            index: interface.index,
            local,
            neighbour: None,
            station,
            socket,
            discovery,
            is_mute: false,
        })
    }

    pub(super) const fn local(&self) -> Ipv6Addr {
        self.local
    }

    pub(super) const fn neighbour(&self) -> Option<Ipv6Addr> {
        self.neighbour
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.discovery.poll_timeout()
    }

    /// Whether this is still an end of that interface: packets go through, and our address is still there. A router that
    /// found the address may not follow to another.
    pub(super) fn fits(&self, interface: &Interface) -> bool {
        interface.is_running
            && self.index == interface.index
            && link_locals(interface).any(|a| a == self.local)
    }

    /// The interface may have other addresses now.
    pub(super) fn update(&mut self, now: Instant, interface: &Interface) {
        let station = station(interface);
        if station != self.station {
            self.input(now, Input::Station(&station));
            self.station = station;
        }
    }

    pub(super) async fn readable(&self) {
        self.socket.readable().await;
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..TURN {
            let Some((arrival, bytes)) = self.socket.receive(buffer)? else { break };
            self.discovery.handle_input(Instant::now(), Input::Packet { arrival, bytes });
            self.act();
        }
        Ok(())
    }

    pub(super) fn pass_time(&mut self, now: Instant) {
        if self.discovery.poll_timeout() <= now {
            self.input(now, Input::Tick);
        }
    }

    fn input(&mut self, now: Instant, input: Input<'_>) {
        self.discovery.handle_input(now, input);
        self.act();
    }

    fn act(&mut self) {
        let name = &self.name;
        while let Some(output) = self.discovery.poll_output() {
            match output {
                Output::Send { to, bytes } => match self.socket.send(self.local, to, &bytes) {
                    Ok(()) => self.is_mute = false,
                    Err(error) => {
                        // Once, not with every packet.
                        if !self.is_mute {
                            tracing::warn!(
                                event = "routerDiscoveryFailed",
                                interface = %name,
                                from = %self.local,
                                %error,
                                "the router may not find this node; is the link congested, or the address going? It is \
                                 sent again in some seconds"
                            );
                        }
                        self.is_mute = true;
                    }
                },
                Output::Neighbour(address) => self.neighbour = Some(address),
                Output::Rival(rival) => {
                    let neighbour = self.neighbour.map(|neighbour| neighbour.to_string());
                    tracing::warn!(
                        event = "twoRouters",
                        interface = %name,
                        neighbour,
                        %rival,
                        "two routers advertise themselves on a link that should have one; the first is kept. Name them by \
                         spec.peerAddress instead of spec.interface, or silence the one that is not meant"
                    );
                }
                Output::Ignored(why) => {
                    tracing::debug!(event = "routerDiscoveryIgnored", interface = %name, ?why);
                }
            }
        }
    }
}

/// The addresses of an interface that are good on its link only. The first is as good as any.
pub(super) fn link_locals(interface: &Interface) -> impl Iterator<Item = Ipv6Addr> {
    interface.addresses.iter().filter_map(|net| match net {
        IpNet::V4(_) => None,
        IpNet::V6(net) => Some(net.addr()).filter(Ipv6Addr::is_unicast_link_local),
    })
}

fn station(interface: &Interface) -> Station {
    Station { addresses: link_locals(interface).collect(), mac: interface.mac }
}
