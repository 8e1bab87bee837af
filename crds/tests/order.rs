//! The samples may be applied in any order.

#![allow(clippy::panic, clippy::unwrap_used)] // all of this file is a test

use std::fs;
use std::path::Path;

use metallb_core::refusal::Kind;
use metallb_crds::admission::{Change, Object, review};
use metallb_crds::config::Objects;
use metallb_crds::conversion::{Version, convert};
use serde_json::Value;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples");

/// There are half a billion orders, but whether an object may be added depends only on which others are there: so
/// it is enough to try every object beside every subset of the others.
#[test]
fn every_permutation_of_the_samples_passes() {
    let samples = samples();
    assert!((10..20).contains(&samples.len()), "{} samples: is it still possible to try all?", samples.len());
    for subset in 0_u32..1 << samples.len() {
        let is_there = |index: usize| subset & (1 << index) != 0;
        let mut there = Objects::default();
        for (_, sample) in samples.iter().enumerate().filter(|(index, _)| is_there(*index)) {
            put(sample, &mut there);
        }
        for (_, sample) in samples.iter().enumerate().filter(|(index, _)| !is_there(*index)) {
            let decision = review(&there, Change::Create(sample.clone()), "metallb-system");
            assert_eq!(decision.denials, [""; 0], "{:?} beside subset {subset:b}", sample.reference());
        }
    }
}

fn put(sample: &Object, objects: &mut Objects) {
    let name = sample.reference().name;
    match sample.clone() {
        Object::Pool(stored) => drop(objects.pools.insert(name, stored)),
        Object::L2Advertisement(stored) => drop(objects.l2_advertisements.insert(name, stored)),
        Object::BgpAdvertisement(stored) => drop(objects.bgp_advertisements.insert(name, stored)),
        Object::BgpPeer(stored) => drop(objects.bgp_peers.insert(name, stored)),
        Object::BfdProfile(stored) => drop(objects.bfd_profiles.insert(name, stored)),
        Object::Community(stored) => drop(objects.communities.insert(name, stored)),
    }
}

/// Those of the configuration; peers as the webhook sees them, in v1beta2.
fn samples() -> Vec<Object> {
    let mut files: Vec<_> =
        fs::read_dir(Path::new(SAMPLES)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.is_file()); // setups are below, each for itself
    files.sort();
    let read = |path: &std::path::PathBuf| -> Value {
        serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let kind = |object: &Value| match object["kind"].as_str().unwrap() {
        "IPAddressPool" => Some(Kind::IpAddressPool),
        "L2Advertisement" => Some(Kind::L2Advertisement),
        "BGPAdvertisement" => Some(Kind::BgpAdvertisement),
        "BGPPeer" => Some(Kind::BgpPeer),
        "BFDProfile" => Some(Kind::BfdProfile),
        "Community" => Some(Kind::Community),
        "MetalLB" => None,
        other => panic!("is {other} part of the configuration?"),
    };
    let object = |path: &std::path::PathBuf| {
        let object = read(path);
        let kind = kind(&object)?;
        let object = if kind == Kind::BgpPeer { convert(object, Version::V1Beta2).unwrap() } else { object };
        Some(Object::read(kind, &object))
    };
    files.iter().filter_map(object).collect()
}
