//! The configuration before and after an edit, and what follows from the difference.

use std::collections::BTreeMap;

use metallb_core::refusal::{Effect, Kind, ObjectRef, ObjectRefusal, Refusal};

use super::change::remove;
use super::{Change, RunningService};
use crate::config::{Objects, Parsed, Stored, parse};

/// The answer to an edit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Why it must not be made, all reasons; none: it may.
    pub denials: Vec<String>,
    /// What its author should know.
    pub warnings: Vec<String>,
}

/// Decides on `change` to what is `stored`, in the namespace of MetalLB.
pub fn review(stored: &Objects, change: Change, namespace: &str) -> Decision {
    Edit::of(stored, change, namespace).decide()
}

/// An edit, with the configuration on both sides of it.
#[derive(Clone, Debug)]
pub struct Edit {
    target: ObjectRef,
    operation: Operation,
    /// Where it is made, if that is not the namespace of MetalLB; there it has no effect on the configuration.
    elsewhere: Option<String>,
    namespace: String,
    before: Parsed,
    after: Parsed,
    /// BGPPeers that name the BFDProfile that goes.
    users: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Create,
    Update,
    Delete,
}

impl Edit {
    /// The edit that `change` is to what is `stored`, in the namespace of MetalLB.
    pub fn of(stored: &Objects, change: Change, namespace: &str) -> Self {
        let target = change.target();
        let elsewhere = change.namespace().filter(|it| *it != namespace).map(str::to_owned);
        let mut users = Vec::new();
        let (mut before, mut after) = (stored.clone(), stored.clone());
        let operation = match change {
            Change::Create(new) => {
                if elsewhere.is_none() {
                    new.just_created().put_into(&mut after);
                }
                Operation::Create
            }
            Change::Update { old, new } => {
                if elsewhere.is_none() {
                    old.put_into(&mut before);
                    new.put_into(&mut after);
                }
                Operation::Update
            }
            Change::Delete(old) => {
                if elsewhere.is_none() {
                    if target.kind == Kind::BfdProfile {
                        users = users_of_profile(stored, &target.name);
                    }
                    old.put_into(&mut before);
                    remove(&mut after, &target);
                }
                Operation::Delete
            }
        };
        let (before, after) = (parse(&before), parse(&after));
        Self { target, operation, elsewhere, namespace: namespace.to_owned(), before, after, users }
    }

    /// May it be made?
    pub fn decide(&self) -> Decision {
        let mut decision = Decision::default();
        if let Some(elsewhere) = &self.elsewhere {
            self.decide_elsewhere(elsewhere, &mut decision);
            return decision;
        }
        if !self.users.is_empty() {
            decision.denials.push(format!(
                "failed to delete BFDProfile {}: it is used by BGPPeer {}; remove spec.bfdProfile there first",
                self.target.name,
                bounded(&self.users),
            ));
        }
        let introduced = introduced(&self.before.refusals, &self.after.refusals);
        for (refusal, is_introduced) in self.after.refusals.iter().zip(introduced) {
            let is_target = refusal.object == self.target;
            match self.operation {
                Operation::Create | Operation::Update if is_introduced && denies(refusal) => {
                    decision.denials.push(refusal.explain());
                }
                // Whoever edits an object is told what is still wrong with it, and of others what is newly so.
                Operation::Create | Operation::Update | Operation::Delete if is_introduced || is_target => {
                    decision.warnings.push(refusal.explain());
                }
                Operation::Create | Operation::Update | Operation::Delete => {}
            }
        }
        decision
    }

    /// An object there has no effect. Creating one is denied, as upstream does; one that is there may be edited, or
    /// nobody could take off its finalizers.
    fn decide_elsewhere(&self, elsewhere: &str, decision: &mut Decision) {
        let Self { target, namespace, .. } = self;
        match self.operation {
            Operation::Create => decision.denials.push(format!(
                "{target}: resource must be created in {namespace} namespace, but metadata.namespace is \
                 {elsewhere}; set it to {namespace}"
            )),
            Operation::Update => decision.warnings.push(format!(
                "{target} has no effect in namespace {elsewhere}; create it in namespace {namespace}"
            )),
            Operation::Delete => {}
        }
    }

    /// Can it take an address from a service? Otherwise nobody needs to look services up.
    pub fn changes_pools(&self) -> bool {
        self.before.config.pools != self.after.config.pools
    }

    /// What to tell the author about those of `services` that lose their address by it.
    pub fn warn_of(&self, services: &[RunningService]) -> Option<String> {
        let loser = |service: &&RunningService| {
            service.is_held_by(&self.before.config.pools) && !service.is_held_by(&self.after.config.pools)
        };
        let names: Vec<String> = services.iter().filter(loser).map(ToString::to_string).collect();
        let count = match names.len() {
            0 => return None,
            1 => "1 service loses its address and is given".to_owned(),
            count => format!("{count} services lose their addresses and are given"),
        };
        Some(format!(
            "{}: {count} another one from other pools, or waits for one: {}",
            self.target,
            bounded(&names)
        ))
    }
}

/// Names listed before the rest is only counted: a warning has to fit into a header of HTTP.
const LISTED: usize = 10;

/// The first few of `names`, and how many there are besides.
fn bounded(names: &[String]) -> String {
    let listed = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

/// Does a refusal keep the object out of the configuration? A reference to what is not there (yet) must not be in
/// the way of an edit: objects come in any order.
fn denies(refusal: &ObjectRefusal) -> bool {
    refusal.effect() == Effect::SetsAside
}

/// For each refusal `after` an edit: is it new?
///
/// An object that was refused for a reason and still is, for the same sort of reason, is no worse than before, even
/// if the value in question is another. So an overlap may shrink, and one of two be removed.
fn introduced<'r>(
    before: &'r [ObjectRefusal],
    after: &'r [ObjectRefusal],
) -> impl Iterator<Item = bool> + use<'r> {
    let mut known: BTreeMap<(&ObjectRef, &str), usize> = BTreeMap::new();
    for refusal in before {
        *known.entry((&refusal.object, refusal.code())).or_default() += 1;
    }
    after.iter().map(move |refusal| match known.get_mut(&(&refusal.object, refusal.code())) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        Some(_) | None => true,
    })
}

fn users_of_profile(stored: &Objects, profile: &str) -> Vec<String> {
    let uses = |stored: &Stored<crate::BGPPeer>| match stored {
        Stored::Readable(peer) => peer.spec.bfd_profile.as_deref() == Some(profile),
        Stored::Unreadable { .. } => false, // nothing of it is in force
    };
    stored.bgp_peers.iter().filter(|(_, stored)| uses(stored)).map(|(name, _)| name.clone()).collect()
}
