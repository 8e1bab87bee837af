//! `bundle/`: what the Operator Lifecycle Manager installs, in format `registry+v1`.
//!
//! In this room: [`csv`], the ClusterServiceVersion, made of the same Deployment and rules as the manifest;
//! [`directory`], the files beside it. Definitions in a bundle carry no conversion stanza: OLM writes it.

mod csv;
mod directory;
#[cfg(test)]
mod tests;

pub(super) use directory::artifacts;
