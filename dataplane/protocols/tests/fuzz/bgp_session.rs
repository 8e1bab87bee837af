//! A BGP session under streams near to valid ones, in every state, in pieces of any size.

use std::time::Duration;

use metallb_fuzz::{Found, mutated, run};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::bgp_messages::messages;
use crate::router::{Router, Stage};

fn stage() -> impl Strategy<Value = Stage> {
    select(Stage::ALL.to_vec())
}

#[test]
fn no_stream_makes_a_session_panic_grow_or_talk_too_much() -> Result<(), Found> {
    let piece = prop_oneof![1 => Just(1_usize), 2 => 1_usize..100, 2 => Just(usize::MAX)];
    let streams = vec(mutated(messages()), 1..8);
    run((stage(), streams, piece, 0_u64..200), |(stage, stream, piece, wait)| {
        let mut router = Router::at(stage);
        let stream = stream.concat();
        for part in stream.chunks(piece.min(stream.len().max(1))) {
            router.receive(part);
            router.keeps_little();
            let most = 8192 + 128 * u64::try_from(part.len() + 4096).unwrap();
            prop_assert!(router.allocated.peak <= most, "{:?} for {} octets", router.allocated, part.len());
        }
        router.pass(Duration::from_secs(wait));
        router.keeps_little();
        prop_assert!(router.is_up() || router.session.poll_timeout().is_some(), "it always comes back");
        Ok(())
    })
}

#[test]
fn a_stream_means_the_same_in_whatever_pieces_it_comes() -> Result<(), Found> {
    run((stage(), vec(mutated(messages()), 1..5), 1_usize..50), |(stage, stream, piece)| {
        let stream = stream.concat();
        let (mut whole, mut parts) = (Router::at(stage), Router::at(stage));
        whole.receive(&stream);
        stream.chunks(piece).for_each(|part| parts.receive(part));
        prop_assert_eq!(whole.session.state(), parts.session.state());
        prop_assert_eq!(&whole.outputs, &parts.outputs);
        let (whole, parts) = (whole.session.counters(), parts.session.counters());
        prop_assert_eq!(&whole.received, &parts.received);
        prop_assert_eq!(whole.routes_announced, parts.routes_announced);
        prop_assert_eq!(whole.routes_withdrawn, parts.routes_withdrawn);
        Ok(())
    })
}
