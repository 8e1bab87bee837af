//! From the objects of the API server to the checked configuration, and for every object that cannot be part of it, why.
//!
//! One function, [`parse`], for everybody: what admission accepts and what runs cannot differ. Errors are per object:
//! an invalid one is set aside by name, and the rest is in force. Of two that contradict each other the older one
//! stays. All that is wrong with an object is told at once.
//!
//! Not here: last good values, which die with a process and so must not matter.

mod bfd_profile;
mod bgp_advertisement;
mod community;
mod duration;
pub mod examples;
mod faults;
mod l2_advertisement;
mod objects;
mod peer;
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
    /// What is wrong, in the order of kinds and names; an object may have several. What each does to its object is its
    /// [`effect`](ObjectRefusal::effect).
    pub refusals: Vec<ObjectRefusal>,
}

/// Checks `objects`. Total: there is always a configuration, if only an empty one.
pub fn parse(objects: &Objects) -> Parsed {
    let mut parsed = Parsed::default();
    // What others refer to comes before them.
    bfd_profile::parse_all(objects, &mut parsed);
    peer::parse_all(objects, &mut parsed);
    community::parse_all(objects, &mut parsed);
    pool::parse_all(objects, &mut parsed);
    l2_advertisement::parse_all(objects, &mut parsed);
    bgp_advertisement::parse_all(objects, &mut parsed);
    pool::warn_all(objects, &mut parsed);
    parsed.refusals.sort_by(|one, other| one.object.cmp(&other.object)); // stable: reasons keep their order
    parsed
}

impl Parsed {
    /// Is something of the configuration not in force?
    pub fn any_set_aside(&self) -> bool {
        self.refusals.iter().any(|refusal| refusal.effect().sets_aside())
    }

    fn refuse(&mut self, kind: Kind, name: &str, refusal: impl Into<ConfigRefusal>) {
        let object = ObjectRef { kind, name: name.to_owned() };
        self.refusals.push(ObjectRefusal { object, refusal: refusal.into() });
    }

    fn refuse_all(&mut self, kind: Kind, name: &str, refusals: impl IntoIterator<Item = ConfigRefusal>) {
        for refusal in refusals {
            self.refuse(kind, name, refusal);
        }
    }
}
