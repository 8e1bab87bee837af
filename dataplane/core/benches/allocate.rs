//! How long the books take to give, and to settle anew after pools have changed. Part of `make bench`.

#![allow(clippy::disallowed_methods)] // a benchmark is about the clock

use std::net::IpAddr;
use std::time::Instant;

use metallb_core::address::{AddressRange, Family};
use metallb_core::config::{Pool, Pools};
use metallb_core::ipam::{Books, Claim, FamilyDemand, Namespaces, Port, Protocol, SharingTerms, Vips};
use metallb_core::names::ServiceKey;

/// Addresses taken before one more is asked for.
const TAKEN: usize = 60_000;

fn pools(ranges: &[&str]) -> Pools {
    let ranges = ranges.iter().map(|range| AddressRange::parse(range).expect("a range")).collect();
    let mut pools = Pools::default();
    pools.insert(Pool::new("lab".into(), ranges).expect("a pool")).expect("the only one");
    pools
}

fn key(n: usize) -> ServiceKey {
    ServiceKey::new("default", format!("service-{n:06}"))
}

fn claim(held: Vec<IpAddr>) -> Claim {
    Claim {
        created: 0,
        is_load_balancer: true,
        is_marked: !held.is_empty(),
        labels: [].into(),
        held: Ok(held),
        families: Ok(FamilyDemand::Only(Family::V4)),
        requested: Ok(None),
        requested_pool: None,
        sharing: SharingTerms::default(),
        ports: [Port { protocol: Protocol::Tcp, number: 80 }].into(),
    }
}

fn give(books: &mut Books, pools: &Pools, n: usize) -> Vips {
    let settlement = books.settle(&key(n), &claim(Vec::new()), pools, &Namespaces::new());
    settlement.vips.expect("the pool is not full")
}

fn main() {
    let before = pools(&["10.0.0.0/16"]);
    let mut books = Books::default();
    let start = Instant::now();
    let mut held = Vec::new();
    for n in 0..65_536 {
        held.push(give(&mut books, &before, n).to_vec());
    }
    let full = start.elapsed().as_secs_f64();
    println!("allocate: a /16 filled in {:.0} ms, {:.1} µs each", full * 1e3, full * 1e6 / 65_536.0);

    for n in TAKEN..65_536 {
        books.delete(&key(n));
    }
    let start = Instant::now();
    for n in TAKEN..TAKEN + 1_000 {
        give(&mut books, &before, n);
        books.delete(&key(n));
    }
    println!("allocate: one more with {TAKEN} taken: {:.1} µs", start.elapsed().as_secs_f64() * 1e3);

    // Half of the addresses leave the pools: their holders move, everybody is looked at.
    let after = pools(&["10.0.0.0/17", "10.1.0.0/16"]);
    let start = Instant::now();
    for (n, held) in held.into_iter().take(TAKEN).enumerate() {
        books.settle(&key(n), &claim(held), &after, &Namespaces::new());
    }
    println!(
        "allocate: pools replaced with {TAKEN} taken, {} moved: {:.0} ms",
        TAKEN - 32_768,
        start.elapsed().as_secs_f64() * 1e3
    );
}
