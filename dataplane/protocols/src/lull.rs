//! When an address moves from one living node to another: in a lull, while no request is under way. A connection belongs to
//! the node through which it began; what of it comes after the move goes through the next node, which does not know it, and breaks
//! it. Short requests leave gaps between them, and the old owner, through which they go, sees these gaps in the segments
//! that begin and end connections ([`Segment`]).
//!
//! Connections that take longer than [`REQUEST`] are not waited for: some last for days.
//!
//! Not here: how neighbours are told ([`crate::arp::Announcement`]), and who moves what (the plan). Start at [`Lull::new`].

mod segment;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

pub use segment::{Connection, Kind, Segment};

/// A request takes so long at most. It is also how long the old owner looks on first: what began before that has ended by then,
/// or takes longer than a request.
pub const REQUEST: Duration = Duration::from_millis(100);
/// The address moves after so long, lull or not: with thousands of requests a second some are always under way.
pub const PATIENCE: Duration = Duration::from_millis(300);
/// Where the old owner may keep the address and the new one is only the better place for it, the move begins so much later. What
/// made that one better may be an endpoint that has become ready, or its return: a kube-proxy takes in such things once a second
/// (`minSyncPeriod`), and until then drops what comes for them.
pub const SETTLING: Duration = Duration::from_millis(1200);
/// The new owner waits so long for the old one's word, from when it knows that the address is to be its own. The old one may
/// know it a little later.
pub const GIVEN_WITHIN: Duration = Duration::from_millis(400);
/// From the moment that is chosen until neighbours know of the move: a connection that begins meanwhile is cut.
const TOLD_WITHIN: Duration = Duration::from_micros(250);
/// Of the pauses between connections the latest are kept in mind: as many as requests of a millisecond leave while it is looked on.
const PAUSES: usize = 200;
/// From fewer nothing is learnt, and from fewer than so many of a kind nothing of that kind.
const ENOUGH: usize = 16;
const ENOUGH_OF_A_KIND: usize = 8;
/// How deep in a pause a moment may be: so many steps at the most.
const STEPS: u32 = 20;
const STEP: Duration = Duration::from_micros(50);
/// A risk of so many of a thousand is taken, rather than to wait for another moment that may never come.
const TAKEN: usize = 100;
/// Connections that are kept in mind. With more there is no lull to be found.
const CONNECTIONS: usize = 1024;

/// What is under way to one address.
#[derive(Clone, Debug)]
pub struct Lull {
    begun: Instant,
    /// When each connection began.
    open: BTreeMap<Connection, Instant>,
    /// How long nothing was under way, each time.
    pauses: VecDeque<Duration>,
    pause: Pause,
}

/// What came last, and what that means.
#[derive(Clone, Copy, Debug)]
enum Pause {
    /// Nothing came yet.
    Always,
    /// A connection ended, and nothing else is under way. The moment is so much later.
    Since { ended: Instant, depth: Duration },
    /// The moment was missed: another one may come.
    Missed { ended: Instant },
    /// A connection is under way.
    Over,
}

impl Lull {
    /// The address is to move from then on, which may be later than now.
    pub const fn new(begun: Instant) -> Self {
        Self { begun, open: BTreeMap::new(), pauses: VecDeque::new(), pause: Pause::Always }
    }

    /// From when on it is to move.
    pub const fn begun(&self) -> Instant {
        self.begun
    }

    /// It is to move at once.
    pub fn hurry(&mut self, now: Instant) {
        self.begun = self.begun.min(now);
    }

    /// It is not to move before that.
    pub fn settle(&mut self, until: Instant) {
        self.begun = self.begun.max(until);
    }

    /// A segment for the address came then.
    pub fn see(&mut self, came: Instant, segment: &Segment) {
        let Segment { connection, kind } = *segment;
        match kind {
            Kind::Begins => {
                if let Pause::Since { ended, .. } | Pause::Missed { ended } = self.pause {
                    self.pauses.truncate(PAUSES - 1);
                    self.pauses.push_front(came.saturating_duration_since(ended));
                }
                self.pause = Pause::Over;
                self.open.retain(|_, begun| came < *begun + REQUEST);
                if self.open.len() < CONNECTIONS {
                    self.open.entry(connection).or_insert(came);
                }
            }
            Kind::Ends => {
                let was_under_way = self.open.remove(&connection).is_some();
                let is_pause = matches!(self.pause, Pause::Since { .. } | Pause::Missed { .. });
                if self.under_way(came) > 0 {
                    self.pause = Pause::Over;
                } else if was_under_way || !is_pause {
                    // Otherwise it was not counted, or is said twice: the pause goes on.
                    self.pause = Pause::Since { ended: came, depth: self.depth() };
                }
            }
        }
    }

