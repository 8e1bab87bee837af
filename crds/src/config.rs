//! From the objects of the API server to the checked configuration, and for every object that cannot be part of it, why.
//!
//! One function, [`parse`], for everybody: what admission accepts and what runs cannot differ. Errors are per object:
//! an invalid one is set aside by name, and the rest is in force.
//!
//! Not here: last good values, which die with a process and so must not matter.

mod l2_advertisement;
mod objects;
mod pool;
mod selector;

#[cfg(test)]
mod tests;

use metallb_core::config::Config;
use metallb_core::refusal::{ConfigRefusal, Kind, ObjectRef, ObjectRefusal};

pub use objects::{Node, Objects, Secret, Stored};

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
