//! What is due when: one time for each key, the next one first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// When each of many things is due. No clock: time is handed in.
#[derive(Clone, Debug)]
pub struct Timetable<K> {
    times: BTreeMap<K, Instant>,
    /// The same by when they are due.
    due: BTreeSet<(Instant, K)>,
}

impl<K> Default for Timetable<K> {
    fn default() -> Self {
        Self { times: BTreeMap::new(), due: BTreeSet::new() }
    }
}

impl<K: Copy + Ord> Timetable<K> {
    /// `key` is due then, and at no other time.
    pub fn set(&mut self, key: K, time: Instant) {
        self.cancel(key);
        self.times.insert(key, time);
        self.due.insert((time, key));
    }

    /// `key` is not due any more.
    pub fn cancel(&mut self, key: K) {
        if let Some(time) = self.times.remove(&key) {
            self.due.remove(&(time, key));
        }
    }

    /// One that is due, and from now on is not.
    pub fn pop(&mut self, now: Instant) -> Option<K> {
        let (time, key) = self.due.first().copied()?;
        if time > now {
            return None;
        }
        self.cancel(key);
        Some(key)
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(time, _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::virtual_clock;

    #[test]
    fn what_is_due_comes_once_in_the_order_of_time_and_not_before() {
        let (mut table, start) = (Timetable::default(), virtual_clock::start());
        let at = |seconds| start + Duration::from_secs(seconds);
        for (key, seconds) in [("late", 3), ("early", 1), ("moved", 9), ("cancelled", 1)] {
            table.set(key, at(seconds));
        }
        table.set("moved", at(2));
        table.cancel("cancelled");
        assert_eq!((table.pop(start), table.next()), (None, Some(at(1))));
        let due: Vec<_> = std::iter::from_fn(|| table.pop(at(3))).collect();
        assert_eq!(due, ["early", "moved", "late"]);
        assert_eq!((table.pop(at(99)), table.next()), (None, None));
    }
}
