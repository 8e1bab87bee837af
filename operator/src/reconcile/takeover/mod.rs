//! Taking over from upstream's MetalLB: what has to happen besides applying our objects over its own.
//!
//! Everything here is pure, and decided anew from what the cluster shows: an operator that is restarted half-way goes
//! on where things are. Named steps:
//!
//! * [`adopt`]: before an object is applied that is there already. What its installers wrote is ours from now on, so
//!   that what we do not write goes; an object that cannot become ours is named.
//! * [`allocators`]: upstream's controller knows nothing of our lease, so it ends before ours starts.
//! * [`frr_k8s`]: its pods hold the sessions that our speakers are to have. Node by node, the one ends before the other
//!   starts.
//! * [`leftovers`]: what would bite later, found by upstream's names and shapes, and nobody else's.

pub mod adopt;
pub mod allocators;
mod fields;
pub mod frr_k8s;
pub mod leftovers;
