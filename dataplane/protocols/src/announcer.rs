//! When to tell the neighbours that an address is here: at once when it moved here, and again for some seconds, because
//! the first telling may be lost and switches relearn at their own pace. Then now and again for as long as it is here:
//! switches forget who is silent, and an address that only receives has nothing else to remind them with.
//!
//! Another station may have claimed the address in the meantime, in the belief that this one is dead. Once it is quiet
//! again the neighbours are told anew, or they would go on sending to it: see [`Announcer::contested`].
//!
//! Not here: what the telling looks like ([`crate::arp::Announcement`], [`crate::ndp::Announcement`]) and on which interfaces.
//! Start at [`Announcer::start`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::jitter::Jitter;
use crate::timetable::Timetable;

/// How long an address is repeated after it moved here.
pub const BURST: Duration = Duration::from_secs(5);
/// Between two tellings of one address. Longer than a second: Linux takes one such update a second from a neighbour.
pub const INTERVAL: Duration = Duration::from_millis(1100);
/// Between the first tellings of an IPv6 address. The kernel of the node that has it now may know it where it was, and redirect there
/// who goes on with a connection of then (RFC 4861 §8.2): clients that believe it ask a node that may be dead, until they hear anew.
const EARLY_V6: &[Duration] = &[
    Duration::from_millis(100),
    Duration::from_millis(150),
    Duration::from_millis(250),
    Duration::from_millis(300),
    Duration::from_millis(300),
];
/// After another station claimed an address, tell again once it has been quiet for this long.
pub const QUIET: Duration = Duration::from_secs(2);
/// Claims of other stations are answered no more often than this: two halves of a cluster that both own an address
/// would talk each other down for ever.
pub const CORRECTION: Duration = Duration::from_secs(30);

/// Refreshes fall on so many times in an interval: for a thousand addresses a node does not wake up a thousand times.
const TIMES: u32 = 240;

/// How often an address is told after its burst.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// At the longest after the last time; up to a quarter sooner, and from there on to the time before that on which others are
    /// refreshed too.
    pub interval: Duration,
    /// So that neither nodes nor addresses go in step.
    pub jitter: Jitter,
}

/// The addresses that are being told about.
#[derive(Clone, Debug, Default)]
pub struct Announcer {
    /// Those of which there is more to know than when they are told next. Most are only refreshed.
    addresses: BTreeMap<IpAddr, Telling>,
    due: Timetable<IpAddr>,
    refresh: Option<Refresh>,
    /// From which the times of refreshes are counted.
    first_refresh: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Telling {
    /// The burst lasts until then.
    until: Option<Instant>,
    /// Times between what is told first; then it is [`INTERVAL`].
    early: &'static [Duration],
    /// What comes next answers a claim, and is put off no longer than until then, however many follow.
    corrects_by: Option<Instant>,
    /// Claims before that are passed over.
    deaf_until: Option<Instant>,
}

impl Announcer {
    /// One that tells addresses in bursts, and after them as `refresh` says.
    pub fn new(refresh: Option<Refresh>) -> Self {
        Self { refresh, ..Self::default() }
    }

    /// `address` moved here at `now`, or an interface came up on which it is announced: tell it now, and for the next
    /// [`BURST`]. A burst that runs already starts over.
    pub fn start(&mut self, now: Instant, address: IpAddr) {
        let telling = self.addresses.entry(address).or_default();
        telling.until = Some(now + BURST);
        telling.early = if address.is_ipv6() { EARLY_V6 } else { &[] };
        telling.corrects_by = None;
        self.due.set(address, now);
    }

    /// Another station says that it has `address`, which is announced here.
    pub fn contested(&mut self, now: Instant, address: IpAddr) {
        let telling = self.addresses.entry(address).or_default();
        if telling.deaf_until.is_some_and(|until| now < until) {
            return;
        }
        if let Some(until) = telling.until.filter(|until| now < *until) {
            // A burst runs. It goes on a little longer, so that the last word is ours.
            telling.until = Some(until.max(now + QUIET));
            telling.deaf_until = Some(now + CORRECTION);
        } else {
            let latest = *telling.corrects_by.get_or_insert(now + CORRECTION);
            self.due.set(address, latest.min(now + QUIET));
        }
    }

    /// Another station may have told of `address` in the meantime: tell it once more, now.
    pub fn remind(&mut self, now: Instant, address: IpAddr) {
        let telling = self.addresses.entry(address).or_default();
        if telling.deaf_until.is_none_or(|until| until <= now) {
            telling.deaf_until = Some(now + CORRECTION);
            self.due.set(address, now);
        }
    }

    /// `address` is no longer here: not another word.
    pub fn stop(&mut self, address: IpAddr) {
        self.due.cancel(address);
        self.addresses.remove(&address);
    }

