//! Speakers that have long known each other. For tests: among a thousand, meeting for the first time takes five million
//! datagrams, and a test of what comes later does not want to wait for them.

use std::net::IpAddr;
use std::time::Instant;

use super::{Association, Compared, Knowledge, Liveness, Peer, Phase, Rings, Stance};

impl Liveness {
    /// All serve, and all know it. Of each: its address, what its clock shows, and when its next heartbeat is due by that.
    pub(in crate::liveness) fn settle(speakers: &mut [(&mut Self, IpAddr, Instant, Instant)]) {
        let mut rings = Rings::default();
        for (speaker, ..) in &*speakers {
            rings.insert(speaker.me);
        }
        // What each drew for each.
        let count = speakers.len();
        let nonce = |by: usize, of: usize| u64::try_from(1 + by * count + of).unwrap_or(u64::MAX);
        let all: Vec<_> = speakers
            .iter()
            .map(|(speaker, address, ..)| (speaker.name.clone(), speaker.me, speaker.boot_id, *address))
            .collect();
        for (number, (speaker, _, now, beat)) in speakers.iter_mut().enumerate() {
            let now = *now;
            let others = all.iter().enumerate().filter(|(other, _)| *other != number);
            let peers = others.map(|(other, (name, node, boot_id, address))| {
                let (nonce, echo) = (nonce(number, other), nonce(other, number));
                let peer = Peer {
                    name: name.clone(),
                    address: *address,
                    association: Association::established(now, *boot_id, nonce, echo),
                    key: Some(speaker.keys.newest()),
                    stance: Some(Stance::Serving),
                    heard: now,
                    spoke: Some(now),
                    awaited: None,
                    told: true,
                    compared: Compared::default(),
                    keeps: false,
                };
                (*node, peer)
            });
            speaker.peers = peers.collect();
            speaker.answered = speaker.peers.len();
            (speaker.known, speaker.living) = (rings.clone(), rings.clone());
            (speaker.knowledge, speaker.phase) = (Knowledge::Informed, Phase::Serving(*beat));
            speaker.reseat(now);
            speaker.due = speaker.first_timer();
        }
    }
}
