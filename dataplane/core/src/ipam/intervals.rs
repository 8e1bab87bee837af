//! A set of numbers kept as disjoint intervals: dense sets are one entry, whatever their size.

use std::collections::BTreeMap;

/// A set of `u128`, as intervals with both ends included. No two of them touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Intervals(BTreeMap<u128, u128>);

impl Intervals {
    /// The interval that holds `number`.
    fn around(&self, number: u128) -> Option<(u128, u128)> {
        let (first, last) = self.0.range(..=number).next_back()?;
        (number <= *last).then_some((*first, *last))
    }

    pub(super) fn insert(&mut self, number: u128) {
        if self.around(number).is_some() {
            return;
        }
        let before = number.checked_sub(1).and_then(|below| self.around(below));
        let after = number.checked_add(1).and_then(|above| self.around(above));
        let first = before.map_or(number, |(first, _)| first);
        let last = after.map_or(number, |(_, last)| last);
        if let Some((first, _)) = after {
            self.0.remove(&first);
        }
        self.0.insert(first, last);
    }

    pub(super) fn remove(&mut self, number: u128) {
        let Some((first, last)) = self.around(number) else { return };
        self.0.remove(&first);
        if first < number {
            self.0.insert(first, number - 1);
        }
        if number < last {
            self.0.insert(number + 1, last);
        }
    }

    /// The lowest number from `first` to `last` that is not in the set.
    pub(super) fn first_gap(&self, first: u128, last: u128) -> Option<u128> {
        let gap = match self.around(first) {
            None => first,
            Some((_, end)) => end.checked_add(1)?, // intervals never touch, so this one is free
        };
        (gap <= last).then_some(gap)
    }

    /// How many numbers from `first` to `last` are in the set.
    pub(super) fn count_within(&self, first: u128, last: u128) -> u128 {
        let start = self.around(first).map_or(first, |(start, _)| start);
        self.0
            .range(start..=last)
            .map(|(from, to)| (*to).min(last) - (*from).max(first))
            .fold(0, |sum: u128, length| sum.saturating_add(length.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ends_of_the_number_range_are_ordinary_numbers() {
        let mut set = Intervals::default();
        set.insert(u128::MAX);
        set.insert(0);
        assert_eq!(set.first_gap(0, u128::MAX), Some(1));
        assert_eq!(set.first_gap(u128::MAX, u128::MAX), None);
        assert_eq!(set.count_within(0, u128::MAX), 2);
        set.remove(u128::MAX);
        assert_eq!(set.first_gap(u128::MAX, u128::MAX), Some(u128::MAX));
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_plain_set_and_never_keeps_touching_intervals(
            steps in vec((any::<bool>(), 0_u128..24), 0..60), first in 0_u128..24, length in 0_u128..24,
        ) {
            let (mut set, mut model) = (Intervals::default(), BTreeSet::new());
            for (add, number) in steps {
                if add {
                    set.insert(number);
                    model.insert(number);
                } else {
                    set.remove(number);
                    model.remove(&number);
                }
            }
            let last = first + length;
            prop_assert_eq!(set.first_gap(first, last), (first..=last).find(|n| !model.contains(n)));
            prop_assert_eq!(set.count_within(first, last), model.range(first..=last).count() as u128);
            let ends: Vec<_> = set.0.iter().collect();
            prop_assert!(ends.windows(2).all(|pair| pair[0].1 + 1 < *pair[1].0));
        }
    }
}
