//! As much of JSONPath (RFC 9535) as a kubeconfig asks for: where in what a command of the user printed his token is, as
//! `$.credential.access_token`.
//!
//! It stands in for the crate of that name, which kube needs for this alone, and which brings a generator of parsers and an
//! engine of regular expressions into the memory of every node: half a megabyte.
//!
//! Not here: wildcards, slices and filters. They are errors.

mod query;

pub use query::{JsonPath, NotUnderstood};
