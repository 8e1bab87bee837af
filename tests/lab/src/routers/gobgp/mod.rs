//! GoBGP: one program, without BFD and without a hand in the kernel's routes.

pub(super) mod answers;
pub(super) mod configuration;
pub(super) mod daemon;
