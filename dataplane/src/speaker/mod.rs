//! The speaker: one on every node, announces the addresses that this node is elected for.
//!
//! | room | holds |
//! |---|---|
//! | [`args`] | flags and environment |
//! | [`run`] | start-up, and what runs beside the brain |
//! | [`brain`] | the one task that owns the world: watches in, tables out |
//! | [`facts`] | its world, and what follows from it; no I/O |
//! | [`lane`] | the thread that answers ARP, tells neighbours, and exchanges heartbeats |
//! | [`bfd`] | the thread that watches routers |
//! | [`bgp`] | the thread that talks to routers |
//! | [`discovery`] | the task that finds the routers of unnumbered BGP sessions |
//! | [`outlet`] | where routes go: to routers, or into objects for an frr-k8s that somebody else runs |
//! | [`departure`] | a node that leaves: how its routes go before it does |
//! | [`stopping`] | told to stop: is it the node that goes? |
//! | [`announced`] | is all announced? what a roll-out asks before it goes on |
//! | [`reporting`] | how the sessions stand, for objects and events |
//! | [`reports`] | the thread on which such objects are written |
//! | [`excluded`] | the file that names interfaces to leave alone |
//! | [`memberlist`] | upstream's settings of memberlist, and what becomes of them |
//! | [`secret`] | the Secret that speakers share |
//! | [`metrics`] | what is announced, asked and answered |
//!
//! The brain never touches a packet, and the lane never waits for the brain: a plan over ten thousand services delays
//! no answer and no heartbeat. Not here: the rules (`metallb_core::plan`), the protocols (`metallb-protocols`).

mod announced;
pub mod args;
pub mod bfd;
pub mod bgp;
mod brain;
mod departure;
pub mod discovery;
mod excluded;
mod facts;
pub mod lane;
mod memberlist;
pub mod metrics;
mod outlet;
mod reporting;
mod reports;
mod run;
mod secret;
mod stopping;

pub use run::run;
