//! Heartbeats: read, and what a flood of them does to who counts as alive.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use metallb_fuzz::{Found, epoch, measure, mutated, run};
use metallb_protocols::liveness::{
    Claim, Dropped, Heartbeat, Input, Key, KeyId, Liveness, NodeId, Output, Page, Report, Stance, Tenure,
    Timing, Word,
};
use proptest::collection::vec;
use proptest::prelude::*;

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 3));

fn key() -> Key {
    Key::from_secret(b"secret").expect("it is not empty")
}

fn datagrams() -> Vec<Vec<u8>> {
    let long = "n".repeat(253);
    let say = |sender: &str, word: Word, sequence: u64| {
        let heartbeat = Heartbeat {
            word,
            newest_key: KeyId(1),
            boot_id: 0x0102_0304_0506_0708,
            sequence,
            echo: 3,
            offer: 4,
            sender,
            receiver: "a",
        };
        heartbeat.emit(&key())
    };
    let report = || Report { incarnation: 2, lost: vec!["2001:db8::/64".parse().expect("a network")] };
    let state = |stance, asks, accused: u64| {
        let ballot = Page::split((0..accused).map(NodeId)).remove(0);
        Word::State {
            stance,
            asks,
            keeps: asks,
            behind: accused == 3,
            ballot,
            tenures: 7,
            reports: 8,
            report: report(),
        }
    };
    let claims = |addresses: &[&str]| {
        let tenure = Tenure { epoch: 5, owner: NodeId(6) };
        let claim = |address: &&str| Claim { address: address.parse().expect("an address"), tenure };
        Word::Claims(addresses.iter().map(claim).collect())
    };
    vec![
        say("b", Word::Challenge, 1),
        say("b", state(Stance::Starting, true, 0), 2),
        say("b", state(Stance::Serving, false, 3), 3),
        say("b", state(Stance::Serving, true, 100), u64::MAX),
        say("b", Word::Leave, 9),
        say("b", claims(&["192.0.2.1", "2001:db8::1"]), 10),
        say("b", Word::Reports(vec![(NodeId(1), report()), (NodeId(2), Report::default())]), 11),
        say(&long, state(Stance::Serving, false, 1), 3),
    ]
}

#[test]
fn any_datagram_is_read_or_refused() -> Result<(), Found> {
    run(mutated(datagrams()), |bytes| {
        let (read, allocated) = measure(|| Heartbeat::parse(&bytes));
        // A ballot that grows as it is read: at most a hundred accused.
        prop_assert!(allocated.peak <= 2048, "{:?}", allocated);
        if let Ok((heartbeat, seal)) = read {
            let again = heartbeat.emit(&key());
            prop_assert_eq!(seal.covered.len() + seal.proof.len(), bytes.len());
            prop_assert_eq!(&again[..again.len() - 32], seal.covered, "all of it is understood");
        }
        Ok(())
    })
}

fn drain(liveness: &mut Liveness, now: Instant, input: Input<'_>) -> Vec<Output> {
    liveness.handle_input(now, input);
    std::iter::from_fn(|| liveness.poll_output()).collect()
}

/// What a flood costs: no more datagrams out than in, none longer than what it answers, and no memory.
#[test]
fn no_datagrams_make_a_peer_of_a_stranger_or_make_us_shout() -> Result<(), Found> {
    let datagram = (mutated(datagrams()), any::<bool>(), 0_u64..40);
    run(vec(datagram, 1..60), |datagrams| {
        let mut now = epoch();
        let mut liveness = Liveness::new("a".into(), 1, Timing::LAN, key());
        drain(&mut liveness, now, Input::Peers([("b".into(), PEER)].into()));
        let mut kept = 0;
        for (bytes, from_peer, millis) in datagrams {
            let from = if from_peer { PEER } else { STRANGER };
            now += Duration::from_millis(millis);
            drain(&mut liveness, now, Input::Tick);
            let alive = liveness.alive();
            let (outputs, allocated) =
                measure(|| drain(&mut liveness, now, Input::Datagram { from, bytes: &bytes }));
            // Nothing that an attacker can build without the key or a number drawn for him counts for anything.
            let dropped: Vec<_> =
                outputs.iter().filter(|output| matches!(output, Output::Dropped(_))).collect();
            prop_assert_eq!(dropped.len(), 1, "{:?}", outputs);
            prop_assert_eq!(liveness.alive(), alive);
            let sent: Vec<_> = outputs
                .iter()
                .filter_map(|output| match output {
                    Output::Send { datagram, .. } => Some(datagram.len()),
                    _ => None,
                })
                .collect();
            prop_assert!(sent.len() <= 1 && sent.iter().all(|length| *length <= bytes.len()), "{:?}", sent);
            if !from_peer {
                prop_assert!(sent.is_empty());
            }
            let malformed =
                Heartbeat::parse(&bytes).err().map(|why| Output::Dropped(Dropped::Malformed(why)));
            prop_assert!(malformed.is_none_or(|dropped| outputs.contains(&dropped)));
            prop_assert!(
                liveness.poll_timeout().is_none_or(|due| due > now),
                "nothing is left to do at once"
            );
            let of_outputs: usize = outputs.iter().map(|output| size_of_val(output) + 300).sum();
            kept += allocated.kept - i64::try_from(of_outputs).unwrap();
            prop_assert!(kept <= 1024, "{} octets kept", kept);
        }
        Ok(())
    })
}
