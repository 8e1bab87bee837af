//! Who has which address, where that does not follow from who lives (sticky ownership): a table that all speakers keep.
//!
//! Of two claims to an address that of the later epoch counts, and of two of one epoch that of the greater id; so all who
//! have heard both agree, in whatever order they did. Nothing is taken back: whoever is to have the address next claims it in
//! the next epoch.
//!
//! Not here: how the table comes from one speaker to another (`session`), and who is to have an address (`plan`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use metallb_core::shared::SharedMap;
use ring::digest::{SHA256, digest};

use super::watchers::NodeId;

/// Addresses that are kept at most; claims to others are passed over. More than a network of this kind holds.
const MOST: usize = 65_536;
/// Epochs from here on are nobody's: an address that moves a thousand times a second comes so far in 300,000 years, and after the
/// last of all nobody could have it next.
const END: u64 = 1 << 63;

/// Who has an address. The greater counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tenure {
    /// Rises by one whenever the address moves.
    pub epoch: u64,
    /// The node.
    pub owner: NodeId,
}

impl Tenure {
    /// The one that follows when the address goes to `owner`.
    pub fn following(before: Option<&Self>, owner: NodeId) -> Self {
        Self { epoch: before.map_or(0, |before| before.epoch).saturating_add(1), owner }
    }
}

/// Somebody says who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// Who has it.
    pub tenure: Tenure,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It counts.
    New,
    /// It was known, or is none.
    Known,
    /// This one counts more.
    Late(Tenure),
}

/// The table.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenures {
    all: SharedMap<IpAddr, Tenure>,
    count: usize,
    /// Two tables with the same are the same.
    digest: u64,
    /// The addresses that services have; `None` while that is not known.
    in_use: Option<BTreeSet<IpAddr>>,
}

impl Tenures {
    /// Takes in a claim.
    pub(super) fn hear(&mut self, Claim { address, tenure }: Claim) -> Heard {
        if tenure.epoch >= END {
            return Heard::Known;
        }
        match self.all.get(&address) {
            Some(held) if *held == tenure => return Heard::Known,
            Some(held) if *held > tenure => return Heard::Late(*held),
            Some(_) => {}
            None if self.count >= MOST => return Heard::Known,
            None => self.count += 1,
        }
        self.digest ^= part(address, tenure);
        if let Some(before) = self.all.insert(address, tenure) {
            self.digest ^= part(address, before);
        }
        Heard::New
    }

    /// Services have these addresses and no others. Those that they had are forgotten; was there one? What somebody else says of
    /// others stays: he may have heard of their services first, and tables must become the same.
    pub(super) fn keep(&mut self, in_use: BTreeSet<IpAddr>) -> bool {
        let before = self.in_use.replace(in_use);
        let is_in_use =
            |address: &&IpAddr| self.in_use.as_ref().is_some_and(|in_use| in_use.contains(*address));
        let gone: Vec<IpAddr> =
            before.iter().flatten().filter(|address| !is_in_use(address)).copied().collect();
        let mut any = false;
        for address in gone {
            if let Some(tenure) = self.all.remove(&address) {
                self.digest ^= part(address, tenure);
                self.count -= 1;
                any = true;
            }
        }
        any
    }

    /// All that is known.
    pub(super) const fn all(&self) -> &SharedMap<IpAddr, Tenure> {
        &self.all
    }

    /// The whole in short.
    pub(super) const fn digest(&self) -> u64 {
        self.digest
    }
}

/// What one entry is of the digest.
fn part(address: IpAddr, Tenure { epoch, owner }: Tenure) -> u64 {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let entry = [&address.octets()[..], &epoch.to_be_bytes(), &owner.0.to_be_bytes()].concat();
    let digest = digest(&SHA256, &entry);
    digest.as_ref().iter().take(8).fold(0, |part, octet| (part << 8) | u64::from(*octet))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn claim((last, epoch, owner): (u8, u64, u64)) -> Claim {
        Claim { address: address(last), tenure: Tenure { epoch, owner: NodeId(owner) } }
    }

    #[test]
    fn the_later_epoch_counts_and_then_the_greater_id() {
        let mut tenures = Tenures::default();
        assert_eq!(tenures.hear(claim((1, 1, 5))), Heard::New);
        assert_eq!(tenures.hear(claim((1, 1, 5))), Heard::Known);
        assert_eq!(tenures.hear(claim((1, 1, 4))), Heard::Late(claim((1, 1, 5)).tenure));
        assert_eq!(tenures.hear(claim((1, 1, 6))), Heard::New);
        assert_eq!(tenures.hear(claim((1, 2, 1))), Heard::New);
        assert_eq!(Tenure::following(tenures.all().get(&address(1)), NodeId(9)).epoch, 3);
        assert_eq!(Tenure::following(None, NodeId(9)).epoch, 1);
    }

    #[test]
    fn what_no_service_has_any_more_is_forgotten_and_what_none_has_yet_is_not() {
        let mut tenures = Tenures::default();
        tenures.keep([address(1), address(2)].into());
        tenures.hear(claim((1, 1, 5)));
        tenures.hear(claim((2, 1, 5)));
        assert!(tenures.keep([address(2)].into()));
        assert!(tenures.all().keys().eq([&address(2)]));
        assert_eq!(tenures.hear(claim((3, 1, 6))), Heard::New);
        assert!(!tenures.keep([address(2), address(3)].into()));
        assert!(tenures.all().keys().eq([&address(2), &address(3)]));
    }

    #[test]
    fn an_epoch_after_which_there_could_be_no_other_is_nobodys() {
        let mut tenures = Tenures::default();
        assert_eq!(tenures.hear(claim((1, u64::MAX, 5))), Heard::Known);
        assert_eq!(tenures.hear(claim((1, 1, 5))), Heard::New);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let mut tenures = Tenures::default();
        for number in 0..=u32::try_from(MOST).unwrap() {
            let tenure = Tenure { epoch: 1, owner: NodeId(1) };
            tenures.hear(Claim { address: IpAddr::from(number.to_be_bytes()), tenure });
        }
        assert_eq!(tenures.all().iter().count(), MOST);
    }

    proptest! {
        #[test]
        fn who_heard_the_same_has_the_same_in_whatever_order(
            claims in vec((0..8_u8, 0..4_u64, 0..4_u64), 0..60).prop_shuffle(), rotation in 0..60_usize,
        ) {
            let of = |claims: &[(u8, u64, u64)]| {
                let mut tenures = Tenures::default();
                for it in claims {
                    tenures.hear(claim(*it));
                }
                tenures
            };
            let mut others = claims.clone();
            others.rotate_left(rotation % claims.len().max(1));
            let (one, other) = (of(&claims), of(&others));
            prop_assert_eq!(one.all(), other.all());
            prop_assert_eq!(one.digest(), other.digest());
            prop_assert_eq!(one.digest() == 0, claims.is_empty());
        }
    }
}
