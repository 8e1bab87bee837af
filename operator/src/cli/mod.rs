//! `kubectl metallb`: the same rules as admission, controller and speaker, evaluated where the user sits.
//!
//! | room | holds |
//! |---|---|
//! | [`args`] | commands and flags |
//! | [`documents`] | files, directories and standard input into objects |
//! | [`inventory`] | objects by kind; the world that the commands ask about |
//! | [`live`] | the inventory of a cluster |
//! | [`speakers`] | what their pods tell: which run, and by which switches |
//! | [`reports`] | what speakers report of addresses, and whom that makes the owner |
//! | [`validate`] | what admission would refuse |
//! | [`allocation`] | who holds which address, once all is settled |
//! | [`announcement`] | which node announces an address, and why the others do not |
//! | [`plan`], [`explain`], [`owners`], [`peers`], [`preflight`] | the answers, for people and for programs |
//!
//! Not here: rules. Every verdict comes from `metallb-crds` and `metallb-core`.

mod allocation;
mod announcement;
pub mod args;
mod documents;
mod explain;
mod inventory;
mod live;
mod output;
mod owners;
mod peers;
mod plan;
mod preflight;
mod reports;
mod run;
mod speakers;
#[cfg(test)]
mod tests;
mod validate;

pub use run::run;
