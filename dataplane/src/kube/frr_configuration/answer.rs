//! What the API server made of an object: what it dropped, and why it refused.

use std::collections::BTreeSet;

use kube::core::Status;
use metallb_core::names::PeerName;
use metallb_core::refusal::FrrRefusal;
use serde_json::Value;

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// The object is no longer what it was thought to be: the watch will tell.
    Stale,
    /// Peers that the object is refused for.
    Peers(Vec<(PeerName, FrrRefusal)>),
    /// Somebody has to do something about it.
    Standing(FrrRefusal),
    /// It may be better the next time.
    Passing(String),
}

/// The place of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'p> {
    pub(super) namespace: &'p str,
    pub(super) name: &'p str,
}

impl Trouble {
    /// What the API server's answer means for the object at `place`, whose neighbours are those of the peers `places`.
    pub(super) fn of(error: kube::Error, place: Place<'_>, places: &[Vec<PeerName>]) -> Self {
        let kube::Error::Api(status) = error else {
            let text = anyhow::Error::new(error);
            return Self::Passing(format!("{text:#}"));
        };
        let error = status.message.clone();
        let rejected =
            || Self::Standing(FrrRefusal::Rejected { name: place.name.to_owned(), error: error.clone() });
        if error.contains("webhook") {
            return rejected();
        }
        match status.code {
            409 => Self::Stale,
            404 => not_found(&status, place),
            403 => Self::Standing(FrrRefusal::Forbidden { namespace: place.namespace.to_owned(), error }),
            400 | 422 => peers(&status, places).unwrap_or_else(rejected),
            _ => Self::Passing(error),
        }
    }
}

fn not_found(status: &Status, place: Place<'_>) -> Trouble {
    match &status.details {
        Some(details) if details.kind == "namespaces" => {
            Trouble::Standing(FrrRefusal::NoNamespace { namespace: place.namespace.to_owned() })
        }
        Some(details) if details.name == place.name => Trouble::Stale,
        _ => Trouble::Standing(FrrRefusal::NotInstalled),
    }
}

/// The peers that are to blame; `None` if there is any other cause.
fn peers(status: &Status, places: &[Vec<PeerName>]) -> Option<Trouble> {
    // About nothing in particular: that other rules were not looked at, for the time being.
    let causes = status.details.as_ref()?.causes.iter().filter(|cause| cause.field != "<nil>");
    let blamed = |cause: &kube::core::response::StatusCause| {
        let (peer, rest) = neighbour(&cause.field, places)?;
        let error = format!("{rest}: {}", cause.message);
        Some((peer.clone(), FrrRefusal::PeerRejected { peer: peer.clone(), error }))
    };
    let peers: Option<Vec<_>> = causes.map(blamed).collect();
    peers.filter(|peers| !peers.is_empty()).map(Trouble::Peers)
}

/// Whose `spec.bgp.routers[_].neighbors[_]` a field is in, and the rest of its path.
fn neighbour<'p, 'f>(field: &'f str, places: &'p [Vec<PeerName>]) -> Option<(&'p PeerName, &'f str)> {
    let (router, rest) = field.strip_prefix("spec.bgp.routers[")?.split_once("].neighbors[")?;
    let (neighbour, rest) = rest.split_once(']')?;
    let peer = places.get(router.parse::<usize>().ok()?)?.get(neighbour.parse::<usize>().ok()?)?;
    Some((peer, rest.strip_prefix('.').unwrap_or(rest)))
}

/// What is in `sent` and not in `kept`: fields that this API does not know.
pub(super) fn dropped(sent: &Value, kept: &Value, places: &[Vec<PeerName>]) -> Vec<FrrRefusal> {
    let mut fields = BTreeSet::new();
    missing("spec", sent, kept, &mut fields);
    let refusal = |field: String| match neighbour(&field, places) {
        Some((peer, field)) => FrrRefusal::UnknownField { peer: Some(peer.clone()), field: field.to_owned() },
        None => FrrRefusal::UnknownField { peer: None, field },
    };
    fields.into_iter().map(refusal).collect()
}

fn missing(path: &str, sent: &Value, kept: &Value, fields: &mut BTreeSet<String>) {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => {
            for (name, sent) in sent {
                let path = format!("{path}.{name}");
                match kept.get(name) {
                    Some(kept) => missing(&path, sent, kept, fields),
                    None => drop(fields.insert(path)),
                }
            }
        }
        (Value::Array(sent), Value::Array(kept)) => {
            for (index, (sent, kept)) in sent.iter().zip(kept).enumerate() {
                missing(&format!("{path}[{index}]"), sent, kept, fields);
            }
        }
        _ => {}
    }
}
