//! Files of the repository that follow from the Rust types: made by `cargo run --bin generate`, held up to date by a
//! test.
//!
//! [`all`] is the list, one module per group of files. [`write()`] and [`stale`] compare it with a checkout. Every file
//! begins with [`HEADER`] (Markdown: [`MARKDOWN_HEADER`]; JSON has no comments), which is also how a file that is no longer made is recognised.

mod bundle;
mod configuration;
mod crds;
mod files;
mod manifest;
mod monitoring;
mod refusals;
#[cfg(test)]
mod tests;
mod yaml;

pub use bundle::{Release, package};
pub use files::{Artifact, Error, HEADER, MARKDOWN_HEADER, Stale, all, stale, write};
pub use manifest::{EXTERNAL_FRRK8S_NAMESPACE, Images, manifest};
pub use monitoring::dashboard;
