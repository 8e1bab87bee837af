//! The samples are what users start from: each must be read without loss, and every kind that users write must have one.

#![allow(clippy::panic, clippy::unwrap_used)] // all of this file is a test

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use metallb_crds::bgp_peer::v1beta1;
use metallb_crds::{
    BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, L2Advertisement, MetalLB, read, schema,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/samples");

#[test]
fn every_field_of_a_sample_is_understood() {
    for (file, object) in samples() {
        let read = round_trip(&object).unwrap_or_else(|reason| panic!("{file}: {reason}"));
        let lost = lost("", &object, &read);
        assert!(lost.is_empty(), "{file}: not understood: {lost:?}");
    }
}

#[test]
fn a_misspelt_field_is_noticed() {
    let object: Value = serde_saphyr::from_str(
        "{apiVersion: metallb.io/v1beta1, kind: L2Advertisement, metadata: {name: x}, spec: {interface: [eth0]}}",
    )
    .unwrap();
    assert_eq!(lost("", &object, &round_trip(&object).unwrap()), [".spec.interface"]);
}

#[test]
fn every_kind_that_users_write_has_a_sample_of_every_version() {
    let written_by_us = ["BGPNodeStatus", "ConfigurationState", "ServiceBGPStatus", "ServiceL2Status"];
    let mut wanted = BTreeSet::new();
    for definition in schema::all() {
        let kind = definition.spec.names.kind;
        for version in definition.spec.versions {
            if !written_by_us.contains(&kind.as_str()) {
                wanted.insert(format!("metallb.io/{} {kind}", version.name));
            }
        }
    }
    let found: BTreeSet<String> = samples().iter().map(|(_, object)| version_and_kind(object)).collect();
    assert_eq!(found, wanted);
}

#[test]
fn samples_belong_to_the_namespace_of_metallb_and_explain_themselves() {
    for (file, object) in samples() {
        assert_eq!(object["metadata"]["namespace"], "metallb-system", "{file}");
        let text = fs::read_to_string(PathBuf::from(SAMPLES).join(&file)).unwrap();
        assert!(text.starts_with("# "), "{file}: what is it for?");
    }
}

fn samples() -> Vec<(String, Value)> {
    let mut samples = Vec::new();
    for entry in fs::read_dir(SAMPLES).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let object = serde_saphyr::from_str(&fs::read_to_string(path).unwrap());
            samples.push((file.clone(), object.unwrap_or_else(|error| panic!("{file}: {error}"))));
        }
    }
    samples.sort_by(|(a, _), (b, _)| a.cmp(b));
    samples
}

fn version_and_kind(object: &Value) -> String {
    let text = |key: &str| object[key].as_str().unwrap().to_owned();
    format!("{} {}", text("apiVersion"), text("kind"))
}

fn round_trip(object: &Value) -> Result<Value, String> {
    fn through<K: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, String> {
        let read: K = read(object).map_err(|malformed| malformed.to_string())?;
        serde_json::to_value(read).map_err(|error| error.to_string())
    }
    match version_and_kind(object).as_str() {
        "metallb.io/v1beta1 BFDProfile" => through::<BFDProfile>(object),
        "metallb.io/v1beta1 BGPAdvertisement" => through::<BGPAdvertisement>(object),
        "metallb.io/v1beta1 BGPPeer" => through::<v1beta1::BGPPeer>(object),
        "metallb.io/v1beta2 BGPPeer" => through::<BGPPeer>(object),
        "metallb.io/v1beta1 Community" => through::<Community>(object),
        "metallb.io/v1beta1 IPAddressPool" => through::<IPAddressPool>(object),
        "metallb.io/v1beta1 L2Advertisement" => through::<L2Advertisement>(object),
        "metallb.io/v1beta1 MetalLB" => through::<MetalLB>(object),
        other => Err(format!("users do not write {other}")),
    }
}

/// The paths of all that is in `before` and not, or not the same, in `after`.
fn lost(path: &str, before: &Value, after: &Value) -> Vec<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before
            .iter()
            .flat_map(|(key, value)| {
                lost(&format!("{path}.{key}"), value, after.get(key).unwrap_or(&Value::Null))
            })
            .collect(),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => before
            .iter()
            .zip(after)
            .enumerate()
            .flat_map(|(index, (before, after))| lost(&format!("{path}[{index}]"), before, after))
            .collect(),
        _ if before == after => Vec::new(),
        _ => vec![path.to_owned()],
    }
}
