//! What is to happen when. Only keys move while it is kept in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

pub(super) struct Queue<T> {
    /// Nanoseconds, the turn among those of one moment, and the place of what happens then.
    order: BinaryHeap<Reverse<(u64, u64, usize)>>,
    places: Vec<Option<T>>,
    free: Vec<usize>,
    pushed: u64,
}

impl<T> Queue<T> {
    pub(super) const fn new() -> Self {
        Self { order: BinaryHeap::new(), places: Vec::new(), free: Vec::new(), pushed: 0 }
    }

    pub(super) fn push(&mut self, at: Duration, event: T) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(event);
        self.pushed += 1;
        self.order.push(Reverse((u64::try_from(at.as_nanos()).unwrap(), self.pushed, place)));
    }

    /// The first one, if it happens until then; what happens at the same time comes in the order it was pushed.
    pub(super) fn pop_until(&mut self, end: Duration) -> Option<(Duration, T)> {
        let at =
            self.order.peek().map(|Reverse((at, ..))| Duration::from_nanos(*at)).filter(|at| *at <= end)?;
        let Reverse((.., place)) = self.order.pop()?;
        self.free.push(place);
        Some((at, self.places[place].take()?))
    }
}
