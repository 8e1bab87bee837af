//! `BGPPeer` from one of its versions into the other, without loss.
//!
//! v1beta1 lacks fields of v1beta2, and tells "no port" from port 179. What a version cannot say goes along in an
//! annotation, and is restored on the way back, as far as it still fits: a field that was edited in between keeps the
//! edit. So a client of either version reads, edits and writes objects of the other, and loses nothing.
//!
//! Works on JSON: an object that is stored must be readable in both versions, even if a field of it is not valid.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::GROUP;

/// The versions of `BGPPeer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The deprecated one.
    V1Beta1,
    /// The one that is stored.
    V1Beta2,
}

/// Why an object cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotConvert {
    /// It is of another kind.
    #[error("{0:?} is no BGPPeer")]
    NotAPeer(String),
    /// There is no such version.
    #[error("{0:?} is no version of BGPPeer; there are metallb.io/v1beta1 and metallb.io/v1beta2")]
    UnknownVersion(String),
    /// Its metadata cannot hold what has to go along.
    #[error("metadata is no object")]
    Metadata,
}

const KIND: &str = "BGPPeer";
/// The port of a router that names none.
const PORT: u16 = 179;
/// Fields that v1beta1 knows. `peerPort` is not the same there, nor are the two that it insists on.
const IN_BOTH: [&str; 8] = [
    "myASN",
    "sourceAddress",
    "holdTime",
    "keepaliveTime",
    "routerID",
    "password",
    "bfdProfile",
    "ebgpMultiHop",
];

impl Version {
    /// Reads `metallb.io/v1beta1` and the like.
    pub fn parse(api_version: &str) -> Result<Self, CannotConvert> {
        match api_version.split_once('/') {
            Some((GROUP, "v1beta1")) => Ok(Self::V1Beta1),
            Some((GROUP, "v1beta2")) => Ok(Self::V1Beta2),
            Some(_) | None => Err(CannotConvert::UnknownVersion(api_version.to_owned())),
        }
    }

    const fn api_version(self) -> &'static str {
        match self {
            Self::V1Beta1 => "metallb.io/v1beta1",
            Self::V1Beta2 => "metallb.io/v1beta2",
        }
    }

    /// The annotation in which fields of this version travel through the other one.
    const fn annotation(self) -> &'static str {
        match self {
            Self::V1Beta1 => "metallb.io/v1beta1-fields",
            Self::V1Beta2 => "metallb.io/v1beta2-fields",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::V1Beta1 => Self::V1Beta2,
            Self::V1Beta2 => Self::V1Beta1,
        }
    }

    /// A spec of the other version in this one, as far as this one can say it.
    fn translate(self, spec: &Map<String, Value>) -> Map<String, Value> {
        match self {
            Self::V1Beta1 => down(spec),
            Self::V1Beta2 => up(spec),
        }
    }
}

/// Converts `object` into version `to`. An object that is of it already stays as it is.
pub fn convert(mut object: Value, to: Version) -> Result<Value, CannotConvert> {
    let text = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let kind = text(&object, "kind");
    if kind != KIND {
        return Err(CannotConvert::NotAPeer(kind));
    }
    if Version::parse(&text(&object, "apiVersion"))? == to {
        return Ok(object);
    }
    // Others than the API server may ask too, and everything below writes into these.
    if !matches!(object.get("metadata"), None | Some(Value::Null | Value::Object(_))) {
        return Err(CannotConvert::Metadata);
    }
    let from = to.other();
    object["apiVersion"] = to.api_version().into();
    let Some(spec) = object.get("spec").and_then(Value::as_object).cloned() else { return Ok(object) };
    let carried = take_annotation(&mut object, to.annotation());
    let converted = restore(to, &spec, carried);
    let lost = lost(from, &spec, &converted);
    if !lost.is_empty() {
        put_annotation(&mut object, from.annotation(), &Value::Object(lost).to_string());
    }
    object["spec"] = Value::Object(converted);
    Ok(object)
}

