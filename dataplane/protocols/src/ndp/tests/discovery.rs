//! One interface in virtual time: what is said when, and who is found.

use std::net::Ipv6Addr;
use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::ethernet::Mac;
use crate::jitter::Jitter;
use crate::ndp::wire::{Advertisement, Arrival, Malformed, Message, Solicitation};
use crate::ndp::{ALL_NODES, ALL_ROUTERS, Discovery, Ignored, Input, Output, Station};
use crate::virtual_clock;

const US: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
const MAC: Mac = Mac([0x02, 0x77, 0, 0, 0, 0x11]);

/// What was put out, by milliseconds since the start, in words as short as the tables below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Advertised,
    Solicited,
    Neighbour(Ipv6Addr),
    Rival(Ipv6Addr),
    Ignored(Ignored),
}

use Said::{Advertised, Solicited};

struct Link {
    discovery: Discovery,
    start: Instant,
    now: Instant,
    said: Vec<(u128, Said)>,
}

impl Link {
    fn new() -> Self {
        let now = virtual_clock::start();
        let station = Station { addresses: [US].into(), mac: Some(MAC) };
        Self { discovery: Discovery::new(now, station, Jitter::new(7)), start: now, now, said: Vec::new() }
    }

    /// A link on which the router has been found, and the first burst is over.
    fn settled() -> Self {
        let mut link = Self::new();
        link.run_until(0);
        link.advertise(ROUTER);
        link.run_until(4000);
        link.said.clear();
        link
    }

    fn input(&mut self, input: Input<'_>) {
        self.discovery.handle_input(self.now, input);
        let at = (self.now - self.start).as_millis();
        while let Some(output) = self.discovery.poll_output() {
            self.said.push((at, said(&output)));
        }
    }

    fn packet(&mut self, from: Ipv6Addr, message: Message) {
        let arrival = Arrival { from, hop_limit: 255 };
        self.input(Input::Packet { arrival, bytes: &message.emit() });
    }

    fn advertise(&mut self, from: Ipv6Addr) {
        self.packet(from, Message::Advertisement(Advertisement::default()));
    }

    fn solicit(&mut self, from: Ipv6Addr) {
        self.packet(from, Message::Solicitation(Solicitation::default()));
    }

    fn run_until(&mut self, millis: u64) {
        let end = self.start + Duration::from_millis(millis);
        while self.discovery.poll_timeout() <= end {
            self.now = self.now.max(self.discovery.poll_timeout());
            self.input(Input::Tick);
            assert!(self.discovery.poll_timeout() > self.now, "time passed, and more was left to do");
        }
        self.now = end;
    }

    /// When that was said.
    fn times(&self, what: Said) -> Vec<u128> {
        self.said.iter().filter(|(_, said)| *said == what).map(|(at, _)| *at).collect()
    }

    /// What was said of who is found.
    fn told(&self) -> Vec<(u128, Said)> {
        let packet = |said: &Said| matches!(said, Advertised | Solicited);
        self.said.iter().filter(|(_, said)| !packet(said)).copied().collect()
    }
}

fn said(output: &Output) -> Said {
    match output {
        Output::Send { to, bytes } => {
            let message = Message::parse(Arrival { from: US, hop_limit: 255 }, bytes).unwrap();
            match message {
                Message::Advertisement(advertisement) => {
                    let expected = Advertisement {
                        hop_limit: NonZeroU8::new(64),
                        source: Some(MAC),
                        ..Advertisement::default()
                    };
                    assert_eq!((*to, advertisement), (ALL_NODES, expected));
                    Advertised
                }
                Message::Solicitation(solicitation) => {
                    assert_eq!((*to, solicitation.source), (ALL_ROUTERS, Some(MAC)));
                    Solicited
                }
            }
        }
        Output::Neighbour(address) => Said::Neighbour(*address),
        Output::Rival(address) => Said::Rival(*address),
        Output::Ignored(why) => Said::Ignored(*why),
    }
}

/// Whether each is 7.5 to 10 seconds after the one before.
fn slow(times: &[u128]) -> bool {
    times.windows(2).all(|pair| (7500..=10_000).contains(&(pair[1] - pair[0])))
}

#[test]
fn at_first_everything_is_said_four_times_a_second_apart_then_every_ten_seconds_or_a_bit_less() {
    let mut link = Link::new();
    link.run_until(100_000);
    for what in [Advertised, Solicited] {
        let times = link.times(what);
        assert_eq!(times[..4], [0, 1000, 2000, 3000], "{what:?}");
        assert!(slow(&times[3..]), "{what:?} {times:?}");
        assert!(times.len() > 12, "{what:?} for ever");
    }
    assert_eq!(link.told(), []);
}

#[test]
fn a_node_never_offers_itself_as_a_default_router() {
    // `said` compares every advertisement with one that has no lifetime; here is what that means on the wire.
    let mut link = Link::new();
    link.discovery.handle_input(link.now, Input::Tick);
    let Some(Output::Send { bytes, .. }) = link.discovery.poll_output() else { panic!("nothing is sent") };
    assert_eq!(bytes[6..8], [0, 0]);
}

#[test]
fn who_advertises_is_the_neighbour_and_is_not_asked_for_any_more() {
    let mut link = Link::new();
    link.run_until(1500);
    link.advertise(ROUTER);
    link.run_until(60_000);
    link.advertise(ROUTER);
    assert_eq!(link.told(), [(1500, Said::Neighbour(ROUTER))]);
    assert_eq!(link.times(Solicited), [0, 1000]);
    assert!(link.times(Advertised).len() > 8, "the router may have lost us");
}

#[test]
fn a_neighbour_is_believed_for_as_long_as_the_link_lives() {
    let mut link = Link::settled();
    link.run_until(24 * 3600 * 1000);
    assert_eq!(link.told(), []);
    assert_eq!(link.times(Solicited), []);
}