    /// In how many of a thousand pauses that are deeper than that the next connection begins before neighbours know of a move then.
    /// `None`: there were hardly any.
    fn risk(&self, depth: Duration) -> Option<usize> {
        let deeper = self.pauses.iter().filter(|pause| **pause > depth);
        let cut = deeper.clone().filter(|pause| **pause <= depth + TOLD_WITHIN).count();
        let deeper = deeper.count();
        (deeper >= ENOUGH_OF_A_KIND.max(self.pauses.len() / 8)).then(|| cut * 1000 / deeper)
    }

    /// How deep in a pause the moment is: none at all, unless the pauses say clearly that it is better to wait. So it is where several
    /// connections follow one another at once, and then none for a while.
    fn depth(&self) -> Duration {
        let at_once = self.risk(Duration::ZERO).filter(|_| self.pauses.len() >= ENOUGH);
        let risks = (1..=STEPS).filter_map(|steps| Some((self.risk(STEP * steps)?, STEP * steps)));
        let best = risks.min().filter(|(risk, _)| at_once.is_some_and(|at_once| risk * 2 < at_once));
        best.map_or(Duration::ZERO, |(_, depth)| depth)
    }

    /// Has it come? A moment that is over is missed, if the next connection is much more likely to begin just now, unless nobody asks any
    /// more.
    pub fn has_come(&mut self, now: Instant) -> bool {
        if let Pause::Since { ended, depth } = self.pause {
            let reached = now.saturating_duration_since(ended);
            let limit = || 2 * self.risk(depth).unwrap_or(0) + TAKEN;
            let is_worse = || self.risk(reached).is_none_or(|risk| risk > limit());
            let is_late = reached > depth && reached < REQUEST && self.pauses.len() >= ENOUGH;
            if is_late && is_worse() {
                self.pause = Pause::Missed { ended };
            }
        }
        self.poll_timeout() <= now
    }

    /// When it comes, if nothing else is seen. Where connections follow one another closely it is after one ended: later, the next
    /// may be on its way already.
    pub fn poll_timeout(&self) -> Instant {
        let nothing_under_way = self.open.values().copied().fold(self.begun, Instant::max) + REQUEST;
        let latest = self.begun + PATIENCE;
        let quiet = match self.pause {
            Pause::Always => self.begun,
            Pause::Since { ended, depth } if ended + depth >= nothing_under_way => ended + depth,
            // Counted from the beginning: so long after the last segment, the next of an even pace may be due.
            Pause::Since { .. } | Pause::Over => self.begun + REQUEST + REQUEST,
            Pause::Missed { .. } => latest,
        };
        nothing_under_way.max(quiet).min(latest)
    }

