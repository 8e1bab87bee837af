//! Inputs near to valid ones: what a careless or hostile sender makes of a message.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One change to a message.
#[derive(Clone, Debug)]
pub enum Edit {
    /// A bit is another.
    Flip(Index, u8),
    /// An octet is another.
    Put(Index, u8),
    /// Two octets are others: lengths often have two.
    PutTwo(Index, u16),
    /// An octet is a little more or less: lengths that miss the end by one.
    Nudge(Index, i8),
    /// Octets more.
    Insert(Index, Vec<u8>),
    /// Octets fewer.
    Cut(Index, u8),
    /// It ends here.
    Truncate(Index),
    /// Octets come again.
    Repeat(Index, u8, u8),
}

impl Edit {
    /// Makes the change.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        let at = |index: &Index| index.index(length.saturating_add(1));
        let span = |from: usize, count: u8| from..from.saturating_add(count.into()).min(length);
        match self {
            Self::Flip(index, bit) => change(bytes, at(index), |octet| octet ^ (1 << (bit % 8))),
            Self::Put(index, octet) => change(bytes, at(index), |_| *octet),
            Self::PutTwo(index, value) => {
                let at = at(index);
                let [high, low] = value.to_be_bytes();
                change(bytes, at, |_| high);
                change(bytes, at.saturating_add(1), |_| low);
            }
            Self::Nudge(index, by) => change(bytes, at(index), |octet| octet.wrapping_add_signed(*by)),
            Self::Insert(index, more) => {
                let at = at(index);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Cut(index, count) => {
                let cut = span(at(index), *count);
                bytes.drain(cut);
            }
            Self::Truncate(index) => bytes.truncate(at(index)),
            Self::Repeat(index, count, times) => {
                let again = span(at(index), *count);
                let end = again.end;
                let more = bytes.get(again).unwrap_or_default().repeat(usize::from(times % 8));
                bytes.splice(end..end, more);
            }
        }
    }
}

fn change(bytes: &mut [u8], at: usize, to: impl FnOnce(u8) -> u8) {
    if let Some(octet) = bytes.get_mut(at) {
        *octet = to(*octet);
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let octet = || prop_oneof![select(vec![0, 1, 2, 0x7f, 0x80, 0xfe, 0xff]), any::<u8>()];
    prop_oneof![
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        3 => (any::<Index>(), octet()).prop_map(|(at, octet)| Edit::Put(at, octet)),
        1 => (any::<Index>(), any::<u16>()).prop_map(|(at, value)| Edit::PutTwo(at, value)),
        2 => (any::<Index>(), -2_i8..=2).prop_map(|(at, by)| Edit::Nudge(at, by)),
        1 => (any::<Index>(), vec(octet(), 1..8)).prop_map(|(at, more)| Edit::Insert(at, more)),
        1 => (any::<Index>(), 1_u8..16).prop_map(|(at, count)| Edit::Cut(at, count)),
        1 => any::<Index>().prop_map(Edit::Truncate),
        1 => any::<(Index, u8, u8)>().prop_map(|(at, count, times)| Edit::Repeat(at, count, times)),
    ]
}

/// A few changes; often none.
pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop_oneof![1 => Just(Vec::new()), 6 => vec(edit(), 1..6)]
}

/// One of `valid` with a few changes, and now and then octets of no meaning.
pub fn mutated(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let near = (select(valid), edits()).prop_map(|(mut bytes, edits)| {
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![15 => near, 1 => vec(any::<u8>(), 0..120)]
}

/// One of `valid` with a few changes, in letters that such texts are made of as well as in any.
pub fn mutated_text(valid: &[&str]) -> impl Strategy<Value = String> + use<> {
    let letters: Vec<char> = valid.iter().flat_map(|text| text.chars()).chain("µ١ -\0+e".chars()).collect();
    let letter =
        prop_oneof![3 => select(letters).prop_map(String::from), 1 => any::<char>().prop_map(String::from)];
    let valid: Vec<_> = valid.iter().map(|text| (*text).to_owned()).collect();
    let near = (select(valid), vec((any::<Index>(), 0_usize..3, letter), 0..5)).prop_map(|(text, edits)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, cut, letter) in edits {
            let from = at.index(chars.len().saturating_add(1));
            let to = from.saturating_add(cut).min(chars.len());
            chars.splice(from..to, letter.chars());
        }
        chars.into_iter().collect()
    });
    prop_oneof![9 => near, 1 => any::<String>()]
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree as _;

    use super::*;

    proptest! {
            #[test]
            fn any_changes_can_be_made_to_any_bytes(bytes in vec(any::<u8>(), 0..20), edits in edits()) {
                let mut changed = bytes;
                for edit in &edits {
    edit.apply(&mut changed);
    }
            }
        }

    /// An index is drawn, and cannot be made.
    fn at_the_front() -> Index {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let drawn = std::iter::from_fn(|| any::<Index>().new_tree(&mut runner).ok());
        drawn.map(|tree| tree.current()).find(|index| index.index(4) == 0).unwrap()
    }

    #[test]
    fn a_change_changes_what_it_says() {
        let edited = |edit: Edit| {
            let mut bytes = vec![1, 2, 3];
            edit.apply(&mut bytes);
            bytes
        };
        let first = at_the_front();
        assert_eq!(edited(Edit::Flip(first, 8)), [0, 2, 3]);
        assert_eq!(edited(Edit::PutTwo(first, 0x0908)), [9, 8, 3]);
        assert_eq!(edited(Edit::Nudge(first, -2)), [255, 2, 3]);
        assert_eq!(edited(Edit::Insert(first, vec![7])), [7, 1, 2, 3]);
        assert_eq!(edited(Edit::Cut(first, 2)), [3]);
        assert_eq!(edited(Edit::Truncate(first)), []);
        assert_eq!(edited(Edit::Repeat(first, 2, 2)), [1, 2, 1, 2, 1, 2, 3]);
    }
}
