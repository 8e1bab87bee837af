//! Heartbeats: read, and what a flood of them does to who counts as alive.

use std::net::IpAddr;
use std::time::Duration;

use metallb_fuzz::{Found, epoch, measure, mutated, run};
use metallb_protocols::liveness::{Dropped, Heartbeat, Input, Kind, Liveness, Output, Timing};
use proptest::collection::vec;
use proptest::prelude::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 3));

fn datagrams() -> Vec<Vec<u8>> {
    let beat = |name: &str, kind, sequence| {
        Heartbeat { kind, node: name.into(), boot_id: 0x0102_0304_0506_0708, sequence }.emit()
    };
    let long = "n".repeat(253);
    vec![
        beat("b", Kind::Beat, 1),
        beat("b", Kind::Leave, 9),
        beat("b", Kind::Beat, u64::MAX),
        beat(&long, Kind::Beat, 3),
    ]
}

#[test]
fn any_datagram_is_read_or_refused() -> Result<(), Found> {
    run(mutated(datagrams()), |bytes| {
        let (read, allocated) = measure(|| Heartbeat::parse(&bytes));
        prop_assert!(allocated.peak <= 512, "{:?}", allocated);
        if let Ok(heartbeat) = read {
            prop_assert_eq!(heartbeat.emit(), bytes);
        }
        Ok(())
    })
}

#[test]
fn no_datagrams_make_a_peer_of_a_stranger_or_cost_memory() -> Result<(), Found> {
    let datagram = (mutated(datagrams()), any::<bool>(), 0_u64..1200);
    run(vec(datagram, 1..40), |datagrams| {
        let mut now = epoch();
        let mut liveness = Liveness::new("a".into(), 1, Timing::default());
        liveness.handle_input(now, Input::Peers([("b".into(), PEER)].into()));
        liveness.handle_input(now, Input::Ready);
        while liveness.poll_output().is_some() {}
        let mut kept = 0;
        for (bytes, from_peer, millis) in datagrams {
            let from = if from_peer { PEER } else { STRANGER };
            now += Duration::from_millis(millis);
            let alive = liveness.alive();
            let (outputs, allocated) = measure(|| {
                liveness.handle_input(now, Input::Datagram { from, bytes: &bytes });
                std::iter::from_fn(|| liveness.poll_output()).collect::<Vec<_>>()
            });
            // Paused, a beat, a death, and what became of the datagram.
            prop_assert!(outputs.len() <= 4, "{:?}", outputs);
            if !from_peer {
                prop_assert!(outputs.iter().any(|output| matches!(output, Output::Dropped(_))));
                prop_assert!(liveness.alive().is_subset(&alive), "a stranger speaks for nobody");
            }
            let malformed =
                Heartbeat::parse(&bytes).err().map(|why| Output::Dropped(Dropped::Malformed(why)));
            prop_assert!(malformed.is_none_or(|dropped| outputs.contains(&dropped)));
            prop_assert!(liveness.alive().len() <= 2);
            prop_assert!(
                liveness.poll_timeout().is_some_and(|due| due > now),
                "nothing is left to do at once"
            );
            let of_outputs: usize = outputs.iter().map(|output| size_of_val(output) + 300).sum();
            kept += allocated.kept - i64::try_from(of_outputs).unwrap();
            prop_assert!(kept <= 1024, "{} octets kept", kept);
        }
        Ok(())
    })
}
