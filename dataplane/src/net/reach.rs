//! The networks that this node reaches by its interfaces, and since when a cable that had died is trusted again.
//!
//! A carrier that came back says little at first: the switch's port may not forward yet, and what is asked of neighbours in that
//! moment is asked again only a second later. So addresses move back only when it has lasted (the `updelay` of Linux bonding), the
//! longer the more often it was lost in between. The network by which speakers talk is excepted while others are heard: that proves
//! that the port forwards, and who was cut off for less than others take to notice has lost nothing. So it is where nobody was heard
//! before: there is nobody who could have noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::links::Links;

/// How long a carrier must last that was lost once.
const UP_DELAY: Duration = Duration::from_secs(2);
/// How long it must last at most, however often it was lost.
const LONGEST_UP_DELAY: Duration = Duration::from_secs(16);
/// A carrier that was trusted for so long may be lost like one that never was before.
const CALM: Duration = Duration::from_mins(1);

/// The networks of interfaces, also of those whose addresses were taken from them when they lost their carrier.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// By index of the interface; `None` until they are known for the first time.
    cables: Option<BTreeMap<u32, Cable>>,
}

/// What an interface is connected by.
#[derive(Clone, Debug)]
struct Cable {
    carrier: Carrier,
    networks: BTreeSet<IpNet>,
    /// Those when the carrier was last trusted.
    networks_then: BTreeSet<IpNet>,
    /// How long the carrier must last when it comes back.
    up_delay: Duration,
    /// Other speakers were heard when the carrier was lost.
    is_missed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    /// The interface is new, and had none yet.
    Awaited,
    /// `since` is `None` if it was never lost.
    Trusted {
        since: Option<Instant>,
    },
    Lost,
    /// It is back.
    Returning {
        trusted_at: Instant,
    },
}

impl Reach {
    /// The interfaces are these; speakers talk by `own` addresses of this node, and others are heard, or not.
    pub fn set(&mut self, now: Instant, links: &Links, own: &[IpAddr], hears_others: bool) {
        // What is there without a carrier when the speaker starts may have had one before.
        let without = if self.cables.is_none() { Carrier::Lost } else { Carrier::Awaited };
        let cables = self.cables.get_or_insert_default();
        cables.retain(|index, _| links.contains_key(index));
        for (index, link) in links {
            let carrier = if link.carrier { Carrier::Trusted { since: None } } else { without };
            let cable = cables.entry(*index).or_insert_with(|| Cable::new(carrier));
            cable.networks.clone_from(&link.networks);
            let is_own = cable.networks().any(|network| own.iter().any(|own| network.contains(own)));
            cable.set(now, link.carrier, is_own, hears_others);
        }
    }

    /// Carriers that have lasted long enough are trusted. Says whether there was one.
    pub fn pass_time(&mut self, now: Instant) -> bool {
        let mut is_news = false;
        for cable in self.cables.iter_mut().flat_map(BTreeMap::values_mut) {
            if cable.trusted_at().is_some_and(|at| at <= now) {
                cable.trust(Some(now));
                is_news = true;
            }
        }
        is_news
    }

    /// When the next carrier is trusted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.cables().filter_map(Cable::trusted_at).min()
    }

    /// The networks that are out of reach: every interface in them has lost its carrier, or has it again only since a moment.
    pub fn lost(&self) -> BTreeSet<IpNet> {
        let networks = |trusted: bool| {
            let cables = self.cables().filter(move |cable| cable.is_trusted() == trusted);
            cables.flat_map(Cable::networks)
        };
        let is_reached =
            |lost: &&IpNet| networks(true).any(|network| network.contains(*lost) || lost.contains(network));
        networks(false).filter(|lost| !is_reached(lost)).copied().collect()
    }

    /// Those of them that were lost while other speakers were heard, who may have what is announced there by now.
    pub fn missed(&self) -> BTreeSet<IpNet> {
        let missed: BTreeSet<_> =
            self.cables().filter(|cable| cable.is_missed).flat_map(Cable::networks).copied().collect();
        missed.intersection(&self.lost()).copied().collect()
    }

    /// Those of them in which the carrier of an interface is back.
    pub fn returning(&self) -> BTreeSet<IpNet> {
        let returning = self.cables().filter(|cable| cable.trusted_at().is_some());
        let networks: BTreeSet<_> = returning.flat_map(Cable::networks).copied().collect();
        // Hardly ever is there one, and this is asked with every decision.
        if networks.is_empty() {
            return networks;
        }
        networks.intersection(&self.lost()).copied().collect()
    }

    /// Carriers that are back in this network are trusted before their time, with all other networks of their interfaces.
    pub fn trust(&mut self, now: Instant, network: &IpNet) {
        let cables = self.cables.iter_mut().flat_map(BTreeMap::values_mut);
        let in_it = cables.filter(|cable| cable.networks().any(|other| other == network));
        for cable in in_it.filter(|cable| cable.trusted_at().is_some()) {
            cable.trust(Some(now));
        }
    }

    fn cables(&self) -> impl Iterator<Item = &Cable> {
        self.cables.iter().flat_map(BTreeMap::values)
    }
}

