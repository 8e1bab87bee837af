//! The control packet: its bytes, what is refused, and that nothing panics.

use std::num::NonZeroU8;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::bfd::wire::{Control, Diagnostic, Discriminator, Interval, Malformed, Sequence, State};

/// A packet of a session that is up.
pub fn sample() -> Control {
    Control {
        state: State::Up,
        diagnostic: Diagnostic::NeighborSignaledDown,
        sequence: Sequence::Poll,
        control_plane_independent: false,
        demand: false,
        detect_multiplier: NonZeroU8::new(3).unwrap(),
        my_discriminator: Discriminator::new(0x0102_0304).unwrap(),
        your_discriminator: Discriminator::new(0x0506_0708),
        desired_min_tx: Interval::from_micros(300_000),
        required_min_rx: Interval::from_micros(50_000),
        required_min_echo_rx: Interval::ZERO,
    }
}

/// As RFC 5880 §4.1 draws it: version 1 and diagnostic 3, state 3 and the poll bit, multiplier, length, four words …
const SAMPLE: [u8; 24] =
    [0x23, 0xe0, 3, 24, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0x04, 0x93, 0xe0, 0, 0, 0xc3, 0x50, 0, 0, 0, 0];

#[test]
fn the_bytes_are_those_of_the_rfc() {
    assert_eq!(sample().emit(), SAMPLE);
    assert_eq!(Control::parse(&SAMPLE), Ok(sample()));
}

#[test]
fn every_reason_to_discard_is_told_apart() {
    let changed = |position: usize, byte: u8| {
        let mut bytes = SAMPLE;
        bytes[position] = byte;
        Control::parse(&bytes).unwrap_err()
    };
    assert_eq!(changed(0, 0x03), Malformed::Version(0));
    assert_eq!(changed(0, 0x43), Malformed::Version(2));
    assert_eq!(changed(1, 0xf0), Malformed::PollAndFinal);
    assert_eq!(changed(1, 0xc4), Malformed::Authenticated);
    assert_eq!(changed(1, 0xc1), Malformed::Multipoint);
    assert_eq!(changed(2, 0), Malformed::DetectMultiplier);
    assert_eq!(changed(3, 23), Malformed::Length);
    assert_eq!(changed(3, 25), Malformed::Length);
    assert_eq!(Control::parse(&SAMPLE[..23]), Err(Malformed::Length));
    let mut nobody = SAMPLE;
    nobody[4..8].fill(0);
    assert_eq!(Control::parse(&nobody), Err(Malformed::MyDiscriminator));
}

#[test]
fn only_who_is_down_may_not_know_the_receiver() {
    for state in State::ALL {
        let packet = Control { state, your_discriminator: None, ..sample() };
        let expected = match state {
            State::AdminDown | State::Down => Ok(packet),
            State::Init | State::Up => Err(Malformed::YourDiscriminator(state)),
        };
        assert_eq!(Control::parse(&packet.emit()), expected);
    }
}

#[test]
fn bytes_after_the_packet_are_passed_over() {
    let mut longer = SAMPLE.to_vec();
    longer.extend([1, 2, 3]);
    assert_eq!(Control::parse(&longer), Ok(sample()));
}

prop_compose! {
    fn packets()(
        state in proptest::sample::select(&State::ALL),
        diagnostic: u8,
        sequence in proptest::sample::select(&[Sequence::None, Sequence::Poll, Sequence::Final]),
        flags: (bool, bool),
        multiplier in 1_u8..,
        mine in 1_u32..,
        yours in 1_u32..,
        unknown: bool,
        intervals: [u32; 3],
    ) -> Control {
        let [tx, rx, echo] = intervals.map(Interval::from_micros);
        let may_be_unknown = matches!(state, State::AdminDown | State::Down);
        Control {
            state,
            diagnostic: Diagnostic::from_bits(diagnostic),
            sequence,
            control_plane_independent: flags.0,
            demand: flags.1,
            detect_multiplier: NonZeroU8::new(multiplier).unwrap(),
            my_discriminator: Discriminator::new(mine).unwrap(),
            your_discriminator: Discriminator::new(yours).filter(|_| !(unknown && may_be_unknown)),
            desired_min_tx: tx,
            required_min_rx: rx,
            required_min_echo_rx: echo,
        }
    }
}

proptest! {
    #[test]
    fn what_we_emit_we_parse(packet in packets()) {
        prop_assert_eq!(Control::parse(&packet.emit()), Ok(packet));
    }

    #[test]
    fn no_bytes_panic_and_what_is_read_is_written_the_same(
        start in 0_usize..=4,
        bytes in vec(any::<u8>(), 0..60),
    ) {
        let mut datagram = SAMPLE[..start].to_vec();
        datagram.extend(bytes);
        if let Ok(packet) = Control::parse(&datagram) {
            let emitted = packet.emit();
            // The length field may count bytes that follow the packet; everything else is kept.
            prop_assert_eq!(&emitted[..3], &datagram[..3]);
            prop_assert_eq!(&emitted[4..], &datagram[4..24]);
        }
    }
}