    /// Requests under way, as far as was seen.
    pub fn under_way(&self, now: Instant) -> usize {
        self.open.values().filter(|begun| now < **begun + REQUEST).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dice::Dice;
    use crate::virtual_clock;

    fn connection(port: u16) -> Connection {
        let client = std::net::SocketAddr::new("192.0.2.9".parse().unwrap(), port);
        Connection { client, server: "192.0.2.200:80".parse().unwrap() }
    }

    struct Scene {
        lull: Lull,
        start: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let start = virtual_clock::start();
            Self { lull: Lull::new(start), start }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn see(&mut self, millis: u64, port: u16, kind: Kind) -> &mut Self {
            let segment = Segment { connection: connection(port), kind };
            self.lull.see(self.at(millis), &segment);
            self
        }

        fn begins(&mut self, millis: u64, port: u16) -> &mut Self {
            self.see(millis, port, Kind::Begins)
        }

        fn ends(&mut self, millis: u64, port: u16) -> &mut Self {
            self.see(millis, port, Kind::Ends)
        }

        fn is_now(&mut self, millis: u64) -> bool {
            self.lull.has_come(self.at(millis))
        }

        fn due(&self) -> u128 {
            (self.lull.poll_timeout() - self.start).as_millis()
        }
    }

    #[test]
    fn nothing_moves_before_requests_that_were_under_way_have_had_time_to_end() {
        let mut scene = Scene::new();
        assert_eq!(scene.due(), 100);
        assert!(!scene.is_now(99) && scene.is_now(100));
    }

    #[test]
    fn a_request_under_way_is_waited_for_and_not_a_moment_longer() {
        let mut scene = Scene::new();
        scene.begins(50, 1).begins(98, 2).ends(99, 1);
        assert!(!scene.is_now(100));
        assert_eq!(scene.lull.under_way(scene.at(100)), 1);
        scene.ends(101, 2);
        assert!(scene.is_now(101));
    }

    #[test]
    fn what_began_before_and_ends_now_changes_nothing() {
        let mut scene = Scene::new();
        scene.begins(98, 2).ends(101, 1);
        assert!(!scene.is_now(101));
    }

    #[test]
    fn a_connection_that_lasts_is_no_request() {
        let mut scene = Scene::new();
        scene.begins(10, 1);
        assert_eq!(scene.due(), 200);
        scene.begins(105, 2).ends(115, 2);
        assert!(scene.is_now(115), "that one is broken, whenever it moves");
        assert_eq!(scene.lull.under_way(scene.at(115)), 0);
    }

    #[test]
    fn where_some_request_is_always_under_way_the_address_moves_nevertheless() {
        let mut scene = Scene::new();
        for port in 0..40 {
            let millis = 10 * u64::from(port);
            scene.begins(millis, port + 1);
            if port > 0 {
                scene.ends(millis + 1, port);
            }
            assert_eq!(scene.is_now(millis), millis >= 300, "{millis} ms");
        }
    }

    #[test]
    fn where_requests_follow_one_another_closely_it_moves_as_one_ends() {
        let mut scene = Scene::new();
        for millis in (1..=97).step_by(4) {
            scene.begins(millis, 1).ends(millis + 2, 1);
        }
        assert!(!scene.is_now(100), "the next one may be on its way");
        scene.begins(101, 1);
        assert!(!scene.is_now(102));
        scene.ends(103, 1);
        assert!(scene.is_now(103));
    }

    /// Requests that take a tenth of a millisecond each, and the pauses after them, in microseconds.
    fn after(pauses: &[u64]) -> Scene {
        let mut scene = Scene::new();
        let mut micros = 0;
        for pause in pauses.iter().cycle().take(100) {
            for kind in [Kind::Begins, Kind::Ends] {
                let at = scene.start + Duration::from_micros(micros);
                scene.lull.see(at, &Segment { connection: connection(1), kind });
                micros += if kind == Kind::Begins { 100 } else { *pause };
            }
        }
        scene
    }

    #[test]
    fn the_moment_is_where_in_a_pause_the_next_connection_is_least_likely_to_begin() {
        let cases: [(&[u64], u64); 5] = [
            (&[900], 0),
            (&[900, 700, 400], 0),
            // Two at once, and then none for a while.
            (&[30, 900], 50),
            (&[30, 80, 120, 900], 150),
            // Nothing is to be learnt.
            (&[30], 0),
        ];
        for (pauses, micros) in cases {
            assert_eq!(after(pauses).lull.depth(), Duration::from_micros(micros), "{pauses:?}");
        }
    }

    #[test]
    fn where_clients_know_nothing_of_each_other_no_moment_is_better_than_the_first() {
        let mut dice = Dice(7);
        let at_once = (0..100).filter(|_| {
            // The next begins in each microsecond with the same probability.
            let pauses: Vec<u64> =
                (0..100).map(|_| (1..5000).find(|_| dice.below(500) == 0).unwrap_or(5000)).collect();
            after(&pauses).lull.depth().is_zero()
        });
        assert!(at_once.count() > 80);
    }

    #[test]
    fn a_moment_that_is_missed_is_passed_over_if_the_next_connection_is_more_likely_by_then() {
        let mut scene = after(&[30, 900]);
        scene.begins(110, 1).ends(111, 1);
        let moment = scene.at(111) + STEP;
        assert_eq!(scene.lull.poll_timeout(), moment);
        assert!(scene.lull.clone().has_come(moment + 10 * STEP), "nothing began so soon after that");
        assert!(!scene.lull.has_come(moment + 15 * STEP));
        assert_eq!(scene.due(), 300, "unless another comes");
        scene.begins(250, 1).ends(251, 1);
        assert!(!scene.is_now(252), "nor is there one in the end, for who is always late");
        scene.begins(253, 1).ends(254, 1);
        assert!(scene.lull.has_come(scene.at(254) + STEP));
    }

    #[test]
    fn who_is_always_a_little_late_moves_it_all_the_same() {
        let mut pauses = [30, 900].repeat(10);
        pauses[1] = 320;
        let mut scene = after(&pauses);
        scene.begins(110, 1).ends(111, 1);
        let moment = scene.lull.poll_timeout();
        assert_eq!(scene.lull.risk(2 * STEP), Some(TAKEN));
        assert!(scene.lull.has_come(moment + STEP));
    }

    #[test]
    fn who_has_asked_often_and_stops_is_not_waited_for_longer_than_others() {
        let mut scene = after(&[900]);
        scene.lull.settle(scene.at(40)); // the last one ended at 99 ms
        assert!(!scene.is_now(239) && scene.is_now(240));
    }

    #[test]
    fn who_asks_seldom_is_not_missed() {
        let mut scene = Scene::new();
        scene.begins(101, 1).ends(102, 1);
        assert!(scene.is_now(110));
    }

    #[test]
    fn what_did_not_count_and_ends_is_no_new_moment() {
        let mut scene = after(&[30, 900]);
        scene.begins(110, 1).ends(111, 1);
        let moment = scene.lull.poll_timeout();
        scene.lull.see(
            scene.at(111) + Duration::from_micros(40),
            &Segment { connection: connection(1), kind: Kind::Ends },
        );
        assert_eq!(scene.lull.poll_timeout(), moment);
    }

    #[test]
    fn a_move_that_does_not_hurry_begins_later_unless_it_does_after_all() {
        let mut scene = Scene::new();
        scene.lull = Lull::new(scene.at(1200));
        assert_eq!(scene.due(), 1300);
        scene.begins(1250, 2);
        assert_eq!(scene.due(), 1400);
        let now = scene.at(1251);
        scene.lull.hurry(now);
        assert_eq!(scene.due(), 1400, "that is no later");
        let mut scene = Scene::new();
        scene.lull = Lull::new(scene.at(1200));
        let now = scene.at(500);
        scene.lull.hurry(now);
        assert_eq!(scene.due(), 600);
        let until = scene.at(1700);
        scene.lull.settle(until);
        assert_eq!(scene.due(), 1800);
    }

    #[test]
    fn who_stops_asking_is_not_waited_for() {
        let mut scene = Scene::new();
        scene.begins(97, 1).ends(98, 1);
        assert_eq!(scene.due(), 200);
    }

    #[test]
    fn who_opens_connections_without_end_takes_no_more_memory_than_that() {
        let mut scene = Scene::new();
        for port in 0..u16::MAX {
            scene.begins(10, port);
        }
        assert_eq!(scene.lull.open.len(), CONNECTIONS);
    }

    proptest! {
        /// Requests of any length, at any time, and a processor that is late: what is cut is older than a request may be, or there
        /// was no lull in time.
        #[test]
        fn no_short_request_is_cut_while_there_is_a_lull(
            requests in prop::collection::vec((0_u64..400_000, 1_u64..100_000), 0..40),
            late in 0_u64..2000,
        ) {
            let mut scene = Scene::new();
            let micros = |micros| scene.start + Duration::from_micros(micros);
            let mut events: Vec<_> = requests.iter().zip(0_u16..).flat_map(|((begins, takes), port)| {
                [(*begins, port, Kind::Begins), (begins + takes, port, Kind::Ends)]
            }).collect();
            events.sort_unstable_by_key(|(at, _, _)| *at);
            let mut events = events.into_iter().peekable();
            let moved = loop {
                // It wakes up late, and then takes in all that came.
                let next = events.peek().map(|(at, _, _)| micros(*at)).into_iter().chain([scene.lull.poll_timeout()]).min();
                let now = next.unwrap().max(scene.start) + Duration::from_micros(late);
                while let Some((at, port, kind)) = events.next_if(|(at, _, _)| micros(*at) <= now) {
                    scene.lull.see(micros(at), &Segment { connection: connection(port), kind });
                }
                if scene.lull.has_come(now) {
                    break now;
                }
            };
            let late = Duration::from_micros(late);
            prop_assert!(moved >= scene.at(100) && moved <= scene.at(300) + late);
            if moved < scene.at(300) {
                let is_cut = |(begins, takes): &&(u64, u64)| micros(*begins) < moved && moved < micros(begins + takes);
                prop_assert_eq!(requests.iter().find(is_cut), None);
            }
        }
    }
}
