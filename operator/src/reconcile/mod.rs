//! Keeps what is installed in line with the `MetalLB` object, and the object's status with what is.
//!
//! Five steps: [`gather`] (watches in) → [`crate::wanted`] (check) → [`crate::render`] (build) → [`steps`] and
//! [`apply`] (writes, and once the new pods are up, deletes what is installed and no longer rendered) → [`report`] and
//! [`summary`] (status and events, from what the API server said is there, not from what was sent). Checking, building,
//! [`steps`], [`takeover`], [`report`] and [`summary`] are pure. [`brain`] owns the world and runs the steps; start there.
//!
//! * Every change, its own included, takes the same path: a start, a changed `MetalLB`, a workload edited by hand or
//!   deleted, pods that become ready.
//! * An object that is as last applied is not written again, whatever its status does.
//! * What is installed belongs to the `MetalLB` by its controller reference. That reference is also the inventory: so
//!   what upstream's operator left behind (its frr-k8s, say) is recognised and deleted, and no label can be lost.
//! * No finalizer: when the `MetalLB` goes, Kubernetes collects what belongs to it. What is in no namespace cannot belong
//!   to it, and is [swept](sweep).

pub mod apply;
pub mod brain;
pub mod gather;
mod mandate;
pub mod report;
pub mod rollout;
pub mod steps;
pub mod summary;
pub mod sweep;
pub mod takeover;

pub use brain::{Context, work};
pub use mandate::Mandate;
pub use report::CONDITIONS;

/// The one name a `MetalLB` may have.
pub const METALLB: &str = "metallb";

/// Whoever writes the objects, for server-side apply. Upstream's, so that what it wrote is taken over.
pub const FIELD_MANAGER: &str = "metallb-operator";