impl Cable {
    fn new(carrier: Carrier) -> Self {
        let networks = BTreeSet::new();
        Self { carrier, networks_then: networks.clone(), networks, up_delay: UP_DELAY, is_missed: false }
    }

    fn set(&mut self, now: Instant, carrier: bool, is_own: bool, hears_others: bool) {
        match (self.carrier, carrier) {
            (Carrier::Awaited, true) => self.trust(None),
            (Carrier::Trusted { since }, true) => self.trust(since),
            (Carrier::Returning { .. }, true) | (Carrier::Awaited | Carrier::Lost, false) => {}
            (Carrier::Lost, true) if is_own && (hears_others || !self.is_missed) => self.trust(Some(now)),
            (Carrier::Lost, true) => self.carrier = Carrier::Returning { trusted_at: now + self.up_delay },
            (Carrier::Trusted { since }, false) => {
                let was_calm = since.is_none_or(|since| now.saturating_duration_since(since) >= CALM);
                self.up_delay = if was_calm { UP_DELAY } else { longer(self.up_delay) };
                self.carrier = Carrier::Lost;
                self.is_missed = hears_others;
            }
            (Carrier::Returning { .. }, false) => {
                self.up_delay = longer(self.up_delay);
                self.carrier = Carrier::Lost;
                self.is_missed |= hears_others;
            }
        }
    }

    fn trust(&mut self, since: Option<Instant>) {
        self.carrier = Carrier::Trusted { since };
        self.is_missed = false;
        self.networks_then.clone_from(&self.networks);
    }

    fn is_trusted(&self) -> bool {
        match self.carrier {
            Carrier::Trusted { .. } => true,
            Carrier::Awaited | Carrier::Lost | Carrier::Returning { .. } => false,
        }
    }

    fn trusted_at(&self) -> Option<Instant> {
        match self.carrier {
            Carrier::Returning { trusted_at } => Some(trusted_at),
            Carrier::Awaited | Carrier::Trusted { .. } | Carrier::Lost => None,
        }
    }

    fn networks(&self) -> impl Iterator<Item = &IpNet> {
        self.networks.iter().chain(&self.networks_then)
    }
}

