//! When to tell the neighbours that an address moved here: at once, and again for some seconds, because the first
//! telling may be lost and switches relearn at their own pace.
//!
//! Not here: what the telling looks like (gratuitous ARP: [`crate::arp::Announcement`]) and on which interfaces.
//! Start at [`Announcer::start`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long an address is repeated after it moved here.
pub const BURST: Duration = Duration::from_secs(5);
/// Between two tellings of one address. Longer than a second: Linux takes one such update a second from a neighbour.
pub const INTERVAL: Duration = Duration::from_millis(1100);

/// The addresses that are being told about.
#[derive(Clone, Debug, Default)]
pub struct Announcer {
    bursts: BTreeMap<IpAddr, Burst>,
}

#[derive(Clone, Copy, Debug)]
struct Burst {
    next: Instant,
    until: Instant,
}

impl Announcer {
    /// `address` moved here at `now`, or an interface came up on which it is announced: tell it now, and for the next
    /// [`BURST`]. A burst that runs already starts over.
    pub fn start(&mut self, now: Instant, address: IpAddr) {
        self.bursts.insert(address, Burst { next: now, until: now + BURST });
    }

    /// `address` is no longer here: not another word.
    pub fn stop(&mut self, address: IpAddr) {
        self.bursts.remove(&address);
    }

    /// An address to tell about now. Call until `None`.
    pub fn poll_output(&mut self, now: Instant) -> Option<IpAddr> {
        let (address, burst) = self.bursts.iter_mut().find(|(_, burst)| burst.next <= now)?;
        let address = *address;
        burst.next = now + INTERVAL;
        if burst.next > burst.until {
            self.bursts.remove(&address);
        }
        Some(address)
    }

    /// When there is next something to tell. `None`: nothing is pending.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.bursts.values().map(|burst| burst.next).min()
    }
}

#[cfg(test)]
mod tests {
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

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn an_address_is_told_at_once_and_then_every_interval_until_the_burst_ends() {
        let (mut announcer, start) = (Announcer::default(), virtual_clock::start());
        announcer.start(start, address(1));
        let times: Vec<_> = tellings(&mut announcer, start).into_iter().map(|(at, _)| at).collect();
        assert_eq!(times, [0, 1100, 2200, 3300, 4400]);
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
        announcer.start(start + Duration::from_secs(1), address(1));
        let last = tellings(&mut announcer, start).pop();
        assert_eq!(last, Some((5400, address(1))));
    }
}
