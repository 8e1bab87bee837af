//! MetalLB as the Operator Lifecycle Manager installs it: the manager itself runs in the lab's cluster, and finds our
//! bundle in our catalog.
//!
//! | room | holds |
//! |---|---|
//! | [`images`] | everything that becomes an image: two releases, their bundles and catalogs, opm, the manager |
//! | [`manager`] | the manager on a cluster, and what a user of it does |
//!
//! Images go by their digests: the manager has kubelets pull whatever has none, and the lab has no registry.
//!
//! Not here: the cluster (`tests/lab`), and what users do once MetalLB is there (`tests/kind`).

pub mod images;
pub mod manager;