fn longer(up_delay: Duration) -> Duration {
    (2 * up_delay).min(LONGEST_UP_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::links::Link;

    const SECOND: Duration = Duration::from_secs(1);

    fn link(carrier: bool, networks: &[&str]) -> Link {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        Link { name: "eth1".into(), arp: None, ndp: None, carrier, networks }
    }

    fn lost(links: &Links) -> Vec<String> {
        let mut reach = Reach::default();
        reach.set(Instant::now(), links, &[], true);
        reach.lost().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_network_is_lost_when_all_interfaces_in_it_have_lost_their_carrier() {
        let links = |one: bool, other: bool| -> Links {
            [(7, link(one, &["192.0.2.0/24"])), (8, link(other, &["192.0.2.0/24", "2001:db8::/64"]))].into()
        };
        assert!(lost(&links(true, true)).is_empty());
        assert!(lost(&links(false, true)).is_empty(), "the other one is in it too");
        assert_eq!(lost(&links(true, false)), ["2001:db8::/64"]);
        assert_eq!(lost(&links(false, false)), ["192.0.2.0/24", "2001:db8::/64"]);
    }

    /// One interface whose carrier comes and goes.
    struct OneInterface {
        reach: Reach,
        now: Instant,
        own: Vec<IpAddr>,
        hears_others: bool,
    }

    impl OneInterface {
        fn new() -> Self {
            let (reach, now) = (Reach::default(), Instant::now());
            let mut one = Self { reach, now, own: vec![], hears_others: true };
            one.set(true);
            assert!(one.is_reached(), "what never was lost is trusted at once");
            one
        }

        fn set(&mut self, carrier: bool) {
            let links = [(7, link(carrier, &["192.0.2.0/24"]))].into();
            self.reach.set(self.now, &links, &self.own, self.hears_others);
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
            self.reach.pass_time(self.now);
        }

        fn is_reached(&self) -> bool {
            self.reach.lost().is_empty()
        }

        /// Loses its carrier for a second. How long it then takes until it is trusted again.
        fn flap(&mut self) -> Duration {
            self.set(false);
            assert!(!self.is_reached() && self.reach.poll_timeout().is_none());
            self.pass(SECOND);
            self.set(true);
            assert!(!self.is_reached());
            let due = self.reach.poll_timeout().unwrap();
            let delay = due - self.now;
            self.pass(delay / 2);
            assert!(!self.is_reached());
            self.pass(due - self.now);
            assert!(self.is_reached());
            delay
        }
    }

    #[test]
    fn a_carrier_that_comes_and_goes_is_trusted_later_each_time_and_like_a_new_one_when_it_was_calm() {
        let mut one = OneInterface::new();
        let delays: Vec<_> = (0..5).map(|_| one.flap().as_secs()).collect();
        assert_eq!(delays, [2, 4, 8, 16, 16]);
        one.pass(CALM);
        assert_eq!(one.flap(), UP_DELAY);
    }

    #[test]
    fn a_carrier_that_is_lost_before_it_was_trusted_counts_as_lost_again() {
        let mut one = OneInterface::new();
        one.set(false);
        one.set(true);
        one.pass(SECOND);
        assert_eq!(one.flap(), 2 * UP_DELAY);
    }

    #[test]
    fn the_network_by_which_speakers_talk_is_trusted_as_soon_as_its_carrier_is_back() {
        let mut one = OneInterface::new();
        one.own = vec!["192.0.2.11".parse().unwrap()];
        for _ in 0..3 {
            one.set(false);
            assert!(!one.is_reached());
            one.set(true);
            assert!(one.is_reached());
        }
    }

    #[test]
    fn it_is_not_where_others_that_were_heard_are_not_any_more() {
        let mut one = OneInterface::new();
        one.own = vec!["192.0.2.11".parse().unwrap()];
        one.set(false);
        assert_eq!(one.reach.missed(), one.reach.lost());
        one.hears_others = false;
        one.set(true);
        assert!(!one.is_reached() && !one.reach.missed().is_empty());
        one.pass(UP_DELAY);
        assert!(one.is_reached() && one.reach.missed().is_empty());
        one.set(false);
        assert!(one.reach.missed().is_empty(), "nobody was heard before");
        one.set(true);
        assert!(one.is_reached());
    }

    #[test]
    fn an_interface_that_is_made_is_trusted_with_its_first_carrier_and_one_found_without_is_not() {
        let at_start = [(7, link(false, &["192.0.2.0/24"]))].into();
        let later = [(7, link(true, &["192.0.2.0/24"])), (8, link(false, &["198.51.100.0/24"]))].into();
        let connected = [(7, link(true, &["192.0.2.0/24"])), (8, link(true, &["198.51.100.0/24"]))].into();
        let mut reach = Reach::default();
        let now = Instant::now();
        let mut lost = |links| {
            reach.set(now, links, &[], true);
            reach.lost().len()
        };
        assert_eq!([lost(&at_start), lost(&later), lost(&connected)], [1, 2, 1]);
    }

    #[test]
    fn a_carrier_that_is_back_is_trusted_before_its_time_when_that_is_asked_for() {
        let mut one = OneInterface::new();
        let network = "192.0.2.0/24".parse().unwrap();
        one.set(false);
        assert!(one.reach.returning().is_empty());
        one.reach.trust(one.now, &network);
        assert!(!one.is_reached(), "there is no carrier");
        one.set(true);
        assert_eq!(one.reach.returning(), [network].into());
        one.reach.trust(one.now, &network);
        assert!(one.is_reached() && one.reach.poll_timeout().is_none());
    }

    #[test]
    fn a_network_stays_lost_when_the_addresses_in_it_are_taken_away_until_the_carrier_is_trusted_again() {
        let mut reach = Reach::default();
        let start = Instant::now();
        let mut lost = |seconds: u64, link: Option<Link>| {
            let now = start + Duration::from_secs(seconds);
            reach.set(now, &link.map(|link| (7, link)).into_iter().collect(), &[], true);
            reach.pass_time(now);
            reach.lost().len()
        };
        assert_eq!(lost(0, Some(link(true, &["192.0.2.0/24"]))), 0);
        assert_eq!(lost(1, Some(link(false, &["192.0.2.0/24"]))), 1);
        assert_eq!(lost(2, Some(link(false, &[]))), 1);
        assert_eq!(lost(3, Some(link(true, &[]))), 1);
        assert_eq!(lost(5, Some(link(true, &[]))), 0, "it has no address there now");
        assert_eq!(lost(6, Some(link(false, &[]))), 0, "it had none when it was last trusted");
        assert_eq!(lost(7, None), 0);
    }
}
