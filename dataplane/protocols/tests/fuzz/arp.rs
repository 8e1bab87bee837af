//! ARP frames: read, and answered.

use std::net::{IpAddr, Ipv4Addr};

use metallb_fuzz::{Found, measure, mutated, run};
use metallb_protocols::arp::{Announcement, FRAME_LENGTH, Operation, Packet, answer};
use metallb_protocols::ethernet::Mac;
use metallb_protocols::responder::{Answer, Host};
use proptest::prelude::*;

const STATION: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OURS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

struct Node;

impl Host for Node {
    fn announces(&self, address: IpAddr) -> bool {
        address == OURS
    }

    fn has_station(&self, station: Mac) -> bool {
        station == STATION
    }
}

fn frames() -> Vec<Vec<u8>> {
    let question = Packet {
        destination: Mac::BROADCAST,
        source: Mac([2, 0, 0, 0, 0, 9]),
        operation: Operation::Request,
        sender_mac: Mac([2, 0, 0, 0, 0, 9]),
        sender_ip: Ipv4Addr::new(192, 0, 2, 9),
        target_mac: Mac([0; 6]),
        target_ip: OURS,
    };
    let padded = [&question.emit()[..], &[0; 18]].concat();
    let announced =
        Announcement { address: OURS, station: Mac([2, 0, 0, 0, 0, 7]), from: Mac([2, 0, 0, 0, 0, 7]) }
            .frames();
    let mut frames: Vec<_> = announced.into_iter().map(|frame| frame.to_vec()).collect();
    frames.extend([question.emit().to_vec(), padded]);
    frames
}

#[test]
fn any_frame_is_read_or_refused_and_answered_in_kind_at_most() -> Result<(), Found> {
    run(mutated(frames()), |frame| {
        let ((read, answer), allocated) = measure(|| (Packet::parse(&frame), answer(STATION, &frame, &Node)));
        // The library copies an address or two.
        let replies =
            i64::try_from(FRAME_LENGTH * usize::from(matches!(answer, Answer::Reply { .. }))).unwrap();
        prop_assert!(allocated.peak <= 128 && allocated.kept == replies, "{:?}", allocated);
        if let Ok(packet) = read {
            prop_assert_eq!(Packet::parse(&packet.emit()), Ok(packet));
            prop_assert_eq!(&packet.emit()[..22], &frame[..22], "all of the header is understood");
            prop_assert_eq!(&packet.emit()[..], &frame[..FRAME_LENGTH]);
        }
        if let Answer::Reply { address, frame: reply } = answer {
            let reply = Packet::parse(&reply).expect("others can read it");
            prop_assert_eq!((address, reply.sender_ip, reply.sender_mac), (IpAddr::V4(OURS), OURS, STATION));
            prop_assert_eq!(reply.operation, Operation::Reply);
            prop_assert!(read.is_ok_and(|question| question.sender_mac == reply.destination));
        }
        Ok(())
    })
}
