//! Objects near to the samples, and others: read, checked, admitted and converted without a panic, with one answer,
//! which says what is wrong.

#![allow(clippy::unwrap_used)] // all of this file is a test

use std::fs;
use std::path::Path;

use metallb_core::refusal::{Kind, Refusal as _};
use metallb_crds::admission::{Change, Object, review};
use metallb_crds::config::{Objects, Parsed, parse};
use metallb_crds::conversion::{Version, convert};
use metallb_fuzz::{Found, mutated_text, run};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

const KINDS: [(&str, Kind); 6] = [
    ("IPAddressPool", Kind::IpAddressPool),
    ("L2Advertisement", Kind::L2Advertisement),
    ("BGPAdvertisement", Kind::BgpAdvertisement),
    ("BGPPeer", Kind::BgpPeer),
    ("BFDProfile", Kind::BfdProfile),
    ("Community", Kind::Community),
];

/// The samples of the six kinds, and a peer with what samples leave out.
fn samples() -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples");
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let yaml = files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let mut samples: Vec<Value> =
        yaml.map(|path| serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()).collect();
    samples.retain(|sample| kind_of(sample).is_some());
    assert!(samples.len() >= 6, "every kind has a sample");
    samples.push(json!({
        "apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": { "name": "rare" },
        "spec": {
            "myASN": 4_294_967_295_u32, "peerASN": 1, "localASN": 7, "interface": "eth0", "vrf": "red",
            "routerID": "10.0.0.9", "sourceAddress": "fd00::1", "holdTime": "1h30m0.5s", "keepaliveTime": "1.5s",
            "connectTime": "65535s", "password": "secret", "disableMP": true,
            "nodeSelectors": [{ "matchExpressions": [{ "key": "rack", "operator": "NotIn", "values": ["1"] }] }],
        },
    }));
    samples
}

fn kind_of(object: &Value) -> Option<Kind> {
    let kind = object.get("kind")?.as_str()?;
    KINDS.into_iter().find(|(name, _)| *name == kind).map(|(_, kind)| kind)
}

/// A change to one place in an object.
#[derive(Clone, Debug)]
enum Edit {
    Put(Value),
    Text(String),
    Number(i64),
    Remove,
    Wrap,
    Twice,
}

fn odd() -> Vec<Value> {
    let deep = (0..60).fold(json!(1), |inner, _| json!([inner]));
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(""),
        json!([]),
        json!({}),
        json!([null]),
        json!({ "": null }),
        json!("x".repeat(10_000)),
        deep,
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let texts =
        &["90s", "1h30m", "-1s", "9223372036854775807ns", "192.0.2.0/24", "64512:100", "a", "In", "10.0.0.1"];
    prop_oneof![
        2 => select(odd()).prop_map(Edit::Put),
        4 => mutated_text(texts).prop_map(Edit::Text),
        2 => prop_oneof![any::<i64>(), -2_i64..300].prop_map(Edit::Number),
        2 => Just(Edit::Remove),
        1 => Just(Edit::Wrap),
        1 => Just(Edit::Twice),
    ]
}

/// Changes the place that `at` names among all there are.
fn apply(object: &mut Value, at: usize, edit: &Edit) {
    let mut left = at;
    change(object, &mut left, edit);
}

fn places(value: &Value) -> usize {
    let inside: usize = match value {
        Value::Array(items) => items.iter().map(places).sum(),
        Value::Object(fields) => fields.values().map(places).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    };
    inside + 1
}

