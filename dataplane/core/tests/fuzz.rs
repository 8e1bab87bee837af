//! The readers of what users write, under texts near to valid ones: ranges, addresses, communities.

use metallb_core::address::{AddressRange, Family, parse_address};
use metallb_core::config::Community;
use metallb_fuzz::{Found, mutated_text, run};
use proptest::prelude::*;

const RANGES: &[&str] = &[
    "192.0.2.0/24",
    "192.0.2.10-192.0.2.20",
    " 192.0.2.10 - 192.0.2.20 ",
    "0.0.0.0/0",
    "::/0",
    "fd00::/120",
    "fd00::10-fd00::20",
    "::ffff:192.0.2.0-::ffff:192.0.2.255",
    "::ffff:192.0.2.0/120",
    "192.0.2.1",
];

#[test]
fn any_text_is_a_range_or_refused() -> Result<(), Found> {
    run(mutated_text(RANGES), |text| {
        match AddressRange::parse(&text) {
            Ok(range) => {
                let (first, last) = (range.first(), range.last());
                prop_assert!(first <= last && Family::of(first) == Family::of(last));
                prop_assert!(range.contains(first) && range.contains(last) && range.size() > 0);
                prop_assert!(range.buggy() <= range.size());
                prop_assert_eq!(AddressRange::parse(&range.to_string()), Ok(range));
            }
            Err(why) => prop_assert!(!why.to_string().is_empty()),
        }
        Ok(())
    })
}

#[test]
fn any_text_is_an_address_or_none() -> Result<(), Found> {
    run(mutated_text(&["192.0.2.1", "fd00::1", " ::ffff:192.0.2.1 ", "fe80::1%eth0", "0.0.0.0"]), |text| {
        if let Some(address) = parse_address(&text) {
            prop_assert_eq!(parse_address(&address.to_string()), Some(address));
            prop_assert_eq!(address, address.to_canonical(), "an address has one form");
        }
        Ok(())
    })
}

#[test]
fn any_text_is_a_community_or_refused() -> Result<(), Found> {
    run(mutated_text(&["64512:100", "65535:65281", "large:4294967295:2:3", "0:0"]), |text| {
        if let Ok(community) = text.parse::<Community>() {
            prop_assert_eq!(community.to_string().parse(), Ok(community));
            prop_assert!(text.is_ascii(), "other digits than these are none");
        }
        Ok(())
    })
}
