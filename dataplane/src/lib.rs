//! The dataplane: the controller, which gives addresses to services, and the speaker, which announces them.
//!
//! | room | holds |
//! |---|---|
//! | [`controller`] | one per cluster (the holder of a lease): Services in, addresses out |
//! | [`speaker`] | one per node: which addresses this node announces, and announcing them |
//! | [`kube`] | objects of Kubernetes, read into the words of `metallb-core`; statuses written back |
//! | [`net`] | sockets and netlink; the only unsafe code (`net/sys`) |
//! | [`observe`] | metrics |
//!
//! Both processes have one shape: watch → world → decide → diff → act. Decisions are in `metallb-core`, protocols in
//! `metallb-protocols`; here are the loops around them. Start at `controller::brain` or `speaker::brain`.

pub mod controller;
pub mod kube;
pub mod net;
pub mod observe;
pub mod speaker;