/// `spec` in version `to`, with the fields that were `carried` along, as far as they still say what `spec` says.
fn restore(to: Version, spec: &Map<String, Value>, carried: Map<String, Value>) -> Map<String, Value> {
    let plain = to.translate(spec);
    let mut restored = plain.clone();
    for (field, value) in carried {
        let mut candidate = restored.clone();
        put(&mut candidate, field, value);
        if to.other().translate(&candidate) == to.other().translate(&restored) {
            restored = candidate;
        }
    }
    restored
}

/// The fields of `spec`, of version `of`, that `converted` does not give back. `null` is a field to be left out.
fn lost(of: Version, spec: &Map<String, Value>, converted: &Map<String, Value>) -> Map<String, Value> {
    let back = of.translate(converted);
    let fields = spec.keys().chain(back.keys().filter(|field| !spec.contains_key(*field)));
    fields
        .filter(|field| spec.get(*field) != back.get(*field))
        .map(|field| (field.clone(), spec.get(field).cloned().unwrap_or(Value::Null)))
        .collect()
}

fn put(spec: &mut Map<String, Value>, field: String, value: Value) {
    match value {
        Value::Null => drop(spec.remove(&field)),
        value => drop(spec.insert(field, value)),
    }
}

/// v1beta1 to v1beta2, whose defaults are filled in as the API server would.
fn up(spec: &Map<String, Value>) -> Map<String, Value> {
    let mut newer = in_both(spec);
    let port = spec.get("peerPort").filter(|port| **port != 0).cloned();
    newer.insert("peerPort".into(), port.unwrap_or_else(|| PORT.into()));
    newer.insert("disableMP".into(), false.into());
    newer.insert("dualStackAddressFamily".into(), false.into());
    let given = |field: &str, nothing: &Value| spec.get(field).filter(|value| *value != nothing).cloned();
    if let Some(asn) = given("peerASN", &json!(0)) {
        newer.insert("peerASN".into(), asn);
    }
    if let Some(address) = given("peerAddress", &json!("")) {
        newer.insert("peerAddress".into(), address);
    }
    if let Some(selectors) = spec.get("nodeSelectors") {
        newer.insert("nodeSelectors".into(), selectors.clone());
    }
    newer
}

/// v1beta2 to v1beta1, which insists on `peerASN`, `peerAddress` and the values of every expression. Port 179 is what
/// no port at all means there.
fn down(spec: &Map<String, Value>) -> Map<String, Value> {
    let mut older = in_both(spec);
    let or = |field: &str, nothing: Value| spec.get(field).cloned().unwrap_or(nothing);
    older.insert("peerASN".into(), or("peerASN", json!(0)));
    older.insert("peerAddress".into(), or("peerAddress", json!("")));
    if let Some(port) = spec.get("peerPort").filter(|port| **port != json!(PORT)) {
        older.insert("peerPort".into(), port.clone());
    }
    if let Some(selectors) = spec.get("nodeSelectors") {
        let mut selectors = selectors.clone();
        for selector in selectors.as_array_mut().into_iter().flatten() {
            let expressions = selector.get_mut("matchExpressions").and_then(Value::as_array_mut);
            for expression in expressions.into_iter().flatten().filter_map(Value::as_object_mut) {
                expression.entry("values").or_insert_with(|| json!([]));
            }
        }
        older.insert("nodeSelectors".into(), selectors);
    }
    older
}

fn in_both(spec: &Map<String, Value>) -> Map<String, Value> {
    let known = |field: &&str| spec.get(*field).map(|value| ((*field).to_owned(), value.clone()));
    IN_BOTH.iter().filter_map(known).collect()
}

/// What travelled in that annotation, which goes. One that somebody has damaged carries nothing.
fn take_annotation(object: &mut Value, name: &str) -> Map<String, Value> {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return Map::new() };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else {
        return Map::new();
    };
    let carried = annotations.remove(name);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    carried
        .as_ref()
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn put_annotation(object: &mut Value, name: &str, value: &str) {
    // `null` where an object belongs would be one by indexing; anything else there is not ours to replace.
    let metadata = &mut object["metadata"];
    if metadata["annotations"].is_null() {
        metadata["annotations"] = json!({});
    }
    if let Some(annotations) = metadata["annotations"].as_object_mut() {
        annotations.insert(name.to_owned(), value.into());
    }
}
