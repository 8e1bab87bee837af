//! Maps that were filled in order, made as small as what is in them.
//!
//! A `BTreeMap` that grows at its end leaves five of eleven places of every node empty, for what may come between. After the lists
//! of a start nothing does, and a speaker has a dozen maps with an entry for each service.

use std::collections::{BTreeMap, BTreeSet};

use crate::gather::Gather as _;

/// What can be packed.
pub trait Pack {
    /// Has the same in it, in less memory.
    fn pack(&mut self);
}

impl<K: Ord, V> Pack for BTreeMap<K, V> {
    fn pack(&mut self) {
        // What is appended is merged into new nodes, which are filled. (To collect it anew would sort it, which is more program.)
        let mut last: Self = self.pop_last().into_iter().gather();
        self.append(&mut last);
    }
}

impl<K: Ord> Pack for BTreeSet<K> {
    fn pack(&mut self) {
        let mut last: Self = self.pop_last().into_iter().gather();
        self.append(&mut last);
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_filled_in_order_takes_much_less_memory_afterwards() {
        let mut map = BTreeMap::new();
        let filled = measure(|| map.extend((0..1_100_u32).map(|n| (n, [0_u64; 4])))).bytes_current;
        let given_back = -measure(|| map.pack()).bytes_current;
        assert!(given_back * 5 > filled * 2, "{given_back} of {filled}");
        assert!(map.keys().copied().eq(0..1_100));
    }

    proptest! {
        #[test]
        fn the_same_is_in_it(mut set: BTreeSet<u16>) {
            let (before, mut map): (_, BTreeMap<_, _>) = (set.clone(), set.iter().map(|n| (*n, n / 2)).collect());
            set.pack();
            map.pack();
            prop_assert_eq!(&set, &before);
            prop_assert!(map.into_iter().eq(before.into_iter().map(|n| (n, n / 2))));
        }
    }
}
