//! `bundle/` and `catalog/`: what the Operator Lifecycle Manager installs, in format `registry+v1`, and what it chooses
//! from.
//!
//! In this room: [`release`], what differs between versions; [`csv`], the ClusterServiceVersion, made of the same
//! Deployment and rules as the manifest; [`owned`], our kinds and their fields as consoles show them; [`examples`], an
//! object of each; [`directory`], the files of the bundle; [`catalog`], the file-based catalog. Definitions in a bundle
//! carry no conversion stanza: OLM writes it.

mod catalog;
mod csv;
mod directory;
mod examples;
mod owned;
mod release;
#[cfg(test)]
mod tests;

pub(super) use directory::artifacts;
pub use directory::package;
pub use release::Release;
