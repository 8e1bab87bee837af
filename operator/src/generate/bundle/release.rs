//! What differs from one bundle to the next: its version, what it comes after, and the images.

use crate::generate::Images;

/// Name of the package in a catalog, and first part of a bundle's name.
pub(super) const PACKAGE: &str = "metallb-operator";
/// The first version that can be upgraded from.
const FIRST: &str = "0.0.1";

/// One version of the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its version, such as `0.1.0`.
    pub version: String,
    /// The version before it, if there is one.
    pub replaces: Option<String>,
    /// The images of the pods.
    pub images: Images,
    /// The image of the bundle, by which a catalog names it.
    pub bundle: String,
}

impl Default for Release {
    /// As a checkout builds it.
    fn default() -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            bundle: format!("localhost/{PACKAGE}-bundle:v{version}"),
            version,
            replaces: Some(FIRST.to_owned()),
            images: Images::default(),
        }
    }
}

impl Release {
    /// The name of its ClusterServiceVersion.
    pub(super) fn name(&self) -> String {
        name(&self.version)
    }

    /// The name of that of the version before it.
    pub(super) fn replaced(&self) -> Option<String> {
        self.replaces.as_deref().map(name)
    }

    /// The versions that are upgraded to this one in one step, wherever they are: whatever a version needs of those
    /// before it, it finds in the cluster.
    pub(super) fn skips(&self) -> Option<String> {
        self.replaces.is_some().then(|| format!(">={FIRST} <{}", self.version))
    }
}

fn name(version: &str) -> String {
    format!("{PACKAGE}.v{version}")
}
