//! Every decision MetalLB makes, and no I/O: which address a service gets, which node announces it, and why not.
//!
//! | room | holds |
//! |---|---|
//! | [`names`], [`labels`], [`address`] | the words everything else is written in |
//! | [`config`] | pools and advertisements that passed every check: an invalid one cannot be represented |
//! | [`refusal`] | every "no": a stable code, a sentence, a fix |
//! | [`few`] | maps and sets of one or two, without room for more |
//! | [`ipam`] | the books of who holds which address, and the rules that fill them |
//! | [`election`] | which of the eligible nodes announces an address |
//! | [`plan`] | the speaker's world, and what this node should announce in it |
//! | [`shared`] | a map that is cheap to copy, for what is looked at by many |
//! | [`table`] | one reducer for everything that is watched |
//!
//! Not here: clocks, randomness, sockets, Kubernetes types. Decisions depend on arguments alone, so two processes
//! that see the same objects decide the same.

pub mod address;
pub mod config;
pub mod election;
pub mod few;
pub mod gather;
pub mod ipam;
pub mod labels;
pub mod names;
pub mod pack;
pub mod plan;
pub mod refusal;
pub mod shared;
pub mod table;