/// Counts `left` down over the places, and changes the one it reaches. True: that one is to be taken out.
fn change(value: &mut Value, left: &mut usize, edit: &Edit) -> bool {
    if *left == 0 {
        *left = usize::MAX;
        match edit {
            Edit::Put(other) => *value = other.clone(),
            Edit::Text(text) => *value = json!(text),
            Edit::Number(number) => *value = json!(number),
            Edit::Remove => return true,
            Edit::Wrap => *value = json!([value.clone()]),
            Edit::Twice => {
                if let Value::Array(items) = value {
                    items.extend(items.clone());
                }
            }
        }
        return false;
    }
    *left = left.saturating_sub(1);
    match value {
        Value::Array(items) => items.retain_mut(|item| *left == usize::MAX || !change(item, left, edit)),
        Value::Object(fields) => {
            let kept = std::mem::take(fields).into_iter();
            *fields = kept
                .filter_map(|(key, mut field)| {
                    let gone = *left != usize::MAX && change(&mut field, left, edit);
                    (!gone).then_some((key, field))
                })
                .collect::<Map<_, _>>();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    false
}

fn object() -> impl Strategy<Value = Value> {
    (select(samples()), vec((any::<Index>(), edit()), 0..4)).prop_map(|(mut object, edits)| {
        for (at, edit) in edits {
            let place = at.index(places(&object));
            apply(&mut object, place, &edit);
        }
        object
    })
}

/// An object, and as what it is read: most often as what it says.
fn placed() -> impl Strategy<Value = (Kind, Value)> {
    (object(), select(KINDS.to_vec()), 0_u8..20).prop_map(|(object, (_, other), chance)| {
        let kind = kind_of(&object).filter(|_| chance > 0).unwrap_or(other);
        (kind, object)
    })
}

fn explained(parsed: &Parsed) -> Result<(), TestCaseError> {
    for refusal in &parsed.refusals {
        prop_assert!(!refusal.sentence().is_empty() && !refusal.summary().is_empty());
        prop_assert!(!refusal.fix().is_empty(), "{}", refusal.code());
    }
    Ok(())
}

#[test]
fn any_objects_make_a_configuration_and_every_no_has_a_reason() -> Result<(), Found> {
    run(vec(placed(), 1..6), |raw| {
        let mut objects = Objects::default();
        for (n, (kind, object)) in raw.into_iter().enumerate() {
            let mut object = object;
            if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
                metadata.insert("name".to_owned(), json!(format!("o{n}")));
            }
            objects.put(Object::read(kind, &object));
        }
        let parsed = parse(&objects);
        explained(&parsed)?;
        prop_assert_eq!(&parsed, &parse(&objects), "there is one answer");
        Ok(())
    })
}

#[test]
fn any_edit_is_decided_on_and_a_refusal_says_why() -> Result<(), Found> {
    run((vec(placed(), 0..4), placed(), object(), 0_u8..3), |(before, (kind, object), other, operation)| {
        let mut stored = Objects::default();
        for (kind, object) in &before {
            stored.put(Object::read(*kind, object));
        }
        let (new, old) = (Object::read(kind, &object), Object::read(kind, &other));
        let change = match operation {
            0 => Change::Create(new),
            1 => Change::Update { old, new },
            _ => Change::Delete(new),
        };
        let decision = review(&stored, change.clone(), "metallb-system");
        prop_assert!(decision.denials.iter().chain(&decision.warnings).all(|text| !text.is_empty()));
        prop_assert_eq!(decision, review(&stored, change, "metallb-system"));
        Ok(())
    })
}

/// The objects of the schema come back as they were: a property of `conversion` itself. Here are those that do not fit it.
#[test]
fn any_peer_is_converted_or_refused_and_what_was_made_of_it_can_be_converted_back() -> Result<(), Found> {
    run(object(), |object| {
        for (to, back) in [(Version::V1Beta1, Version::V1Beta2), (Version::V1Beta2, Version::V1Beta1)] {
            let Ok(there) = convert(object.clone(), to) else { continue };
            if there == object {
                continue; // It was of that version, which is not looked into.
            }
            let here = convert(there, back);
            prop_assert!(here.is_ok(), "{:?}", here);
            prop_assert_eq!(&here.unwrap()["apiVersion"], &object["apiVersion"]);
        }
        Ok(())
    })
}