#[test]
fn a_neighbour_that_says_farewell_stays_the_neighbour() {
    // FRR's zebra does when it stops, and its bgpd may live on.
    let mut link = Link::settled();
    link.packet(
        ROUTER,
        Message::Advertisement(Advertisement { router_lifetime: None, ..Advertisement::default() }),
    );
    assert_eq!(link.told(), []);
}

#[test]
fn a_router_that_took_the_place_of_another_is_the_neighbour_four_seconds_later() {
    let mut link = Link::settled();
    link.run_until(30_000);
    link.advertise(OTHER);
    link.run_until(32_000);
    link.advertise(OTHER);
    link.run_until(60_000);
    assert_eq!(link.told(), [(34_000, Said::Neighbour(OTHER))]);
    assert_eq!(link.times(Solicited), [30_000, 31_000, 32_000, 33_000], "the old one is asked");
}

#[test]
fn of_two_routers_the_first_stays_and_the_other_is_told_about() {
    let mut link = Link::settled();
    link.run_until(30_000);
    link.advertise(OTHER);
    link.run_until(30_400);
    link.advertise(ROUTER);
    // Its own answer to our question, and more of it: nothing starts over at once.
    for second in 31..40 {
        link.run_until(second * 1000);
        link.advertise(OTHER);
    }
    assert_eq!(link.told(), [(30_400, Said::Rival(OTHER))]);
    assert_eq!(link.times(Solicited), [30_000]);
    link.run_until(41_000);
    link.advertise(OTHER);
    link.run_until(46_000);
    assert_eq!(link.told()[1..], [(45_000, Said::Neighbour(OTHER))], "the first does not answer any more");
}

#[test]
fn of_two_that_would_follow_the_one_that_spoke_last_does() {
    let third = "fe80::4".parse().unwrap();
    let mut link = Link::settled();
    link.run_until(30_000);
    link.advertise(OTHER);
    link.run_until(31_000);
    link.advertise(third);
    link.run_until(60_000);
    assert_eq!(link.told(), [(34_000, Said::Neighbour(third))]);
}

#[test]
fn a_question_is_answered_within_half_a_second_and_many_are_worth_one_answer_every_three() {
    let mut link = Link::settled();
    link.run_until(7000);
    link.said.clear();
    link.solicit(OTHER);
    link.run_until(7500);
    let answered = link.times(Advertised);
    assert!(matches!(answered[..], [at] if at > 7000), "{answered:?}");
    for ask in 0..200 {
        link.run_until(7500 + ask * 100);
        link.solicit(Ipv6Addr::UNSPECIFIED);
    }
    let times = link.times(Advertised);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 3000), "{times:?}");
    assert_eq!(times.len(), 7, "{times:?}");
    assert_eq!(link.told(), [], "who asks is nobody's neighbour");
}

#[test]
fn what_this_node_itself_says_is_passed_over_also_after_its_addresses_changed() {
    let mut link = Link::new();
    link.run_until(0);
    link.advertise(US);
    let station = Station { addresses: [US, OTHER].into(), mac: Some(MAC) };
    link.input(Input::Station(&station));
    link.advertise(OTHER);
    link.advertise(ROUTER);
    let own = Said::Ignored(Ignored::Own);
    assert_eq!(link.told(), [(0, own), (0, own), (0, Said::Neighbour(ROUTER))]);
}

#[test]
fn what_comes_from_beyond_the_link_finds_nobody() {
    let mut link = Link::new();
    let bytes = Message::Advertisement(Advertisement::default()).emit();
    let arrival = Arrival { from: ROUTER, hop_limit: 64 };
    link.input(Input::Packet { arrival, bytes: &bytes });
    assert_eq!(link.told(), [(0, Said::Ignored(Ignored::Malformed(Malformed::HopLimit(64))))]);
}

#[test]
fn two_nodes_find_each_other_in_their_first_packets() {
    let mut links = [Link::new(), Link::new()];
    let addresses = [US, ROUTER];
    links[1].input(Input::Station(&Station { addresses: [ROUTER].into(), mac: Some(MAC) }));
    for side in 0..2 {
        links[side].run_until(0);
        links[1 - side].advertise(addresses[side]);
    }
    assert_eq!(links[0].told(), [(0, Said::Neighbour(ROUTER))]);
    assert_eq!(links[1].told(), [(0, Said::Neighbour(US))]);
}

proptest! {
    /// Whatever is heard and when, on a link full of routers too.
    #[test]
    fn no_crowd_makes_it_talk_fast(
        events in proptest::collection::vec((0_u64..3000, 0_usize..4, any::<bool>()), 0..200),
        seed: u64,
    ) {
        let crowd = [ROUTER, OTHER, US, Ipv6Addr::UNSPECIFIED];
        let mut link = Link::new();
        link.discovery = Discovery::new(link.now, Station { addresses: [US].into(), mac: Some(MAC) }, Jitter::new(seed));
        let mut at = 0;
        for (wait, who, asks) in events {
            at += wait;
            link.run_until(at);
            if asks { link.solicit(crowd[who]) } else { link.advertise(crowd[who]) }
        }
        link.run_until(at + 20_000);
        let advertised = link.times(Advertised);
        prop_assert!(advertised.windows(2).all(|pair| pair[1] - pair[0] >= 1000), "{advertised:?}");
        prop_assert!(advertised.windows(2).all(|pair| pair[1] - pair[0] <= 10_000), "{advertised:?}");
        let solicited = link.times(Solicited);
        prop_assert!(solicited.len() * 1000 <= usize::try_from(at).unwrap() + 25_000, "{solicited:?}");
    }
}
