//! Maps that were filled in order, made as small as what is in them.
//!
//! A `BTreeMap` that grows at its end leaves five of eleven places of every node empty, for what may come between. After the lists
//! of a start nothing does, and a speaker has a dozen maps with an entry for each service.

use std::collections::{BTreeMap, BTreeSet};

/// What can be packed.
pub trait Pack {
    /// Has the same in it, in less memory.
    fn pack(&mut self);
}

impl<K: Ord, V> Pack for BTreeMap<K, V> {
    fn pack(&mut self) {
        // What is appended is merged into new nodes, which are filled. (To collect it anew would sort it, which is more program.)
        let last = self.pop_last();
        let mut last = last.into_iter().fold(Self::new(), |mut all, (key, value)| {
            all.insert(key, value);
            all
        });
        self.append(&mut last);
    }
}

impl<K: Ord> Pack for BTreeSet<K> {
    fn pack(&mut self) {
        let last = self.pop_last();
        let mut last = last.into_iter().fold(Self::new(), |mut all, key| {
            all.insert(key);
            all
        });
        self.append(&mut last);
    }
}
