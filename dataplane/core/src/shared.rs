//! A map that one side changes bit by bit and another looks at as a whole: a copy costs a fraction of what the map holds,
//! and so does a change after a copy was made.
//!
//! The entries are in pieces, each shared by all copies until one of these changes it.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::gather::Gather as _;

/// Entries of a piece. A change copies one piece, and a copy counts up once a piece.
const PIECE: usize = 64;
/// Places that a piece is given when it needs one. Left to itself a `Vec` doubles.
const SPARE: usize = 8;

/// Never empty, ordered, and before all of the next one.
type Piece<K, V> = Arc<Vec<(K, V)>>;

/// An ordered map that is cheap to copy.
#[derive(Clone)]
pub struct SharedMap<K, V> {
    pieces: Vec<Piece<K, V>>,
}

impl<K, V> SharedMap<K, V> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { pieces: Vec::new() }
    }

    /// Is nothing in it?
    pub const fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How much is in it.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    /// All that is in it, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.pieces.iter().flat_map(|piece| piece.iter()).map(|(key, value)| (key, value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// The value of `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// Is `key` in it?
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).is_some()
    }

    /// The key as it is in here, and its value.
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let piece = self.pieces.get(self.piece_of(key))?;
        let place = place_of(piece, key).ok()?;
        piece.get(place).map(|(key, value)| (key, value))
    }

    /// The keys whose value is another than it was in `earlier`, of which this is a changed copy: what both share is not
    /// looked at.
    pub fn changed_since<'m>(&'m self, earlier: &'m Self) -> BTreeSet<&'m K>
    where
        V: PartialEq,
    {
        let own = |map: &'m Self, other: &'m Self| {
            let shared: BTreeSet<_> = other.pieces.iter().map(Arc::as_ptr).gather();
            let own = map.pieces.iter().filter(move |piece| !shared.contains(&Arc::as_ptr(piece)));
            own.flat_map(|piece| piece.iter())
        };
        let new = own(self, earlier).filter(|(key, value)| earlier.get(key) != Some(value));
        let gone = own(earlier, self).filter(|(key, _)| self.get(key).is_none());
        new.chain(gone).map(|(key, _)| key).gather()
    }

    /// The piece that `key` belongs into: the first that ends with it or behind it, or the one to be added.
    fn piece_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.pieces.partition_point(|piece| piece.last().is_some_and(|(last, _)| last.borrow() < key))
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// Gives `key` this value. The one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let mut at = self.piece_of(&key);
        if at == self.pieces.len() {
            // Behind all others: into the last piece, unless that is full.
            match self.pieces.last_mut().filter(|last| last.len() < PIECE) {
                Some(last) => {
                    let end = last.len();
                    put(Arc::make_mut(last), end, (key, value));
                }
                None => self.pieces.push(Arc::new(vec![(key, value)])),
            }
            return None;
        }
        let piece = self.pieces.get_mut(at)?;
        let place = match place_of(piece, &key) {
            Ok(place) => {
                let (_, held) = Arc::make_mut(piece).get_mut(place)?;
                return Some(std::mem::replace(held, value));
            }
            Err(place) => place,
        };
        let mut within = place;
        if piece.len() >= PIECE {
            let half = PIECE / 2;
            let piece = Arc::make_mut(piece);
            let rest = piece.split_off(half);
            piece.shrink_to(half + SPARE);
            self.pieces.insert(at + 1, Arc::new(rest));
            if within > half {
                (at, within) = (at + 1, within - half);
            }
        }
        put(Arc::make_mut(self.pieces.get_mut(at)?), within, (key, value));
        None
    }

    /// Takes `key` out. The value that it had.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.piece_of(key);
        let piece = self.pieces.get_mut(at)?;
        let place = place_of(piece, key).ok()?;
        let (_, value) = Arc::make_mut(piece).remove(place);
        if piece.is_empty() {
            self.pieces.remove(at);
        }
        Some(value)
    }
}

fn put<T>(piece: &mut Vec<T>, place: usize, entry: T) {
    if piece.len() == piece.capacity() {
        piece.reserve_exact(SPARE);
    }
    piece.insert(place, entry);
}

fn place_of<K: Borrow<Q>, V, Q: Ord + ?Sized>(piece: &[(K, V)], key: &Q) -> Result<usize, usize> {
    piece.binary_search_by(|(held, _)| held.borrow().cmp(key))
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// Equal if they hold the same, however it is cut.
impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for SharedMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        let mut rest = all.into_iter().gather::<BTreeMap<_, _>>().into_iter();
        let piece = || Some(rest.by_ref().take(PIECE).collect::<Vec<_>>()).filter(|piece| !piece.is_empty());
        Self { pieces: std::iter::from_fn(piece).map(Arc::new).collect() }
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SharedMap<K, V> {
    fn from(all: [(K, V); N]) -> Self {
        all.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_a_map_is_and_copies_stay_as_they_were(
            first in vec((0..500_u16, 0..4_u8), 0..300),
            changes in vec((0..500_u16, proptest::option::weighted(0.6, 0..4_u8)), 0..600),
        ) {
            let mut shared: SharedMap<_, _> = first.iter().copied().collect();
            let mut map: BTreeMap<_, _> = first.iter().copied().collect();
            let copy = (shared.clone(), map.clone());
            for (key, value) in changes {
                if let Some(value) = value {
                    prop_assert_eq!(shared.insert(key, value), map.insert(key, value));
                } else {
                    prop_assert_eq!(shared.remove(&key), map.remove(&key));
                }
                prop_assert_eq!(shared.get(&key), map.get(&key));
            }
            prop_assert!(shared.iter().eq(map.iter()));
            prop_assert!(shared.keys().all(|key| shared.get(key).is_some()));
            prop_assert_eq!((shared.is_empty(), shared.len()), (map.is_empty(), map.len()));
            prop_assert!(shared.pieces.iter().all(|piece| (1..=PIECE).contains(&piece.len())));
            prop_assert!(shared.pieces.iter().all(|piece| piece.capacity() <= PIECE + SPARE));
            prop_assert_eq!(&shared, &map.iter().map(|(key, value)| (*key, *value)).collect());
            prop_assert!(copy.0.iter().eq(copy.1.iter()));
            let differs = |key: &u16| map.get(key) != copy.1.get(key);
            let differing: BTreeSet<u16> = (0..500).filter(differs).collect();
            prop_assert!(shared.changed_since(&copy.0).into_iter().eq(differing.iter()));
        }
    }

    #[test]
    fn a_change_after_a_copy_leaves_most_of_it_shared() {
        let mut map: SharedMap<u32, u32> = (0..10_000).map(|n| (n, n)).collect();
        let copy = map.clone();
        map.insert(5_000, 0);
        map.remove(&9_999);
        let shared = map.pieces.iter().filter(|piece| Arc::strong_count(piece) == 2).count();
        assert_eq!(shared, copy.pieces.len() - 2);
        assert_eq!((copy.get(&5_000), map.get(&5_000)), (Some(&5_000), Some(&0)));
    }

    #[test]
    fn what_comes_in_order_fills_the_pieces() {
        let mut map = SharedMap::new();
        for n in 0..1_000_u32 {
            map.insert(n, n);
        }
        assert_eq!(map.pieces.len(), 1_000_usize.div_ceil(PIECE));
    }
}
