//! One reducer for everything that is watched: a relist is handled here and nowhere else.
//!
//! Not here: where the events come from, or what the values mean.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use crate::gather::Gather as _;
use crate::pack::Pack;

/// What a watch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<K, V> {
    /// The complete set, as of a list. What is not in it is gone.
    Listed(BTreeMap<K, V>),
    /// The object is there, with this value.
    Applied(K, V),
    /// The object is gone.
    Deleted(K),
}

impl<K, V> Event<K, V> {
    /// The same event about keys of another type. Different keys must stay different.
    pub fn map_keys<L: Ord>(self, mut rename: impl FnMut(K) -> L) -> Event<L, V> {
        match self {
            Self::Listed(rows) => {
                Event::Listed(packed(rows.into_iter().map(|(key, value)| (rename(key), value))))
            }
            Self::Applied(key, value) => Event::Applied(rename(key), value),
            Self::Deleted(key) => Event::Deleted(rename(key)),
        }
    }

    /// The same change with other values.
    pub fn map_values<W>(self, mut change: impl FnMut(V) -> W) -> Event<K, W>
    where
        K: Ord,
    {
        match self {
            Self::Listed(rows) => {
                Event::Listed(packed(rows.into_iter().map(|(key, value)| (key, change(value)))))
            }
            Self::Applied(key, value) => Event::Applied(key, change(value)),
            Self::Deleted(key) => Event::Deleted(key),
        }
    }
}

/// The objects of one kind, as last heard.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    rows: BTreeMap<K, V>,
    listed: bool,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), listed: false }
    }
}

impl<K: Ord + Clone, V: PartialEq> Table<K, V> {
    /// Takes in `event`. The keys whose value is now different; writing an equal value is no change.
    pub fn reduce(&mut self, event: Event<K, V>) -> BTreeSet<K> {
        match event {
            Event::Applied(key, value) => {
                if self.rows.get(&key) == Some(&value) {
                    return BTreeSet::new();
                }
                self.rows.insert(key.clone(), value);
                BTreeSet::from([key])
            }
            Event::Deleted(key) => self.rows.remove(&key).map(|_| key).into_iter().gather(),
            Event::Listed(rows) => {
                self.listed = true;
                let mut before = std::mem::take(&mut self.rows);
                let mut touched = BTreeSet::new();
                // What is as it was stays the same one: others share it.
                self.rows = packed(rows.into_iter().map(|(key, value)| match before.remove_entry(&key) {
                    Some((known, same)) if same == value => (known, same),
                    other => {
                        let key = other.map_or(key, |(known, _)| known);
                        touched.insert(key.clone());
                        (key, value)
                    }
                }));
                touched.extend(before.into_keys());
                touched
            }
        }
    }
}

impl<K: Ord, V> Table<K, V> {
    /// Has a complete list been seen? Before that, absence means nothing.
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    /// The value of `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.rows.get(key)
    }

    /// That key, and where it is in here already, the one that is here: keys that share what they say are kept once.
    pub fn familiar(&self, key: K) -> K
    where
        K: Clone,
    {
        self.rows.get_key_value(&key).map_or(key, |(known, _)| known.clone())
    }

    /// All rows, ordered by key.
    pub fn rows(&self) -> &BTreeMap<K, V> {
        &self.rows
    }
}

impl<K: Ord, V> Pack for Table<K, V> {
    fn pack(&mut self) {
        self.rows.pack();
    }
}

fn packed<K: Ord, V>(rows: impl Iterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut rows: BTreeMap<K, V> = rows.gather();
    rows.pack();
    rows
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_relist_touches_what_vanished_what_is_new_and_what_differs() {
        let mut table = Table::default();
        assert!(!table.is_listed());
        table.reduce(Event::Listed(BTreeMap::from([("stays", 1), ("changes", 1), ("vanishes", 1)])));
        let touched =
            table.reduce(Event::Listed(BTreeMap::from([("stays", 1), ("changes", 2), ("appears", 1)])));
        assert_eq!(touched, BTreeSet::from(["changes", "vanishes", "appears"]));
        assert!(table.is_listed());
    }

    #[test]
    fn what_a_relist_finds_as_it_was_is_shared_as_it_was() {
        let mut table = Table::default();
        let row = || (Arc::new("key"), Arc::new("value"));
        table.reduce(Event::Listed([row()].into()));
        let (key, value) =
            table.rows().iter().map(|(key, value)| (key.clone(), value.clone())).next().unwrap();
        assert_eq!(table.reduce(Event::Listed([row()].into())), BTreeSet::new());
        let (known, same) = table.rows().first_key_value().unwrap();
        assert!(Arc::ptr_eq(known, &key) && Arc::ptr_eq(same, &value));
    }

    #[test]
    fn deleting_the_unknown_and_writing_the_equal_touch_nothing() {
        let mut table = Table::default();
        assert_eq!(table.reduce(Event::Applied("a", 1)), BTreeSet::from(["a"]));
        assert_eq!(table.reduce(Event::Applied("a", 1)), BTreeSet::new());
        assert_eq!(table.reduce(Event::Deleted("b")), BTreeSet::new());
        assert_eq!(table.reduce(Event::Deleted("a")), BTreeSet::from(["a"]));
    }

    fn event() -> impl Strategy<Value = Event<u8, u8>> {
        prop_oneof![
            (0..6_u8, 0..3_u8).prop_map(|(key, value)| Event::Applied(key, value)),
            (0..6_u8).prop_map(Event::Deleted),
            btree_map(0..6_u8, 0..3_u8, 0..6).prop_map(Event::Listed),
        ]
    }

    proptest! {
        #[test]
        fn touched_is_exactly_where_before_and_after_differ(events in vec(event(), 0..20)) {
            let mut table = Table::default();
            for event in events {
                let before = table.rows().clone();
                let touched = table.reduce(event);
                for key in 0..6_u8 {
                    prop_assert_eq!(touched.contains(&key), before.get(&key) != table.get(&key));
                }
            }
        }
    }
}