    /// An address to tell about now. Call until `None`.
    pub fn poll_output(&mut self, now: Instant) -> Option<IpAddr> {
        let address = self.due.pop(now)?;
        let mut telling = self.addresses.remove(&address).unwrap_or_default();
        if telling.corrects_by.take().is_some() {
            telling.deaf_until = Some(now + CORRECTION);
        }
        let interval = telling.early.split_off_first().copied().unwrap_or(INTERVAL);
        let repeated = Some(now + interval).filter(|next| telling.until.is_some_and(|until| *next <= until));
        if let Some(next) = repeated.or_else(|| self.next_refresh(now)) {
            self.due.set(address, next);
        }
        if repeated.is_some() || telling.deaf_until.is_some_and(|until| now < until) {
            self.addresses.insert(address, telling);
        }
        Some(address)
    }

    fn next_refresh(&mut self, now: Instant) -> Option<Instant> {
        let Refresh { interval, jitter } = self.refresh.as_mut()?;
        let next = now + jitter.of(*interval);
        let between = (*interval / TIMES).as_nanos().max(1);
        let since_first = next.duration_since(*self.first_refresh.get_or_insert(now)).as_nanos();
        let early = u64::try_from(since_first % between).unwrap_or_default();
        next.checked_sub(Duration::from_nanos(early))
    }

    /// When there is next something to tell. `None`: nothing is pending. An address that is told again for as long as it is
    /// here is always pending.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.next()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::virtual_clock;

    /// The times, in milliseconds after `start`, at which the announcer speaks when polled just in time.
    fn tellings(announcer: &mut Announcer, start: Instant) -> Vec<(u128, IpAddr)> {
        let mut told = Vec::new();
        while let Some(now) = announcer.poll_timeout() {
            while let Some(address) = announcer.poll_output(now) {
                told.push(((now - start).as_millis(), address));
            }
        }
        told
    }

    fn times(announcer: &mut Announcer, start: Instant) -> Vec<u128> {
        tellings(announcer, start).into_iter().map(|(at, _)| at).collect()
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_address_is_told_at_once_and_then_every_interval_until_the_burst_ends() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        announcer.start(start, address(1));
        assert_eq!(times(&mut announcer, start), [0, 1100, 2200, 3300, 4400]);
    }

    #[test]
    fn an_ipv6_address_is_told_more_often_at_first() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        announcer.start(start, "2001:db8::1".parse().unwrap());
        let expected = [0, 100, 250, 500, 800, 1100, 2200, 3300, 4400];
        assert_eq!(times(&mut announcer, start), expected);
    }

    /// Minutes between tellings, with jitter that starts in one place.
    fn refreshing(minutes: u64) -> Announcer {
        let interval = Duration::from_mins(minutes);
        Announcer::new(Some(Refresh { interval, jitter: Jitter::new(7) }))
    }

    /// The first `count` times, in seconds after `start`, at which the announcer speaks when polled just in time.
    fn first(count: usize, announcer: &mut Announcer, start: Instant) -> Vec<u64> {
        let mut told = Vec::new();
        while let Some(now) = announcer.poll_timeout().filter(|_| told.len() < count) {
            while announcer.poll_output(now).is_some() {
                told.push((now - start).as_secs());
            }
        }
        told
    }

