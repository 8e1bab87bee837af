//! Frames that could not be sent: of many, one is told of now and then. A line for each would hold up whatever comes next, just when
//! there is most to do.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Between two lines.
const BETWEEN: Duration = Duration::from_secs(1);

/// Those of which nobody was told yet.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    count: Cell<u64>,
    silent_until: Cell<Option<Instant>>,
}

impl Unsent {
    /// One more. When it is time to say so: how many there were since the last time.
    pub(super) fn one_more(&self, now: Instant) -> Option<u64> {
        self.count.update(|count| count.saturating_add(1));
        if self.silent_until.get().is_some_and(|until| now < until) {
            return None;
        }
        self.silent_until.set(Some(now + BETWEEN));
        Some(self.count.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_frames_one_line_a_second_tells_how_many() {
        let (unsent, start) = (Unsent::default(), Instant::now());
        let lines: Vec<_> =
            (0..2500).filter_map(|millis| unsent.one_more(start + Duration::from_millis(millis))).collect();
        assert_eq!(lines, [1, 1000, 1000]);
    }
}
