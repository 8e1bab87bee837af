//! Maps and sets that mostly hold one or two, and exist ten thousand times: as large as what is in them.
//!
//! A `BTreeMap` has room for eleven from the first on, which for a verdict is more than a kilobyte an address.
//!
//! Not for what is large: to insert moves what comes after it.

use std::borrow::Borrow;
use std::fmt;
use std::ops::{Deref, Index};
use std::sync::Arc;

/// An ordered map of few. It stays as it was made, and copies share what is in it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct FewMap<K, V>(Option<Arc<[(K, V)]>>);

impl<K, V> FewMap<K, V> {
    /// An empty one, which needs no memory.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Is nothing in it?
    pub fn is_empty(&self) -> bool {
        self.pairs().is_empty()
    }

    /// How many are in it.
    pub fn len(&self) -> usize {
        self.pairs().len()
    }

    /// All that is in it, ordered by key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.pairs().iter().map(|(key, value)| (key, value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.pairs().iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.pairs().iter().map(|(_, value)| value)
    }

    fn pairs(&self) -> &[(K, V)] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl<K, V> Clone for FewMap<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Ord, V> FewMap<K, V> {
    /// The value of `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self.pairs().binary_search_by(|(held, _)| held.borrow().cmp(key)).ok()?;
        self.pairs().get(place).map(|(_, value)| value)
    }

    /// Has `key` a value?
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }
}

impl<K, V> Default for FewMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for FewMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Of equal keys the last counts.
impl<K: Ord, V> FromIterator<(K, V)> for FewMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        let mut held: Vec<(K, V)> = Vec::new();
        for (key, value) in all {
            match held.binary_search_by(|(held, _)| held.cmp(&key)) {
                Ok(place) => drop(held.get_mut(place).map(|(_, held)| *held = value)),
                Err(place) => held.insert(place, (key, value)),
            }
        }
        Self((!held.is_empty()).then(|| held.into()))
    }
}

impl<Q: Ord + ?Sized, K: Ord + Borrow<Q>, V> Index<&Q> for FewMap<K, V> {
    type Output = V;

    /// The value of a key that has one.
    fn index(&self, key: &Q) -> &V {
        #[allow(clippy::expect_used)] // as of a BTreeMap
        self.get(key).expect("a key that has a value")
    }
}

/// An ordered set of few.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FewSet<T>(Vec<T>);

impl<T> FewSet<T> {
    /// An empty one, which needs no memory.
    pub const fn new() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord> FewSet<T> {
    /// Adds it. Was it not in there?
    pub fn insert(&mut self, new: T) -> bool {
        let Err(place) = self.0.binary_search(&new) else { return false };
        if self.0.is_empty() {
            self.0.reserve_exact(1); // what grows grows fast, and most do not
        }
        self.0.insert(place, new);
        true
    }

    /// Takes it out. Was it in there?
    pub fn remove<Q: Ord + ?Sized>(&mut self, old: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        let place = self.0.binary_search_by(|held| held.borrow().cmp(old));
        place.is_ok_and(|place| {
            self.0.remove(place);
            true
        })
    }

    /// Is it in there?
    pub fn contains<Q: Ord + ?Sized>(&self, one: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.binary_search_by(|held| held.borrow().cmp(one)).is_ok()
    }
}

impl<T> Default for FewSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// In order.
impl<T> Deref for FewSet<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for FewSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}

impl<T: Ord> FromIterator<T> for FewSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut held: Vec<T> = all.into_iter().collect();
        held.sort();
        held.dedup();
        held.shrink_to_fit();
        Self(held)
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for FewSet<T> {
    fn from(all: [T; N]) -> Self {
        all.into_iter().collect()
    }
}

impl<T> IntoIterator for FewSet<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'s, T> IntoIterator for &'s FewSet<T> {
    type Item = &'s T;
    type IntoIter = std::slice::Iter<'s, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_map_of_few_is_what_a_map_is(pairs in vec((0..8_u8, 0..4_u8), 0..12)) {
            let (few, map): (FewMap<_, _>, BTreeMap<_, _>) =
                (pairs.iter().copied().collect(), pairs.iter().copied().collect());
            prop_assert!(few.iter().eq(map.iter()));
            prop_assert_eq!((few.len(), few.is_empty()), (map.len(), map.is_empty()));
            for key in 0..8 {
                prop_assert_eq!(few.get(&key), map.get(&key));
                prop_assert_eq!(few.contains_key(&key), map.contains_key(&key));
            }
        }

        #[test]
        fn a_set_of_few_is_what_a_set_is(first in vec(0..8_u8, 0..6), changes in vec((any::<bool>(), 0..8_u8), 0..12)) {
            let (mut few, mut set): (FewSet<_>, BTreeSet<_>) =
                (first.iter().copied().collect(), first.iter().copied().collect());
            for (comes, one) in changes {
                if comes {
                    prop_assert_eq!(few.insert(one), set.insert(one));
                } else {
                    prop_assert_eq!(few.remove(&one), set.remove(&one));
                }
                prop_assert!(few.iter().eq(set.iter()));
                prop_assert!((0..8).all(|one| few.contains(&one) == set.contains(&one)));
            }
        }
    }
}