    #[test]
    fn after_its_burst_an_address_is_told_again_and_again_at_intervals_that_differ() {
        let (mut announcer, start) = (refreshing(10), virtual_clock::start());
        announcer.start(start, address(1));
        let told = first(100, &mut announcer, start);
        assert_eq!(told[..5], [0, 1, 2, 3, 4]);
        let gaps: BTreeSet<u64> = told[4..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (447..=600).contains(gap)), "{gaps:?}");
        assert!(gaps.len() > 30, "{gaps:?}");
        announcer.stop(address(1));
        assert_eq!(announcer.poll_timeout(), None);
    }

    #[test]
    fn addresses_that_came_together_are_not_refreshed_together() {
        let (mut announcer, start) = (refreshing(10), virtual_clock::start());
        for n in 0..100 {
            announcer.start(start, address(n));
        }
        let told = first(600, &mut announcer, start);
        let refreshed: BTreeSet<u64> = told[500..].iter().copied().collect();
        assert!(refreshed.len() > 40, "{refreshed:?}");
    }

    #[test]
    fn a_thousand_addresses_are_refreshed_at_few_times() {
        let (mut announcer, start) = (refreshing(4), virtual_clock::start());
        for n in 0..1000_u32 {
            announcer.start(start, IpAddr::from((0x0a00_0000 + n).to_be_bytes()));
        }
        while announcer.poll_timeout().is_some_and(|due| due < start + BURST) {
            let now = announcer.poll_timeout().unwrap();
            while announcer.poll_output(now).is_some() {}
        }
        assert!(announcer.addresses.is_empty(), "there is no more to know of them");
        let mut wakes = 0;
        while let Some(now) = announcer.poll_timeout().filter(|due| *due < start + seconds(1000)) {
            while announcer.poll_output(now).is_some() {}
            wakes += 1;
        }
        assert!((500..=1000).contains(&wakes), "{wakes}");
    }

    #[test]
    fn a_refresh_hears_claims_as_before() {
        let (mut announcer, start) = (refreshing(10), virtual_clock::start());
        announcer.start(start, address(1));
        let refreshed = first(6, &mut announcer, start)[5];
        let claimed = start + seconds(refreshed + 1);
        announcer.contested(claimed, address(1));
        assert_eq!(announcer.poll_timeout(), Some(claimed + QUIET));
        assert_eq!(announcer.poll_output(claimed + QUIET), Some(address(1)));
        announcer.contested(claimed + QUIET, address(1));
        let next = announcer.poll_timeout().unwrap();
        assert!(next > claimed + seconds(400), "claims after a correction are passed over");
    }

    #[test]
    fn nothing_pending_is_no_timeout() {
        assert_eq!(Announcer::default().poll_timeout(), None);
    }

    #[test]
    fn an_address_that_left_is_not_told_again_and_the_others_are() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        announcer.start(start, address(1));
        announcer.start(start, address(2));
        assert_eq!(announcer.poll_output(start), Some(address(1)));
        announcer.stop(address(1));
        assert!(tellings(&mut announcer, start).iter().all(|(_, told)| *told == address(2)));
    }

    #[test]
    fn moving_here_again_starts_the_burst_over() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        announcer.start(start, address(1));
        assert_eq!(announcer.poll_output(start), Some(address(1)));
        announcer.start(start + seconds(1), address(1));
        assert_eq!(times(&mut announcer, start).pop(), Some(5400));
    }

    #[test]
    fn after_another_station_claimed_an_address_it_is_told_once_when_that_one_is_quiet() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        announcer.contested(start, address(1));
        announcer.contested(start + seconds(1), address(1));
        assert_eq!(times(&mut announcer, start), [3000]);
    }

    #[test]
    fn who_claims_an_address_on_and_on_puts_neither_the_answer_nor_the_refresh_off_for_ever() {
        let (mut announcer, start) = (refreshing(10), virtual_clock::start());
        announcer.start(start, address(1));
        first(5, &mut announcer, start);
        let mut told = Vec::new();
        for second in 60..360 {
            let now = start + seconds(second);
            announcer.contested(now, address(1));
            while announcer.poll_output(now).is_some() {
                told.push(second);
            }
        }
        assert_eq!(told.first(), Some(&90), "half a minute after the first claim");
        assert!(told.windows(2).all(|pair| pair[1] - pair[0] >= 30), "{told:?}");
        assert!(told.len() >= 5, "{told:?}");
    }

    #[test]
    fn a_reminder_is_told_once_and_at_once() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        announcer.start(start, address(1));
        assert_eq!(times(&mut announcer, start).len(), 5);
        announcer.remind(start + seconds(60), address(1));
        announcer.remind(start + seconds(60), address(1));
        assert_eq!(times(&mut announcer, start), [60_000]);
        announcer.remind(start + seconds(70), address(1));
        assert_eq!(times(&mut announcer, start), [0; 0], "no more often than every half minute");
    }

    #[test]
    fn a_claim_during_a_burst_makes_it_longer_and_never_shorter() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        announcer.start(start, address(1));
        assert_eq!(announcer.poll_output(start), Some(address(1)));
        announcer.contested(start + Duration::from_millis(100), address(1));
        announcer.contested(start + Duration::from_millis(4500), address(1));
        assert_eq!(times(&mut announcer, start), [1100, 2200, 3300, 4400]);
        announcer.start(start + seconds(60), address(1));
        announcer.contested(start + Duration::from_millis(64_900), address(1));
        assert_eq!(times(&mut announcer, start + seconds(60)), [0, 1100, 2200, 3300, 4400, 5500, 6600]);
    }

    #[test]
    fn a_claim_after_the_last_telling_of_a_burst_is_answered_too() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        announcer.start(start, address(1));
        assert_eq!(times(&mut announcer, start).pop(), Some(4400));
        announcer.contested(start + Duration::from_millis(4500), address(1));
        assert_eq!(times(&mut announcer, start), [6500]);
    }

    #[test]
    fn two_stations_that_both_claim_an_address_do_not_talk_each_other_down_for_ever() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        let mut told = Vec::new();
        for second in 0..100 {
            let now = start + seconds(second);
            if second % 5 == 0 {
                announcer.contested(now, address(1));
            }
            told.extend(announcer.poll_output(now).map(|_| second));
        }
        assert_eq!(told, [2, 37, 72], "at most one correction every half minute");
    }

    #[test]
    fn ten_thousand_addresses_cost_one_look_each() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        for n in 0..10_000_u32 {
            announcer.start(start, IpAddr::from(n.to_be_bytes()));
        }
        assert_eq!(times(&mut announcer, start).len(), 50_000);
    }
}
