//! Two codecs of other people. Each reads what we write and writes what it understood, and we have to read that as what we
//! meant: both directions, and every field, at once.

use bgpkit_parser::models::AsnLength;
use bgpkit_parser::parser::bgp::messages::parse_bgp_message;
use ipnet::Ipv4Net;
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu as _;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput as _;
use proptest::prelude::*;

use super::generate;
use crate::bgp::wire::{
    Capability, HEADER, LARGEST_EXTENDED, Notification, Open, Parsed, Prefixes, Sender, Update,
};

/// What netgauze makes of it.
fn netgauze(bytes: &[u8], four_octet_as: bool) -> Vec<u8> {
    let mut context =
        if four_octet_as { BgpParsingContext::default() } else { BgpParsingContext::asn2_default() };
    let message = BgpMessage::parse(&mut SliceReader::new(bytes), &mut context).expect("netgauze reads it");
    let mut written = Vec::new();
    message.write(&mut written).expect("netgauze writes it");
    written
}

/// What bgpkit makes of it.
fn bgpkit(bytes: &[u8], four_octet_as: bool) -> Vec<u8> {
    let length = if four_octet_as { AsnLength::Bits32 } else { AsnLength::Bits16 };
    let message = parse_bgp_message(&mut bytes.to_vec().into(), false, &length).expect("bgpkit reads it");
    message.encode(length).expect("bgpkit writes it").to_vec()
}

/// bgpkit takes a prefix of no bits for the sign of another format (RFC 7911).
fn has_default_route(update: &Update) -> bool {
    let Update { withdrawn, mp_withdrawn, mp_announced, announced, .. } = update;
    let plain = withdrawn.iter().chain(announced).map(Ipv4Net::prefix_len);
    let lists = mp_withdrawn.iter().chain(mp_announced.iter().map(|reach| &reach.prefixes));
    plain.chain(lists.flat_map(Prefixes::nets).map(|net| net.prefix_len())).any(|length| length == 0)
}

/// What is left of an OPEN where RFC 8538 is not known.
fn without_notification_bit(mut open: Open) -> Open {
    for capability in &mut open.capabilities {
        if let Capability::GracefulRestart(restart) = capability {
            restart.notifications = false;
        }
    }
    open
}

type Codec = fn(&[u8], bool) -> Vec<u8>;
const CODECS: [(&str, Codec); 2] = [("netgauze", netgauze), ("bgpkit", bgpkit)];

proptest! {
    #[test]
    fn updates_mean_the_same_to_others(update in generate::update()) {
        let sender = Sender { four_octet_as: true, internal: true };
        for (name, codec) in CODECS {
            if name == "bgpkit" && has_default_route(&update) {
                continue;
            }
            let theirs = codec(&update.emit(true, LARGEST_EXTENDED).unwrap(), true);
            let sound = Parsed::Sound { update: update.clone(), set_aside: [].into() };
            prop_assert_eq!(Update::parse(&theirs[HEADER..], sender), Ok(sound), "{}", name);
        }
    }

    #[test]
    fn updates_of_two_octets_mean_the_same_to_others(update in generate::update()) {
        let sender = Sender { four_octet_as: false, internal: true };
        let ours = update.emit(false, LARGEST_EXTENDED).unwrap();
        for (name, codec) in CODECS {
            if name == "bgpkit" && has_default_route(&update) {
                continue;
            }
            let theirs = codec(&ours, false);
            prop_assert_eq!(
                Update::parse(&theirs[HEADER..], sender),
                Update::parse(&ours[HEADER..], sender),
                "{}", name
            );
        }
    }

    #[test]
    fn opens_mean_the_same_to_others(open in generate::open()) {
        for (name, codec) in CODECS {
            // netgauze does not know RFC 9072.
            if name == "netgauze" && open.emit()[HEADER + 9] == 255 {
                continue;
            }
            let theirs = codec(&open.emit(), true);
            let meant = if name == "bgpkit" { without_notification_bit(open.clone()) } else { open.clone() };
            prop_assert_eq!(Open::parse(&theirs[HEADER..]), Ok(meant), "{}", name);
        }
    }

    #[test]
    fn shutdowns_mean_the_same_to_others(text in ".{0,60}") {
        let reason = crate::bgp::wire::Reason::ADMINISTRATIVE_SHUTDOWN;
        let notification = Notification::with_communication(reason, &text);
        for (name, codec) in CODECS {
            let theirs = codec(&notification.emit(), true);
            prop_assert_eq!(Notification::parse(&theirs[HEADER..]), Ok(notification.clone()), "{}", name);
        }
    }
}
