//! What BIRD 2.0.12 prints, and what is read in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::answers::{Origin, Presence, sessions, table_of};
use crate::routers::config::Family;
use crate::routers::seen::{BgpState, GracefulRestart, Path};

const TABLE: &str = "BIRD 2.0.12 ready.
Table master6:
2001:db8:7::/48      unicast [n0 1795260431] * (100) [AS64512i]
\tvia 2001:db8::1 on v0
\tType: BGP univ
\tBGP.origin: IGP
\tBGP.as_path: 64512 4200000000 {7}
\tBGP.next_hop: 2001:db8::1 fe80::1
\tBGP.med: 5
\tBGP.local_pref: 200
\tBGP.community: (64513,7) (65535,65281)
\tBGP.large_community: (64513, 1, 2) (4200000000, 0, 9)
                     unicast [n1_2 1795260431 from fe80::9%v0] (100s) [i]
\tvia fe80::9 on v0
\tType: BGP univ
\tBGP.as_path: 
\tBGP.next_hop: :: fe80::9
2001:db8:8::/48      blackhole [own_ipv6 1795260400] * (200)
\tType: static univ
";

fn path() -> Path {
    Path {
        next_hops: Vec::new(),
        as_path: Vec::new(),
        local_pref: None,
        med: None,
        communities: BTreeSet::new(),
        large_communities: BTreeSet::new(),
        stale: false,
        best: false,
        multipath: false,
        from: None,
    }
}

#[test]
fn a_table_is_read_path_by_path() {
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let address = |text: &str| text.parse().unwrap();
    let origins = [("n0", "2001:db8::1"), ("n1_2", "fe80::9")];
    let origins = origins.map(|(protocol, neighbour)| {
        (protocol.to_owned(), Origin { address: address(neighbour), presence: Presence::There })
    });
    let first = Path {
        next_hops: vec![address("2001:db8::1"), address("fe80::1")],
        as_path: vec![64512, 4_200_000_000, 7],
        local_pref: Some(200),
        med: Some(5),
        communities: text(&["64513:7", "65535:65281"]),
        large_communities: text(&["64513:1:2", "4200000000:0:9"]),
        best: true,
        multipath: true,
        from: Some(address("2001:db8::1")),
        ..path()
    };
    let second =
        Path { next_hops: vec![address("fe80::9")], stale: true, from: Some(address("fe80::9")), ..path() };
    let own = Path { best: true, multipath: true, ..path() };
    let expected = [("2001:db8:7::/48", vec![first, second]), ("2001:db8:8::/48", vec![own])];
    let expected = expected.map(|(prefix, paths)| (prefix.parse().unwrap(), paths));
    assert_eq!(table_of(TABLE, &BTreeMap::from(origins)).unwrap(), BTreeMap::from(expected));
}

const PROTOCOLS: &str = "BIRD 2.0.12 ready.
Name       Proto      Table      State  Since         Info
device1    Device     ---        up     1795260410    
n0         BGP        ---        start  1795260410    Passive       
  BGP state:          Passive
    Neighbor range:   fe80::/10
    Neighbor AS:      0
n0_1       BGP        ---        up     1795260431    Established   
  BGP state:          Established
    Neighbor address: fe80::9%v0
    Neighbor AS:      64512
    Local AS:         64513
    Neighbor ID:      192.0.2.1
    Local capabilities
      Graceful restart
        Restart time: 120
    Neighbor capabilities
      Graceful restart
        Restart time: 20
        AF supported: ipv4 ipv6
        AF preserved: ipv4
      4-octet AS numbers
    Session:          external AS4
    Hold timer:       5.977/9
  Channel ipv4
    State:          UP
    Routes:         3 imported, 1 exported, 1 preferred
n1         BGP        ---        start  1795260433    Active        Received: Administrative reset
  BGP state:          Active
    Neighbor address: 192.0.2.9
    Neighbor AS:      64500
    Last error:       Received: Administrative reset
";

#[test]
fn sessions_are_read_and_what_only_waits_is_none() {
    let read = sessions(PROTOCOLS, Duration::from_secs(1_795_260_441)).unwrap();
    let names: Vec<&str> = read.iter().map(|session| session.protocol.as_str()).collect();
    assert_eq!(names, ["n0_1", "n1"]);
    let up = &read[0].state;
    assert_eq!((up.state, up.address), (BgpState::Established, Some("fe80::9".parse().unwrap())));
    assert_eq!((up.remote_asn, up.router_id), (Some(64512), Some([192, 0, 2, 1].into())));
    assert_eq!((up.uptime, up.hold_time), (Some(Duration::from_secs(10)), Some(Duration::from_secs(9))));
    assert_eq!(up.prefixes, BTreeMap::from([(Family::V4, 3)]));
    let graceful_restart = GracefulRestart {
        time: Some(Duration::from_secs(20)),
        preserved: BTreeSet::from([Family::V4]),
        complete: BTreeSet::new(),
    };
    assert_eq!(up.graceful_restart, Some(graceful_restart));
    let down = &read[1].state;
    assert_eq!((down.state, down.uptime), (BgpState::Active, None));
    assert_eq!(down.last_error.as_deref(), Some("Received: Administrative reset"));
    assert_eq!(down.graceful_restart, None);
}
