//! From the objects of the API server to the checked configuration, and for every object that cannot be part of it, why.
//!
//! One function, [`parse`], for everybody: what admission accepts and what runs cannot differ. Errors are per object:
//! an invalid one is set aside by name, and the rest is in force.
//!
//! Not here: last good values, which die with a process and so must not matter.

mod l2_advertisement;
mod pool;
mod selector;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use metallb_core::config::Config;
use metallb_core::refusal::{ConfigRefusal, Kind, ObjectRef, ObjectRefusal};

use crate::{IPAddressPool, L2Advertisement};

/// An object as it is stored: readable as its kind, or not. The API server may hold ones that predate its schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored<K> {
    /// It has the shape of its kind.
    Readable(K),
    /// It has not.
    Unreadable {
        /// What could be read of it.
        metadata: Box<ObjectMeta>,
        /// What the decoder says.
        error: String,
    },
}

impl<K> From<Result<K, InvalidObject>> for Stored<K> {
    fn from(read: Result<K, InvalidObject>) -> Self {
        match read {
            Ok(object) => Self::Readable(object),
            Err(InvalidObject { error, metadata }) => {
                Self::Unreadable { metadata: Box::new(metadata), error }
            }
        }
    }
}

/// The objects of MetalLB's namespace that make up the configuration, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// IPAddressPools.
    pub pools: BTreeMap<String, Stored<IPAddressPool>>,
    /// L2Advertisements.
    pub l2_advertisements: BTreeMap<String, Stored<L2Advertisement>>,
}

/// The configuration, and what is no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// What is valid, and in force.
    pub config: Config,
    /// What was set aside, in the order of kinds and names.
    pub refusals: Vec<ObjectRefusal>,
}

/// Checks `objects`. Total: there is always a configuration, if only an empty one.
pub fn parse(objects: &Objects) -> Parsed {
    let mut parsed = Parsed::default();
    pool::parse_all(&objects.pools, &mut parsed);
    l2_advertisement::parse_all(&objects.l2_advertisements, &mut parsed);
    parsed.refusals.sort_by(|one, other| one.object.cmp(&other.object));
    parsed
}

impl Parsed {
    fn refuse(&mut self, kind: Kind, name: &str, refusal: ConfigRefusal) {
        self.refusals.push(ObjectRefusal { object: ObjectRef { kind, name: name.to_owned() }, refusal });
    }
}
